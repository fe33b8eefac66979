"""Write down what a run was made with."""

from idpipe.workflow.session.worker import hand_over

hand_over()

from pathlib import Path

from idpipe.config import load
from idpipe.workflow import provenance
from idpipe.workflow.session.logs import job

with job("provenance", snakemake.log[0]):
    plan = load(snakemake.config["plan"])
    provenance.write(plan, Path(snakemake.output[0]))

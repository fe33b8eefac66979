"""Write down what a run was made with."""

from idpipe.worker import hand_over

hand_over()

from pathlib import Path

from idpipe import provenance
from idpipe.config import load
from idpipe.logs import job
from idpipe.settings import read

with job("provenance", snakemake.log[0]):
    plan = load(read([], snakemake_config=snakemake.config))
    provenance.write(plan, Path(snakemake.output[0]))

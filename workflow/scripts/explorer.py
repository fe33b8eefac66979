"""Put a run on one page."""

from idpipe.workflow.session.worker import hand_over

hand_over()

from pathlib import Path

from idpipe.config import load
from idpipe.explorer import page
from idpipe.results import Results
from idpipe.workflow.session.logs import job
from idpipe.workflow.targets import Targets

with job("explorer", snakemake.log[0]):
    plan = load(snakemake.config["plan"])
    results = Results(Path(snakemake.input[0]).parent, Targets(plan).selection())
    page.write(plan, results, Path(snakemake.output[0]))

"""Put a run on one page."""

from idpipe.workflow.session.worker import hand_over

hand_over()

from pathlib import Path

from idpipe.config import load, read
from idpipe.explorer import page
from idpipe.workflow.session.logs import job

with job("explorer", snakemake.log[0]):
    plan = load(read([], snakemake_config=snakemake.config))
    page.write(plan, Path(snakemake.output[0]))

"""Evaluate one cell on its probe set."""

from idpipe.workflow.session.worker import hand_over

hand_over()

from pathlib import Path

from idpipe.workflow import jobs
from idpipe.workflow.session.logs import job

with job("evaluate", snakemake.log[0]):
    jobs.evaluate(
        Path(snakemake.input.spec).parent,
        Path(snakemake.input.probes),
        snakemake.params.correlation,
        Path(snakemake.output.metrics).parent,
    )

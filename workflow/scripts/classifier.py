"""Classify images by the layers of one cell."""

from idpipe.workflow.session.worker import hand_over

hand_over()

from pathlib import Path

from idpipe.config import ProbeSpec
from idpipe.workflow import jobs
from idpipe.workflow.session.logs import job

with job("classifier", snakemake.log[0]):
    jobs.classify(
        Path(snakemake.input.spec).parent,
        Path(snakemake.input.train).parent,
        ProbeSpec.model_validate_json(snakemake.params.probes),
        Path(snakemake.output[0]).parent,
        snakemake.wildcards.state,
    )

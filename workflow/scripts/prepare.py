"""Prepare the images of one source."""

from idpipe.workflow.session.worker import hand_over

hand_over()

from pathlib import Path

from idpipe.cells import DataSpec
from idpipe.config import DataConfig
from idpipe.images import prepare
from idpipe.workflow.session.logs import job

with job("prepare", snakemake.log[0]):
    spec = DataSpec.model_validate_json(snakemake.params.spec)
    where = DataConfig.model_validate(snakemake.config["plan"]["data"])
    prepare(spec, where, Path(snakemake.output.train).parent)

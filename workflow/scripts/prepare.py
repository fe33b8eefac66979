"""Prepare the images of one source."""

from idpipe.worker import hand_over

hand_over()

from pathlib import Path

from idpipe import data
from idpipe.config import DataConfig
from idpipe.data_specs import DataSpec
from idpipe.logs import job

with job("prepare", snakemake.log[0]):
    spec = DataSpec.model_validate_json(snakemake.params.spec)
    where = DataConfig.model_validate(snakemake.config["data"])
    data.prepare(spec, where, Path(snakemake.output.train).parent)

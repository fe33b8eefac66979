"""Gather a run's tables."""

from idpipe.workflow.session.worker import hand_over

hand_over()

import json
from pathlib import Path

from idpipe import tables
from idpipe.workflow.session.logs import job

with job("collect", snakemake.log[0]):
    members = json.loads(snakemake.params.members)
    tables.collect(
        members["studies"],
        Path(snakemake.input.status[0]).parents[1],
        members["evaluations"],
        Path(snakemake.output.cells).parent,
        members["analysed"],
    )

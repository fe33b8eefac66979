"""Gather a run's tables."""

from idpipe.workflow.session.worker import hand_over

hand_over()

import json
from pathlib import Path

from idpipe.results import collect
from idpipe.store import Selection
from idpipe.workflow.session.logs import job

with job("collect", snakemake.log[0]):
    members = json.loads(snakemake.params.members)
    selection = Selection.model_validate(members["selection"])
    collect(selection, Path(snakemake.output.cells).parent)

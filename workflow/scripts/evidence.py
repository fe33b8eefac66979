"""Measure what claims need and no other table holds."""

from idpipe.workflow.session.worker import hand_over

hand_over()

import json
from pathlib import Path

from idpipe.claims.evidence import gather
from idpipe.formats import write_parquet
from idpipe.nets import initial_weights
from idpipe.store import Selection
from idpipe.workflow.session.logs import job

with job("evidence", snakemake.log[0]):
    asked = json.loads(snakemake.params.asked)
    selection = Selection.model_validate(asked["selection"])
    table = gather(selection, initial_weights, asked["correlation"])
    write_parquet(Path(snakemake.output[0]), table)

"""Judge the paper's claims by a run's tables."""

from idpipe.workflow.session.worker import hand_over

hand_over()

import json
from pathlib import Path

from idpipe.claims.scorecard import write
from idpipe.config import FigureStyle
from idpipe.workflow.session.logs import job

with job("scorecard", snakemake.log[0]):
    asked = json.loads(snakemake.params.scorecard)
    tables = Path(snakemake.input[0]).parent
    style = FigureStyle.model_validate(asked["style"])
    write(tables, asked["run"], style, snakemake.output)

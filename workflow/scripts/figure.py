"""Draw one figure."""

from idpipe.workflow.session.worker import hand_over

hand_over()

import json

from idpipe.config import FigureStyle
from idpipe.figures import FIGURES
from idpipe.figures.draw import write
from idpipe.results import Results
from idpipe.store import Selection
from idpipe.workflow.session.logs import job

with job("figure", snakemake.log[0]):
    figure = json.loads(snakemake.params.figure)
    initial = None
    if FIGURES[figure["name"]].weights:  # torch draws them: no other figure waits for its import
        from idpipe.nets import initial_weights as initial
    results = Results.of_cells(Selection.model_validate(figure["selection"]), initial)
    style = FigureStyle.model_validate(figure["style"])
    write(figure["name"], results, style, snakemake.output)

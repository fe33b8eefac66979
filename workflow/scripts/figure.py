"""Draw one figure."""

from idpipe.workflow.session.worker import hand_over

hand_over()

import json
from pathlib import Path

from idpipe.config import FigureStyle
from idpipe.figures.draw import write
from idpipe.figures.results import Results
from idpipe.workflow.session.logs import job

with job("figure", snakemake.log[0]):
    figure = json.loads(snakemake.params.figure)
    probes = {cell: Path(path) for cell, path in figure["probes"].items()}
    cells = Path(figure["cells"])
    results = Results.of_cells(
        figure["studies"], cells, figure["evaluations"], probes, figure["analysed"]
    )
    style = FigureStyle.model_validate(figure["style"])
    write(figure["name"], results, style, snakemake.output)

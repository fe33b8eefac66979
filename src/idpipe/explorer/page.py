"""The page itself: template, style, program, plotting library and data in one file."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bokeh.resources import Resources

from idpipe import store
from idpipe.config import Plan
from idpipe.explorer.details import Details
from idpipe.explorer.map import index
from idpipe.results import Results
from idpipe.templates import render

FOLDER = Path(__file__).parent
PROGRAM = ("link.js", "charts.js", "map.js", "cell.js", "main.js")
"""Parts of the program, in one scope, in this order."""


def write(plan: Plan, results: Results, path: Path) -> None:
    """Write the page of a run that is finished.

    Raises FigureError or StoreError where the run lacks a table, or a cell one of its files.
    """
    details = Details(results, plan.config.figures.replicate)
    store.write_bytes(path, page(plan.config.run, blocks(plan, details)).encode())


def blocks(plan: Plan, details: Details) -> Iterator[tuple[str, Any]]:
    """Name and JSON of every block of data; the page reads a cell's when the cell is chosen."""
    yield "index", index(plan, details.results)
    for probe_hash in dict.fromkeys(map(details.results.selection.probe_hash, plan.cells)):
        yield f"probes-{probe_hash}", details.inputs(probe_hash)
    for number, cell_id in enumerate(plan.cells):
        yield f"cell-{number}", details.cell(cell_id)


def page(run: str, data: Iterator[tuple[str, Any]]) -> str:
    """The page's HTML."""
    program = "\n".join((FOLDER / "page" / name).read_text() for name in PROGRAM)
    library = Resources(mode="inline", components=["bokeh", "bokeh-api"], log_level="error").js_raw
    return render(
        FOLDER / "page/explorer.html",
        run=run,
        style=(FOLDER / "page/explorer.css").read_text(),
        data=data,
        library="\n".join(library),
        bokeh=version("bokeh"),
        program=program,
    )

"""Captions of the report: what the paper shows, what this run shows, and what differs.

They are reStructuredText, and made when a report is asked for, from the plan and from how the
training of its cells ended; no figure is drawn again for them.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from idpipe import store
from idpipe.cells import ENDINGS, SOURCES, Cell
from idpipe.config import Plan, load, read
from idpipe.errors import StoreError
from idpipe.figures.differences import listing, of_figure, shown_cells
from idpipe.figures.paper import SHOWS
from idpipe.figures.registry import FIGURES
from idpipe.store import Layout

OUT_OF_DATE = (
    "**Out of date:** the configuration, the results or the drawing code have changed since this "
    "was drawn, and what follows is of the present ones. Run Snakemake without ``--report`` first."
)


@cache
def paper_plan() -> Plan:
    """The plan of config/paper.yaml as committed, whatever a project's files were changed to."""
    return load(read([Path(__file__).with_name("paper.yaml")]))


def caption(name: str, plan: Plan, stale: bool = False) -> str:
    """The caption of a figure.

    Args:
        name: the figure; `plan` has what it shows.
        plan: this run.
        stale: whether Snakemake would draw it again.
    """
    figure, shows = FIGURES[name], SHOWS.get(name)
    studies = shown_cells(figure, plan)
    parts = [
        f"**In the paper:** {shows}" if shows else "**In the paper:** there is no such figure.",
        f"**Here:** {figure.title}. {' '.join(map(_study, studies, studies.values()))}".strip(),
        _differs(of_figure(figure, plan, paper_plan()), shows is not None, bool(studies)),
    ]
    if cells := list(dict.fromkeys(cell for found in studies.values() for cell in found)):
        parts += [_training(cells, shows is not None), _ended(cells, Path(plan.config.results))]
    return "\n\n".join([OUT_OF_DATE, *parts] if stale else parts)


def _differs(lines: Sequence[str], in_paper: bool, trained: bool) -> str:
    if not lines and in_paper and not trained:
        return "**What differs:** nothing; the counts are as in the paper and need no training."
    if not lines and in_paper:
        return (
            "**What differs:** nothing that the paper tells; what it leaves open, and was chosen "
            "here, is in docs/fidelity.md. Networks, images and budgets are as in the paper."
        )
    if not lines:
        return "**What differs:** nothing; networks and images are those of config/paper.yaml."
    return "**What differs:**\n\n" + "\n".join(f"* {line}" for line in lines)


def _study(name: str, cells: Sequence[Cell]) -> str:
    return f"Study {name}: {_networks(cells)}."


def _networks(cells: Sequence[Cell]) -> str:
    """What a study's networks are, and what they are trained on."""
    kinds = itertools.groupby(sorted(cells, key=_kind), _kind)
    told = " and ".join(f"{name} {_shape(list(alike))}" for name, alike in kinds)
    sources = listing(SOURCES[cell.data.source].title for cell in cells)
    sizes = listing(f"{cell.data.size} × {cell.data.size}" for cell in cells)
    images = listing(_images(cell) for cell in cells)
    return f"{told}, trained on {images} of {sources}, {sizes} pixels"


def _kind(cell: Cell) -> str:
    return f"{cell.net.in_words}s"


def _shape(cells: Sequence[Cell]) -> str:
    depths = sorted({cell.net.depth for cell in cells})
    parts = [f"of {listing(map(str, depths))} layer{'s' if depths != [1] else ''}"]
    if widths := sorted({cell.net.width for cell in cells if cell.net.depth > 1}):
        parts.append(f"{listing(f'{width:,}' for width in widths)} {cells[0].net.width_unit}")
    if kernels := sorted({cell.net.kernel for cell in cells if hasattr(cell.net, "kernel")}):
        parts.append(f"{listing(f'{side} × {side}' for side in kernels)} filters")
    return ", ".join(parts)


def _images(cell: Cell) -> str:
    if cell.data.examples == "all":
        return "all images"
    count = len(cell.data.examples)
    return "one image" if count == 1 else f"{count} images"


def _training(cells: Sequence[Cell], in_paper: bool) -> str:
    seeds = listing(f"{count}" for count in sorted({cell.replicates for cell in cells}))
    stops = sorted({cell.stop_mse for cell in cells})
    below = listing(f"{mse:g}" if mse else "0 (never)" for mse in stops)
    often = "once" if seeds == "1" else f"{seeds} times, with other seeds"
    paper = "; the paper's are trained for the whole of their budget" if in_paper else ""
    return (
        f"**Training:** every network {often}, until its training MSE is below {below} or its "
        f"budget ends{paper}."
    )


def _ended(cells: Iterable[Cell], results: Path) -> str:
    ends: Counter[str] = Counter()
    for cell in cells:
        try:
            told = store.read_json(Layout(results).cell(cell.cell_id) / "status.json")
        except StoreError:
            ends["no longer stored"] += cell.replicates
            continue
        ends.update(ENDINGS[one["status"]].told for one in told["replicates"])
    counted = ", ".join(f"{count} {end}" for end, count in ends.most_common())
    return f"**How it ended:** {counted}."

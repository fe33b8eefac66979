"""Grids of one network's layers: a row per layer, a column per evaluation image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from idpipe.cells import ENDINGS
from idpipe.config import FigureStyle
from idpipe.figures.parts import layout
from idpipe.figures.parts.grids import absent
from idpipe.figures.parts.imagegrid import CAPTIONS, Grid, Row
from idpipe.results import Images, Ladder, Results, Rung

COLOURS = "viridis"
"""Of hidden layers; inputs and outputs are gray."""
MEANING = (
    "Colour: a hidden layer, each tile over its own range. Gray: input and output. Top singular "
    "vectors have the sign whose pixels sum to 0 or more."
)


def view_grid(
    results: Results,
    style: FigureStyle,
    rung: Rung,
    title: str,
    view: str = "singular",
    state: str = "trained",
    most: int | None = None,
) -> Grid:
    """Input, a view of each hidden layer, output; at most `most` probes of a kind."""
    places = results.viewed(rung.cell_id)
    kinds = results.inputs(rung.cell_id, style.replicate).kinds
    seen = [kinds[place] for place in places]
    columns = [c for c, kind in enumerate(seen) if most is None or seen[:c].count(kind) < most]
    names = (f"{state}_{view}", f"{state}_output")
    return _grid(results, style, rung, title, [places[c] for c in columns], columns, names)


def size_grid(
    results: Results, style: FigureStyle, rung: Rung, title: str, size: int | None
) -> Grid:
    """As `view_grid` at another input size; None: that of the training image."""
    places = results.viewed(rung.cell_id, "viewed_resized")
    if size is None:
        everything = results.viewed(rung.cell_id)
        columns, suffix = [everything.index(place) for place in places], ""
    else:
        columns, suffix = list(range(len(places))), f"_{size}"
    names = (f"trained_singular{suffix}", f"trained_output{suffix}")
    return _grid(results, style, rung, title, places, columns, names, size)


def _grid(
    results: Results,
    style: FigureStyle,
    rung: Rung,
    title: str,
    places: Sequence[int],
    columns: Sequence[int],
    names: tuple[str, str],
    size: int | None = None,
) -> Grid:
    """The probes at `places`; of the arrays `names` (views, outputs) the `columns`."""
    probes = results.inputs(rung.cell_id, style.replicate, size)
    hidden = results.views(rung.cell_id, style.replicate, names[0])[:, list(columns)]
    output = results.layer_output(rung.cell_id, style.replicate, names[1])[list(columns)]
    warning = "" if names[1].startswith("untrained") else mark(rung, style)
    rows = [
        Row("input", probes.images[list(places)], group="input"),
        *layer_rows(hidden, output, 1, warning),
    ]
    kinds = [probes.kinds[place] for place in places]
    return Grid(kinds, rows, "layer", title, captions=dict.fromkeys(CAPTIONS, ""))


def layer_rows(
    hidden: np.ndarray, output: Images, first: int, warning: str = "", group: str = "networks"
) -> list[Row]:
    """A row per layer, labelled from `first` on: hidden ones [l - 1, n, h, w], then the output."""
    rows = [
        Row(f"{number}", planes[..., None], group=group, colormap=COLOURS)
        for number, planes in enumerate(hidden, start=first)
    ]
    return [*rows, Row(f"{first + len(hidden)}", output, warning, group)]


def mark(rung: Rung, style: FigureStyle) -> str:
    """What is wrong with the replicate shown, if anything is."""
    replicates = rung.replicates
    status = replicates[replicates["replicate"] == style.replicate]["status"].iloc[0]
    return ENDINGS[status].mark.replace(" ", "\n")


def nearest(networks: Ladder, depths: Sequence[int]) -> tuple[list[Rung], str]:
    """The rungs of the paper's depths, and a note on those the study lacks.

    Where it has none of them, those nearest to them.
    """
    by_depth = {int(rung.value): rung for rung in networks.rungs}
    found = [depth for depth in depths if depth in by_depth]
    if not found:
        close = {min(by_depth, key=lambda has: (abs(has - depth), has)) for depth in depths}
        found = sorted(close)
    return [by_depth[depth] for depth in found], absent(depths, by_depth, "layers")


def layers_of(rung: Rung) -> str:
    """`1 layer`, `20 layers`."""
    depth = int(rung["depth"])
    return f"{depth} layer" + ("s" if depth > 1 else "")


def provenance(
    results: Results, style: FigureStyle, rungs: Sequence[Rung], setting: str, *remarks: str
) -> str:
    """The small print: what networks share, which replicate of them is shown, on what images."""
    shown = [rung.replicates[rung.replicates["replicate"] == style.replicate] for rung in rungs]
    restarts = {
        layers_of(rung): int(rows["restarts"].iloc[0])
        for rung, rows in zip(rungs, shown, strict=True)
    }
    again = ", ".join(f"{name} ({count}×)" for name, count in restarts.items() if count)
    parts = [
        layout.sentence(setting),
        f"Shown: replicate {style.replicate} (counted from 0) of {max(r.total for r in rungs)}.",
        f"Images: {', '.join(dict.fromkeys(str(rung['source']) for rung in rungs))}.",
        f"Restarted after it died or diverged: {again}." if again else "",
        *(layout.sentence(remark) for remark in remarks if remark),
    ]
    return " ".join(part for part in parts if part)


def columns_of(grid: Grid) -> str:
    """A sentence that names a grid's columns, left to right."""
    counts = {kind: list(grid.kinds).count(kind) for kind in dict.fromkeys(grid.kinds)}
    words = [
        CAPTIONS[kind] + (f" ({count})" if count > 1 else "") for kind, count in counts.items()
    ]
    return f"Columns: {', '.join(words)}."

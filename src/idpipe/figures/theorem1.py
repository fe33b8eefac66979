"""Trained one-layer FCNs against the closed form of Theorem 1 (Sec. 3.1, Appendix C)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from idpipe.cells import ENDINGS, LIVE
from idpipe.config import FigureStyle
from idpipe.figures.parts import layout
from idpipe.figures.parts.heatpanel import one_digit
from idpipe.figures.parts.imagegrid import HEADER, Grid, Row, draw_grid
from idpipe.results import Fit, Results, displayed, fit_of, interval

MOST = 3
"""Training images that fit on a page."""
TITLE, NUMBERS, GAP, NOTES = 0.2, 0.34, 0.12, 0.8
"""Inches for a block's title, the numbers below its tiles, the space below those, the notes."""
LABELS, MAX_TILE = 0.8, 0.5


@dataclass(frozen=True)
class ImageBlock:
    """One training image: the grid of one replicate, and all live replicates in numbers."""

    title: str
    grid: Grid
    live: list[Fit]
    total: int


def theorem1(results: Results, style: FigureStyle) -> Figure:
    """Both parts of Eq. (1), their sum and what the trained network makes of each test image.

    The closed form takes the initial weights as the replicate drew them; nothing of it is fitted.
    """
    cells = list(results.study("theorem1").groupby("cell_id", sort=False))
    blocks = [_block(results, style, str(cell_id), rows) for cell_id, rows in cells[:MOST]]
    across, down = (edges[-1] + 1 for edges in (blocks[0].grid.lefts, blocks[0].grid.tops))
    beside_tiles = TITLE + HEADER + NUMBERS + GAP
    room = (layout.MAX_HEIGHT - NOTES) / len(blocks) - beside_tiles
    tile = min(MAX_TILE, (layout.WIDTH - LABELS - 0.05) / across, room / down)
    height = beside_tiles + down * tile
    notes = _notes(blocks, len(cells), style)
    width = max(5.0, LABELS + across * tile + 0.05)
    figure = layout.new_figure(height * len(blocks), notes, width)
    for number, block in enumerate(blocks):
        top = number * height + TITLE
        letter = f"({'abc'[number]}) " if len(blocks) > 1 else ""
        layout.add_text(figure, 0.04, top, letter + block.title, va="bottom", fontweight="bold")
        axes = draw_grid(figure, block.grid, 0.0, top, tile, block.grid.labels)
        _write_numbers(axes, block, down, tile, style)
    return figure


def _block(
    results: Results, style: FigureStyle, cell_id: str, replicates: pd.DataFrame
) -> ImageBlock:
    statuses = [str(status) for status in replicates["status"]]
    restarts = [int(count) for count in replicates["restarts"]]
    fits = [fit_of(results, cell_id, r, restart) for r, restart in enumerate(restarts)]
    probes = results.inputs(cell_id, style.replicate)
    shown, scale = fits[style.replicate], results.scale(cell_id)
    shape = results.standardized(cell_id, style.replicate).shape
    pictures = [
        ("Π∥(x)", shown.along, "parts", ""),
        ("R Π⊥(x)", shown.across, "parts", ""),
        ("sum, Eq. 1", shown.along + shown.across, "prediction", ""),
        ("trained", shown.trained, "prediction", ENDINGS[statuses[style.replicate]].mark),
    ]
    grid = [Row("input x", probes.images, group="input")] + [
        Row(label, displayed(flat.reshape(shape), *scale), mark, group)
        for label, flat, group, mark in pictures
    ]
    first = replicates.iloc[0]
    label, index = str(first["examples"]).split("/")
    return ImageBlock(
        f"Trained on image {index} of class {label}, {first['source']}",
        Grid(probes.kinds, grid, "test image"),
        [fit for fit, status in zip(fits, statuses, strict=True) if status in LIVE],
        len(fits),
    )


def _write_numbers(
    axes: Axes, block: ImageBlock, down: float, tile: float, style: FigureStyle
) -> None:
    """Mean and half-width of each test image's deviation, below its column."""
    look: dict[str, Any] = {"fontsize": layout.SMALL_SIZE, "va": "center", "clip_on": False}
    first, second = down + 0.09 / tile, down + 0.2 / tile
    axes.text(-0.06 / tile, first, "deviation", ha="right", gid="row", **look)
    for column, x in enumerate(block.grid.lefts):
        values = [float(fit.deviation[column]) for fit in block.live]
        mean, half = interval(values, style.interval)
        text = "–" if np.isnan(mean) else one_digit(mean)
        axes.text(x + 0.5, first, text, ha="center", gid="mean", **look)
        if not np.isnan(half):
            axes.text(x + 0.5, second, f"±{one_digit(half)}", ha="center", gid="half", **look)


def _notes(blocks: list[ImageBlock], cells: int, style: FigureStyle) -> list[str]:
    counts = ", ".join(dict.fromkeys(f"{len(block.live)} of {block.total}" for block in blocks))
    weights = [fit.weights for block in blocks for fit in block.live]
    notes = [
        "One-layer linear FCN without biases. Π∥ and Π⊥: projections onto the training image and "
        "onto what is orthogonal to it; R: the initial weights. All rows are drawn as pixels, "
        "clipped to [0, 1]; the two parts add up before that.",
        f"Shown: replicate {style.replicate} (counted from 0). Deviation: norm of the difference "
        "between the trained output and Eq. 1 over the norm of Eq. 1, mean over replicates "
        f"({counts}; none that is dead or diverged) and ± half-width of its {style.interval:.0%} "
        "interval (Student t).",
    ]
    if weights:
        notes[1] += f" The weights deviate from Eq. 4 by at most {one_digit(max(weights))}."
    if cells > len(blocks):
        notes.append(f"Not shown: {cells - len(blocks)} further training images of the study.")
    return notes

"""Grids of images: a row per network, a column per evaluation image, training images first.

One axes holds a whole grid, in units of a tile and with y downwards. A panel of several grids
calls `draw_grid` once for each.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from idpipe.figures import layout
from idpipe.figures.results import Images

CAPTIONS = {
    "train": "train",
    "blend": "blend",
    "unseen": "unseen",
    "out_of_domain": "out of domain",
    "pattern": "patterns",
}
LABELS, HEADER, MARGIN = 0.74, 0.36, 0.05
"""Inches left of the tiles, above them, and right of and below them."""
MAX_TILE, MIN_WIDTH = 0.6, 4.0
SPACE, FIRST_SPACE, GROUP_SPACE = 0.05, 0.28, 0.12
"""Gaps in tiles: between tiles; more after the first group (training images, inputs), and some
more after each further one."""


@dataclass(frozen=True)
class Row:
    """Images of shape (n, h, w, c) in [0, 1], and what stands left of them.

    `mark` is printed in red below the label. Neighbours of different `group` are set apart.
    """

    label: str
    images: Images
    mark: str = ""
    group: str = "networks"


@dataclass(frozen=True)
class Grid:
    """Rows under column captions; the first one shows the inputs.

    `kinds` holds the kind of each column's probe, `heading` says what the row labels count.
    """

    kinds: Sequence[str]
    rows: Sequence[Row]
    heading: str = ""

    @property
    def lefts(self) -> list[float]:
        """Left edges of the columns, in tiles."""
        return _edges(self.kinds)

    @property
    def tops(self) -> list[float]:
        """Top edges of the rows, in tiles."""
        return _edges([row.group for row in self.rows])


def _edges(groups: Sequence[str]) -> list[float]:
    edges, space = [0.0], FIRST_SPACE
    for before, after in itertools.pairwise(groups):
        edges.append(edges[-1] + 1 + SPACE + (space if before != after else 0))
        space = space if before == after else GROUP_SPACE
    return edges


def grid_figure(grid: Grid, notes: list[str]) -> Figure:
    """A figure of one grid, as large as the page allows (Figs. 2, 3, 13 and their like)."""
    across, down = grid.lefts[-1] + 1, grid.tops[-1] + 1
    tile = min(
        MAX_TILE,
        (layout.WIDTH - LABELS - MARGIN) / across,
        (layout.MAX_HEIGHT - HEADER - MARGIN) / down,
    )
    width = max(MIN_WIDTH, LABELS + across * tile + MARGIN)
    figure = layout.new_figure(HEADER + down * tile + MARGIN, notes, width)
    draw_grid(figure, grid, left=0.0, top=0.0, tile=tile)
    return figure


def draw_grid(figure: Figure, grid: Grid, left: float, top: float, tile: float) -> Axes:
    """Draw `grid` with its labels' upper left corner at (`left`, `top`) inches; tiles in inches."""
    across, down = grid.lefts[-1] + 1, grid.tops[-1] + 1
    axes = layout.add_axes(figure, left + LABELS, top + HEADER, across * tile, down * tile)
    axes.axis("off")
    for row, y in zip(grid.rows, grid.tops, strict=True):
        for image, x in zip(row.images, grid.lefts, strict=True):
            _draw_tile(axes, image, x, y)
        layout.label_row(axes, -0.06 / tile, y + 0.5, row.label, row.mark)
    _frame_tiles(axes, grid)
    _caption_columns(axes, grid, tile)
    _separate_training(axes, grid, down)
    axes.set(xlim=(0, across), ylim=(down, 0), aspect="auto")
    return axes


def _draw_tile(axes: Axes, image: Float[np.ndarray, "h w c"], x: float, y: float) -> None:
    """An image, gray or RGB; one that is not finite is a crossed panel."""
    if np.isfinite(image).all():
        shown = image[..., 0] if image.shape[-1] == 1 else image
        axes.imshow(shown, cmap="gray", vmin=0, vmax=1, extent=(x, x + 1, y + 1, y))
        return
    axes.add_patch(Rectangle((x, y), 1, 1, facecolor="0.93", gid="crossed"))
    for ends in ((y, y + 1), (y + 1, y)):
        axes.plot((x, x + 1), ends, color=layout.ALARM, linewidth=0.7, clip_on=False)


def _frame_tiles(axes: Axes, grid: Grid) -> None:
    """A hairline around each tile, or bright images would run into the page."""
    tiles = [Rectangle((x, y), 1, 1) for y in grid.tops for x in grid.lefts]
    frames = PatchCollection(tiles, facecolor="none", edgecolor="0.75", linewidth=0.4, zorder=1.5)
    frames.set_clip_on(False)
    axes.add_collection(frames, autolim=False)


def _caption_columns(axes: Axes, grid: Grid, tile: float) -> None:
    """A bracket over the columns of each kind, and its name; the heading of the row labels."""
    y = -0.06 / tile
    small: dict[str, Any] = {"fontsize": layout.SMALL_SIZE, "linespacing": 1.0, "clip_on": False}
    axes.text(y, y - 0.05 / tile, grid.heading, ha="right", va="baseline", gid="heading", **small)
    placed = zip(grid.kinds, grid.lefts, strict=True)
    for kind, members in itertools.groupby(placed, key=lambda column: column[0]):
        lefts = [x for _, x in members]
        start, end = lefts[0], lefts[-1] + 1
        axes.plot((start, end), (y, y), color="0.4", linewidth=0.6, clip_on=False, gid="bracket")
        caption = CAPTIONS.get(kind, kind)
        if layout.text_width(caption, layout.SMALL_SIZE) > (end - start) * tile:
            caption = "\n".join(caption.rsplit(" ", 1))
        # Baselines in line, whether or not a caption has descenders.
        align = "bottom" if "\n" in caption else "baseline"
        place = ((start + end) / 2, y - 0.05 / tile)
        axes.text(*place, caption, ha="center", va=align, gid="caption", **small)


def _separate_training(axes: Axes, grid: Grid, down: float) -> None:
    """The paper's red dashed line between training images and the rest."""
    count = sum(kind == "train" for kind in grid.kinds)
    if 0 < count < len(grid.kinds):
        x = (grid.lefts[count - 1] + 1 + grid.lefts[count]) / 2
        axes.plot((x, x), (-0.2, down), color="red", linestyle="--", clip_on=False, gid="training")

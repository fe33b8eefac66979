"""Grids of images: a row per network, a column per evaluation image, training images first.

One axes holds a whole grid, in units of a tile and with y downwards.
`idpipe.figures.parts.imagepanels` places several grids on a page.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from idpipe.figures.parts import layout
from idpipe.results import Images

CAPTIONS = {
    "train": "train",
    "blend": "blend",
    "unseen": "unseen",
    "out_of_domain": "out of domain",
    "pattern": "patterns",
}
HEADER, BARE, TITLE, MARGIN, GAP = 0.36, 0.22, 0.17, 0.05, 0.06
"""Inches above the tiles, above them without captions, for a grid's title above that, around all,
and between label and tile."""
SPACE, FIRST_SPACE, GROUP_SPACE = 0.05, 0.28, 0.12
"""Gaps in tiles: between tiles; more after the first group (training images, inputs), and some
more after each further one."""


@dataclass(frozen=True)
class Row:
    """Images of shape (n, h, w, c) in [0, 1], and what stands left of them.

    `mark` is printed in red below the label. Neighbours of different `group` are set apart. Images
    of one channel have the colours of `colormap`.
    """

    label: str
    images: Images
    mark: str = ""
    group: str = "networks"
    colormap: str = "gray"


@dataclass(frozen=True)
class Grid:
    """Rows under column captions; the first one shows the inputs.

    Attributes:
        kinds: the kind of each column's probe.
        rows: the rows, top to bottom.
        heading: what the row labels count.
        title: printed above the grid, such as `(a) 5 layers`.
        names: group of rows -> what stands left of its rows' labels.
        captions: kind -> what stands above its columns; nothing does where that is empty.
    """

    kinds: Sequence[str]
    rows: Sequence[Row]
    heading: str = ""
    title: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    captions: Mapping[str, str] = field(default_factory=lambda: CAPTIONS)

    @property
    def lefts(self) -> list[float]:
        """Left edges of the columns, in tiles."""
        return _edges(self.kinds)

    @property
    def tops(self) -> list[float]:
        """Top edges of the rows, in tiles."""
        return _edges([row.group for row in self.rows])

    @property
    def across(self) -> float:
        """Width of all columns, in tiles."""
        return self.lefts[-1] + 1

    @property
    def down(self) -> float:
        """Height of all rows, in tiles."""
        return self.tops[-1] + 1

    @property
    def header(self) -> float:
        """Inches above the tiles."""
        captioned = any(self.captions.get(kind, kind) for kind in self.kinds)
        return (HEADER if captioned else BARE) + (TITLE if self.title else 0)

    @property
    def label_width(self) -> float:
        """Inches that the rows' labels and marks take."""
        labels = [_widest(row.label, layout.LABEL_SIZE) for row in self.rows]
        return max(*labels, *(_widest(row.mark, layout.SMALL_SIZE) for row in self.rows))

    @property
    def labels(self) -> float:
        """Inches left of the tiles: the labels, and the names of groups left of them."""
        names = max((_widest(name, layout.LABEL_SIZE) for name in self.names.values()), default=0)
        beside = self.label_width + (names + 2 * GAP if names else 0)
        return MARGIN + GAP + max(beside, _widest(self.heading, layout.SMALL_SIZE))

    def thinned(self, count: int) -> Grid:
        """The grid with all training images and the first `count` columns of every other kind."""
        before = [list(self.kinds[:number]).count(kind) for number, kind in enumerate(self.kinds)]
        kept = [
            number
            for number, (kind, earlier) in enumerate(zip(self.kinds, before, strict=True))
            if kind == "train" or earlier < count
        ]
        rows = [replace(row, images=row.images[kept]) for row in self.rows]
        return replace(self, kinds=[self.kinds[number] for number in kept], rows=rows)


def _widest(text: str, size: float) -> float:
    """Inches that the longest line of `text` takes."""
    return max(layout.text_width(line, size) if line else 0.0 for line in text.split("\n"))


def _edges(groups: Sequence[str]) -> list[float]:
    edges, space = [0.0], FIRST_SPACE
    for before, after in itertools.pairwise(groups):
        edges.append(edges[-1] + 1 + SPACE + (space if before != after else 0))
        space = space if before == after else GROUP_SPACE
    return edges


def draw_grid(
    figure: Figure, grid: Grid, left: float, top: float, tile: float, labels: float
) -> Axes:
    """Draw `grid` with its upper left corner at (`left`, `top`) inches.

    `tile` and `labels` are the sides of a tile and the width left for the rows' labels, in inches.
    """
    across, down = grid.across, grid.down
    place = (left + labels, top + grid.header, across * tile, down * tile)
    axes = layout.add_axes(figure, *place)
    axes.axis("off")
    for row, y in zip(grid.rows, grid.tops, strict=True):
        for image, x in zip(row.images, grid.lefts, strict=True):
            _draw_tile(axes, image, x, y, row.colormap)
        layout.label_row(axes, -GAP / tile, y + 0.5, row.label, row.mark)
    _frame_tiles(axes, grid)
    _caption_columns(axes, grid, tile)
    _name_groups(axes, grid, tile)
    _separate_training(axes, grid, down)
    if grid.title:
        layout.add_text(
            figure, left + MARGIN, top + 0.04, grid.title, va="top", fontweight="bold", gid="title"
        )
    axes.set(xlim=(0, across), ylim=(down, 0), aspect="auto")
    return axes


def _draw_tile(
    axes: Axes, image: Float[np.ndarray, "h w c"], x: float, y: float, colormap: str
) -> None:
    """An image of one channel, or RGB; one that is not finite is a crossed panel."""
    if np.isfinite(image).all():
        shown = image[..., 0] if image.shape[-1] == 1 else image
        axes.imshow(shown, cmap=colormap, vmin=0, vmax=1, extent=(x, x + 1, y + 1, y))
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
    y = -GAP / tile
    small: dict[str, Any] = {"fontsize": layout.SMALL_SIZE, "linespacing": 1.0, "clip_on": False}
    axes.text(y, y - 0.05 / tile, grid.heading, ha="right", va="baseline", gid="heading", **small)
    placed = zip(grid.kinds, grid.lefts, strict=True)
    for kind, members in itertools.groupby(placed, key=lambda column: column[0]):
        caption = grid.captions.get(kind, kind)
        if not caption:
            continue
        lefts = [x for _, x in members]
        start, end = lefts[0], lefts[-1] + 1
        axes.plot((start, end), (y, y), color="0.4", linewidth=0.6, clip_on=False, gid="bracket")
        if layout.text_width(caption, layout.SMALL_SIZE) > (end - start) * tile:
            caption = "\n".join(caption.rsplit(" ", 1))
        # Baselines in line, whether or not a caption has descenders.
        align = "bottom" if "\n" in caption else "baseline"
        place = ((start + end) / 2, y - 0.05 / tile)
        axes.text(*place, caption, ha="center", va=align, gid="caption", **small)


def _name_groups(axes: Axes, grid: Grid, tile: float) -> None:
    """The names of groups of rows, left of a line along the group."""
    x = -(2 * GAP + grid.label_width) / tile
    placed = zip(grid.rows, grid.tops, strict=True)
    for group, members in itertools.groupby(placed, key=lambda row: row[0].group):
        tops = [y for _, y in members]
        if group not in grid.names:
            continue
        ends = (tops[0] + 0.05, tops[-1] + 0.95)
        axes.plot((x, x), ends, color="0.4", linewidth=0.6, clip_on=False, gid="group line")
        axes.text(
            x - GAP / tile,
            sum(ends) / 2,
            grid.names[group],
            fontsize=layout.LABEL_SIZE,
            ha="right",
            va="center",
            linespacing=1.0,
            gid="group",
        )


def _separate_training(axes: Axes, grid: Grid, down: float) -> None:
    """The paper's red dashed line between training images and the rest."""
    count = sum(kind == "train" for kind in grid.kinds)
    if 0 < count < len(grid.kinds):
        x = (grid.lefts[count - 1] + 1 + grid.lefts[count]) / 2
        axes.plot((x, x), (-0.2, down), color="red", linestyle="--", clip_on=False, gid="training")

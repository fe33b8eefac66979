"""One or more image grids on a page, with tiles of one size, as large as the page allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from idpipe.figures.parts import layout
from idpipe.figures.parts.imagegrid import MARGIN, Grid, draw_grid

MAX_TILE, MIN_TILE = 0.6, 0.17
"""Inches; smaller tiles than the second hide what an image shows."""
MIN_WIDTH = 4.0
THIN = 2
"""Columns of each kind that are left where all would make the tiles too small."""
BETWEEN = 0.1
"""Inches between two grids."""


@dataclass(frozen=True)
class Placement:
    """Where grids stand: the tiles' side, each grid's corner and labels, the page, in inches."""

    tile: float
    places: Sequence[tuple[float, float, float]]
    """Left, top and the width of the rows' labels."""
    width: float
    height: float


def grid_figure(grid: Grid, notes: list[str]) -> Figure:
    """A figure of one grid (Figs. 2, 3, 13 and their like)."""
    return panels_figure([grid], notes)


def panels_figure(grids: Sequence[Grid], notes: list[str], side_by_side: bool = False) -> Figure:
    """A figure of several grids, beside or below each other, whichever leaves the larger tiles.

    `side_by_side` asks for the former wherever tiles stay readable. Where neither way they do,
    columns are left out, and a note says so.
    """
    plan = _planned(grids, notes, side_by_side)
    if plan.tile < MIN_TILE and len(grids) > 1:
        grids = [grid.thinned(THIN) for grid in grids]
        notes = [*notes, f"Of each kind of evaluation image the first {THIN} are shown."]
        plan = _planned(grids, notes, side_by_side)
    figure = layout.new_figure(plan.height, notes, plan.width)
    for grid, (left, top, labels) in zip(grids, plan.places, strict=True):
        draw_grid(figure, grid, left, top, plan.tile, labels)
    return figure


def _planned(grids: Sequence[Grid], notes: list[str], side_by_side: bool) -> Placement:
    """The plan with the room that the notes leave on the page."""
    width = layout.WIDTH
    for _ in range(3):  # small tiles make a narrow page, on which the notes take more lines
        room = layout.MAX_HEIGHT - layout.note_height(notes, width)
        beside, below = _beside(grids, room), _below(grids, room)
        wins = beside.tile >= (MIN_TILE if side_by_side else below.tile)
        plan = beside if wins or (side_by_side and beside.tile >= below.tile) else below
        width = plan.width
    return plan


def _beside(grids: Sequence[Grid], room: float) -> Placement:
    """Grids in a row."""
    header = max(grid.header for grid in grids)
    fixed = sum(grid.labels for grid in grids) + BETWEEN * (len(grids) - 1) + MARGIN
    tile = min(
        MAX_TILE,
        (layout.WIDTH - fixed) / sum(grid.across for grid in grids),
        (room - header - MARGIN) / max(grid.down for grid in grids),
    )
    places, left = [], 0.0
    for grid in grids:
        places.append((left, header - grid.header, grid.labels))
        left += grid.labels + grid.across * tile + BETWEEN
    height = header + max(grid.down for grid in grids) * tile + MARGIN
    return Placement(tile, places, max(MIN_WIDTH, left - BETWEEN + MARGIN), height)


def _below(grids: Sequence[Grid], room: float) -> Placement:
    """Grids in a column, their tiles in line."""
    labels = max(grid.labels for grid in grids)
    fixed = sum(grid.header for grid in grids) + BETWEEN * (len(grids) - 1) + MARGIN
    across = max(grid.across for grid in grids)
    tile = min(
        MAX_TILE,
        (layout.WIDTH - labels - MARGIN) / across,
        (room - fixed) / sum(grid.down for grid in grids),
    )
    places, top = [], 0.0
    for grid in grids:
        places.append((0.0, top, labels))
        top += grid.header + grid.down * tile + BETWEEN
    width = max(MIN_WIDTH, labels + across * tile + MARGIN)
    return Placement(tile, places, width, top - BETWEEN + MARGIN)

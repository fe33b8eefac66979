"""What the layers of CNNs hold, as images: Figs. 15 to 18, 21, 29 and 30."""

from __future__ import annotations

from matplotlib.figure import Figure

from idpipe.config import DEEPEST, FigureStyle, deepest
from idpipe.figures.parts.grids import absent, lettered
from idpipe.figures.parts.imagepanels import panels_figure
from idpipe.figures.parts.layergrid import (
    MEANING,
    columns_of,
    layers_of,
    nearest,
    provenance,
    size_grid,
    view_grid,
)
from idpipe.results import Results, ladder, ladders

VIEW_TITLES = {
    "singular": "Top singular vector",
    "correlated": "Most correlated channel",
    "channel0": "Channel 0",
}
WIDE = 128
"""Channels of the paper's wide network in Figs. 29 and 30."""


def fig15(results: Results, style: FigureStyle) -> Figure:
    """Intermediate layers by top singular vector: untrained, then trained CNNs (Fig. 15)."""
    networks = ladder(results, "cnn_depth")
    rungs, missing = nearest(networks, (7, 14, DEEPEST))
    random = deepest(networks.rungs)
    title = f"Untrained, {layers_of(random)}"
    grids = [view_grid(results, style, random, title, state="untrained", most=1)]
    grids += [view_grid(results, style, rung, layers_of(rung), most=1) for rung in rungs]
    about = provenance(results, style, rungs, networks.setting, missing)
    return panels_figure(grids, [about, f"{columns_of(grids[0])} {MEANING}"], side_by_side=True)


def fig16(results: Results, style: FigureStyle) -> Figure:
    """Three views of each layer of the 7-layer CNN (Fig. 16, Appendix F)."""
    return three_views(results, style, 7)


def fig17(results: Results, style: FigureStyle) -> Figure:
    """Three views of each layer of the 14-layer CNN (Fig. 17, Appendix F)."""
    return three_views(results, style, 14)


def fig18(results: Results, style: FigureStyle) -> Figure:
    """Three views of each layer of the 20-layer CNN (Fig. 18, Appendix F)."""
    return three_views(results, style, DEEPEST)


def fig21(results: Results, style: FigureStyle) -> Figure:
    """Intermediate layers of the 20-layer CNN at several input sizes (Fig. 21, Appendix H)."""
    networks = ladder(results, "cnn_depth")
    (rung,), missing = nearest(networks, (DEEPEST,))
    own, others = int(rung["size"]), results.view_sizes(rung.cell_id)
    alone = "" if others else "no other size in probes.sizes"
    grids = [
        size_grid(results, style, rung, f"{size} × {size}", None if size == own else size)
        for size in sorted({own, *others})
    ]
    setting = f"{layers_of(rung)}, {networks.setting}, trained on {own} × {own} pixels"
    about = provenance(results, style, [rung], setting, missing, alone)
    return panels_figure(grids, [about, f"{columns_of(grids[0])} {MEANING}"], side_by_side=True)


def fig29(results: Results, style: FigureStyle) -> Figure:
    """A narrow and a wide 5-layer CNN at initialization, layer by layer (Fig. 29)."""
    return narrow_and_wide(results, style, "untrained")


def fig30(results: Results, style: FigureStyle) -> Figure:
    """A narrow and a wide 5-layer CNN after training, layer by layer (Fig. 30)."""
    return narrow_and_wide(results, style, "trained")


def three_views(results: Results, style: FigureStyle, depth: int) -> Figure:
    """Top singular vector, most correlated channel and channel 0 of each layer (Appendix F)."""
    networks = ladder(results, "cnn_depth")
    (rung,), missing = nearest(networks, (depth,))
    grids = [
        view_grid(results, style, rung, lettered(number, title), view)
        for number, (view, title) in enumerate(VIEW_TITLES.items())
    ]
    setting = f"{layers_of(rung)}, {networks.setting}"
    notes = [
        provenance(results, style, [rung], setting, missing),
        f"{columns_of(grids[0])} {MEANING} Most correlated: by Pearson correlation to the input; "
        "channel 0 where no channel has one.",
    ]
    return panels_figure(grids, notes, side_by_side=True)


def narrow_and_wide(results: Results, style: FigureStyle, state: str) -> Figure:
    """The narrowest CNN of `cnn_channels` beside the one of 128 channels, else the widest."""
    groups = ladders(results, "cnn_channels", "width", "depth")
    networks = groups[min(groups, key=lambda has: (abs(has - 5), has))]
    narrow, *others = networks.rungs
    wide = [rung for rung in others if rung.value == WIDE] or others[-1:]
    rungs = [narrow, *wide]
    grids = [
        view_grid(results, style, rung, lettered(number, f"{rung.value} channels"), state=state)
        for number, rung in enumerate(rungs)
    ]
    missing = [
        absent([5], groups, "layers"),
        absent([3, WIDE], [rung.value for rung in rungs], "channels"),
    ]
    moment = "at initialization" if state == "untrained" else "after training"
    about = provenance(results, style, rungs, f"{moment}: {networks.setting}", *missing)
    return panels_figure(grids, [about, f"{columns_of(grids[0])} {MEANING}"], side_by_side=True)

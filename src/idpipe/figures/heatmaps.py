"""Closeness to the constant and to the identity by network and rho: Figs. 4, 14, 25, 27, 33-35."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from idpipe.config import FigureStyle
from idpipe.figures.parts import layout
from idpipe.figures.parts.heatpanel import (
    CORRELATION,
    MAX_COLUMNS,
    MSE,
    Heat,
    Reference,
    Scale,
    draw_panel,
    summarize,
)
from idpipe.figures.parts.smallprint import basis, exceptions, spread
from idpipe.results import Ladder, Results, Rung, ladder, ladders

REFERENCES: tuple[Reference, ...] = ("constant", "identity")
LABELS, MARGIN, GAP = 0.66, 0.06, 0.08
"""Inches left of the panels, right of them, and between them."""
TITLE, CELL, AXIS, BAR = 0.3, 0.24, 0.42, 0.38
"""Inches for the panels' titles, one row, the axis below it, the colour bar and its label."""
PANEL = (layout.WIDTH - LABELS - MARGIN - GAP) / 2


@dataclass(frozen=True)
class HeatPair:
    """Two panels side by side, to the constant and to the identity, of one study.

    `axis` names what the rows count; `label` turns a rung's value into it.
    """

    networks: Ladder
    axis: str
    title: str = ""
    label: Callable[[Any], str] = str


def fig04(results: Results, style: FigureStyle) -> Figure:
    """Correlation of CNNs' outputs to the constant and the identity (Fig. 4, Sec. 3.2)."""
    return heat_figure(results, style, [_cnn(results)], CORRELATION)


def fig14(results: Results, style: FigureStyle) -> Figure:
    """As Fig. 4 for FCNs: (a) ReLU, (b) linear (Fig. 14, Appendix E)."""
    blocks = [_fcn(results, "relu", "(a) ReLU"), _fcn(results, "linear", "(b) Linear")]
    return heat_figure(results, style, blocks, CORRELATION)


def fig25(results: Results, style: FigureStyle) -> Figure:
    """As Fig. 4 for 5-layer CNNs over filter size (Fig. 25, Appendix I)."""
    block = HeatPair(ladder(results, "cnn_kernel", "kernel"), "Filter size", label=_side)
    return heat_figure(results, style, [block], CORRELATION)


def fig27(results: Results, style: FigureStyle) -> Figure:
    """As Fig. 4 for CNNs over channels, 5 layers or the fewest there are (Fig. 27, Appendix I)."""
    groups = ladders(results, "cnn_channels", "width", "depth")
    block = HeatPair(groups[5 if 5 in groups else min(groups)], "Channels")
    return heat_figure(results, style, [block], CORRELATION)


def fig33(results: Results, style: FigureStyle) -> Figure:
    """MSE of linear FCNs, by the caption's own title (Fig. 33, Appendix J)."""
    return heat_figure(results, style, [_fcn(results, "linear")], MSE)


def fig34(results: Results, style: FigureStyle) -> Figure:
    """MSE of ReLU FCNs, by the caption's own title (Fig. 34, Appendix J)."""
    return heat_figure(results, style, [_fcn(results, "relu")], MSE)


def fig35(results: Results, style: FigureStyle) -> Figure:
    """MSE of CNNs' outputs to the constant and the identity (Fig. 35, Appendix J)."""
    return heat_figure(results, style, [_cnn(results)], MSE)


def _cnn(results: Results) -> HeatPair:
    return HeatPair(ladder(results, "cnn_depth"), "Layers")


def _fcn(results: Results, activation: str, title: str = "") -> HeatPair:
    """The paper counts an FCN's hidden layers here, one fewer than its layers."""
    networks = ladder(results, f"fcn_{activation}_depth")
    return HeatPair(networks, "Hidden layers", title, lambda depth: f"{depth - 1}")


def _side(kernel: float) -> str:
    return f"{kernel:.0f} × {kernel:.0f}"


def heat_figure(
    results: Results, style: FigureStyle, blocks: Sequence[HeatPair], scale: Scale
) -> Figure:
    """Blocks of two panels below each other, one colour bar, notes."""
    scale = replace(scale, colours=style.colormap)
    heats = [
        [summarize(results, block.networks, to, scale.measure, style.interval) for to in REFERENCES]
        for block in blocks
    ]
    heights = [TITLE + CELL * len(block.networks.rungs) + AXIS for block in blocks]
    figure = layout.new_figure(sum(heights) + BAR, _notes(blocks, heats, scale, style))
    top = 0.0
    for block, pair, height in zip(blocks, heats, heights, strict=True):
        _draw_block(figure, block, pair, scale, top)
        top += height
    _draw_bar(figure, scale, top)
    return figure


def _draw_block(
    figure: Figure, block: HeatPair, pair: Sequence[Heat], scale: Scale, top: float
) -> None:
    rungs = block.networks.rungs
    height = CELL * len(rungs)
    for number, (heat, reference) in enumerate(zip(pair, REFERENCES, strict=True)):
        left = LABELS + number * (PANEL + GAP)
        axes = layout.add_axes(figure, left, top + TITLE, PANEL, height)
        draw_panel(axes, heat, block.networks, scale)
        axes.set_title(f"{scale.title} to the {reference}", pad=4)
        axes.set_xlabel("correlation ρ of probe and training image")
        if number == 0:
            for row, rung in enumerate(rungs):
                x = -0.015 * len(heat.rho)
                layout.label_row(axes, x, row + 0.5, block.label(rung.value), _mark(rung))
    layout.add_text(figure, 0.05, top + TITLE + height / 2, block.axis, rotation=90, va="center")
    layout.add_text(figure, 0.04, top + TITLE - 0.06, block.title, fontweight="bold")


def _mark(rung: Rung) -> str:
    """How many replicates are in a row's numbers; a dagger where some had not converged."""
    some = f"{rung.live} of {rung.total}" if 0 < rung.live < rung.total else ""
    return f"{some} †".strip() if rung.unconverged else some


def _draw_bar(figure: Figure, scale: Scale, top: float) -> None:
    """A horizontal colour bar below the panels, centred on them."""
    left, width = LABELS + PANEL / 2, PANEL + GAP
    axes = layout.add_axes(figure, left, top, width, 0.09)
    mappable = ScalarMappable(scale.norm(scale.lower, scale.upper), scale.colormap)
    bar = figure.colorbar(mappable, cax=axes, orientation="horizontal", extend=scale.extend)
    bar.set_ticks(list(scale.ticks), labels=[f"{tick:g}" for tick in scale.ticks], minor=False)
    bar.set_label(scale.title, labelpad=1)
    bar.ax.minorticks_off()


def _notes(
    blocks: Sequence[HeatPair], heats: Sequence[Sequence[Heat]], scale: Scale, style: FigureStyle
) -> list[str]:
    """The small print: what the numbers are, what they rest on, what is left out."""
    flat = [heat for pair in heats for heat in pair]
    notes = [_basis(blocks, flat, style), scale.note, *_exceptions(blocks)]
    if len(flat[0].rho) > MAX_COLUMNS:
        notes.append("Too many values of ρ to print their numbers; the table `metrics` has them.")
    undefined = sum(heat.undefined for heat in flat)
    if undefined:
        notes.append(f"{undefined} undefined values are in no mean; gray: none is defined.")
    return notes


def _basis(blocks: Sequence[HeatPair], heats: Sequence[Heat], style: FigureStyle) -> str:
    """Which networks were trained on what, and how a number comes from them."""
    known = any(np.isfinite(heat.half).any() for heat in heats)
    text = (
        "Training image: {sources}. Numbers: mean over replicates ({replicates}) of each one's "
        f"mean over {heats[0].probes} probes per ρ; {spread(style, '± half-width of its', known)}."
    )
    return basis([block.networks for block in blocks], text)


def _exceptions(blocks: Sequence[HeatPair]) -> list[str]:
    """Sentences on the replicates that died, ran out of budget or were restarted, if any did."""
    rungs = {
        f"{block.title} {block.axis.lower()} {block.label(rung.value)}".strip(): rung
        for block in blocks
        for rung in block.networks.rungs
    }
    return exceptions(
        rungs,
        some="Red: replicates in the row's numbers; the others died or diverged.",
        none="",
        late="† In the numbers, though not converged within the budget",
    )

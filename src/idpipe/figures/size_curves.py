"""Closeness to the constant and to the identity over depth, a curve per image size: Fig. 8."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from idpipe.config import FigureStyle
from idpipe.figures.parts import layout
from idpipe.figures.parts.heatpanel import Reference
from idpipe.figures.parts.smallprint import basis, exceptions, spread
from idpipe.results import Ladder, Results, Rung, interval, ladders, per_replicate

REFERENCES: tuple[Reference, ...] = ("constant", "identity")
PAPER_SIZES = (7, 14, 28, 56, 112)
MARKERS = "osD^vPX"
LEFT, GAP, TOP, HEIGHT, AXIS = 0.5, 0.12, 0.55, 2.1, 0.45
"""Inches: left of the panels, between them, above them, their height, and the axis below."""
PANEL = (layout.WIDTH - LEFT - GAP - 0.06) / 2
DODGE = 0.1
"""Layers between the curves' points, so that the bars of one depth stand side by side."""

Curves = Mapping[int, Ladder]
"""Size of the training image -> the networks trained on it."""


def fig08(results: Results, style: FigureStyle) -> Figure:
    """Mean correlation over depth, a curve per size of training image (Fig. 8, Sec. 3.4)."""
    curves = dict(sorted(ladders(results, "cnn_image_size", "depth", "size").items()))
    figure = layout.new_figure(TOP + HEIGHT + AXIS, _notes(curves, style))
    lows = [0.0]
    for number, reference in enumerate(REFERENCES):
        axes = layout.add_axes(figure, LEFT + number * (PANEL + GAP), TOP, PANEL, HEIGHT)
        lows += _draw_panel(axes, results, style, curves, reference)
    left, right = figure.axes
    ticks = np.arange(np.ceil(min(lows) * 5), 6) / 5
    left.set_ylabel("mean correlation")
    left.set_yticks(ticks, [f"{tick:.1f}" for tick in ticks])
    right.set_yticks(ticks, [""] * len(ticks))
    for axes in (left, right):
        axes.set_ylim(min(lows) - 0.03, 1.03)
    handles, labels = left.get_legend_handles_labels()
    told = [f"trained at {label}" for label in labels]
    figure.legend(handles, told, loc="upper center", ncols=len(curves), frameon=False)
    return figure


def _draw_panel(
    axes: Axes, results: Results, style: FigureStyle, curves: Curves, reference: Reference
) -> list[float]:
    """All curves of one panel. Returns their finite means."""
    drawn: list[float] = []
    for place, (size, networks) in enumerate(curves.items()):
        means, halves = _summary(results, networks, reference, style.interval)
        drawn += [mean for mean in means if np.isfinite(mean)]
        shift = DODGE * (place - (len(curves) - 1) / 2)
        depths = [rung.value + shift for rung in networks.rungs]
        axes.errorbar(
            depths,
            means,
            np.nan_to_num(halves),
            color=f"C{place}",
            marker=MARKERS[place % len(MARKERS)],
            markersize=3,
            capsize=1.5,
            elinewidth=0.7,
            label=f"{size} × {size}",
        )
        for depth, mean, rung in zip(depths, means, networks.rungs, strict=True):
            _mark_failures(axes, depth, mean, rung)
    ticks = sorted({rung.value for networks in curves.values() for rung in networks.rungs})
    axes.set_xticks(ticks)
    axes.set(title=f"Correlation to the {reference}", xlabel="layers")
    axes.grid(axis="y", color="0.9", linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    return drawn


def _summary(
    results: Results, networks: Ladder, reference: Reference, level: float
) -> tuple[list[float], list[float]]:
    """Means and half-widths of their intervals, one per rung; NaN where none is live."""
    metrics = results.metrics(pd.concat([rung.replicates for rung in networks.rungs]))
    rows = metrics[(metrics["kind"] == "correlated") & (metrics["reference"] == reference)]
    pairs = [
        interval(per_replicate(rows[rows["cell_id"] == rung.cell_id], "correlation"), level)
        for rung in networks.rungs
    ]
    return [mean for mean, _ in pairs], [half for _, half in pairs]


def _mark_failures(axes: Axes, depth: float, mean: float, rung: Rung) -> None:
    """A red ring where some replicates are left out, a red cross where all are."""
    if 0 < rung.live < rung.total:
        axes.plot(depth, mean, "o", color=layout.ALARM, ms=7, mfc="none", gid="some failed")
    if rung.live == 0:
        axes.plot(depth, 0, "x", color=layout.ALARM, ms=5, clip_on=False, gid="all failed")


def _notes(curves: Curves, style: FigureStyle) -> list[str]:
    """Which networks were trained on what, how a point comes from them, what is not in it."""
    absent = ", ".join(f"{size}" for size in PAPER_SIZES if size not in curves)
    several = any(rung.total > 1 for networks in curves.values() for rung in networks.rungs)
    cut = ", cut off where the frame ends" if several else ""
    text = (
        "Training image: {sources}, the same at every size. Points: mean over replicates "
        "({replicates}) of each one's mean over the probes of all ρ (a row of Fig. 4); "
        f"{spread(style, 'bars:', several)}{cut}."
        + (f" Not in this study: images of {absent} pixels." if absent else "")
    )
    rungs = {
        f"{size} × {size}, {rung.value} layers": rung
        for size, networks in curves.items()
        for rung in networks.rungs
    }
    return [
        basis(list(curves.values()), text),
        *exceptions(
            rungs,
            some="Red ring: replicates in the mean, where others died or diverged",
            none="Red cross: no replicate lived",
            late="In the means, though not converged within the budget",
        ),
    ]

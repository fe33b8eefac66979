"""Curves over the layers of networks of several depths: Figs. 5 and 19."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from idpipe.cells import LIVE
from idpipe.config import FigureStyle, deepest
from idpipe.errors import FigureError
from idpipe.figures.parts import layout
from idpipe.figures.parts.layergrid import layers_of
from idpipe.figures.parts.smallprint import basis, exceptions, spread
from idpipe.results import Ladder, Results, Rung, interval, ladder

HEIGHT, LEFT, AXIS, TITLE, ROW = 2.7, 0.5, 0.36, 0.24, 0.135
"""Inches: of the axes, left of them, for the axis below and the title above, of a legend's line."""
LEGEND = 1.35
"""Inches right of the axes of Fig. 5."""
PALE, STRONG = 0.1, 2.4


@dataclass(frozen=True)
class Curve:
    """Mean and half-width of its interval at each layer, over `count` replicates."""

    rung: Rung
    layers: np.ndarray
    mean: np.ndarray
    half: np.ndarray
    count: int

    @property
    def label(self) -> str:
        """The depth, and how many replicates the numbers rest on where some are missing."""
        some = f" ({self.count} of {self.rung.total})" if self.count < self.rung.total else ""
        return f"{self.rung.value}{some}{' †' if self.rung.unconverged else ''}"


def fig05(results: Results, style: FigureStyle) -> Figure:
    """Error rate of the averaging classifier by layer, trained and untrained (Fig. 5, Sec. 3.2)."""
    networks = ladder(results, "cnn_depth")
    random = deepest(networks.rungs)
    found = curves(results, networks, "error_rate", style)
    (untrained,) = curves(results, networks, "error_rate", style, "untrained", [random])
    notes = [
        _basis({"": networks}, style),
        "The classifier adds up the labels of the source's training images, each weighted by the "
        "inner product of its representation and the test image's; layer 0 is the image itself. "
        f"Dashed: chance. {_exceptions({'': networks})}".strip(),
    ]
    figure = layout.new_figure(HEIGHT + AXIS + 0.1, notes)
    axes = layout.add_axes(figure, LEFT, 0.1, layout.WIDTH - LEFT - LEGEND, HEIGHT)
    draw_curves(axes, found, 100.0)
    _draw(axes, untrained, "red", f"{random.value}, untrained", 100.0, width=STRONG)
    chance = results.layers(random.replicates, "chance", "untrained")["value"].mean()
    axes.axhline(100 * chance, color="0.4", linestyle="--", linewidth=0.7)
    axes.set(xlabel="layer", ylabel="error rate (%)", ylim=(0, 100))
    _place_ticks(axes)
    place: dict[str, Any] = {
        "loc": "upper left",
        "bbox_to_anchor": (1.01, 1.02),
        "borderaxespad": 0,
    }
    axes.legend(title="layers", frameon=False, alignment="left", **place)
    return figure


def fig19(results: Results, style: FigureStyle) -> Figure:
    """Relative distance of each layer's weights from initialization (Fig. 19, Appendix G)."""
    panels = {
        "(a) CNN": ladder(results, "cnn_depth"),
        "(b) Linear FCN": ladder(results, "fcn_linear_depth"),
        "(c) ReLU FCN": ladder(results, "fcn_relu_depth"),
    }
    found = {title: curves(results, p, "distance", style) for title, p in panels.items()}
    cut = {title: cut_at(members) for title, members in found.items()}
    notes = [
        _basis(panels, style),
        f"Cut off as in the paper, to resolve the lower layers; the top layer reaches "
        f"{', '.join(f'{_highest(c):.2g} in {t[:3]}' for t, c in found.items())}. "
        f"{_exceptions(panels)}".strip(),
    ]
    lines = max(math.ceil((len(members) + 1) / 3) for members in found.values())
    figure = layout.new_figure(TITLE + HEIGHT * 0.75 + AXIS + ROW * (lines + 1), notes)
    gap = 0.36
    width = (layout.WIDTH - LEFT - 0.08 - 2 * gap) / 3
    for number, (title, members) in enumerate(found.items()):
        axes = layout.add_axes(figure, LEFT + number * (width + gap), TITLE, width, HEIGHT * 0.75)
        draw_curves(axes, members)
        axes.set(xlabel="layer", ylim=(0, cut[title]))
        axes.set_title(title, loc="left", fontweight="bold")
        _place_ticks(axes)
        below: dict[str, Any] = {"bbox_to_anchor": (0.5, -AXIS / (HEIGHT * 0.75)), "ncols": 3}
        tight: dict[str, Any] = {"borderaxespad": 0, "columnspacing": 1.2, "handlelength": 1.4}
        axes.legend(title="layers", frameon=False, loc="upper center", **below, **tight)
        if number == 0:
            axes.set_ylabel("‖W − W₀‖ / ‖W₀‖")
    return figure


def curves(
    results: Results,
    networks: Ladder,
    quantity: str,
    style: FigureStyle,
    state: str = "trained",
    rungs: Sequence[Rung] | None = None,
) -> list[Curve]:
    """A curve per rung with a replicate that counts: after training the live ones, before it all.

    Raises FigureError where none is left.
    """
    found = []
    for rung in networks.rungs if rungs is None else rungs:
        rows = rung.replicates
        if state == "trained":
            rows = rows[rows["status"].isin(LIVE)]
        if rows.empty:
            continue
        by_layer = results.layers(rows, quantity, state).groupby("layer")["value"]
        numbers = [interval(list(values), style.interval) for _, values in by_layer]
        mean, half = np.array(numbers).T
        layers = np.array([layer for layer, _ in by_layer])
        found.append(Curve(rung, layers, mean, half, len(rows)))
    if not found:
        raise FigureError(f"studies.{networks.study}: every replicate died or diverged")
    return found


def draw_curves(axes: Axes, found: Sequence[Curve], factor: float = 1.0) -> None:
    """Curves from dark (shallow) to bright (deep), in bands of their intervals."""
    shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, len(found)))
    for curve, shade in zip(found, shades, strict=True):
        _draw(axes, curve, shade, curve.label, factor)


def _draw(
    axes: Axes,
    curve: Curve,
    colour: Any,
    label: str,
    factor: float = 1.0,
    width: float = 1.0,
) -> None:
    look: dict[str, Any] = {"marker": "o", "markersize": 1.8 + width / 2, "linewidth": width}
    axes.plot(curve.layers, factor * curve.mean, color=colour, label=label, **look)
    low, high = (factor * (curve.mean + sign * curve.half) for sign in (-1, 1))
    if np.isfinite(curve.half).any():
        axes.fill_between(curve.layers, low, high, color=colour, alpha=PALE, linewidth=0)


def _place_ticks(axes: Axes) -> None:
    """Whole layers only, and no tick beyond the panel."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axis in (axes.xaxis, axes.yaxis):
        low, high = axis.get_view_interval()
        axis.set_ticks([tick for tick in axis.get_majorticklocs() if low <= tick <= high])


def cut_at(found: Sequence[Curve]) -> float:
    """Where the panel ends: just above the highest layer that is no network's top layer."""
    below = [curve.mean[:-1].max() for curve in found if len(curve.mean) > 1]
    highest = max(below) if below else _highest(found)
    return 1.1 * float(highest) if highest > 0 else 1.0


def _highest(found: Sequence[Curve]) -> float:
    return float(max(curve.mean.max() for curve in found))


def _basis(panels: Mapping[str, Ladder], style: FigureStyle) -> str:
    """Which networks were trained on what, and what a point and a band are."""
    several = any(rung.total > 1 for networks in panels.values() for rung in networks.rungs)
    text = "Images: {sources}. Points: mean over replicates ({replicates}); "
    return basis(list(panels.values()), text + f"{spread(style, 'bands:', several)}.")


def _exceptions(panels: Mapping[str, Ladder]) -> str:
    """Sentences on replicates that are left out, late or restarted."""
    rungs = {
        f"{title} {layers_of(rung)}".strip(): rung
        for title, networks in panels.items()
        for rung in networks.rungs
    }
    return " ".join(
        exceptions(
            rungs,
            some="Dead and diverged replicates are left out; in brackets: how many are not.",
            none="No replicate left",
            late="† Some had not converged within the budget.",
        )
    )

"""Trained one-layer CNNs against Lemmas 1 and 2 and the bound of Theorem 2 (Appendix D)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from idpipe.config import FigureStyle
from idpipe.figures.parts import layout
from idpipe.results import DELTA, Point, Results, interval, point_of

LEFT, GAP, TOP, BETWEEN, AXIS = 0.62, 0.14, 0.34, 0.12, 0.42
"""Inches: left of the panels, between columns, above and between rows, and the axis below."""
HEIGHTS = (2.2, 1.2, 1.2)
"""Inches of the rows: errors, deviations, ranks."""
ERRORS, DEVIATIONS = (1e-17, 1e7), (1e-12, 1.0)
"""Ends of the log axes. The lower one of errors stands for 0, up to the rounding of outputs."""
TICKS = (
    (ERRORS[0], 1e-12, 1e-8, 1e-4, 1.0, 1e4),
    (1e-12, 1e-8, 1e-4, 1.0),
    (1.0, 10.0, 100.0, 1000.0),
)
LEMMAS = {"Lemma 1": "o", "Lemma 2": "s", "footnote 1": "D"}
"""What gives the closed form, and the marker that says so."""


def theorem2(results: Results, style: FigureStyle) -> Figure:
    """Over the kernel: errors and bound, weights against the lemmas, and the patches' rank.

    A column of panels per training image. The closed form takes the initial weights as each
    replicate drew them; nothing of it is fitted.
    """
    columns: dict[str, list[Point]] = {}
    for (source, size), rows in results.study("theorem2").groupby(["source", "size"], sort=False):
        points = [point_of(results, str(i), group) for i, group in rows.groupby("cell_id")]
        channels = points[0].field // points[0].kernel ** 2
        title = f"{source}, {size} × {size}, {channels} channel{'s' if channels > 1 else ''}"
        columns[title] = sorted(points, key=lambda p: p.kernel)
    height = TOP + sum(HEIGHTS) + 2 * BETWEEN + AXIS
    figure = layout.new_figure(height, _notes(columns, style))
    width = (layout.WIDTH - LEFT - 0.06 - GAP * (len(columns) - 1)) / len(columns)
    for number, (title, points) in enumerate(columns.items()):
        left = LEFT + number * (width + GAP)
        panels = [
            layout.add_axes(figure, left, TOP + sum(HEIGHTS[:row]) + row * BETWEEN, width, tall)
            for row, tall in enumerate(HEIGHTS)
        ]
        panels[0].set_title(title)
        _share_axes(panels, points, leftmost=number == 0)
        _draw_errors(panels[0], points, style)
        _draw_deviations(panels[1], points, style)
        _draw_ranks(panels[2], points)
    return figure


def _draw_errors(axes: Axes, points: Sequence[Point], style: FigureStyle) -> None:
    """Measured and predicted errors below the bound; what is 0 stands on the axis."""
    series = {
        "bound, Eq. 12": ([[p.bound] for p in points], {"color": "k", "marker": "_", "ms": 18}),
        "closed form": ([p.closed for p in points], {"color": "C1", "marker": "x", "ms": 7}),
        "trained": ([p.measured for p in points], {"color": "C0", "marker": "o", "ms": 3}),
    }
    for label, (values, look) in series.items():
        _series(axes, range(len(points)), values, ERRORS, style, label=label, **look)
    for place, point in enumerate(points):
        if not point.measured:
            axes.plot(place, ERRORS[0], "X", color=layout.ALARM, ms=6, clip_on=False, gid="failed")
    axes.legend(loc="center right", bbox_to_anchor=(1, 0.4))


def _draw_deviations(axes: Axes, points: Sequence[Point], style: FigureStyle) -> None:
    """How far the trained weights are from the closed form, with a marker per lemma."""
    for lemma, marker in LEMMAS.items():
        chosen = [(n, p) for n, p in enumerate(points) if p.lemma == lemma and p.deviation]
        if chosen:
            places, values = [n for n, _ in chosen], [point.deviation for _, point in chosen]
            look = {"color": "C2", "marker": marker, "ms": 4, "label": lemma}
            _series(axes, places, values, DEVIATIONS, style, **look)
            axes.legend(loc="upper right", ncols=3)


def _draw_ranks(axes: Axes, points: Sequence[Point]) -> None:
    places = range(len(points))
    axes.plot(places, [p.field for p in points], "k:", label="numbers in a patch, m/C")
    axes.plot(places, [p.patches for p in points], "k--", linewidth=0.7, label="patches")
    axes.plot(places, [p.rank for p in points], "C0o", markersize=4, label="their rank r")
    axes.legend(loc="upper left")


def _series(
    axes: Axes,
    places: Sequence[int],
    values: Sequence[Sequence[float]],
    ends: tuple[float, float],
    style: FigureStyle,
    **look: Any,
) -> None:
    """Geometric means, and the intervals of the logarithms, within the ends of a log axis."""
    logs = [list(np.log10(np.maximum(numbers, ends[0]))) for numbers in values]
    pairs = np.array([interval(numbers, style.interval) for numbers in logs])
    means, halves = pairs[:, 0], np.nan_to_num(pairs[:, 1])
    limits = [np.clip(10 ** (means + sign * halves), *ends) for sign in (-1, 1)]
    centres = 10**means
    bars = np.maximum([centres - limits[0], limits[1] - centres], 0)
    look = {"linestyle": "none", "capsize": 2, "elinewidth": 0.8, "clip_on": False, **look}
    axes.errorbar(places, centres, bars, **look)


def _share_axes(panels: Sequence[Axes], points: Sequence[Point], leftmost: bool) -> None:
    """Log scales with the same ends in every column; kernels below the lowest panel."""
    labels = ("mean squared error", "deviation", "dimensions")
    ends = (ERRORS, DEVIATIONS, (1.0, 5e4))
    for axes, label, limits, ticks in zip(panels, labels, ends, TICKS, strict=True):
        axes.set_yscale("log")
        axes.set(ylim=limits, xlim=(-0.5, len(points) - 0.5))
        axes.set_yticks(ticks, [_power(tick) for tick in ticks])
        axes.set_xticks(range(len(points)), [""] * len(points))
        axes.grid(axis="y", color="0.9", linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
        axes.minorticks_off()
        axes.tick_params(labelleft=leftmost)
        if leftmost:
            axes.set_ylabel(label)
    panels[2].set_xticks(range(len(points)), [f"{p.kernel} × {p.kernel}" for p in points])
    panels[2].set_xlabel("filter size")


def _power(tick: float) -> str:
    """`1e-8`, `1`, `10,000`; the lower end of errors is `0`."""
    if tick == ERRORS[0]:
        return "0"
    return f"{tick:,.0f}" if tick >= 1 else f"{tick:.0e}".replace("e-0", "e-")


def _notes(columns: Mapping[str, Sequence[Point]], style: FigureStyle) -> list[str]:
    points = [point for column in columns.values() for point in column]
    totals = sorted({point.total for point in points})
    replicates = " to ".join(f"{total}" for total in dict.fromkeys((totals[0], totals[-1])))
    notes = [
        "One-layer CNNs without biases. Top: mean squared error over the pixels of the test images "
        "(all named ones but the training image) of the trained network, of the closed form, and "
        f"the bound of Eq. 12, which holds with a probability of {1 - DELTA:.0%} and for every "
        "image of the pixel range; what is 0 stands on the axis. Middle: norm of the difference "
        "between trained weights and closed form over the norm of the closed form, Lemma 1 (Eq. 5) "
        "or Lemma 2 (Eq. 6). Bottom: the rank r of the training image's patches.",
        f"Points: geometric mean over replicates ({replicates}) and {style.interval:.0%} interval "
        "of the logarithms (Student t).",
    ]
    told: dict[str, Callable[[Point], int]] = {
        "Dead or diverged, and in no mean": lambda point: point.total - len(point.measured),
        "In the means, though not converged within the budget": lambda point: point.unconverged,
    }
    for what, count in told.items():
        found = [
            f"{count(point)} of {point.total} at {point.kernel} × {point.kernel} ({title})"
            for title, column in columns.items()
            for point in column
            if count(point)
        ]
        if found:
            notes.append(f"{what}: {'; '.join(found)}.")
    return notes

"""Trained one-layer CNNs against Lemmas 1 and 2 and the bound of Theorem 2 (Appendix D)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from idpipe import theory
from idpipe.config import FigureStyle
from idpipe.figures import layout
from idpipe.figures.intervals import interval
from idpipe.figures.results import LIVE, FigureError, Results

DELTA = 0.05
"""The bound holds with a probability of at least 1 - DELTA."""
LEFT, GAP, TOP, BETWEEN, AXIS = 0.62, 0.14, 0.34, 0.12, 0.42
"""Inches: left of the panels, between columns, above and between rows, and the axis below."""
HEIGHTS = (2.2, 1.2, 1.2)
"""Inches of the rows: errors, deviations, ranks."""
ERRORS, DEVIATIONS = (1e-17, 1e7), (1e-12, 1.0)
"""Ends of the log axes. The lower one of errors stands for 0, up to the rounding of outputs."""
TICKS = ((1e-12, 1e-8, 1e-4, 1.0, 1e4), (1e-12, 1e-8, 1e-4, 1.0), (1.0, 10.0, 100.0, 1000.0))
LEMMAS = {"Lemma 1": "o", "Lemma 2": "s", "footnote 1": "D"}
"""What gives the closed form, and the marker that says so."""


@dataclass(frozen=True)
class Point:
    """One network: its theory, and a number per live replicate.

    Attributes:
        kernel: height and width of its filters.
        field: numbers in a patch, m/C.
        patches: patches of the training image.
        rank: dimension of their span.
        bound: of the mean squared error (Eq. 12).
        closed: mean squared error of the closed form on the test images, per live replicate.
        measured: that of the trained network.
        deviation: ||trained - closed form|| / ||closed form|| of the weights.
        total: all replicates.
    """

    kernel: int
    field: int
    patches: int
    rank: int
    bound: float
    closed: list[float]
    measured: list[float]
    deviation: list[float]
    total: int

    @property
    def lemma(self) -> str:
        """Which statement of Appendix D gives the closed form."""
        if self.rank == self.field:
            return "Lemma 2"
        return "Lemma 1" if self.rank == self.patches else "footnote 1"


def theorem2(results: Results, style: FigureStyle) -> Figure:
    """Over the kernel: errors and bound, weights against the lemmas, and the patches' rank.

    A column of panels per training image. The closed form takes the initial weights as each
    replicate drew them; nothing of it is fitted.
    """
    columns: dict[str, list[Point]] = {}
    for (source, size), rows in results.study("theorem2").groupby(["source", "size"], sort=False):
        points = [_point(results, str(i), group) for i, group in rows.groupby("cell_id")]
        channels = points[0].field // points[0].kernel ** 2
        title = f"{source}, {size} × {size}, {channels} channel{'s' if channels > 1 else ''}"
        columns[title] = sorted(points, key=lambda point: point.kernel)
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
        _draw_errors(panels[0], points, style)
        _draw_deviations(panels[1], points, style)
        _draw_ranks(panels[2], points)
        _share_axes(panels, points, leftmost=number == 0)
    return figure


def _point(results: Results, cell_id: str, replicates: pd.DataFrame) -> Point:
    cell = results.cell(cell_id)
    if cell.net.arch != "cnn" or cell.net.depth != 1 or cell.net.bias:
        raise FigureError(
            f"studies.theorem2: {cell_id} is no one-layer CNN without biases; its net must be "
            "{arch: cnn, depth: 1, bias: false}"
        )
    if cell.data.examples == "all" or len(cell.data.examples) != 1 or cell.data.vary:
        raise FigureError(f"studies.theorem2: {cell_id} must train on one image, with vary: false")
    kernel, channels = cell.net.kernel, cell.data.channels
    images = results.standardized(cell_id, 0)
    patches, pixels = theory.patches(images, kernel), theory.pixels(images)
    basis = theory.row_space(patches[0])
    live = replicates[replicates["status"].isin(LIVE)]
    starts = [
        theory.as_matrix(results.initial_weights(cell_id, r, restart)["weight.0"])
        for r, restart in zip(live["replicate"], live["restarts"], strict=True)
    ]
    trained = [theory.as_matrix(results.weights(cell_id)["weight.0"][r]) for r in live["replicate"]]
    limits = [theory.closed_form(start, patches[0], pixels[0]) for start in starts]
    return Point(
        kernel=kernel,
        field=kernel**2 * channels,
        patches=patches.shape[1],
        rank=basis.shape[1],
        bound=theory.theorem2_bound(
            kernel,
            channels,
            basis.shape[1],
            _variance(cell.init, kernel, channels),
            _largest(results, cell_id),
            DELTA,
        ),
        closed=[theory.theorem2_error(start, basis, patches[1:]).mean() for start in starts],
        measured=_measured(results, live),
        deviation=[
            float(np.linalg.norm(found - limit) / np.linalg.norm(limit))
            for found, limit in zip(trained, limits, strict=True)
        ],
        total=len(replicates),
    )


def _variance(init: str, kernel: int, channels: int) -> float:
    try:
        return theory.initial_variance(init, kernel, channels)
    except ValueError as error:
        raise FigureError(f"studies.theorem2: {error}") from None


def _largest(results: Results, cell_id: str) -> float:
    """B of Eq. (8): the largest absolute value of a standardized pixel."""
    mean, std = results.scale(cell_id)
    return float(np.max(np.maximum(mean, 1 - mean) / std))


def _measured(results: Results, live: pd.DataFrame) -> list[float]:
    """Each replicate's mean squared error over the test images at the training image's size."""
    metrics = results.metrics(live)
    rows = metrics[
        (metrics["reference"] == "identity")
        & (metrics["size"] == metrics["size_train"])
        & ~metrics["kind"].isin(["train", "correlated"])
    ]
    return [float(rows.loc[rows["replicate"] == r, "mse"].mean()) for r in live["replicate"]]


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
    if leftmost:
        panels[0].text(
            -0.02, 0, "0", transform=panels[0].transAxes, ha="right", va="center",
            fontsize=layout.SMALL_SIZE,
        )  # fmt: skip


def _power(tick: float) -> str:
    """`1e-8`, `1`, `10,000`."""
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
    failed = [
        f"{len(p.measured)} of {p.total} at {p.kernel} × {p.kernel} ({title})"
        for title, column in columns.items()
        for p in column
        if len(p.measured) < p.total
    ]
    if failed:
        notes.append(f"Replicates that live, the others are in no mean: {'; '.join(failed)}.")
    return notes

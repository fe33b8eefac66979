"""Heatmaps of networks by rho: the numbers behind a panel, and the panel.

A panel's row is a network and its column a correlation rho between probe and training image; each
cell carries its number and interval beside its colour.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LogNorm, Normalize
from matplotlib.patches import Rectangle

from idpipe.cells import LIVE
from idpipe.figures.parts import layout
from idpipe.results import Ladder, Results, Rung, interval

Reference = Literal["constant", "identity"]
MAX_COLUMNS = 11
"""More values of rho leave no room for numbers in the cells."""


@dataclass(frozen=True)
class Heat:
    """A panel's numbers: rows as the ladder's rungs, columns as `rho`; NaN where undefined.

    Attributes:
        rho: correlations of the probes to the training image, rising.
        mean: mean over live replicates of each one's mean over probes.
        half: half-width of the interval over live replicates; NaN with fewer than two.
        probes: number of probes per rho and replicate.
        undefined: values of live replicates that are not finite, and so in no mean.
    """

    rho: tuple[float, ...]
    mean: Float[np.ndarray, "l rho"]
    half: Float[np.ndarray, "l rho"]
    probes: int
    undefined: int


def summarize(
    results: Results, networks: Ladder, reference: Reference, measure: str, level: float
) -> Heat:
    """Means and intervals of `measure` (correlation | mse) to `reference` (Sec. 3.2)."""
    metrics = results.metrics(pd.concat([rung.replicates for rung in networks.rungs]))
    rows = metrics[(metrics["kind"] == "correlated") & (metrics["reference"] == reference)]
    live = rows[rows["status"].isin(LIVE)]
    finite = live[np.isfinite(live[measure])]
    replicates = finite.groupby(["cell_id", "rho", "replicate"])[measure].mean()
    values = {key: list(group) for key, group in replicates.groupby(["cell_id", "rho"])}
    rho = tuple(sorted(rows["rho"].unique()))
    pairs = np.array(
        [
            [interval(values.get((rung.cell_id, column), []), level) for column in rho]
            for rung in networks.rungs
        ]
    )
    probes = int(rows.groupby("rho")["probe"].nunique().max())
    return Heat(rho, pairs[..., 0], pairs[..., 1], probes, len(live) - len(finite))


@dataclass(frozen=True)
class Scale:
    """How a measure is coloured and written; `lower` and `upper` are the colour limits."""

    measure: str
    title: str
    lower: float
    upper: float
    ticks: tuple[float, ...]
    norm: Callable[[float, float], Normalize]
    reverse: bool
    extend: Literal["min", "both"]
    text: Callable[[float], str]
    half_text: Callable[[float], str]
    note: str
    colours: str = "viridis"

    def rgba(self, value: float) -> tuple[float, float, float, float]:
        """Colour of `value`; one beyond the limits has the colour of the nearer limit."""
        return self.colormap(float(self.norm(self.lower, self.upper)(value)))

    @property
    def colormap(self) -> Colormap:
        """The perceptually uniform colour map, dark for what is far from the reference."""
        return matplotlib.colormaps[self.colours + ("_r" if self.reverse else "")]


def decimals(value: float) -> str:
    """Two decimals without the leading zero, `.96`; fewer from 10 on."""
    text = f"{abs(value):.{2 if abs(value) < 9.995 else 0}f}"
    sign = "\N{MINUS SIGN}" if value < 0 and float(text) else ""
    return sign + text.removeprefix("0")


def two_digits(value: float) -> str:
    """A number >= 0 with about two significant digits in at most four characters, `.031`."""
    return _short(value, ((0.0995, 3), (0.995, 2), (9.95, 1), (999.5, 0)))


def one_digit(value: float) -> str:
    """A number >= 0 with about one significant digit in at most four characters, `.03`."""
    return _short(value, ((0.0095, 3), (0.95, 2), (9.5, 1), (999.5, 0)))


def _short(value: float, places: tuple[tuple[float, int], ...]) -> str:
    """`value` with the decimals of the first bound above it; beyond the last one `4e-5`."""
    if value == 0:
        return "0"
    decimals = [number for bound, number in places if value < bound]
    if value < 0.00095 or not decimals:
        digit, exponent = f"{value:.0e}".split("e")
        return f"{digit}e{int(exponent)}"
    return f"{value:.{decimals[0]}f}".removeprefix("0")


CORRELATION = Scale(
    measure="correlation",
    title="Correlation",
    lower=0.0,
    upper=1.0,
    ticks=(0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
    norm=Normalize,
    reverse=False,
    extend="min",
    text=decimals,
    half_text=decimals,
    note="Colours span 0 to 1: a negative correlation has the colour of 0 and its true number.",
)
MSE = Scale(
    measure="mse",
    title="MSE",
    lower=0.001,
    upper=3.0,
    ticks=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
    norm=LogNorm,
    reverse=True,
    extend="both",
    text=two_digits,
    half_text=one_digit,
    note="Colours span 0.001 to 3 on a log scale in every MSE figure, bright for close; an MSE "
    "beyond has the colour of the nearer end and its true number.",
)


def draw_panel(axes: Axes, heat: Heat, networks: Ladder, scale: Scale) -> None:
    """Colours, numbers and failed rows of one panel, smallest rung at the top."""
    rows, columns = heat.mean.shape
    axes.set(xlim=(0, columns), ylim=(rows, 0), facecolor="0.85")
    norm = scale.norm(scale.lower, scale.upper)
    cells = np.ma.masked_invalid(heat.mean)
    axes.pcolormesh(cells, cmap=scale.colormap, norm=norm, edgecolors="white", linewidth=0.4)
    for row, rung in enumerate(networks.rungs):
        if rung.live == 0:
            _block(axes, row, columns, rung)
        elif columns <= MAX_COLUMNS:
            for column in range(columns):
                _number(axes, row, column, heat, scale)
    shown = range(0, columns, math.ceil(columns / MAX_COLUMNS))
    axes.set_xticks([i + 0.5 for i in shown], [f"{heat.rho[i]:g}" for i in shown])
    axes.set_yticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _number(axes: Axes, row: int, column: int, heat: Heat, scale: Scale) -> None:
    """The mean and, smaller below it, the half-width of its interval."""
    mean, half = float(heat.mean[row, column]), float(heat.half[row, column])
    x = column + 0.5
    place: dict[str, Any] = {"ha": "center", "va": "center_baseline"}
    if math.isnan(mean):
        axes.text(x, row + 0.5, "–", gid="undefined", **place)
        return
    look = {**place, "color": readable_on(scale.rgba(mean))}
    y = row + (0.5 if math.isnan(half) else 0.31)
    axes.text(x, y, scale.text(mean), fontsize=layout.LABEL_SIZE, gid="mean", **look)
    if not math.isnan(half):
        text = f"±{scale.half_text(half)}"
        axes.text(x, row + 0.74, text, fontsize=layout.SMALL_SIZE, gid="half", **look)


def _block(axes: Axes, row: int, columns: int, rung: Rung) -> None:
    """A hatched row with the word for what became of all its replicates."""
    axes.add_patch(
        Rectangle((0, row), columns, 1, facecolor="white", hatch="/////", linewidth=0, gid="block")
    )
    axes.text(
        columns / 2,
        row + 0.5,
        f"{rung.failures} ({rung.total} of {rung.total})",
        color=layout.ALARM,
        ha="center",
        va="center",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        gid="word",
    )


def readable_on(rgba: tuple[float, float, float, float]) -> str:
    """White or near-black, whichever stands out more from `rgba`, by its relative luminance."""
    red, green, blue = (channel**2.2 for channel in rgba[:3])
    return "white" if 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.25 else "0.05"

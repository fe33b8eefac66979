"""What the paper leaves open: its curves under one reading after the other (docs/fidelity.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from idpipe.cells import NETS, Cell
from idpipe.config import FigureStyle
from idpipe.figures.parts import layout
from idpipe.figures.parts.heatpanel import CORRELATION, Reference, Scale, readable_on
from idpipe.figures.parts.smallprint import basis, spread
from idpipe.results import Ladder, Results, Rung, interval, networks, per_replicate, setting

STUDY = "assumptions"
CONSTANT = 0.9
"""A correlation to the training image from which on an output counts as the constant."""
MARGIN, GAP, TOP, ROW, AXIS, VERDICT = 0.06, 0.07, 0.56, 0.27, 0.36, 0.66
"""Inches: left and right, between panels, above them, a row, below the rows, the last column."""
LABELS = 1.5


@dataclass(frozen=True)
class KindPanel:
    """One kind of network against one reference: a column per depth."""

    kind: str
    reference: Reference
    depths: tuple[int, ...]

    @property
    def title(self) -> str:
        """What stands above it, in lines that fit a narrow panel."""
        return f"{self.kind}\nto the\n{self.reference}"


ByReading = Mapping[tuple[str, str, int], Rung]
"""(reading, kind, depth) -> the network."""
Means = Mapping[tuple[Reference, str, str, int], tuple[float, float]]
"""(reference, reading, kind, depth) -> mean correlation and half-width of its interval."""


def assumptions(results: Results, style: FigureStyle) -> Figure:
    """Correlation at rho = 0 over depth, a row for each reading of what the paper leaves open."""
    found = _found(results)
    readings = list(dict.fromkeys(reading for reading, _, _ in found))
    panels = list(_panels(found))
    scale = replace(CORRELATION, colours=style.colormap)
    metrics = _metrics(results, found)
    means: Means = {
        (panel.reference, *key): interval(
            per_replicate(
                metrics[
                    (metrics["cell_id"] == rung.cell_id) & (metrics["reference"] == panel.reference)
                ],
                "correlation",
            ),
            style.interval,
        )
        for panel in panels
        for key, rung in found.items()
        if key[1] == panel.kind
    }
    figure = layout.new_figure(TOP + ROW * len(readings) + AXIS, _notes(found, style, metrics))
    columns = sum(len(panel.depths) for panel in panels)
    room = layout.WIDTH - 2 * MARGIN - LABELS - VERDICT - GAP * len(panels)
    left = MARGIN + LABELS
    for number, panel in enumerate(panels):
        width = room * len(panel.depths) / columns
        axes = layout.add_axes(figure, left, TOP, width, ROW * len(readings))
        _draw_panel(axes, panel, readings, found, means, scale)
        if number == 0:
            for row, reading in enumerate(readings):
                layout.label_row(axes, -0.08 * len(panel.depths), row + 0.5, _two_lines(reading))
        left += width + GAP
    axes = layout.add_axes(figure, left, TOP, VERDICT, ROW * len(readings))
    _draw_verdicts(axes, [verdict(reading, panels, means) for reading in readings])
    return figure


# --- readings --------------------------------------------------------------------------------


def _found(results: Results) -> dict[tuple[str, str, int], Rung]:
    """The study's networks by reading, kind and depth, in grid order."""
    rungs = networks(results, STUDY)
    cells = {rung.cell_id: results.cell(rung.cell_id) for rung in rungs}
    named = readings(cells)
    return {(named[r.cell_id], cells[r.cell_id].net.in_words, int(r.value)): r for r in rungs}


def readings(cells: Mapping[str, Cell]) -> dict[str, str]:
    """Each cell's reading: how it differs from the first of its kind, whatever their depths.

    The text has the keys' last parts and their values, `init: printed, bias: false`; that of the
    first one is `default`.
    """
    first: dict[str, dict[str, str]] = {}
    named = {}
    for cell_id, cell in cells.items():
        settings = dict(_flat(cell.model_dump(mode="json")))
        del settings["net.depth"]
        usual = first.setdefault(cell.net.in_words, settings)
        changed = {key: value for key, value in settings.items() if usual.get(key) != value}
        text = ", ".join(f"{key.rpartition('.')[2]}: {changed[key]}" for key in changed)
        named[cell_id] = text or "default"
    return named


def _flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys and their values as they are written in a configuration."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        elif isinstance(value, float):
            yield f"{above}{key}", f"{value:g}"
        elif isinstance(value, list) and all(isinstance(item, float) for item in value):
            yield f"{above}{key}", " ".join(f"{item:g}" for item in value)
        else:
            yield f"{above}{key}", value if isinstance(value, str) else json.dumps(value)


def _panels(found: ByReading) -> Iterator[KindPanel]:
    """CNNs against both references, FCNs against the constant."""
    nets = {of: NETS[rung["arch"]] for (_, of, _), rung in found.items()}
    convolutional = {of for of, net in nets.items() if net.convolutional}
    for of in nets:
        depths = tuple(sorted({depth for _, other, depth in found if other == of}))
        references: tuple[Reference, ...] = ("identity", "constant")
        for reference in references if of in convolutional else references[1:]:
            yield KindPanel(of, reference, depths)


def _metrics(results: Results, found: ByReading) -> pd.DataFrame:
    rows = results.metrics(pd.concat([rung.replicates for rung in found.values()]))
    rows = rows[rows["kind"] == "correlated"]
    least: pd.DataFrame = rows[rows["rho"] == rows["rho"].min()]
    return least


# --- verdicts --------------------------------------------------------------------------------


def verdict(
    reading: str,
    panels: Sequence[KindPanel],
    means: Means,
) -> str:
    """`yes`, or where the reading departs from the paper first: `no: CNN 20`.

    The paper's CNNs are closer to the identity than to the constant at the fewest layers and the
    constant at the most, its FCNs the constant at the most.
    """
    for panel in panels:
        if panel.reference == "identity":
            continue
        first, last = panel.depths[0], panel.depths[-1]
        if any(other.kind == panel.kind for other in panels if other.reference == "identity"):
            to_identity = means.get(("identity", reading, panel.kind, first), (np.nan, 0))[0]
            if not to_identity > means.get(("constant", reading, panel.kind, first), (0, 0))[0]:
                return f"no: {panel.kind} {first}"
        if not means.get(("constant", reading, panel.kind, last), (np.nan, 0))[0] >= CONSTANT:
            return f"no: {panel.kind} {last}"
    return "yes"


# --- drawing ---------------------------------------------------------------------------------


def _draw_panel(
    axes: Axes,
    panel: KindPanel,
    readings: Sequence[str],
    found: ByReading,
    means: Means,
    scale: Scale,
) -> None:
    axes.set(xlim=(0, len(panel.depths)), ylim=(len(readings), 0), facecolor="white")
    for row, reading in enumerate(readings):
        for column, depth in enumerate(panel.depths):
            rung = found.get((reading, panel.kind, depth))
            if rung is not None:
                mean, half = means[panel.reference, reading, panel.kind, depth]
                _draw_cell(axes, (column, row), rung, mean, half, scale)
    axes.set_xticks([i + 0.5 for i in range(len(panel.depths))], [str(d) for d in panel.depths])
    axes.set_xlabel("layers", labelpad=1)
    axes.set_yticks([])
    axes.set_title(panel.title, pad=3)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _draw_cell(
    axes: Axes, place: tuple[int, int], rung: Rung, mean: float, half: float, scale: Scale
) -> None:
    """A square with its mean and, below, its interval or how many replicates are in it."""
    column, row = place
    middle: dict[str, Any] = {"ha": "center", "va": "center_baseline"}
    box: dict[str, Any] = {"linewidth": 0.4, "edgecolor": "white"}
    if rung.live == 0 or not np.isfinite(mean):
        axes.add_patch(Rectangle(place, 1, 1, facecolor="0.93", **box))
        word = rung.failures.replace(" or ", ",\n") if rung.live == 0 else "–"
        axes.text(
            column + 0.5,
            row + 0.5,
            word,
            color=layout.ALARM,
            fontsize=layout.SMALL_SIZE,
            gid="word",
            **middle,
        )
        return
    colour = scale.rgba(mean)
    axes.add_patch(Rectangle(place, 1, 1, facecolor=colour, **box))
    mark = "†" if rung.unconverged else ""
    below = f"±{scale.half_text(half)}" if np.isfinite(half) else ""
    if rung.live < rung.total:
        below = f"{rung.live} of {rung.total}"
    dark = readable_on(colour)
    number = f"{scale.text(mean)}{mark}"
    axes.text(
        column + 0.5,
        row + (0.33 if below else 0.5),
        number,
        fontsize=layout.SMALL_SIZE,
        color=dark,
        gid="mean",
        **middle,
    )
    axes.text(
        column + 0.5,
        row + 0.76,
        below,
        fontsize=layout.SMALL_SIZE,
        color=dark,
        gid="half",
        **middle,
    )


def _draw_verdicts(axes: Axes, verdicts: Sequence[str]) -> None:
    axes.set(xlim=(0, 1), ylim=(len(verdicts), 0))
    axes.set_axis_off()
    axes.set_title("as in\nthe\npaper", pad=3)
    for row, text in enumerate(verdicts):
        shown = text.replace(": ", ":\n")
        weight = "bold" if text == "yes" else "normal"
        axes.text(
            0.06,
            row + 0.5,
            shown,
            fontsize=layout.SMALL_SIZE,
            fontweight=weight,
            va="center",
            linespacing=1.0,
            gid="verdict",
        )


def _two_lines(reading: str) -> str:
    """A reading over two lines where it has several parts."""
    parts = reading.split(", ")
    half = (len(parts) + 1) // 2
    return "\n".join(", ".join(part) for part in (parts[:half], parts[half:]) if part)


def _notes(found: ByReading, style: FigureStyle, metrics: pd.DataFrame) -> list[str]:
    rungs = list(found.values())
    several = any(rung.total > 1 for rung in rungs)
    size = ", ".join(f"{side}" for side in sorted({int(rung["size"]) for rung in rungs}))
    probes = int(metrics.groupby("cell_id")["probe"].nunique().max())
    text = (
        "Training image: {sources}, "
        f"{size} pixels a side. Numbers: correlation at ρ = {metrics['rho'].min():g}, mean over "
        f"replicates ({{replicates}}) of each one's mean over {probes} probes; "
        f"{spread(style, 'small: half-width of the', several)}. A row is one reading of what the "
        "paper leaves open, by the keys that differ from the first row."
    )
    ladder = Ladder(STUDY, setting(rungs, ("depth",)), tuple(rungs))
    notes = [
        basis([ladder], text),
        "As in the paper: at the fewest layers CNNs are closer to the identity than to the "
        f"constant, and at the most layers all are at least {CONSTANT} to the constant; else the "
        "first network that is not.",
    ]
    if any(0 < rung.live < rung.total for rung in rungs):
        notes.append("1 of 2: replicates in the number; the others died or diverged.")
    if late := sum(rung.unconverged for rung in rungs):
        notes.append(f"† In the numbers, though not converged within the budget: {late}.")
    if again := sum(rung.restarted for rung in rungs):
        notes.append(f"Replicates restarted after they died or diverged: {again}.")
    return notes

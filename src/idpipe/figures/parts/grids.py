"""Grids of predictions on the named probes: from networks of a run to a figure's rows and notes.

The figures themselves are in `grids_fcn`, `grids_cnn`, `grids_training` and `grids_examples`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from idpipe.cells import ENDINGS, SOURCES
from idpipe.config import FigureStyle
from idpipe.errors import FigureError
from idpipe.figures.parts import layout
from idpipe.figures.parts.imagegrid import Grid, Row
from idpipe.figures.parts.imagepanels import panels_figure
from idpipe.results import NamedImages, Results, Rung


@dataclass(frozen=True)
class Shown:
    """A network of a grid: its row's label, and the group of rows it belongs to."""

    rung: Rung
    label: str
    group: str = "networks"


@dataclass(frozen=True)
class Panel:
    """One grid of a figure. `replicate` is the figure style's unless it says otherwise."""

    shown: Sequence[Shown]
    title: str = ""
    replicate: int | None = None


@dataclass(frozen=True)
class Sheet:
    """What a figure of predictions shows.

    Attributes:
        panels: its grids.
        heading: what the row labels count.
        setting: what the networks share.
        absent: what of the paper's figure is not there, and other remarks; empty ones do not show.
        names: group of rows -> what stands left of their labels.
        side_by_side: panels stand beside each other where the page allows it.
    """

    panels: Sequence[Panel]
    heading: str
    setting: str
    absent: Sequence[str] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    side_by_side: bool = False

    @property
    def networks(self) -> list[Rung]:
        """All networks shown."""
        return [network.rung for panel in self.panels for network in panel.shown]


def rows_by(
    rungs: Iterable[Rung], label: Callable[[Any], str] = str, group: str = "networks"
) -> list[Shown]:
    """A row per network, labelled with its value."""
    return [Shown(rung, label(rung.value), group) for rung in rungs]


def absent(wanted: Iterable[Any], have: Collection[Any], unit: str = "") -> str:
    """`not in this study: 9, 13 to 17 layers` of what the paper shows; nothing if all is there.

    `unit` follows the values.
    """
    runs: list[list[Any]] = []
    for value in wanted:
        if value in have:
            continue
        if isinstance(value, int) and runs and runs[-1][-1] == value - 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    spans = (f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)
    return f"not in this study: {', '.join(spans)} {unit}".strip() if runs else ""


def lettered(number: int, title: str) -> str:
    """The title of panel `number`, counted from 0: `(a) 5 layers`."""
    return f"({chr(ord('a') + number)}) {title}"


def chosen(wanted: Iterable[Any], have: Collection[Any]) -> list[Any]:
    """The values of the paper's figure that a study has; all of the study's where it has none."""
    return [value for value in wanted if value in have] or sorted(have)


def class_name(rung: Rung) -> str:
    """What a network's first training image shows: `digit 3`, `dog`, `class 4`."""
    label = int(str(rung["examples"]).split("/")[0])
    known = SOURCES[rung["source"]].classes or ()
    return known[label] if label < len(known) else f"class {label}"


def prediction_figure(results: Results, style: FigureStyle, sheet: Sheet) -> Figure:
    """In each panel the inputs, then a row per network with what its replicate makes of them."""
    grids = [_grid(results, style, sheet, panel) for panel in sheet.panels]
    setting = "; ".join(text for text in (sheet.setting, *sheet.absent) if text)
    notes = [f"{layout.sentence(setting)} {_provenance(sheet, grids, style)}"]
    return panels_figure(grids, notes, sheet.side_by_side)


def _grid(results: Results, style: FigureStyle, sheet: Sheet, panel: Panel) -> Grid:
    probes = _inputs(results, panel, style)
    rows = [Row("input", probes.images, group="input")]
    for network in panel.shown:
        replicate = _replicate(network.rung, panel, style)
        images = results.outputs(network.rung.cell_id, replicate)
        mark = ENDINGS[network.rung.replicates["status"].iloc[replicate]].mark
        rows.append(Row(network.label, images, mark, network.group))
    return Grid(probes.kinds, rows, sheet.heading, panel.title, sheet.names)


def _inputs(results: Results, panel: Panel, style: FigureStyle) -> NamedImages:
    """The probes that all networks of a panel saw."""
    first = panel.shown[0].rung
    probes = results.inputs(first.cell_id, _replicate(first, panel, style))
    for rung in (network.rung for network in panel.shown[1:]):
        if results.inputs(rung.cell_id, _replicate(rung, panel, style)).names != probes.names:
            raise FigureError(f"{rung.cell_id} and {first.cell_id} have different probes")
    return probes


def _replicate(rung: Rung, panel: Panel, style: FigureStyle) -> int:
    """The replicate shown of a network; one that has a single replicate shows that."""
    wanted = style.replicate if panel.replicate is None else panel.replicate
    if rung.total == 1:
        return 0
    if wanted >= rung.total:
        raise FigureError(
            f"figures.replicate = {wanted}: {rung.cell_id} has replicates 0 to {rung.total - 1}"
        )
    return wanted


def _provenance(sheet: Sheet, grids: Sequence[Grid], style: FigureStyle) -> str:
    """Which replicates are shown, of which images, and what happened to them on the way."""
    sources = dict.fromkeys(rung["source"] for rung in sheet.networks)
    parts = [
        f"Shown: {_replicates(sheet, style)}.",
        f"Training and unseen images: {', '.join(sources)}.",
    ]
    again = list(_restarted(sheet, style))
    if again:
        parts.append(f"Restarted after it died or diverged: {', '.join(again)}.")
    if not all(np.isfinite(row.images).all() for grid in grids for row in grid.rows):
        parts.append("Crossed: the output is not finite.")
    return " ".join(parts)


def _replicates(sheet: Sheet, style: FigureStyle) -> str:
    """`replicate 0 (counted from 0) of 3`."""
    shown: dict[int, list[int]] = {}
    for panel in sheet.panels:
        for network in panel.shown:
            shown.setdefault(network.rung.total, []).append(_replicate(network.rung, panel, style))
    texts = []
    for total, replicates in sorted(shown.items()):
        numbers = sorted(set(replicates))
        listed = ", ".join(map(str, numbers))
        plural = "s" if len(numbers) > 1 else ""
        some = f"replicate{plural} {listed} (counted from 0) of {total}"
        texts.append("the only replicate" if total == 1 else some)
    return " or ".join(texts)


def _restarted(sheet: Sheet, style: FigureStyle) -> Iterator[str]:
    """`Adam 0.0001, 3 (2×)` for every network whose replicate was restarted."""
    for panel in sheet.panels:
        for network in panel.shown:
            replicate = _replicate(network.rung, panel, style)
            count = int(network.rung.replicates["restarts"].iloc[replicate])
            name = sheet.names.get(network.group, "").replace("\n", " ")
            where = " ".join(text for text in (panel.title, name, network.label) if text)
            if count:
                yield f"{where} ({count}×)"

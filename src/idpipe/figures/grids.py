"""Grids of predictions on the named probes: Figs. 2, 3 and 13."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from idpipe.config import FigureStyle
from idpipe.figures import layout
from idpipe.figures.imagegrid import Grid, Row, grid_figure
from idpipe.figures.ladder import Rung, ladder
from idpipe.figures.results import FigureError, Results

MARKS = {"converged": "", "max_steps": "not converged", "dead": "dead", "diverged": "diverged"}
"""What a row's label adds for each status of the replicate shown."""


@dataclass(frozen=True)
class Shown:
    """A network of a grid: its row's label, and the group of rows it belongs to."""

    rung: Rung
    label: str
    group: str = "networks"


def fig02(results: Results, style: FigureStyle) -> Figure:
    """Outputs of linear and ReLU FCNs over depth (Fig. 2, Sec. 3.1).

    One layer has no activation: that network is shown once.
    """
    linear, relu = ladder(results, "fcn_linear_depth"), ladder(results, "fcn_relu_depth")
    parts = {"Linear": linear.rungs, "ReLU": relu.rungs}
    single = [rung for rungs in parts.values() for rung in rungs if rung.value == 1]
    shown = [Shown(rung, "1 layer", "single") for rung in single[:1]]
    for kind, rungs in parts.items():
        shown += [Shown(rung, f"{kind} {rung.value}", kind) for rung in rungs if rung.value > 1]
    setting = linear.setting
    if relu.setting != linear.setting:
        setting = f"linear: {linear.setting}; ReLU: {relu.setting}"
    return prediction_grid(results, style, shown, "layers", setting)


def fig03(results: Results, style: FigureStyle) -> Figure:
    """Predictions of CNNs over depth (Fig. 3, Sec. 3.2)."""
    networks = ladder(results, "cnn_depth")
    shown = [Shown(rung, f"{rung.value}") for rung in networks.rungs]
    return prediction_grid(results, style, shown, "layers", networks.setting)


def fig13(results: Results, style: FigureStyle) -> Figure:
    """Predictions of ReLU FCNs with 1, 3 and 9 hidden layers (Fig. 13, Appendix E.3).

    Of these the figure shows those the study has; where it has none, all that have a hidden layer.
    """
    networks = ladder(results, "fcn_relu_depth")
    hidden = {rung.value - 1: rung for rung in networks.rungs if rung.value > 1}
    if not hidden:
        raise FigureError("studies.fcn_relu_depth: fig13 needs a net.depth of at least 2")
    chosen = {1, 3, 9} & set(hidden) or set(hidden)
    shown = [Shown(rung, f"{count}") for count, rung in hidden.items() if count in chosen]
    absent = ", ".join(f"{count}" for count in (1, 3, 9) if count not in hidden)
    setting = networks.setting + (f"; not in this study: {absent} hidden layers" if absent else "")
    return prediction_grid(results, style, shown, "hidden layers", setting)


def prediction_grid(
    results: Results, style: FigureStyle, shown: Sequence[Shown], heading: str, setting: str
) -> Figure:
    """Inputs, then a row per network with what replicate `style.replicate` makes of them.

    `heading` says what the row labels count, `setting` what the networks share.
    """
    first = shown[0].rung
    probes = results.inputs(first.cell_id, style.replicate)
    rows = [Row("input", probes.images, group="input")]
    for network in shown:
        names = results.inputs(network.rung.cell_id, style.replicate).names
        if names != probes.names:
            raise FigureError(f"{network.rung.cell_id} and {first.cell_id} have different probes")
        images = results.outputs(network.rung.cell_id, style.replicate)
        mark = MARKS[_replicate(network, style)["status"]]
        rows.append(Row(network.label, images, mark, network.group))
    notes = [layout.sentence(setting) + " " + _provenance(shown, rows, style)]
    return grid_figure(Grid(probes.kinds, rows, heading), notes)


def _replicate(network: Shown, style: FigureStyle) -> pd.Series:
    """The table row of the replicate shown."""
    replicates = network.rung.replicates
    return replicates[replicates["replicate"] == style.replicate].iloc[0]


def _provenance(shown: Sequence[Shown], rows: Sequence[Row], style: FigureStyle) -> str:
    """Which replicate is shown, of which images, and what happened to it on the way."""
    total = max(network.rung.total for network in shown)
    sources = dict.fromkeys(_replicate(network, style)["source"] for network in shown)
    parts = [
        f"Shown: replicate {style.replicate} (counted from 0) of {total}.",
        f"Training and unseen images: {', '.join(sources)}.",
    ]
    restarts = {network.label: int(_replicate(network, style)["restarts"]) for network in shown}
    again = [f"{label} ({count}×)" for label, count in restarts.items() if count]
    if again:
        parts.append(f"Restarted after it died or diverged: {', '.join(again)}.")
    if not all(np.isfinite(row.images).all() for row in rows):
        parts.append("Crossed: the output is not finite.")
    return " ".join(parts)

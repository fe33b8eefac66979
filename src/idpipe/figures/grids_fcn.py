"""Predictions of fully connected networks: Figs. 2, 11, 12, 13 and 41."""

from __future__ import annotations

from matplotlib.figure import Figure

from idpipe.config import FigureStyle
from idpipe.figures.draw import demanded
from idpipe.figures.parts.grids import (
    Panel,
    Sheet,
    Shown,
    absent,
    chosen,
    prediction_figure,
    rows_by,
)
from idpipe.results import Results, ladder, ladders

TRAINED = {"bottom": "Bottom layer trained", "all": "Both layers trained"}


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
    return prediction_figure(results, style, Sheet([Panel(shown)], "layers", setting))


def fig11(results: Results, style: FigureStyle) -> Figure:
    """Predictions of linear FCNs, 1, 3 and 5 hidden layers by width (Fig. 11, Appendix E.1)."""
    groups = ladders(results, "fcn_linear_depth", "width", "depth").values()
    rungs = demanded("fig11", [rung for group in groups for rung in group.rungs])
    found = {(rung["depth"] - 1, rung.value): rung for rung in rungs}
    depths, widths = ({key[part] for key in found} for part in (0, 1))
    counts = chosen((1, 3, 5), depths)
    shown = [
        Shown(found[hidden, width], f"{width}", f"{hidden}")
        for hidden, width in sorted(found)
        if hidden in counts
    ]
    names = {f"{hidden}": f"{hidden} hidden\nlayer{'s' * (hidden > 1)}" for hidden in counts}
    lacks = (
        absent((1, 3, 5), depths, "hidden layers"),
        absent((784, 2048), widths, "hidden units"),
    )
    sheet = Sheet([Panel(shown)], "hidden units", "linear networks", lacks, names)
    return prediction_figure(results, style, sheet)


def fig12(results: Results, style: FigureStyle) -> Figure:
    """Two-layer ReLU networks, the bottom layer or both trained (Fig. 12, Appendix E.2)."""
    found = ladders(results, "fcn_two_layer", "width", "train_layers")
    groups = {layers: found[layers] for layers in TRAINED if layers in found}
    panels = [Panel(rows_by(group.rungs), TRAINED[layers]) for layers, group in groups.items()]
    widths = {rung.value for group in groups.values() for rung in group.rungs}
    setting = "ReLU, " + " or ".join(dict.fromkeys(group.setting for group in groups.values()))
    lacks = (
        absent((2048, 16384), widths, "hidden units"),
        absent(map(str.lower, TRAINED.values()), [TRAINED[name].lower() for name in groups]),
    )
    sheet = Sheet(panels, "hidden units", setting, lacks, side_by_side=True)
    return prediction_figure(results, style, sheet)


def fig13(results: Results, style: FigureStyle) -> Figure:
    """Predictions of ReLU FCNs with 1, 3 and 9 hidden layers (Fig. 13, Appendix E.3).

    Of these the figure shows those the study has; where it has none, all that have a hidden layer.
    """
    found = ladder(results, "fcn_relu_depth")
    hidden = {rung.value - 1: rung for rung in demanded("fig13", found.rungs)}
    wanted = (1, 3, 9)
    shown = [Shown(hidden[count], f"{count}") for count in chosen(wanted, hidden)]
    lacks = (absent(wanted, hidden, "hidden layers"),)
    sheet = Sheet([Panel(shown)], "hidden layers", found.setting, lacks)
    return prediction_figure(results, style, sheet)


def fig41(results: Results, style: FigureStyle) -> Figure:
    """Predictions of ReLU FCNs with residual connections (Fig. 41, Appendix N)."""
    found = ladder(results, "fcn_residual")
    shown = rows_by(found.rungs, lambda depth: f"{depth - 1}")
    hidden = {rung.value - 1 for rung in found.rungs}
    lacks = (absent((1, 3, 5, 7, 9), hidden, "hidden layers"),)
    setting = f"blocks of two layers, {found.setting}"
    return prediction_figure(results, style, Sheet([Panel(shown)], "hidden layers", setting, lacks))

"""Predictions of CNNs by how they were trained: Figs. 31, 32, 36 and 37."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from idpipe.cells import OPTIMIZERS
from idpipe.config import FigureStyle
from idpipe.figures.grids_cnn import DEPTHS
from idpipe.figures.parts.grids import (
    Panel,
    Sheet,
    absent,
    class_name,
    lettered,
    prediction_figure,
    rows_by,
)
from idpipe.results import Ladder, Results, ladder, ladders

RUNS = 3
"""Replicates of Fig. 36: the main text's and the paper's two extra runs."""
INITS = {
    "pytorch": "Default",
    "xavier_normal": "Xavier normal",
    "xavier_uniform": "Xavier uniform",
    "kaiming_normal": "Kaiming normal",
    "kaiming_uniform": "Kaiming uniform",
    "orthogonal": "Orthogonal",
}
RATES = (
    ("sgd", 0.01),
    ("sgd", 0.001),
    ("sgd", 0.0001),
    ("adagrad", 0.001),
    ("rmsprop", 0.0001),
    ("adam", 0.0001),
    ("adamax", 0.001),
)
"""The paper's optimizers and base rates (Appendix I)."""


def fig31(results: Results, style: FigureStyle) -> Figure:
    """Predictions of CNNs over depth by initialization (Fig. 31, Appendix I)."""
    groups = {
        INITS.get(init, init): found
        for init, found in ladders(results, "cnn_init", "depth", "init").items()
    }
    return _by_group(results, style, groups, absent(INITS.values(), groups))


def fig32(results: Results, style: FigureStyle) -> Figure:
    """Predictions of CNNs over depth by optimizer and base rate (Fig. 32, Appendix I)."""
    groups = {
        _rated(*pair): found
        for pair, found in ladders(results, "cnn_optimizer", "depth", "optimizer", "lr").items()
    }
    return _by_group(results, style, groups, absent([_rated(*pair) for pair in RATES], groups))


def _rated(optimizer: str, rate: float) -> str:
    return f"{OPTIMIZERS[optimizer].title} {rate:g}"


def _by_group(
    results: Results, style: FigureStyle, groups: Mapping[str, Ladder], lack: str
) -> Figure:
    """One grid, a group of rows per ladder with its name in two lines left of it."""
    shown = [row for name, found in groups.items() for row in rows_by(found.rungs, group=name)]
    setting = " or ".join(dict.fromkeys(found.setting for found in groups.values()))
    names = {name: name.replace(" ", "\n") for name in groups}
    return prediction_figure(
        results, style, Sheet([Panel(shown)], "layers", setting, (lack,), names)
    )


def fig36(results: Results, style: FigureStyle) -> Figure:
    """Predictions of CNNs over depth in runs with other seeds (Fig. 36, Appendix K)."""
    found = ladder(results, "cnn_depth")
    runs = min(RUNS, *(rung.total for rung in found.rungs))
    shown = rows_by(found.rungs)
    panels = [Panel(shown, f"Replicate {run}", run) for run in range(runs)]
    lacks = (absent(DEPTHS, {rung.value for rung in found.rungs}, "layers"),)
    sheet = Sheet(panels, "layers", found.setting, lacks, side_by_side=True)
    return prediction_figure(results, style, sheet)


def fig37(results: Results, style: FigureStyle) -> Figure:
    """Predictions of CNNs over depth, trained on other images (Fig. 37, Appendix K)."""
    groups = ladders(results, "cnn_other_image", "depth", "examples").values()
    panels = [
        Panel(rows_by(found.rungs), lettered(number, class_name(found.rungs[0])))
        for number, found in enumerate(groups)
    ]
    setting = " or ".join(dict.fromkeys(found.setting for found in groups))
    depths = {rung.value for found in groups for rung in found.rungs}
    lacks = (absent(DEPTHS, depths, "layers"),)
    sheet = Sheet(panels, "layers", setting, lacks, side_by_side=True)
    return prediction_figure(results, style, sheet)

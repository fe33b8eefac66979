"""Predictions of CNNs over depth, filter size and channels: Figs. 3, 9, 10, 26 and 28."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from idpipe.config import FigureStyle
from idpipe.figures.parts.grids import (
    Panel,
    Sheet,
    absent,
    chosen,
    lettered,
    prediction_figure,
    rows_by,
)
from idpipe.results import Results, ladder, ladders

DEPTHS = (1, 3, *range(5, 18), 19, 20, 24)
KERNELS = (5, 7, 9, 13, 17, 25, 29, 57)
"""The paper's (Table 1)."""


def fig03(results: Results, style: FigureStyle) -> Figure:
    """Predictions of CNNs over depth (Fig. 3, Sec. 3.2)."""
    return _over_depth(results, style, "cnn_depth")


def fig28(results: Results, style: FigureStyle) -> Figure:
    """Predictions of 3-channel CNNs over depth (Fig. 28, Appendix I)."""
    return _over_depth(results, style, "cnn_narrow_depth")


def fig09(results: Results, style: FigureStyle) -> Figure:
    """Predictions of 5-layer CNNs over filter size, every other size (Fig. 9, Sec. 3.4)."""
    return _over_kernel(results, style, (5, 9, 17, 29, 57))


def fig26(results: Results, style: FigureStyle) -> Figure:
    """Predictions of 5-layer CNNs over filter size, every size (Fig. 26, Appendix I)."""
    return _over_kernel(results, style, KERNELS)


def fig10(results: Results, style: FigureStyle) -> Figure:
    """Predictions of CNNs by number of channels: (a) 5, (b) 20 layers (Fig. 10, Sec. 3.4)."""
    wanted, groups = (5, 20), ladders(results, "cnn_channels", "width", "depth")
    shown = {depth: groups[depth] for depth in chosen(wanted, groups)}
    panels = [
        Panel(rows_by(found.rungs), lettered(number, f"{depth} layer{'s' * (depth > 1)}"))
        for number, (depth, found) in enumerate(shown.items())
    ]
    widths = {rung.value for found in shown.values() for rung in found.rungs}
    kernel = f"{panels[0].shown[0].rung['kernel']:.0f}"
    lacks = (absent(wanted, groups, "layers"), absent((3, 128, 1024), widths, "channels"))
    sheet = Sheet(panels, "channels", f"{kernel} × {kernel} filters", lacks)
    return prediction_figure(results, style, sheet)


def _over_depth(results: Results, style: FigureStyle, study: str) -> Figure:
    found = ladder(results, study)
    lacks = (absent(DEPTHS, {rung.value for rung in found.rungs}, "layers"),)
    sheet = Sheet([Panel(rows_by(found.rungs))], "layers", found.setting, lacks)
    return prediction_figure(results, style, sheet)


def _side(kernel: float | int) -> str:
    return f"{kernel:.0f} × {kernel:.0f}"


def _over_kernel(results: Results, style: FigureStyle, wanted: Sequence[int]) -> Figure:
    """The paper's filter sizes that the study has; all of the study's in Fig. 26."""
    found = ladder(results, "cnn_kernel", "kernel")
    sizes = {int(rung.value) for rung in found.rungs}
    kept = sizes if wanted is KERNELS else chosen(wanted, sizes)
    rungs = [rung for rung in found.rungs if rung.value in kept]
    shown = rows_by(rungs, _side)
    lacks = (absent(map(_side, wanted), set(map(_side, sizes)), "filters"),)
    sheet = Sheet([Panel(shown)], "filter size", found.setting, lacks)
    return prediction_figure(results, style, sheet)

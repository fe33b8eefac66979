"""A trained CNN on test images of other sizes: Figs. 6, 7 and 20 (Sec. 3.3, Appendix H.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.figure import Figure

from idpipe.cells import ENDINGS
from idpipe.config import FigureStyle
from idpipe.errors import FigureError
from idpipe.figures.parts import layout
from idpipe.figures.parts.heatpanel import Reference, decimals
from idpipe.figures.parts.imagegrid import Grid, Row
from idpipe.figures.parts.imagepanels import grid_figure
from idpipe.results import Results, Rung, interval, ladder, per_replicate


@dataclass(frozen=True)
class GridNetwork:
    """The network of a grid: what networks like it share, its cell, and the map it is held to."""

    setting: str
    rung: Rung
    reference: Reference

    @property
    def own(self) -> int:
        """Size of the training image."""
        return int(self.rung.replicates["size"].iloc[0])


def fig06(results: Results, style: FigureStyle) -> Figure:
    """A 5-layer CNN on 7 x 7 and 112 x 112 inputs (Fig. 6, Sec. 3.3).

    Where `probes.sizes` lacks one of these, on its smallest and its largest size.
    """
    net = _shallow(results)
    others = [size for size in results.sizes(net.rung.cell_id) if size != net.own]
    if not others:
        raise FigureError(f"probes.sizes: fig06 needs a size other than {net.own}, such as 7, 112")
    sizes = [7, 112] if {7, 112} <= set(others) else sorted({others[0], others[-1]})
    return _pairs(results, style, net, sizes)


def fig20(results: Results, style: FigureStyle) -> Figure:
    """The CNN of Fig. 6 on all sizes between those of Fig. 6 (Fig. 20, Appendix H.1)."""
    net = _shallow(results)
    sizes = results.sizes(net.rung.cell_id)
    if len(sizes) < 3:
        had = ", ".join(map(str, sizes))
        raise FigureError(f"probes.sizes: fig20 needs a size between others; the run has {had}")
    return _pairs(results, style, net, sizes[1:-1])


def fig07(results: Results, style: FigureStyle) -> Figure:
    """The deepest CNN, 20 layers in the paper, on inputs of all sizes (Fig. 7, Sec. 3.3)."""
    net = _nearest(results, 20, "constant")
    sizes = results.sizes(net.rung.cell_id)
    if len(sizes) == 1:
        raise FigureError(f"probes.sizes: fig07 needs a size other than {net.own}, such as 7, 112")
    rows = [
        _outputs(results, style, net, size, f"{size}\n{_closeness(results, style, net, size)}")
        for size in sizes
    ]
    rows = [replace(row, group="outputs") for row in rows]
    return _grid(results, style, net, rows, "input size")


def _shallow(results: Results) -> GridNetwork:
    return _nearest(results, 5, "identity")


def _nearest(results: Results, depth: int, reference: Reference) -> GridNetwork:
    """The network of `cnn_depth` whose depth is nearest to `depth`."""
    networks = ladder(results, "cnn_depth")
    rung = min(networks.rungs, key=lambda rung: abs(rung.value - depth))
    other = "" if rung.value == depth else f" (the paper's figure: {depth})"
    return GridNetwork(f"{rung.value} layers{other}, {networks.setting}", rung, reference)


def _pairs(results: Results, style: FigureStyle, net: GridNetwork, sizes: Sequence[int]) -> Figure:
    """For each size the inputs and, below them, the outputs."""
    rows = []
    for size in sizes:
        inputs = results.inputs(net.rung.cell_id, style.replicate, size)
        close = _closeness(results, style, net, size)
        rows.append(Row(f"{size} × {size}", inputs.images, group=f"{size}"))
        rows.append(_outputs(results, style, net, size, f"output\n{close}"))
    return _grid(results, style, net, rows, "input size")


def _outputs(results: Results, style: FigureStyle, net: GridNetwork, size: int, label: str) -> Row:
    shown = net.rung.replicates.set_index("replicate").loc[style.replicate]
    images = results.outputs(net.rung.cell_id, style.replicate, size)
    return Row(label, images, ENDINGS[str(shown["status"])].mark, f"{size}")


def _closeness(results: Results, style: FigureStyle, net: GridNetwork, size: int) -> str:
    """Mean correlation at `size` to the reference, and its interval over replicates."""
    metrics = results.metrics(net.rung.replicates)
    test = (metrics["size"] == size) & ~metrics["kind"].isin(["train", "correlated"])
    rows = metrics[test & (metrics["reference"] == net.reference)]
    mean, half = interval(per_replicate(rows, "correlation"), style.interval)
    if np.isnan(mean):
        return "–"
    return decimals(mean) + ("" if np.isnan(half) else f" ± {decimals(half)}")


def _grid(
    results: Results, style: FigureStyle, net: GridNetwork, rows: Sequence[Row], heading: str
) -> Figure:
    kinds = results.inputs(net.rung.cell_id, style.replicate).kinds
    source = net.rung.replicates["source"].iloc[0]
    to = "their inputs" if net.reference == "identity" else "the training image, resized"
    live = f"{net.rung.live} of {net.rung.total}"
    notes = [
        f"{layout.sentence(net.setting)} Trained on one {net.own} × {net.own} image: {source}. "
        f"Shown: replicate {style.replicate} (counted from 0). Numbers: correlation of the outputs "
        f"to {to}, mean over replicates ({live}; none that is dead or diverged) of each one's mean "
        f"over the test images, and half-width of its {style.interval:.0%} interval (Student t)."
    ]
    if not all(np.isfinite(row.images).all() for row in rows):
        notes.append("Crossed: the output is not finite.")
    return grid_figure(Grid(kinds, rows, heading), notes)

"""Upper parts of trained CNNs, fed with the evaluation images: Figs. 22 to 24 (Appendix H.2)."""

from __future__ import annotations

from matplotlib.figure import Figure

from idpipe.config import DEEPEST, FigureStyle
from idpipe.figures.draw import demanded
from idpipe.figures.parts.imagegrid import Grid, Row
from idpipe.figures.parts.imagepanels import grid_figure
from idpipe.figures.parts.layergrid import MEANING, layer_rows, layers_of, mark, nearest, provenance
from idpipe.results import Results, Rung, ladder

FED = (
    "Inputs are fed to the lowest layer shown, repeated over the channels it expects; a network "
    "that has no layer below is whole."
)


def fig22(results: Results, style: FigureStyle) -> Figure:
    """Images fed to the last layer of trained CNNs (Fig. 22)."""
    networks = ladder(results, "cnn_depth")
    rows = [_inputs(results, style, networks.rungs[0])]
    for rung in networks.rungs:
        output = results.layer_output(rung.cell_id, style.replicate, "upper1_output")
        rows.append(Row(f"{rung.value}", output, mark(rung, style)))
    about = provenance(results, style, networks.rungs, networks.setting)
    grid = Grid(_kinds(results, style, networks.rungs[0]), rows, "layers")
    return grid_figure(grid, [about, f"Top layer alone. {FED}"])


def fig23(results: Results, style: FigureStyle) -> Figure:
    """Images fed to the last two layers of trained CNNs, a row for each of the two (Fig. 23)."""
    networks = ladder(results, "cnn_depth")
    rungs = demanded("fig23", networks.rungs)
    rows = [_inputs(results, style, rungs[0])]
    names = {}
    for rung in rungs:
        group = f"{rung.value} layers"
        rows += _upper_rows(results, style, rung, 2, group)
        names[group] = group
    about = provenance(results, style, rungs, networks.setting)
    grid = Grid(_kinds(results, style, rungs[0]), rows, "layer", names=names)
    return grid_figure(grid, [about, f"Top two layers alone. {FED} {MEANING}"])


def fig24(results: Results, style: FigureStyle) -> Figure:
    """Images fed to the top 3, 6 and 10 layers of the 20-layer CNN (Fig. 24)."""
    networks = ladder(results, "cnn_depth")
    (rung,), missing = nearest(networks, (DEEPEST,))
    tops = [top for top in (3, 6, 10) if top < rung.value] or [min(int(rung.value), 2)]
    rows = [_inputs(results, style, rung)]
    for top in tops:
        rows += _upper_rows(results, style, rung, top, f"top {top}")
    names = {f"top {top}": f"top {top}" for top in tops}
    setting = f"{layers_of(rung)}, {networks.setting}"
    without = ", ".join(f"{top}" for top in (3, 6, 10) if top not in tops)
    lacking = f"too few layers for the top {without}" if without else ""
    about = provenance(results, style, [rung], setting, missing, lacking)
    grid = Grid(_kinds(results, style, rung), rows, "layer", names=names)
    return grid_figure(grid, [about, f"{FED} {MEANING}"])


def _inputs(results: Results, style: FigureStyle, rung: Rung) -> Row:
    images = results.inputs(rung.cell_id, style.replicate).images
    return Row("input", images, group="input")


def _kinds(results: Results, style: FigureStyle, rung: Rung) -> tuple[str, ...]:
    return results.inputs(rung.cell_id, style.replicate).kinds


def _upper_rows(
    results: Results, style: FigureStyle, rung: Rung, top: int, group: str
) -> list[Row]:
    """A row for each of the top `top` layers, labelled with its number in the whole network."""
    hidden = results.views(rung.cell_id, style.replicate, f"upper{top}_singular")
    output = results.layer_output(rung.cell_id, style.replicate, f"upper{top}_output")
    return layer_rows(hidden, output, int(rung.value) - top + 1, mark(rung, style), group)

"""Predictions after training on two, three or all images, and in colour: Figs. 1, 38-40, 42, 43.

FCNs are called by their hidden layers (H3; LinH3 where linear), CNNs by their layers (C5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from idpipe.cells import NETS, SOURCES
from idpipe.config import FigureStyle, by_code
from idpipe.figures.draw import demanded
from idpipe.figures.parts.grids import Panel, Sheet, Shown, absent, class_name, prediction_figure
from idpipe.results import Results, Rung, networks, setting

RELU = [f"H{hidden}" for hidden in (0, 1, 3, 5, 7, 9)]
LINEAR = [f"LinH{hidden}" for hidden in (1, 3, 5, 7, 9)]
CNNS = [f"C{layers}" for layers in (3, 5, 10, 14, 20, 24)]
"""The paper's networks of Figs. 38 to 40."""
LEGEND = {letters: text for net in NETS.values() for letters, text in net.codes}
"""What the letters before a network's number mean."""
OPENING = {"C20": "CNN 20", "H9": "FCN 10", "H0": "FCN 1"}
"""The networks of Fig. 1, top to bottom, by their layers."""


def fig01(results: Results, style: FigureStyle) -> Figure:
    """Three architectures trained on the full training set (Fig. 1, Sec. 1).

    Where the study lacks the CNN or the deep FCN, its deepest one stands in.
    """
    found = by_code("all_examples", networks(results, "all_examples"))
    picked = dict.fromkeys(_nearest(found, name) for name in OPENING)
    shown = [
        Shown(found[name], f"{NETS[found[name]['arch']].title} {found[name].value}", name)
        for name in picked
        if name in found
    ]
    labels = [row.label for row in shown]
    lacks = (_all_images(shown[0].rung), absent(OPENING.values(), labels, "layers"))
    return prediction_figure(
        results, style, Sheet([Panel(shown)], "layers", _setting(shown), lacks)
    )


def fig38(results: Results, style: FigureStyle) -> Figure:
    """Predictions of networks trained on 2 images (Fig. 38, Appendix L)."""
    return _few(results, style, "fig38")


def fig39(results: Results, style: FigureStyle) -> Figure:
    """Predictions of networks trained on 3 images (Fig. 39, Appendix L)."""
    return _few(results, style, "fig39")


def fig40(results: Results, style: FigureStyle) -> Figure:
    """Predictions of networks trained on the full training set (Fig. 40, Appendix L)."""
    found = by_code("all_examples", networks(results, "all_examples"))
    images = _all_images(next(iter(found.values())))
    return _by_kind(results, style, found, RELU + LINEAR + CNNS, images)


def fig42(results: Results, style: FigureStyle) -> Figure:
    """Predictions in colour, the first training image (Fig. 42, Appendix O)."""
    return _colour(results, style, "fig42")


def fig43(results: Results, style: FigureStyle) -> Figure:
    """Predictions in colour, the second training image (Fig. 43, Appendix O)."""
    return _colour(results, style, "fig43")


def _nearest(found: Mapping[str, Rung], name: str) -> str:
    """`name`, or the deepest network of its kind; nothing in place of a single layer."""
    alike = {kind: rung.value for kind, rung in found.items() if kind[0] == name[0]}
    if name in found or name == "H0" or not alike:
        return name
    return max(alike, key=alike.__getitem__)


def _few(results: Results, style: FigureStyle, name: str) -> Figure:
    """The first set of so many training images that the study has."""
    alike = demanded(name, networks(results, "few_examples"))
    return _by_kind(results, style, by_code("few_examples", alike), RELU + CNNS)


def _colour(results: Results, style: FigureStyle, name: str) -> Figure:
    alike = demanded(name, networks(results, "colour"))
    image = f"training image: {class_name(alike[0])}"
    return _by_kind(results, style, by_code("colour", alike), (), image)


def _by_kind(
    results: Results,
    style: FigureStyle,
    found: Mapping[str, Rung],
    wanted: Sequence[str],
    *also: str,
) -> Figure:
    """ReLU FCNs, linear FCNs, then CNNs, each by depth."""
    kinds = list(LEGEND)
    rows = [Shown(rung, name, name.rstrip("0123456789")) for name, rung in found.items()]
    shown = sorted(rows, key=lambda row: (kinds.index(row.group), row.rung.value))
    lacks = (*also, absent(wanted, [row.label for row in shown]))
    legend = "; ".join(LEGEND[kind] for kind in kinds if kind in {row.group for row in shown})
    setting = f"{legend}. {_setting(shown)}"
    return prediction_figure(results, style, Sheet([Panel(shown)], "", setting, lacks))


def _setting(shown: Sequence[Shown]) -> str:
    return setting([row.rung for row in shown], ("depth",))


def _all_images(rung: Rung) -> str:
    """How many images `all` is; the first of them are the training images shown."""
    counts = SOURCES[rung["source"]].per_class
    number = f"{sum(counts):,} " if counts else ""
    return f"trained on all {number}training images, the first of which are shown"

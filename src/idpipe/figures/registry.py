"""The list of figures: what each one reads and which module draws it.

Parsing the Snakefile imports this module, so it imports neither numpy, pandas nor matplotlib.
A new figure is one entry here and one function of the same name in the module it names.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """What must be known of a figure before it is drawn.

    Attributes:
        name: `fig03`; its target, its file names and the function that draws it.
        module: the module of `idpipe.figures` that holds the function.
        studies: the studies it reads; none for a figure that needs no training.
        images: whether it reads predictions and probes beside the run's tables.
        section: where the paper discusses it.
        title: what it shows, in one line.
        suffixes: the files it is written to; `<name>_texts` gives those that are no pictures.
        weights: whether it reads the cells' trained weights too.
    """

    name: str
    module: str
    studies: tuple[str, ...]
    images: bool
    section: str
    title: str
    suffixes: tuple[str, ...] = ("png", "pdf")
    weights: bool = False


_FCN = ("fcn_relu_depth", "fcn_linear_depth")

FIGURES: dict[str, Figure] = {
    figure.name: figure
    for figure in (
        Figure("fig02", "grids", _FCN, True, "3.1", "Outputs of fully connected networks"),
        Figure("fig03", "grids", ("cnn_depth",), True, "3.2", "Predictions of CNNs over depth"),
        Figure("fig04", "heatmaps", ("cnn_depth",), False, "3.2", "Correlation of CNNs"),
        Figure("fig06", "sizes", ("cnn_depth",), True, "3.3", "Shallow CNN, other input sizes"),
        Figure("fig07", "sizes", ("cnn_depth",), True, "3.3", "Deep CNN, other input sizes"),
        Figure("fig08", "size_curves", ("cnn_image_size",), False, "3.4", "Training image sizes"),
        Figure("fig13", "grids", _FCN[:1], True, "E.3", "Predictions of multi-layer ReLU FCNs"),
        Figure("fig14", "heatmaps", _FCN, False, "E", "Correlation of ReLU and linear FCNs"),
        Figure("fig20", "sizes", ("cnn_depth",), True, "H.1", "Shallow CNN, sizes in between"),
        Figure("fig33", "heatmaps", _FCN[1:], False, "J", "MSE of linear FCNs"),
        Figure("fig34", "heatmaps", _FCN[:1], False, "J", "MSE of ReLU FCNs"),
        Figure("fig35", "heatmaps", ("cnn_depth",), False, "J", "MSE of CNNs"),
        Figure(
            name="theorem1",
            module="theorem1",
            studies=("theorem1",),
            images=True,
            section="C",
            title="One-layer FCNs against Theorem 1",
            weights=True,
        ),
        Figure(
            name="theorem2",
            module="theorem2",
            studies=("theorem2",),
            images=True,
            section="D",
            title="One-layer CNNs against Theorem 2",
            weights=True,
        ),
        Figure(
            name="table1",
            module="parameters",
            studies=(),
            images=False,
            section="M",
            title="Numbers of parameters",
            suffixes=("png", "pdf", "csv", "md"),
        ),
    )
}

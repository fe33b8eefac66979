"""The list of figures: what each one reads and which module draws it.

Parsing the Snakefile imports this module, so it imports neither numpy, pandas nor matplotlib.
A new figure is one entry here and one function of the same name in the module it names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Analysis = Literal["layers", "classifier"]


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
        analyses: what it reads of single layers: `layers` (views, distances from initialization),
            `classifier` (error rates).
        suffixes: the files it is written to; `<name>_texts` gives those that are no pictures.
        weights: whether it reads the cells' trained weights too.
        sizes: whether it shows probes at other sizes (`probes.sizes`).
    """

    name: str
    module: str
    studies: tuple[str, ...]
    images: bool
    section: str
    title: str
    analyses: tuple[Analysis, ...] = ()
    suffixes: tuple[str, ...] = ("png", "pdf")
    weights: bool = False
    sizes: bool = False


_FCN = ("fcn_relu_depth", "fcn_linear_depth")
_CNN, _KERNEL, _CHANNELS = ("cnn_depth",), ("cnn_kernel",), ("cnn_channels",)
_LAYERS: tuple[Analysis, ...] = ("layers",)
_FEW, _ALL, _COLOUR = ("few_examples",), ("all_examples",), ("colour",)

FIGURES: dict[str, Figure] = {
    figure.name: figure
    for figure in (
        Figure("fig01", "grids_examples", _ALL, True, "1", "Predictions after full training"),
        Figure("fig02", "grids_fcn", _FCN, True, "3.1", "Outputs of fully connected networks"),
        Figure("fig03", "grids_cnn", _CNN, True, "3.2", "Predictions of CNNs over depth"),
        Figure("fig04", "heatmaps", _CNN, False, "3.2", "Correlation of CNNs"),
        Figure(
            "fig05",
            "layercurves",
            _CNN,
            False,
            "3.2",
            "What layers tell of the class",
            ("classifier",),
        ),
        Figure(
            "fig06",
            "sizes",
            ("cnn_depth",),
            True,
            "3.3",
            "Shallow CNN, other input sizes",
            sizes=True,
        ),
        Figure(
            "fig07", "sizes", ("cnn_depth",), True, "3.3", "Deep CNN, other input sizes", sizes=True
        ),
        Figure("fig08", "size_curves", ("cnn_image_size",), False, "3.4", "Training image sizes"),
        Figure("fig09", "grids_cnn", _KERNEL, True, "3.4", "Predictions over filter sizes"),
        Figure("fig10", "grids_cnn", _CHANNELS, True, "3.4", "Predictions over channels"),
        Figure("fig11", "grids_fcn", _FCN[1:], True, "E.1", "Predictions of linear FCNs"),
        Figure("fig12", "grids_fcn", ("fcn_two_layer",), True, "E.2", "Two-layer ReLU networks"),
        Figure("fig13", "grids_fcn", _FCN[:1], True, "E.3", "Predictions of multi-layer ReLU FCNs"),
        Figure("fig14", "heatmaps", _FCN, False, "E", "Correlation of ReLU and linear FCNs"),
        Figure("fig15", "layerviews", _CNN, False, "F", "Intermediate layers over depth", _LAYERS),
        Figure("fig16", "layerviews", _CNN, False, "F", "Layers of the 7-layer CNN", _LAYERS),
        Figure("fig17", "layerviews", _CNN, False, "F", "Layers of the 14-layer CNN", _LAYERS),
        Figure("fig18", "layerviews", _CNN, False, "F", "Layers of the 20-layer CNN", _LAYERS),
        Figure(
            "fig19", "layercurves", _CNN + _FCN, False, "G", "Distance from initialization", _LAYERS
        ),
        Figure(
            "fig20",
            "sizes",
            ("cnn_depth",),
            True,
            "H.1",
            "Shallow CNN, sizes in between",
            sizes=True,
        ),
        Figure(
            "fig21",
            "layerviews",
            _CNN,
            False,
            "H.1",
            "Layers at other input sizes",
            _LAYERS,
            sizes=True,
        ),
        Figure("fig22", "upper", _CNN, False, "H.2", "The top layer alone", _LAYERS),
        Figure("fig23", "upper", _CNN, False, "H.2", "The top two layers alone", _LAYERS),
        Figure("fig24", "upper", _CNN, False, "H.2", "The top 3, 6 and 10 layers alone", _LAYERS),
        Figure("fig25", "heatmaps", _KERNEL, False, "I", "Correlation over filter sizes"),
        Figure("fig26", "grids_cnn", _KERNEL, True, "I", "Predictions over all filter sizes"),
        Figure("fig27", "heatmaps", _CHANNELS, False, "I", "Correlation over channels"),
        Figure("fig28", "grids_cnn", ("cnn_narrow_depth",), True, "I", "CNNs of 3 channels"),
        Figure("fig29", "layerviews", _CHANNELS, False, "I", "Narrow and wide, untrained", _LAYERS),
        Figure("fig30", "layerviews", _CHANNELS, False, "I", "Narrow and wide, trained", _LAYERS),
        Figure("fig31", "grids_training", ("cnn_init",), True, "I", "Initialization schemes"),
        Figure("fig32", "grids_training", ("cnn_optimizer",), True, "I", "Optimizers"),
        Figure("fig33", "heatmaps", _FCN[1:], False, "J", "MSE of linear FCNs"),
        Figure("fig34", "heatmaps", _FCN[:1], False, "J", "MSE of ReLU FCNs"),
        Figure("fig35", "heatmaps", _CNN, False, "J", "MSE of CNNs"),
        Figure("fig36", "grids_training", _CNN, True, "K", "CNNs over depth, other seeds"),
        Figure("fig37", "grids_training", ("cnn_other_image",), True, "K", "Other images"),
        Figure("fig38", "grids_examples", _FEW, True, "L", "Training on 2 images"),
        Figure("fig39", "grids_examples", _FEW, True, "L", "Training on 3 images"),
        Figure("fig40", "grids_examples", _ALL, True, "L", "Training on the full training set"),
        Figure("fig41", "grids_fcn", ("fcn_residual",), True, "N", "Residual FCNs"),
        Figure("fig42", "grids_examples", _COLOUR, True, "O", "A colour image"),
        Figure("fig43", "grids_examples", _COLOUR, True, "O", "Another colour image"),
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

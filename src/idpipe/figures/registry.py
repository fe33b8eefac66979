"""The list of figures: what each one reads and which module draws it.

Parsing the Snakefile imports this module, so it imports neither numpy, pandas nor matplotlib.
A new figure is one entry here and one function of the same name in the module it names.
"""

from __future__ import annotations

from dataclasses import dataclass

from idpipe.config import by_code, for_theorem1, for_theorem2
from idpipe.figures.demands import (
    Choice,
    Demand,
    coded,
    convolutional,
    each,
    of_image,
    of_images,
    on_one_image,
    over,
    with_hidden,
)
from idpipe.store import Analysis


@dataclass(frozen=True)
class Figure:
    """What must be known of a figure before it is drawn.

    Attributes:
        name: `fig03`; its target, its file names and the function that draws it.
        module: the module of `idpipe.figures` that holds the function.
        demands: the studies it reads, and what their networks must be like; none for a figure that
            needs no training.
        images: whether it reads predictions and probes beside the run's tables.
        section: where the paper discusses it.
        title: what it shows, in one line.
        analyses: what it reads of single layers: `layers` (views, distances from initialization),
            `classifier-trained` (error rates). All networks of its studies have them.
        deepest: the same, of each study's deepest network alone (`idpipe.config.deepest`).
        suffixes: the files it is written to; `<name>_texts` gives those that are no pictures.
        weights: whether it reads the cells' trained weights too.
        sizes: how many other sizes of probes it needs (`probes.sizes`).
    """

    name: str
    module: str
    demands: tuple[Demand, ...]
    images: bool
    section: str
    title: str
    analyses: tuple[Analysis, ...] = ()
    suffixes: tuple[str, ...] = ("png", "pdf")
    weights: bool = False
    sizes: int = 0
    deepest: tuple[Analysis, ...] = ()

    @property
    def studies(self) -> tuple[str, ...]:
        """Names of the studies it reads."""
        return tuple(demand.study for demand in self.demands)


_FCN = tuple(Demand(f"fcn_{name}_depth", (over(),)) for name in ("relu", "linear"))
_CNN = (Demand("cnn_depth", (over(),)),)
_KERNEL = (Demand("cnn_kernel", (over("kernel"),)),)
_CHANNELS = (Demand("cnn_channels", (over("width", "depth"),)),)
_SIZE = (Demand("cnn_image_size", (over("depth", "size"), on_one_image)),)
_LINEAR = (Demand("fcn_linear_depth", (over("width", "depth"), with_hidden)),)
_TWO_LAYER = (Demand("fcn_two_layer", (over("width", "train_layers"),)),)
_NARROW = (Demand("cnn_narrow_depth", (over(),)),)
_INIT = (Demand("cnn_init", (over("depth", "init"),)),)
_OPTIMIZER = (Demand("cnn_optimizer", (over("depth", "optimizer", "lr"),)),)
_OTHER = (Demand("cnn_other_image", (over("depth", "examples"),)),)
_RESIDUAL = (Demand("fcn_residual", (over(),)),)
_ALL = (Demand("all_examples", (by_code,)),)
_FEW = {n: (Demand("few_examples", (coded(of_images, n),)),) for n in (2, 3)}
_COLOUR = [(Demand("colour", (coded(of_image, n),)),) for n in (0, 1)]


def _also(demands: tuple[Demand, ...], *choices: Choice) -> tuple[Demand, ...]:
    return tuple(Demand(demand.study, demand.choices + choices) for demand in demands)


_LAYERS: tuple[Analysis, ...] = ("layers",)
_CNN_VIEWS, _CHANNEL_VIEWS = _also(_CNN, convolutional), _also(_CHANNELS, convolutional)

FIGURES: dict[str, Figure] = {
    figure.name: figure
    for figure in (
        Figure("fig01", "grids_examples", _ALL, True, "1", "Predictions after full training"),
        Figure("fig02", "grids_fcn", _FCN, True, "3.1", "Outputs of fully connected networks"),
        Figure("fig03", "grids_cnn", _CNN, True, "3.2", "Predictions of CNNs over depth"),
        Figure("fig04", "heatmaps", _also(_CNN, on_one_image), False, "3.2", "Correlation of CNNs"),
        Figure(
            "fig05",
            "layercurves",
            _CNN,
            False,
            "3.2",
            "What layers tell of the class",
            ("classifier-trained",),
            deepest=("classifier-untrained",),
        ),
        Figure(
            "fig06",
            "sizes",
            _CNN_VIEWS,
            True,
            "3.3",
            "Shallow CNN, other input sizes",
            sizes=1,
        ),
        Figure("fig07", "sizes", _CNN_VIEWS, True, "3.3", "Deep CNN, other input sizes", sizes=1),
        Figure(
            "fig08",
            "size_curves",
            _SIZE,
            False,
            "3.4",
            "Training image sizes",
        ),
        Figure("fig09", "grids_cnn", _KERNEL, True, "3.4", "Predictions over filter sizes"),
        Figure("fig10", "grids_cnn", _CHANNELS, True, "3.4", "Predictions over channels"),
        Figure(
            "fig11",
            "grids_fcn",
            _LINEAR,
            True,
            "E.1",
            "Predictions of linear FCNs",
        ),
        Figure(
            "fig12",
            "grids_fcn",
            _TWO_LAYER,
            True,
            "E.2",
            "Two-layer ReLU networks",
        ),
        Figure(
            "fig13",
            "grids_fcn",
            _also(_FCN[:1], with_hidden),
            True,
            "E.3",
            "Predictions of multi-layer ReLU FCNs",
        ),
        Figure(
            "fig14",
            "heatmaps",
            _also(_FCN, on_one_image),
            False,
            "E.3",
            "Correlation of ReLU and linear FCNs",
        ),
        Figure(
            "fig15", "layerviews", _CNN_VIEWS, False, "F", "Intermediate layers over depth", _LAYERS
        ),
        Figure("fig16", "layerviews", _CNN_VIEWS, False, "F", "Layers of the 7-layer CNN", _LAYERS),
        Figure(
            "fig17", "layerviews", _CNN_VIEWS, False, "F", "Layers of the 14-layer CNN", _LAYERS
        ),
        Figure(
            "fig18", "layerviews", _CNN_VIEWS, False, "F", "Layers of the 20-layer CNN", _LAYERS
        ),
        Figure(
            "fig19", "layercurves", _CNN + _FCN, False, "G", "Distance from initialization", _LAYERS
        ),
        Figure(
            "fig20",
            "sizes",
            _CNN_VIEWS,
            True,
            "H.1",
            "Shallow CNN, sizes in between",
            sizes=2,
        ),
        Figure(
            "fig21",
            "layerviews",
            _CNN_VIEWS,
            False,
            "H.1",
            "Layers at other input sizes",
            _LAYERS,
            sizes=1,
        ),
        Figure("fig22", "upper", _CNN_VIEWS, False, "H.2", "The top layer alone", _LAYERS),
        Figure(
            "fig23",
            "upper",
            _also(_CNN_VIEWS, with_hidden),
            False,
            "H.2",
            "The top two layers alone",
            _LAYERS,
        ),
        Figure(
            "fig24", "upper", _CNN_VIEWS, False, "H.2", "The top 3, 6 and 10 layers alone", _LAYERS
        ),
        Figure(
            "fig25",
            "heatmaps",
            _also(_KERNEL, on_one_image),
            False,
            "I",
            "Correlation over filter sizes",
        ),
        Figure("fig26", "grids_cnn", _KERNEL, True, "I", "Predictions over all filter sizes"),
        Figure(
            "fig27",
            "heatmaps",
            _also(_CHANNELS, on_one_image),
            False,
            "I",
            "Correlation over channels",
        ),
        Figure(
            "fig28",
            "grids_cnn",
            _NARROW,
            True,
            "I",
            "CNNs of 3 channels",
        ),
        Figure(
            "fig29", "layerviews", _CHANNEL_VIEWS, False, "I", "Narrow and wide, untrained", _LAYERS
        ),
        Figure(
            "fig30", "layerviews", _CHANNEL_VIEWS, False, "I", "Narrow and wide, trained", _LAYERS
        ),
        Figure(
            "fig31",
            "grids_training",
            _INIT,
            True,
            "I",
            "Initialization schemes",
        ),
        Figure(
            "fig32",
            "grids_training",
            _OPTIMIZER,
            True,
            "I",
            "Optimizers",
        ),
        Figure(
            "fig33", "heatmaps", _also(_FCN[1:], on_one_image), False, "J", "MSE of linear FCNs"
        ),
        Figure("fig34", "heatmaps", _also(_FCN[:1], on_one_image), False, "J", "MSE of ReLU FCNs"),
        Figure("fig35", "heatmaps", _also(_CNN, on_one_image), False, "J", "MSE of CNNs"),
        Figure("fig36", "grids_training", _CNN, True, "K", "CNNs over depth, other seeds"),
        Figure(
            "fig37",
            "grids_training",
            _OTHER,
            True,
            "K",
            "Other images",
        ),
        Figure("fig38", "grids_examples", _FEW[2], True, "L", "Training on 2 images"),
        Figure("fig39", "grids_examples", _FEW[3], True, "L", "Training on 3 images"),
        Figure("fig40", "grids_examples", _ALL, True, "L", "Training on the full training set"),
        Figure("fig41", "grids_fcn", _RESIDUAL, True, "N", "Residual FCNs"),
        Figure("fig42", "grids_examples", _COLOUR[0], True, "O", "A colour image"),
        Figure("fig43", "grids_examples", _COLOUR[1], True, "O", "Another colour image"),
        Figure(
            name="theorem1",
            module="theorem1",
            demands=(Demand("theorem1", (each(for_theorem1),)),),
            images=True,
            section="C",
            title="One-layer FCNs against Theorem 1",
            weights=True,
        ),
        Figure(
            name="theorem2",
            module="theorem2",
            demands=(Demand("theorem2", (each(for_theorem2), over("kernel", "source", "size"))),),
            images=True,
            section="D",
            title="One-layer CNNs against Theorem 2",
            weights=True,
        ),
        Figure(
            name="assumptions",
            module="assumptions",
            demands=(Demand("assumptions", (on_one_image,)),),
            images=False,
            section="A",
            title="What the paper leaves open, one reading after the other",
        ),
        Figure(
            name="table1",
            module="table1",
            demands=(),
            images=False,
            section="M",
            title="Numbers of parameters",
            suffixes=("png", "pdf", "csv", "md"),
        ),
    )
}

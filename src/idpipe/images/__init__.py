"""Images: training sets read and prepared, probes built from them, and how like two images are."""

from idpipe.images.metrics import correlation, mse
from idpipe.images.patterns import PATTERNS
from idpipe.images.pixels import normalize, resize, scaled, standardize, unstandardize
from idpipe.images.prepared import load_split, prepare, training_images
from idpipe.images.probes import ProbeSet, build, correlated
from idpipe.images.sources import Split

__all__ = [
    "PATTERNS",
    "ProbeSet",
    "Split",
    "build",
    "correlated",
    "correlation",
    "load_split",
    "mse",
    "normalize",
    "prepare",
    "resize",
    "scaled",
    "standardize",
    "training_images",
    "unstandardize",
]

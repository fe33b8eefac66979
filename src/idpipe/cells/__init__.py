"""Cells: all that decides what a network is trained to be, as plain values that can be hashed."""

from idpipe.cells.cell import (
    ENGINE_VERSION,
    IMAGES_AT_ONCE,
    Cell,
    canonical_json,
    cell_from_json,
    derived_seed,
    id_hash,
)
from idpipe.cells.data import SOURCES, DataSpec, Example, SourceName
from idpipe.cells.endings import CONVERGED, DEAD, DIVERGED, ENDINGS, LIVE, LOST, MAX_STEPS
from idpipe.cells.nets import CNN, FCN, AnyNet, InitName, Net
from idpipe.cells.optimizers import SGD, Optimizer, Schedule
from idpipe.cells.specs import (
    FILLED_IN,
    ONE_ZERO,
    Bool,
    NonNegative,
    Positive,
    Rate,
    Says,
    Seed,
    Share,
    Spec,
    kinds,
)
from idpipe.cells.transforms import TILE, TILED_KERNELS, pays, tiling_pays, transform_length

__all__ = [
    "CNN",
    "CONVERGED",
    "DEAD",
    "DIVERGED",
    "ENDINGS",
    "ENGINE_VERSION",
    "FCN",
    "FILLED_IN",
    "IMAGES_AT_ONCE",
    "LIVE",
    "LOST",
    "MAX_STEPS",
    "ONE_ZERO",
    "SGD",
    "SOURCES",
    "TILE",
    "TILED_KERNELS",
    "AnyNet",
    "Bool",
    "Cell",
    "DataSpec",
    "Example",
    "InitName",
    "Net",
    "NonNegative",
    "Optimizer",
    "Positive",
    "Rate",
    "Says",
    "Schedule",
    "Seed",
    "Share",
    "SourceName",
    "Spec",
    "canonical_json",
    "cell_from_json",
    "derived_seed",
    "id_hash",
    "kinds",
    "pays",
    "tiling_pays",
    "transform_length",
]

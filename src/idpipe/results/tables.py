"""The tidy tables: their columns, and how a run's results are gathered into them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import pandas as pd

from idpipe.cells import ENDINGS, FCN, Cell, DataSpec, Net, Optimizer, Spec, kinds

if TYPE_CHECKING:
    pass


KINDS = ("train", "blend", "unseen", "out_of_domain", "pattern", "correlated")
REFERENCES = ("identity", "constant")
STATES = ("trained", "untrained")
QUANTITIES = ("error_rate", "chance", "distance")


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    type: str
    """pandas dtype."""
    unit: str
    meaning: str
    allowed: str = ""
    """Its values: names in backticks, or a range of numbers."""
    null: str = "never"
    """When there is no value."""


@dataclass(frozen=True)
class Table:
    """A table's name, what one row is, and its columns in order."""

    name: str
    row: str
    columns: tuple[Column, ...]

    def conform(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame with exactly these columns and types. Raises KeyError if one is missing."""
        return frame[[c.name for c in self.columns]].astype({c.name: c.type for c in self.columns})


def _one_of(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _choices(model: type[Spec], key: str) -> str:
    return _one_of(get_args(model.model_fields[key].annotation))


_CELL_ID = Column("cell_id", "str", "", "the cell; folder name below results/cells")
_REPLICATE = Column("replicate", "int64", "", "replicate of the cell, from 0", "≥ 0")
_BOOL = _one_of(("true", "false"))

CELLS = Table(
    "cells",
    "one replicate of one cell: its settings and how its training ended",
    (
        _CELL_ID,
        _REPLICATE,
        Column("arch", "str", "", "architecture", _one_of(kinds(Net))),
        Column("depth", "int64", "layers", "weight layers; hidden layers + 1", "≥ 1"),
        Column("width", "int64", "units", "hidden units (fcn) or channels (cnn)", "≥ 1"),
        Column(
            "kernel", "float64", "pixels", "height and width of the filters", "≥ 1", "no filters"
        ),
        Column("activation", "str", "", "between layers", _choices(FCN, "activation")),
        Column("residual", "bool", "", "residual blocks (Appendix N)", _BOOL),
        Column("bias", "bool", "", "layers have biases", _BOOL),
        Column("train_layers", "str", "", "layers that train", _choices(Cell, "train_layers")),
        Column("init", "str", "", "weight initialization", _choices(Cell, "init")),
        Column("bias_init", "str", "", "bias initialization", _choices(Cell, "bias_init")),
        Column("optimizer", "str", "", "optimizer", _one_of(kinds(Optimizer))),
        Column("lr", "float64", "", "base learning rate", "> 0"),
        Column("precision", "str", "", "arithmetic of the training", _choices(Cell, "precision")),
        Column("source", "str", "", "data source", _choices(DataSpec, "source")),
        Column("size", "int64", "pixels", "height and width of the training image", "≥ 1"),
        Column(
            "examples",
            "str",
            "",
            "training images as label/index, or `all`; replicate 0's with `data.vary`",
        ),
        Column("seed", "int64", "", "base seed", "≥ 0"),
        Column("parameters", "int64", "", "weights without biases, as in Table 1", "≥ 1"),
        Column("status", "str", "", "how it ended", _one_of(ENDINGS)),
        Column("restarts", "int64", "", "restarts before the attempt that was kept", "≥ 0"),
        Column("steps", "int64", "steps", "steps of the attempt that was kept", "≥ 0"),
        Column("mse", "float64", "standardized²", "final train MSE", "≥ 0", "`diverged`"),
        Column(
            "seconds", "float64", "s", "training time of the whole cell, over all its pieces", "≥ 0"
        ),
        Column("device", "str", "", "what it was trained on: `cpu` or the GPU's name"),
    ),
)
STUDIES = Table(
    "studies",
    "one cell of one study, in the order of the study's grid",
    (Column("study", "str", "", "study name"), _CELL_ID),
)
METRICS = Table(
    "metrics",
    "one replicate's output on one probe against one reference map",
    (
        _CELL_ID,
        _REPLICATE,
        Column(
            "probe",
            "str",
            "",
            "name of the probe: `train0`, `unseen1`, a pattern's, ...; `rho=0.3/04` for "
            "correlated ones",
        ),
        Column("kind", "str", "", "kind of the probe", _one_of(KINDS)),
        Column("rho", "float64", "", "correlation to the training image", "0 to 1", "named probes"),
        Column("size", "int64", "pixels", "height and width of the probe", "≥ 1"),
        Column(
            "reference",
            "str",
            "",
            "the probe itself (identity) or the training image (constant), which cells of several "
            "training images have no rows of",
            _one_of(REFERENCES),
        ),
        Column(
            "correlation",
            "float64",
            "",
            "output against reference over pixels; cosine, or Pearson by `probes.correlation`",
            "-1 to 1",
            "an image without direction (zero; flat under Pearson) or not finite",
        ),
        Column(
            "mse",
            "float64",
            "standardized²",
            "output against reference, per pixel; may be infinite where diverged",
            "≥ 0",
            "an output that is not a number",
        ),
    ),
)
HISTORY = Table(
    "history",
    "the loss of one replicate at one step; each to step 1,000, each 10th to 10,000 and so on",
    (
        _CELL_ID,
        _REPLICATE,
        Column("restart", "int64", "", "attempt, from 0; `cells.restarts` is the one kept", "≥ 0"),
        Column("step", "int64", "steps", "updates made before the loss was taken", "≥ 0"),
        Column(
            "mse",
            "float64",
            "standardized²",
            "MSE on the step's training images; may be infinite where the attempt diverged",
            "≥ 0",
            "the attempt diverged",
        ),
        Column("lr", "float64", "", "learning rate of the step", "> 0"),
    ),
)
LAYERS = Table(
    "layers",
    "one quantity of one layer of one replicate; cells of the figures that read it alone",
    (
        _CELL_ID,
        _REPLICATE,
        Column("layer", "int64", "", "layer, from 1 at the bottom; 0 is the input itself", "≥ 0"),
        Column(
            "state", "str", "", "after training, or the attempt kept at step 0", _one_of(STATES)
        ),
        Column(
            "quantity",
            "str",
            "",
            "`error_rate` of the averaging classifier (Fig. 5); `chance`, the error rate of always "
            "naming the largest class (layer 0 only); `distance` of the weights from "
            "initialization, ‖W − W₀‖ / ‖W₀‖ (Fig. 19)",
            _one_of(QUANTITIES),
        ),
        Column("value", "float64", "", "its value; a rate is at most 1", "≥ 0", "`diverged`"),
    ),
)
EVIDENCES = ("theorem1_deviation", "null_dimension", "bound", "sharpness", "mixture", "upper10")
EVIDENCE = Table(
    "evidence",
    "one number of one replicate that a claim of the scorecard needs and no other table holds",
    (
        _CELL_ID,
        _REPLICATE,
        Column(
            "quantity",
            "str",
            "",
            "`theorem1_deviation`: largest relative distance of an output from Eq. (1); "
            "`null_dimension`, m/C − r, and `bound`, Eq. (12), of Theorem 2; `sharpness` of the "
            "outputs relative to the inputs; `mixture`: correlation of outputs to their best "
            "mixture of training images; `upper10`: to the training image, of the top 10 layers",
            _one_of(EVIDENCES),
        ),
        Column("value", "float64", "", "its value", "-1 to inf", "`diverged`"),
    ),
)
"""Made by a rule of its own (`idpipe.claims.evidence`), not by `collect`."""
TABLES = (CELLS, STUDIES, METRICS, HISTORY, LAYERS)
CELL_TABLES = {
    "history.parquet": HISTORY,
    "eval-*/metrics.parquet": METRICS,
    "eval-*/layers.parquet": LAYERS,
    "eval-*/classifier-trained.parquet": LAYERS,
    "eval-*/classifier-untrained.parquet": LAYERS,
}
"""Tables in a cell's folder; `*` is the probe hash."""
TABLE1 = Table(
    "table1",
    "one number that the paper's Table 1 prints; the same in every run",
    (
        Column("section", "str", "", "what the paper's columns count"),
        Column("row", "str", "", "the paper's row"),
        Column("column", "str", "", "the paper's column"),
        Column("arch", "str", "", "architecture", _one_of(kinds(Net))),
        Column("layers", "int64", "layers", "weight layers", "≥ 1"),
        Column("width", "int64", "units", "hidden units (fcn) or channels (cnn)", "≥ 1"),
        Column("kernel", "Int64", "pixels", "height and width of the filters", "≥ 1", "no filters"),
        Column("parameters", "int64", "", "weights without biases", "≥ 1"),
    ),
)

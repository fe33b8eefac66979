"""The tidy tables and their columns."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from idpipe.cells import ENDINGS, NETS, SETTINGS, Column, named

KINDS = ("train", "blend", "unseen", "out_of_domain", "pattern", "correlated")
REFERENCES = ("identity", "constant")
STATES = ("trained", "untrained")
QUANTITIES = ("error_rate", "chance", "distance")


@dataclass(frozen=True)
class Table:
    """A table's name, what one row is, and its columns in order."""

    name: str
    row: str
    columns: tuple[Column, ...]

    def conform(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame with exactly these columns and types. Raises KeyError if one is missing."""
        return frame[[c.name for c in self.columns]].astype({c.name: c.type for c in self.columns})


_CELL_ID = Column("cell_id", "str", "", "the cell; folder name below results/cells")
_REPLICATE = Column("replicate", "int64", "", "replicate of the cell, from 0", "≥ 0")

CELLS = Table(
    "cells",
    "one replicate of one cell: its settings and how its training ended",
    (
        _CELL_ID,
        _REPLICATE,
        *SETTINGS,
        Column("parameters", "int64", "", "weights without biases, as in Table 1", "≥ 1"),
        Column("status", "str", "", "how it ended", named(ENDINGS)),
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
    (
        Column("study", "str", "", "study name"),
        _CELL_ID,
        Column(
            "axes",
            "str",
            "",
            "the cell's values of the axes that the study varies, by their keys, as JSON",
        ),
    ),
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
        Column("kind", "str", "", "kind of the probe", named(KINDS)),
        Column("rho", "float64", "", "correlation to the training image", "0 to 1", "named probes"),
        Column("size", "int64", "pixels", "height and width of the probe", "≥ 1"),
        Column(
            "reference",
            "str",
            "",
            "the probe itself (identity) or the training image (constant), which cells of several "
            "training images have no rows of",
            named(REFERENCES),
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
        Column("state", "str", "", "after training, or the attempt kept at step 0", named(STATES)),
        Column(
            "quantity",
            "str",
            "",
            "`error_rate` of the averaging classifier (Fig. 5); `chance`, the error rate of always "
            "naming the largest class (layer 0 only); `distance` of the weights from "
            "initialization, ‖W − W₀‖ / ‖W₀‖ (Fig. 19)",
            named(QUANTITIES),
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
            named(EVIDENCES),
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
        Column("arch", "str", "", "architecture", named(NETS)),
        Column("layers", "int64", "layers", "weight layers", "≥ 1"),
        Column("width", "int64", "units", "hidden units (fcn) or channels (cnn)", "≥ 1"),
        Column("kernel", "Int64", "pixels", "height and width of the filters", "≥ 1", "no filters"),
        Column("parameters", "int64", "", "weights without biases", "≥ 1"),
    ),
)

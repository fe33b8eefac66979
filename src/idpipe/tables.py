"""The tidy tables: their columns, and how a run's results are gathered into them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from idpipe import store
from idpipe.cells import Cell
from idpipe.errors import StoreError

if TYPE_CHECKING:
    from idpipe.history import History


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    type: str
    """pandas dtype."""
    unit: str
    meaning: str


@dataclass(frozen=True)
class Table:
    """A table's name, what one row is, and its columns in order."""

    name: str
    row: str
    columns: tuple[Column, ...]

    def conform(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame with exactly these columns and types. Raises KeyError if one is missing."""
        return frame[[c.name for c in self.columns]].astype({c.name: c.type for c in self.columns})


NONE: Mapping[str, Sequence[str]] = {}

_CELL_ID = Column("cell_id", "str", "", "the cell; folder name below results/cells")
_REPLICATE = Column("replicate", "int64", "", "replicate of the cell, from 0")

CELLS = Table(
    "cells",
    "one replicate of one cell: its settings and how its training ended",
    (
        _CELL_ID,
        _REPLICATE,
        Column("arch", "str", "", "`fcn` or `cnn`"),
        Column("depth", "int64", "layers", "weight layers; hidden layers + 1"),
        Column("width", "int64", "units", "hidden units (fcn) or channels (cnn)"),
        Column("kernel", "float64", "pixels", "height and width of the filters; NaN for fcn"),
        Column("activation", "str", "", "`relu` or `linear`"),
        Column("residual", "bool", "", "residual blocks (Appendix N)"),
        Column("bias", "bool", "", "layers have biases"),
        Column("train_layers", "str", "", "`all` or `bottom`"),
        Column("init", "str", "", "weight initialization"),
        Column("bias_init", "str", "", "bias initialization"),
        Column("optimizer", "str", "", "optimizer"),
        Column("lr", "float64", "", "base learning rate"),
        Column("precision", "str", "", "`ieee`, `tf32` or `float64`"),
        Column("source", "str", "", "data source"),
        Column("size", "int64", "pixels", "height and width of the training image"),
        Column("examples", "str", "", "training images as label/index, or `all`"),
        Column("seed", "int64", "", "base seed"),
        Column("parameters", "int64", "", "weights without biases, as in Table 1"),
        Column("status", "str", "", "`converged`, `max_steps`, `dead` or `diverged`"),
        Column("restarts", "int64", "", "restarts before the attempt that was kept"),
        Column("steps", "int64", "steps", "steps of the attempt that was kept"),
        Column("mse", "float64", "standardized²", "final train MSE; NaN if diverged"),
        Column("seconds", "float64", "s", "training time of the whole cell, over all its pieces"),
        Column("device", "str", "", "what it was trained on"),
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
        Column("probe", "str", "", "name of the probe; `rho=0.3/04` for correlated ones"),
        Column(
            "kind",
            "str",
            "",
            "`train`, `blend`, `unseen`, `out_of_domain`, `pattern` or `correlated`",
        ),
        Column("rho", "float64", "", "correlation to the training image; NaN for named probes"),
        Column("size", "int64", "pixels", "height and width of the probe"),
        Column("reference", "str", "", "`identity` (the probe) or `constant` (training image)"),
        Column("correlation", "float64", "", "output against reference; NaN where undefined"),
        Column("mse", "float64", "standardized²", "output against reference, per pixel"),
    ),
)
HISTORY = Table(
    "history",
    "the loss of one replicate at one step",
    (
        _CELL_ID,
        _REPLICATE,
        Column("restart", "int64", "", "attempt, from 0"),
        Column("step", "int64", "steps", "updates made before the loss was taken"),
        Column("mse", "float64", "standardized²", "MSE on the step's training images"),
        Column("lr", "float64", "", "learning rate of the step"),
    ),
)
LAYERS = Table(
    "layers",
    "one quantity of one layer of one replicate; cells of the figures that read it alone",
    (
        _CELL_ID,
        _REPLICATE,
        Column("layer", "int64", "", "layer, from 1 at the bottom; 0 is the input itself"),
        Column("state", "str", "", "`trained`, or `untrained`: the attempt kept, at step 0"),
        Column(
            "quantity",
            "str",
            "",
            "`error_rate` of the averaging classifier (Fig. 5); `chance`, the error rate of always "
            "naming the largest class (layer 0 only); `distance` of the weights from "
            "initialization, ‖W − W₀‖ / ‖W₀‖ (Fig. 19)",
        ),
        Column("value", "float64", "", "its value; NaN where the replicate diverged"),
    ),
)
TABLES = (CELLS, STUDIES, METRICS, HISTORY, LAYERS)


def history(cell: Cell, curves: History) -> pd.DataFrame:
    """The history table of one cell."""
    frame = pd.DataFrame(
        {
            "cell_id": cell.cell_id,
            "replicate": curves.replicate,
            "restart": curves.restart,
            "step": curves.step,
            "mse": curves.mse,
            "lr": curves.lr,
        }
    )
    return HISTORY.conform(frame)


def collect(
    studies: Mapping[str, Sequence[str]],
    cells: Path,
    evaluations: Mapping[str, str],
    out: Path,
    analysed: Mapping[str, Sequence[str]] = NONE,
) -> None:
    """Write what `gather` finds to `out`/{cells,studies,metrics,history,layers}.parquet.

    Raises StoreError where a cell is missing or damaged; nothing is written then.
    """
    for name, frame in gather(studies, cells, evaluations, analysed=analysed).items():
        store.write_parquet(out / f"{name}.parquet", frame)


def gather(
    studies: Mapping[str, Sequence[str]],
    cells: Path,
    evaluations: Mapping[str, str],
    wanted: Sequence[Table] = TABLES,
    analysed: Mapping[str, Sequence[str]] = NONE,
) -> dict[str, pd.DataFrame]:
    """The tables of some studies, by name.

    Args:
        studies: study -> cell ids in grid order.
        cells: folder of all cells.
        evaluations: cell id -> name of its evaluation folder.
        wanted: which tables.
        analysed: name of a layer-wise analysis (`layers`, ...) -> cell ids it was made of.

    Raises:
        StoreError: a cell or its evaluation is missing or damaged.
    """
    ids = list(dict.fromkeys(cell_id for members in studies.values() for cell_id in members))
    missing = [i for i in ids if not (cells / i / evaluations[i] / "metrics.parquet").is_file()]
    if missing:
        raise StoreError(f"no evaluation of {', '.join(missing)} below {cells}")
    pairs = [(study, cell_id) for study, members in studies.items() for cell_id in members]
    read: dict[Table, Callable[[], pd.DataFrame]] = {
        CELLS: lambda: pd.concat([cell_rows(cells / i) for i in ids]),
        STUDIES: lambda: pd.DataFrame(pairs, columns=["study", "cell_id"]),
        METRICS: lambda: pd.concat(
            [_checked(cells / i / evaluations[i] / "metrics.parquet", i) for i in ids]
        ),
        HISTORY: lambda: pd.concat([_checked(cells / i / "history.parquet", i) for i in ids]),
        LAYERS: lambda: pd.concat(
            [pd.DataFrame(columns=[column.name for column in LAYERS.columns])]
            + [
                _checked(cells / i / evaluations[i] / f"{analysis}.parquet", i)
                for analysis, members in analysed.items()
                for i in members
            ]
        ),
    }
    return {table.name: table.conform(read[table]()) for table in wanted}


def _checked(path: Path, cell_id: str) -> pd.DataFrame:
    frame = store.read_parquet(path)
    if len(frame) == 0 or not (frame["cell_id"] == cell_id).all():
        raise StoreError(f"{path}: does not belong to {cell_id}; delete {path.parent}")
    return frame


def cell_rows(folder: Path) -> pd.DataFrame:
    """The rows of the cells table for one cell folder."""
    cell, status = store.read_cell(folder), store.read_json(folder / "status.json")
    shared = {
        "cell_id": cell.cell_id,
        **cell.columns,
        "seconds": status["seconds"],
        "device": status["device"],
    }
    rows = [
        {
            **shared,
            "replicate": r["replicate"],
            "status": r["status"],
            "restarts": r["restart"],
            "steps": r["steps"],
            "mse": float("nan") if r["mse"] is None else r["mse"],
        }
        for r in status["replicates"]
    ]
    if [row["replicate"] for row in rows] != list(range(cell.replicates)):
        raise StoreError(f"{folder}/status.json: replicates do not match; delete {folder}")
    return CELLS.conform(pd.DataFrame(rows))

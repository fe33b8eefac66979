"""How a run's results are gathered into its tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from idpipe import formats, store
from idpipe.cells import column_values
from idpipe.config import MISSING, axis_keys, value_at
from idpipe.errors import StoreError
from idpipe.results.tables import CELLS, HISTORY, LAYERS, METRICS, STUDIES, TABLES, Table
from idpipe.store import Selection


def collect(selection: Selection, out: Path) -> None:
    """Write what `gather` finds to `out`/{cells,studies,metrics,history,layers}.parquet.

    Raises StoreError where a cell is missing or damaged; nothing is written then.
    """
    for name, frame in gather(selection).items():
        formats.write_parquet(out / f"{name}.parquet", frame)


def gather(selection: Selection, wanted: Sequence[Table] = TABLES) -> dict[str, pd.DataFrame]:
    """The tables of some studies, or those `wanted` of them, by name.

    Raises StoreError where a cell or its evaluation is missing or damaged.
    """
    ids, folder, evaluation = selection.ids, selection.cell, selection.evaluation
    missing = [i for i in ids if not (evaluation(i) / "metrics.parquet").is_file()]
    if missing:
        raise StoreError(f"no evaluation of {', '.join(missing)} below {selection.cells}")
    read: dict[Table, Callable[[], pd.DataFrame]] = {
        CELLS: lambda: pd.concat([cell_rows(folder(i)) for i in ids]),
        STUDIES: lambda: pd.DataFrame(_members(selection), columns=["study", "cell_id", "axes"]),
        METRICS: lambda: pd.concat([_checked(evaluation(i) / "metrics.parquet", i) for i in ids]),
        HISTORY: lambda: pd.concat([_checked(folder(i) / "history.parquet", i) for i in ids]),
        LAYERS: lambda: pd.concat(
            [pd.DataFrame(columns=[column.name for column in LAYERS.columns])]
            + [
                _checked(evaluation(i) / store.ANALYSIS_FILES[analysis][0], i)
                for analysis, members in selection.analysed.items()
                for i in members
            ]
        ),
    }
    return {table.name: table.conform(read[table]()) for table in wanted}


def _members(selection: Selection) -> Iterator[tuple[str, str, str]]:
    """Study, cell, and JSON of the cell's values of the study's axes."""
    for study, members in selection.studies.items():
        for cell_id in members:
            cell = store.read_cell(selection.cell(cell_id)).model_dump(mode="json")
            axes = selection.axes.get(study, {})
            places = {axis: _place(cell, axis, keys) for axis, keys in axes.items()}
            yield study, cell_id, json.dumps(places)


def _place(cell: Mapping[str, Any], axis: str, keys: Sequence[str]) -> Any:
    """A cell's value of an axis; of one whose values set several keys, those that the cell has."""
    found = {key: value_at(cell, axis_keys(key)) for key in keys}
    there = {key: value for key, value in found.items() if value is not MISSING}
    return there if list(keys) != [axis] else there.get(axis)


def _checked(path: Path, cell_id: str) -> pd.DataFrame:
    frame = formats.read_parquet(path)
    if len(frame) == 0 or not (frame["cell_id"] == cell_id).all():
        raise StoreError(f"{path}: does not belong to {cell_id}; delete {path.parent}")
    return frame


def cell_rows(folder: Path) -> pd.DataFrame:
    """The rows of the cells table for one cell folder."""
    cell, status = store.read_cell(folder), store.read_json(folder / "status.json")
    shared = {
        "cell_id": cell.cell_id,
        **column_values(cell),
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

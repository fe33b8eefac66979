"""Stored cells held against what they say they are: ids, hashes, shapes, types, finite numbers.

What is damaged is named with the commands that make it again.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch

from idpipe import formats, nets, store
from idpipe.cells import DIVERGED, ENDINGS, ENGINE_VERSION, Cell, cell_from_json, id_hash
from idpipe.errors import StoreError
from idpipe.results import Table, tables
from idpipe.store import Layout
from idpipe.workflow import jobs

Verdict = Literal["whole", "without hashes", "unfinished", "of another engine version", "damaged"]
VERDICTS: tuple[Verdict, ...] = (
    "whole",
    "without hashes",
    "unfinished",
    "of another engine version",
    "damaged",
)
EVALUATED = ("metrics.parquet", *(files[0] for files in store.ANALYSIS_FILES.values()))
"""A file of each rule that evaluates."""


@dataclass(frozen=True)
class CellCheck:
    """What became of one cell's check.

    Attributes:
        cell_id: name of its folder.
        verdict: `without hashes` is a whole cell of before hashes were kept.
        reason: what is wrong, or why it was not checked.
        rebuild: folders to delete where it is damaged.
    """

    cell_id: str
    verdict: Verdict
    reason: str = ""
    rebuild: tuple[Path, ...] = ()

    def line(self, options: Sequence[str] = ()) -> str:
        """For the user; of a damaged cell with the commands that rebuild it.

        Without being asked for it, Snakemake would not rebuild a cell whose figures are there.
        `options`: Snakemake's, of the run whose cell it is.
        """
        said = f"{self.cell_id}: {self.verdict}" + (f": {self.reason}" if self.reason else "")
        if not self.rebuild:
            return said
        train = self.rebuild[0].name == self.cell_id
        names = ["status.json"] if train else EVALUATED
        files = [path / name for path in self.rebuild for name in names if (path / name).is_file()]
        files = files or [self.rebuild[0] / names[0]]
        delete = shlex.join(["rm", "-r", *map(str, self.rebuild)])
        again = shlex.join(["snakemake", "--cores", "8", *map(str, files), *options])
        return f"{said}. To {'train' if train else 'evaluate'} it again: {delete} && {again}"


def report(
    layout: Layout, cell_ids: Iterable[str] | None = None, options: Sequence[str] = ()
) -> tuple[list[str], int]:
    """Check the cells named, or all that are stored: lines for the user, number of damaged ones.

    Whole cells have no line of their own. `options`: as in `Finding.line`.
    """
    stored = {path.name: path for path in layout.cells()}
    chosen = stored if cell_ids is None else {i: stored[i] for i in cell_ids if i in stored}
    found = [check(path, layout.checkpoint(name).is_file()) for name, path in chosen.items()]
    counts = Counter(finding.verdict for finding in found)
    lines = [finding.line(options) for finding in found if finding.verdict not in VERDICTS[:2]]
    parts = [f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict]]
    total = f"{len(found)} stored cells in {layout.root / 'cells'}"
    return [*lines, ": ".join([total, ", ".join(parts)] if parts else [total])], counts["damaged"]


def check(folder: Path, in_training: bool = False) -> CellCheck:
    """Check one stored cell; `in_training`: it has a checkpoint."""
    name = folder.name
    there = [file for file in store.TRAINED if (folder / file).is_file()]
    if "status.json" not in there and (in_training or not there):
        return CellCheck(name, "unfinished", "the next run that needs it trains it")
    try:
        missing = [file for file in store.TRAINED if file not in there]
        _need(not missing, f"{', '.join(missing)} missing")
        version = _version(folder)
        if version != ENGINE_VERSION:
            told = f"version {version}, this is version {ENGINE_VERSION}; no run of today reads it"
            return CellCheck(name, "of another engine version", told)
        hashed = _trained(folder)
    except StoreError as error:
        return CellCheck(name, "damaged", str(error), (folder,))
    wrong = {path: reason for path in folder.glob("eval-*") if (reason := _evaluated(path, folder))}
    if wrong:
        return CellCheck(name, "damaged", "; ".join(wrong.values()), tuple(wrong))
    return CellCheck(name, "whole" if hashed else "without hashes")


def _need(holds: bool, reason: str) -> None:
    if not holds:
        raise StoreError(reason)


def _version(folder: Path) -> Any:
    """The engine version of the cell, whose id must be that of its spec whatever the version."""
    try:
        text = (folder / "cell.json").read_text()
        version = json.loads(text)["engine_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"cell.json cannot be read ({error})") from None
    _need(folder.name.endswith(f"-{id_hash(text)}"), f"cell.json holds ...-{id_hash(text)}")
    return version


def _trained(folder: Path) -> bool:
    """Check what training wrote; whether its hashes are known. Raises StoreError."""
    try:
        cell = cell_from_json((folder / "cell.json").read_text())
    except ValueError as error:
        raise StoreError(f"cell.json is no cell ({' '.join(str(error).split())})") from None
    _need(cell.cell_id == folder.name, f"cell.json holds {cell.cell_id}")
    status = store.read_json(folder / "status.json")
    ended = _status(cell, status)
    changed = store.changed(folder)
    _need(not changed, f"{', '.join(changed)} not what was written (SHA-256)")
    _weights(cell, folder, {replicate for (replicate, _), how in ended[0].items() if how})
    _history(cell, folder, {attempt for attempt, how in ended[1].items() if how})
    return bool(store.digests(folder))


Attempts = dict[tuple[int, int], bool]
"""(replicate, restart) -> whether it diverged."""


def _status(cell: Cell, status: dict[str, Any]) -> tuple[Attempts, Attempts]:
    """Attempts that were kept, and all. Raises StoreError where the status is not the cell's."""
    try:
        kept = status["replicates"]
        every = [one for told in kept for one in (*told["earlier"], told)]
        numbers = [told["replicate"] for told in kept]
        known = all(one["status"] in ENDINGS for one in every)
        _need(status["cell_id"] == cell.cell_id, f"status.json is of {status['cell_id']}")
        _need(numbers == list(range(cell.replicates)), "status.json is of other replicates")
        _need(known, "status.json holds an unknown status")
        first, all_ = (
            {(one["replicate"], one["restart"]): one["status"] == DIVERGED for one in some}
            for some in (kept, every)
        )
    except (KeyError, TypeError) as error:
        raise StoreError(f"status.json is incomplete ({error!r})") from None
    return first, all_


def _weights(cell: Cell, folder: Path, diverged: set[int]) -> None:
    try:
        params = jobs.read_params(folder)
    except StoreError as error:
        raise StoreError(f"weights.safetensors cannot be read ({error.__cause__})") from None
    dtype, shapes = nets.DTYPES[cell.precision], nets.param_shapes(cell)
    others = ", ".join(sorted(params.keys() ^ shapes.keys()))
    _need(not others, f"weights.safetensors has other tensors than the cell ({others})")
    for name, shape in shapes.items():
        found, expected = params[name], (cell.replicates, *shape)
        told = f"{found.dtype} {list(found.shape)}, not {dtype} {list(expected)}"
        _need(found.dtype == dtype and found.shape == expected, f"{name} of its weights is {told}")
        finite = torch.isfinite(found).flatten(1).all(1).tolist()
        wrong = [str(r) for r, good in enumerate(finite) if not good and r not in diverged]
        _need(not wrong, f"{name} of its weights is not finite in replicate {', '.join(wrong)}")


def _history(cell: Cell, folder: Path, diverged: set[tuple[int, int]]) -> None:
    frame = _table(folder / "history.parquet", tables.HISTORY, cell.cell_id)
    missing = set(range(cell.replicates)) ^ set(frame["replicate"])
    _need(not missing, "history.parquet is of other replicates")
    wrong = frame[~np.isfinite(frame["mse"]) | ~np.isfinite(frame["lr"])]
    attempts = set(zip(wrong["replicate"], wrong["restart"], strict=True)) - diverged
    _need(not attempts, "history.parquet is not finite where no replicate diverged")


def _table(path: Path, table: Table, cell_id: str) -> pd.DataFrame:
    """A table as `idpipe.results.tables` says, of this cell. Raises StoreError."""
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise StoreError(f"{path.name} cannot be read ({error})") from None
    expected = {column.name: column.type for column in table.columns}
    found = {str(name): str(dtype) for name, dtype in frame.dtypes.items()}
    wrong = sorted(n for n in found.keys() | expected.keys() if found.get(n) != expected.get(n))
    _need(not wrong, f"{path.name} has missing, other or unknown columns ({', '.join(wrong)})")
    _need(set(frame["cell_id"]) == {cell_id}, f"{path.name} is of other cells, or of none")
    return frame


def _evaluated(folder: Path, cell_folder: Path) -> str:
    """What is wrong with an evaluation, or nothing; files not written yet are not wrong."""
    cell = store.read_cell(cell_folder)
    checks: list[tuple[str, Callable[[Path], object]]] = [
        ("metrics.parquet", lambda path: _table(path, tables.METRICS, cell.cell_id)),
        ("predictions.npz", lambda path: _arrays(path, ("named", "correlated"), cell.replicates)),
        ("layers.npz", lambda path: _arrays(path, ("viewed",), None)),
        *[(name, lambda path: _table(path, tables.LAYERS, cell.cell_id)) for name in EVALUATED[1:]],
    ]
    wrong = []
    for name, holds in checks:
        if (folder / name).is_file():
            try:
                holds(folder / name)
            except StoreError as error:
                wrong.append(f"{folder.name}/{error}")
    return "; ".join(wrong)


def _arrays(path: Path, names: Sequence[str], count: int | None) -> None:
    """Raise StoreError where an array cannot be read, is missing, or is not one per replicate."""
    try:
        with formats.arrays(path) as arrays:
            read = {name: arrays[name] for name in arrays.files}
    except StoreError:
        raise StoreError(f"{path.name} cannot be read") from None
    lacking = [name for name in names if name not in read]
    _need(not lacking, f"{path.name} has no {', '.join(lacking)}")
    few = [name for name, array in read.items() if count is not None and len(array) != count]
    _need(not few, f"{path.name} is of other replicates ({', '.join(few)})")

"""Where results lie, and how they are written: temp file, then rename, so none is ever half there.

Cells are content-addressed: two writers of one cell write the same content, and whichever renames
last wins.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from idpipe.cells import Cell, cell_from_json
from idpipe.errors import StoreError


@dataclass(frozen=True)
class Layout:
    """Paths below the results folder."""

    root: Path

    def source(self, key: str) -> Path:
        """Folder of a prepared data source."""
        return self.root / "data" / key

    def probes(self, key: str, probe_hash: str) -> Path:
        """File of a probe set."""
        return self.source(key) / f"probes-{probe_hash}.npz"

    def cell(self, cell_id: str) -> Path:
        """Folder of a trained cell."""
        return self.root / "cells" / cell_id

    def checkpoint(self, cell_id: str) -> Path:
        """File that a cell in training is saved to, in a folder of its own."""
        return self.root / "checkpoints" / cell_id / "state.safetensors"

    def evaluation(self, cell_id: str, probe_hash: str) -> Path:
        """Folder of a cell's evaluation on one probe set."""
        return self.cell(cell_id) / f"eval-{probe_hash}"

    def tables(self, run: str) -> Path:
        """Folder of a run's tables."""
        return self.root / run / "tables"

    def figures(self, run: str) -> Path:
        """Folder of a run's figures."""
        return self.root / run / "figures"


def cache_folder() -> Path:
    """Where what was measured on this machine is kept. Raises RuntimeError without a home folder.

    An empty or relative $XDG_CACHE_HOME counts as none, as its specification says.
    """
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    folder = named if named.is_absolute() else Path("~/.cache").expanduser()
    return folder / "idpipe"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a new file beside `path` to write to; it then takes its place, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    try:
        yield Path(name)
        with open(name, "rb+") as stream:
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    """Write a file through `fill(stream)`; it appears whole or not at all."""
    with replacing(path) as new, open(new, "wb") as stream:
        fill(stream)


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes, whole or not at all."""
    write(path, lambda stream: stream.write(content))


def write_json(path: Path, content: object) -> None:
    """Write indented JSON; raises ValueError on NaN, which JSON does not have."""
    write_bytes(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def write_parquet(path: Path, frame: pd.DataFrame) -> None:
    """Write a table without its index."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    write_bytes(path, buffer.getvalue())


def write_npz(path: Path, **arrays: np.ndarray) -> None:
    """Write named arrays, compressed."""
    write(path, lambda stream: np.savez_compressed(stream, **arrays))  # type: ignore[arg-type]


def read_cell(folder: Path) -> Cell:
    """The cell stored in `folder`. Raises StoreError where it is damaged or not that cell."""
    path = folder / "cell.json"
    try:
        cell = cell_from_json(path.read_text())
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read ({error}); delete {folder} to retrain") from None
    if cell.cell_id != folder.name:
        raise StoreError(f"{path}: holds {cell.cell_id}, not {folder.name}; delete it to retrain")
    return cell


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises StoreError where it is missing or damaged."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read ({error})") from None
    if not isinstance(content, dict):
        raise StoreError(f"{path}: must hold an object")
    return content


def read_parquet(path: Path) -> pd.DataFrame:
    """A table. Raises StoreError where it is missing or damaged."""
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read ({error})") from None

"""Where results lie, and how they are written: temp file, then rename, so none is ever half there.

Cells are content-addressed: two writers of one cell write the same content, and whichever renames
last wins.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from pydantic import BaseModel, ConfigDict

from idpipe.cells import Cell, cell_from_json
from idpipe.errors import StoreError

UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}
"""Reasons of a failed write that a user can do something about."""
TRAINED = ("cell.json", "weights.safetensors", "history.parquet", "status.json")
"""Files of a trained cell, in the order in which they are written."""
HASHED = ("weights.safetensors", "history.parquet")
"""Those whose SHA-256 `status.json` holds."""

Analysis = Literal["layers", "classifier-trained", "classifier-untrained"]
"""What is made of a cell's single layers where a figure asks for it."""
ANALYSIS_FILES: dict[Analysis, tuple[str, ...]] = {
    "layers": ("layers.parquet", "layers.npz"),
    "classifier-trained": ("classifier-trained.parquet",),
    "classifier-untrained": ("classifier-untrained.parquet",),
}
"""Files of each analysis in a cell's evaluation, its table first."""


class Selection(BaseModel):
    """Which cells a step of the workflow reads, and where each was evaluated.

    Attributes:
        cells: folder of all cells.
        studies: study -> ids of its cells, in grid order.
        axes: study -> axis that it varies -> the dotted keys that its values set.
        probes: cell id -> the probe file that it was evaluated on.
        analysed: analysis -> ids of the cells that it was made of.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cells: Path = Path()
    studies: dict[str, list[str]] = {}
    axes: dict[str, dict[str, list[str]]] = {}
    probes: dict[str, Path] = {}
    analysed: dict[Analysis, list[str]] = {}

    @property
    def ids(self) -> list[str]:
        """Every cell once, in the studies' order."""
        return list(dict.fromkeys(cell for members in self.studies.values() for cell in members))

    def cell(self, cell_id: str) -> Path:
        """Folder of a trained cell."""
        return self.cells / cell_id

    def evaluation(self, cell_id: str) -> Path:
        """Folder of its evaluation. Raises KeyError for a cell that was given no probes."""
        return self.cell(cell_id) / f"eval-{self.probe_hash(cell_id)}"

    def probe_hash(self, cell_id: str) -> str:
        """Hash of its probe set. Raises KeyError for a cell that was given no probes."""
        return self.probes[cell_id].stem.removeprefix("probes-")


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

    def cells(self) -> list[Path]:
        """Folders of all cells that are there, trained or begun, by their names."""
        folders = (self.root / "cells").glob("[!.]*")
        return sorted(path for path in folders if path.is_dir() and not path.is_symlink())

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
    """Yield a new file beside `path` to write to; it then takes its place, whole or not at all.

    Raises StoreError where the disk is full or may not be written to.
    """
    try:
        with _replacing(path) as new:
            yield new
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise StoreError(
            f"{path}: cannot be written ({error.strerror}); make room or set `results` to another "
            "folder, then run again: what is finished stays"
        ) from error


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
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
        raise StoreError(
            f"{path}: cannot be read ({error}); delete {path.parent} and run again"
        ) from None
    if not isinstance(content, dict):
        raise StoreError(f"{path}: must hold an object; delete {path.parent} and run again")
    return content


def digest(content: bytes) -> str:
    """SHA-256 of what a file holds, in hex digits."""
    return hashlib.sha256(content).hexdigest()


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of a cell's results as they were when written; of older cells none is known."""
    found = read_json(folder / "status.json").get("sha256", {})
    return found if isinstance(found, dict) else {}


def changed(folder: Path) -> list[str]:
    """Names of a cell's results that are not what was written."""
    wrong = []
    for name, digest in digests(folder).items():
        try:
            with (folder / name).open("rb") as stream:
                same = hashlib.file_digest(stream, "sha256").hexdigest() == digest
        except OSError:
            same = False
        wrong += [] if same else [name]
    return wrong

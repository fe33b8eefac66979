"""Snakemake's runs in a folder: which are alive, and what one that was killed leaves behind.

A run of ours holds a lock of the operating system, which ends with its process however that ends,
on a file that it deletes when it ends by itself. So a file that nobody holds tells of a run that
was killed, whose locks Snakemake would otherwise take for those of a run that goes on, and whose
last cells it would delete even where they were finished.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import socket
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from idpipe import store
from idpipe.errors import IdpipeError

SNAKEMAKE = Path(".snakemake")
"""What Snakemake keeps of its runs, below the folder it works in."""


@dataclass
class FoundRuns:
    """Runs of a folder: `name of the machine`-`process id` of each.

    Attributes:
        alive: they go on, or are another machine's and may go on.
        killed: files of those that were killed.
    """

    alive: list[str] = field(default_factory=list)
    killed: list[Path] = field(default_factory=list)


def find(state: Path = SNAKEMAKE) -> FoundRuns:
    """Which runs there are, by their files below `state`."""
    found = FoundRuns()
    for path in sorted(folder(state).glob("*-*")):
        machine = path.name.rpartition("-")[0]
        if machine == socket.gethostname() and _free(path):
            found.killed.append(path)
        else:
            found.alive.append(path.name)
    return found


def begin(state: Path = SNAKEMAKE) -> str | None:
    """Clear what killed runs left, and tell other runs that this process is one.

    Returns what was cleared, in a line, or None. Does nothing where `state` cannot be written.
    """
    said = None
    with suppress(OSError):
        found = find(state)
        if found.killed and not found.alive:
            said = _clear(state, found.killed)
        _tell(state)
    return said


def redate(results: Path) -> int:
    """Date what lies in the future as of now; return how many files that were.

    Where the clock went back, Snakemake would take a new result, older than what it was made from,
    for a failure, and delete it.
    """
    now, count = time.time(), 0
    for part in ("data", "cells"):
        for below, _, names in os.walk(results / part):
            for name in names:
                with suppress(OSError):
                    path = os.path.join(below, name)
                    if os.stat(path).st_mtime > now:
                        os.utime(path, (now, now))
                        count += 1
    return count


def folder(state: Path = SNAKEMAKE) -> Path:
    """Where the files of runs are."""
    return state / "idpipe-runs"


def _free(path: Path) -> bool:
    """Whether certainly no process holds this file: some file systems have no such locks."""
    try:
        with path.open("a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


_held: list[IO[str]] = []


def _tell(state: Path) -> None:
    path = folder(state) / f"{socket.gethostname()}-{os.getpid()}"
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = path.open("a")
    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    _held.append(stream)  # to be held as long as this process lives
    owner, file = os.getpid(), path.absolute()
    atexit.register(lambda: file.unlink(missing_ok=True) if os.getpid() == owner else None)


def _clear(state: Path, killed: list[Path]) -> str:
    shutil.rmtree(state / "locks", ignore_errors=True)
    kept = {cell.name for cell, marker in _marked(state) if _keep(cell, marker)}
    for path in killed:
        path.unlink(missing_ok=True)
    names = ", ".join(path.name.rpartition("-")[2] for path in killed)
    cells = f"; the cells it had finished are kept: {', '.join(sorted(kept))}" if kept else ""
    return f"A run in this folder was killed (process {names}); its lock is cleared{cells}."


def _marked(state: Path) -> Iterator[tuple[Path, Path]]:
    """Cell folders with results that Snakemake did not see finished, and its marks of them."""
    incomplete = state / "incomplete"
    for marker in [path for path in incomplete.rglob("*") if path.is_file()]:
        parts = marker.relative_to(incomplete).parts
        with suppress(ValueError):
            output = Path(urlsafe_b64decode("".join(part.lstrip("@") for part in parts)).decode())
            if output.name in store.TRAINED and output.parent.parent.name == "cells":
                yield state.parent / output.parent, marker


def _keep(cell: Path, marker: Path) -> bool:
    """Take the mark from a cell that is whole: its status was written last, with its hashes."""
    try:
        store.read_cell(cell)
        if set(store.digests(cell)) != set(store.HASHED) or store.changed(cell):
            return False
    except IdpipeError:
        return False
    marker.unlink(missing_ok=True)
    return True

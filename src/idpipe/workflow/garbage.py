"""What of the results no configured run refers to: cells, evaluations, probes, and litter.

A run is configured by config.yaml, by each preset in config/ over it, or by files that are named.
Whatever changed within the last hour is taken to be in use: a cell in training writes its log every
few seconds and its checkpoint every few minutes.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from idpipe.config import load, read
from idpipe.errors import ConfigError, IdpipeError
from idpipe.store import Layout
from idpipe.workflow.session import runs
from idpipe.workflow.targets import Targets

IDLE_SECONDS = 3600.0
"""Age of the newest file of what is not in use."""
CELL_ID = re.compile(r"[A-Za-z0-9_-]+-[0-9a-f]{8}")
PROBES = re.compile(r"probes-[0-9a-f]{12}\.npz")
LITTER = re.compile(r"\..+\.[a-z0-9_]{8}\.tmp")
"""What `store.replacing` leaves where its process is killed."""
DELETED = re.compile(rf"\.({CELL_ID.pattern}|eval-[0-9a-f]{{12}})\.tmp")
"""A folder that was being deleted when the process was killed."""


@dataclass
class Configured:
    """What the configured runs refer to.

    Attributes:
        files: the configuration files read.
        roots: results folders.
        runs: names of the runs.
        cells: cell ids.
        evaluations: (cell id, probe hash).
        probes: probe hashes.
        any_own_image: a preset's own images are not there, so all cells of such images are kept.
    """

    files: list[str] = field(default_factory=list)
    roots: set[Path] = field(default_factory=set)
    runs: set[str] = field(default_factory=set)
    cells: set[str] = field(default_factory=set)
    evaluations: set[tuple[str, str]] = field(default_factory=set)
    probes: set[str] = field(default_factory=set)
    any_own_image: bool = False


@dataclass(frozen=True)
class Item:
    """Something no configured run refers to."""

    path: Path
    size: int
    """Bytes."""
    in_use: bool


def configured(given: Sequence[str] = (), settings: Sequence[str] = ()) -> Configured:
    """What all configured runs of the working directory refer to.

    Args:
        given: further configuration files: each over config.yaml, and all of them together.
        settings: `key=value`, each configuration with and without them.

    Raises:
        IdpipeError: a configuration cannot be read, so what it refers to is unknown.
    """
    found = Configured()
    presets = sorted(str(path) for path in Path("config").glob("*.y*ml"))
    choices = [[], *[[preset] for preset in presets], *[[file] for file in given], list(given)]
    asked = [(files, some) for files in choices for some in dict.fromkeys([(), tuple(settings)])]
    for files, some in dict.fromkeys((tuple(files), some) for files, some in asked):
        name = " ".join(["config.yaml", *files, *some])
        found.files.append(name)
        try:
            _add(found, Targets(load(read(["config.yaml", *files], some))))
        except ConfigError as error:
            if not all(problem.startswith("data.folder = ") for problem in error.problems):
                raise IdpipeError(
                    f"{name}: refused, so which cells it refers to is unknown; mend it or move it "
                    f"away:\n{error}"
                ) from None
            found.any_own_image = True
    return found


def _add(found: Configured, targets: Targets) -> None:
    found.roots.add(targets.layout.root)
    found.runs.add(targets.config.run)
    found.cells |= targets.plan.cells.keys()
    found.evaluations |= set(targets.probe_hashes.items())
    found.probes |= set(targets.probe_hashes.values())


def items(known: Configured, root: Path) -> Iterator[Item]:
    """Everything below a results folder that no configured run refers to, cells first."""
    layout, now = Layout(root), time.time()
    kept = set(known.cells)
    for folder in layout.cells():
        if folder.name in kept or not CELL_ID.fullmatch(folder.name):
            continue
        if known.any_own_image and _of_own_image(folder):
            kept.add(folder.name)
            continue
        places = [folder, layout.checkpoint(folder.name).parent, *_logs(root, folder.name)]
        yield _item(folder, now, places)
    for folder in sorted((root / "checkpoints").glob("*")):
        if folder.name not in kept and CELL_ID.fullmatch(folder.name):
            yield _item(folder, now, [folder, *_logs(root, folder.name)])
    for folder in sorted((root / "cells").glob("*/eval-*")):
        cell_id, probes = folder.parent.name, folder.name.removeprefix("eval-")
        if cell_id in known.cells and (cell_id, probes) not in known.evaluations:
            yield _item(folder, now, [folder, *_logs(root, f"{cell_id}-{probes}")])
    for path in sorted((root / "data").glob("*/probes-*.npz")):
        own = known.any_own_image and path.parent.name.startswith("image_folder-")
        if PROBES.fullmatch(path.name) and path.stem[7:] not in known.probes and not own:
            yield _item(path, now, [path])
    for name in sorted({"data", "cells", "checkpoints", *known.runs}):
        for path in sorted((root / name).rglob(".*.tmp")):
            if (DELETED if path.is_dir() else LITTER).fullmatch(path.name):
                yield _item(path, now, [path])


def _of_own_image(folder: Path) -> bool:
    """Whether a cell trains on the user's own images, or cannot be told not to."""
    try:
        source = json.loads((folder / "cell.json").read_text())["data"]["source"]
    except (OSError, ValueError, KeyError, TypeError):
        return True
    return bool(source == "image_folder")


def _logs(root: Path, name: str) -> list[Path]:
    return list((root / "logs").glob(f"*/{name}*.log"))


def _item(path: Path, now: float, places: Sequence[Path]) -> Item:
    newest = max((file.lstat().st_mtime for place in places for file in _files(place)), default=0.0)
    size = sum(file.lstat().st_size for file in _files(path))
    return Item(path, size, newest > now - IDLE_SECONDS)


def _files(path: Path) -> list[Path]:
    """The files of a folder, or the path itself."""
    below = [file for file in path.rglob("*") if not file.is_dir()] if path.is_dir() else []
    return below or [path] * path.exists()


def collect(known: Configured, delete: bool) -> Iterator[str]:
    """List, and where asked delete, what no configured run refers to; lines for the user.

    Raises IdpipeError where something is to be deleted while Snakemake runs in this folder.
    """
    if delete and (alive := runs.find().alive):
        raise IdpipeError(
            f"gc --yes: Snakemake runs in this folder ({', '.join(alive)}); wait until it has "
            f"ended, or if it was killed on another machine, delete its file in {runs.folder()}"
        )
    yield f"Referred to by {'; '.join(known.files)}: {len(known.cells)} cells"
    if known.any_own_image:
        yield "Kept too: all cells of own images, for a preset's folder of images is not there"
    found = [item for root in sorted(known.roots) for item in items(known, root)]
    for item in found:
        used = "  in use: changed within the hour" if item.in_use else ""
        yield f"{_megabytes(item.size)}  {item.path}{used}"
    free = [item for item in found if not item.in_use]
    for item in free if delete else ():
        _delete(item.path)
    what = "deleted" if delete else "to be deleted by gc --yes"
    yield f"{_megabytes(sum(item.size for item in free))}  {len(free)} {what}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:10.1f} MB"


def _delete(path: Path) -> None:
    """Delete a file or folder; a folder takes another name first, so that no half cell is seen."""
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    with suppress(FileNotFoundError):  # its cell's folder went before
        if not DELETED.fullmatch(path.name):
            other = path.with_name(f".{path.name}.tmp")
            shutil.rmtree(other, ignore_errors=True)  # of a deletion that was cut short
            path = path.rename(other)
        shutil.rmtree(path)

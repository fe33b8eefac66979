"""The files that Snakemake runs from: Snakefile, configurations, profiles and workflow.

They lie in the repository, and in an installed package as a copy (pyproject.toml puts it there),
from which `idpipe init` lays them down.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from idpipe.errors import IdpipeError

PARTS = ("Snakefile", "config.yaml", "config", "profiles", "workflow")
PACKAGED = Path(__file__).parents[1] / "project_files"


def root() -> Path:
    """Where these files lie: in the installed package, or in the repository this code is in."""
    return PACKAGED if PACKAGED.is_dir() else Path(__file__).parents[3]


def files() -> list[str]:
    """Their paths below `root()`."""
    found = [path.relative_to(root()) for part in PARTS for path in _below(root() / part)]
    return sorted(str(path) for path in found if "__pycache__" not in path.parts)


def _below(path: Path) -> list[Path]:
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]


def lay_down(folder: Path) -> list[str]:
    """Copy the files into a folder and return their paths there.

    Overwrites nothing: raises IdpipeError where the folder has one of them or cannot be written.
    """
    taken = [part for part in PARTS if os.path.lexists(folder / part)]
    if taken:
        raise IdpipeError(f"{folder}: holds {', '.join(taken)} already; name another folder")
    paths = files()
    for path in paths:
        try:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root() / path, folder / path)
        except OSError as error:
            raise IdpipeError(f"{folder / path}: cannot be written ({error.strerror})") from None
    return paths

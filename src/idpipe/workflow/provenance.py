"""What a run was made with, as one page of HTML: configuration, versions, machines, commits."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from idpipe import store
from idpipe.config import Plan
from idpipe.store import Layout
from idpipe.templates import render
from idpipe.workflow.jobs import COMMIT

PACKAGES = ("idpipe", "torch", "snakemake", "numpy", "pandas", "matplotlib")
TOLD = ("device", "machine", "commit")
"""What a cell's status says beside the versions; older ones have not all of it."""


def write(plan: Plan, path: Path) -> None:
    """Write the page of a run whose cells are trained."""
    layout = Layout(Path(plan.config.results))
    told = [store.read_json(layout.cell(cell) / "status.json") for cell in plan.cells]
    store.write_bytes(path, page(plan, told).encode())


def page(plan: Plan, told: Sequence[Mapping[str, Any]]) -> str:
    """The page, of the `status.json` of every cell."""
    settings = plan.config.model_dump(mode="json")
    return render(
        Path(__file__).with_name("provenance.html"),
        run=plan.config.run,
        trained=trained(told),
        gathered=gathered(),
        config=yaml.safe_dump(settings, sort_keys=False, width=100),
    )


def trained(told: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What the cells were trained with; where they differ, how many with each."""
    versions = [status.get("versions", {}) for status in told]
    names = dict.fromkeys(name for one in versions for name in one)
    return {
        "cells": f"{len(told):,}",
        "time": f"{sum(status['seconds'] for status in told) / 3600:.2f} hours, over all cells",
        **{key: _counted(status.get(key) for status in told) for key in TOLD},
        **{name: _counted(one.get(name) for one in versions) for name in names},
    }


def gathered() -> dict[str, str]:
    """What this process runs with."""
    return {
        "machine": f"{platform.platform()}, {os.cpu_count()} processors",
        "commit": COMMIT or "unknown",
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }


def _counted(values: Iterable[object]) -> str:
    counts = Counter("unknown" if value is None else str(value) for value in values)
    if len(counts) == 1:
        return next(iter(counts))
    return "; ".join(f"{value} ({count} cells)" for value, count in counts.most_common())

"""What a run was made with, as one page of HTML: configuration, versions, machines, commits."""

from __future__ import annotations

import html
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
from idpipe.workflow.jobs import COMMIT

PACKAGES = ("idpipe", "torch", "snakemake", "numpy", "pandas", "matplotlib")
TOLD = ("device", "machine", "commit")
"""What a cell's status says beside the versions; older ones have not all of it."""
STYLE = (
    "body{font:14px/1.5 sans-serif;margin:1.5em;max-width:60em}"
    "table{border-collapse:collapse}td,th{text-align:left;padding:.15em 1em .15em 0;"
    "vertical-align:top;border-bottom:1px solid #ddd}pre{font-size:12px;line-height:1.4}"
)


def write(plan: Plan, path: Path) -> None:
    """Write the page of a run whose cells are trained."""
    layout = Layout(Path(plan.config.results))
    told = [store.read_json(layout.cell(cell) / "status.json") for cell in plan.cells]
    store.write_bytes(path, page(plan, told).encode())


def page(plan: Plan, told: Sequence[Mapping[str, Any]]) -> str:
    """The page, of the `status.json` of every cell."""
    settings = plan.config.model_dump(mode="json")
    config = html.escape(yaml.safe_dump(settings, sort_keys=False, width=100))
    parts = [
        f"<h1>Run {html.escape(plan.config.run)}</h1>",
        "<h2>Training</h2>",
        _table(trained(told)),
        "<h2>Tables</h2>",
        _table(gathered()),
        "<h2>Configuration</h2>",
        "<p>All files and options merged, with every default of the run filled in.</p>",
        f"<pre>{config}</pre>",
    ]
    head = f'<meta charset="utf-8"><title>Provenance</title><style>{STYLE}</style>'
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{body}</body></html>\n'


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


def _table(rows: Mapping[str, str]) -> str:
    cells = (f"<tr><th>{name}</th><td>{html.escape(text)}</td></tr>" for name, text in rows.items())
    return f"<table>{''.join(cells)}</table>"

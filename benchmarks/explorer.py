"""How large the explorer's page of the paper's grid is, and how soon it can be used.

    python -m benchmarks.explorer

The cells, replicates and probes are those of config/paper.yaml; their numbers and pictures are made
up, noise with half of the pixels black, which PNG packs about as well as real predictions. Needs
Chromium, which opens the page without a window.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from playwright.sync_api import Browser, sync_playwright

from benchmarks.record import record
from benchmarks.tables import markdown
from idpipe import formats, store
from idpipe.cells import Cell
from idpipe.config import Plan, load, read
from idpipe.evaluate import VIEWED, viewed
from idpipe.explorer import page
from idpipe.explorer.details import SHOWN_VIEWS
from idpipe.results import Results, cell_rows, tables
from idpipe.workflow.targets import Targets

REPOSITORY = Path(__file__).parents[1]
CHROMIUM = "/usr/bin/chromium"
PAINTED = (
    "() => new Promise(done => requestAnimationFrame("
    "() => requestAnimationFrame(() => done(performance.now()))))"
)
HEAD = ("page of", "cells", "replicates", "MB", "made in", "opens in", "opens at a cell in")
KINDS = ["train"] + ["blend"] * 2 + ["unseen"] * 3 + ["out_of_domain"] * 3 + ["pattern"] * 6
NAMES = [f"{kind}{place}" for place, kind in enumerate(KINDS)]
STEPS = np.unique(np.geomspace(1, 2_000_000, 3000).astype(int)) - 1


def made_up(plan: Plan) -> None:
    """Write every file of a finished run that the page is made from."""
    targets, random = Targets(plan), np.random.default_rng(0)
    for cell_id, cell in plan.cells.items():
        folder = targets.layout.cell(cell_id)
        store.write_bytes(folder / "cell.json", cell.canonical().encode())
        store.write_json(folder / "status.json", _status(cell))
        if not targets.probes(cell_id).is_file():
            _write_probes(targets.probes(cell_id), cell, random)
        shape = (cell.replicates, len(NAMES), cell.data.channels, cell.data.size, cell.data.size)
        formats.write_npz(
            targets.evaluation(cell_id) / "predictions.npz", named=_noise(shape, random)
        )
    for cell_id in targets.analysed("layers"):
        _write_layers(targets.evaluation(cell_id) / "layers.npz", plan.cells[cell_id], random)
    for name, frame in _tables(plan, targets, random):
        formats.write_parquet(targets.layout.tables(plan.config.run) / f"{name}.parquet", frame)


def _noise(shape: Sequence[int], random: np.random.Generator) -> np.ndarray:
    """Pixels in [0, 1], half of them black."""
    return np.clip(2 * random.random(shape, np.float32) - 1, 0, 1)


def _status(cell: Cell) -> dict[str, Any]:
    end = {"restart": 0, "status": "converged", "steps": int(STEPS[-1]), "mse": 1e-6, "earlier": []}
    replicates = [{"replicate": replicate, **end} for replicate in range(cell.replicates)]
    return {"seconds": 1000.0, "device": "made up", "replicates": replicates}


def _write_probes(path: Path, cell: Cell, random: np.random.Generator) -> None:
    size, channels = cell.data.size, cell.data.channels
    named = _noise((1, len(NAMES), channels, size, size), random)
    scale = {"mean": np.zeros(channels), "std": np.ones(channels)}
    formats.write_npz(path, names=np.array(NAMES), kinds=np.array(KINDS), named=named, **scale)


def _write_layers(path: Path, cell: Cell, random: np.random.Generator) -> None:
    places = viewed(NAMES, KINDS, VIEWED)
    shape = (cell.replicates, cell.net.depth - 1, len(places), cell.data.size, cell.data.size)
    hidden = cell.net.convolutional and cell.net.depth > 1
    views = {name: _noise(shape, random) for name in SHOWN_VIEWS} if hidden else {}
    formats.write_npz(path, viewed=np.array(places), **views)


def _tables(
    plan: Plan, targets: Targets, random: np.random.Generator
) -> Iterator[tuple[str, pd.DataFrame]]:
    cells = pd.concat([cell_rows(targets.layout.cell(cell_id)) for cell_id in plan.cells])
    yield "cells", cells
    keys = cells[["cell_id", "replicate", "size"]]
    probes = pd.DataFrame(
        [(name, kind, np.nan) for name, kind in zip(NAMES, KINDS, strict=True)]
        + [
            (f"rho={rho}/{number:02d}", "correlated", rho)
            for rho in plan.config.probes.rho
            for number in range(plan.config.probes.n_per_rho)
        ],
        columns=["probe", "kind", "rho"],
    )
    references = pd.DataFrame({"reference": tables.REFERENCES})
    metrics = keys.merge(probes, how="cross").merge(references, how="cross")
    drawn = {name: random.random(len(metrics)) for name in ("correlation", "mse")}
    yield "metrics", tables.METRICS.conform(metrics.assign(**drawn))
    history = keys.merge(pd.DataFrame({"step": STEPS}), how="cross")
    drawn = {"mse": random.random(len(history))}
    yield "history", tables.HISTORY.conform(history.assign(restart=0, lr=0.01, **drawn))
    yield (
        "layers",
        tables.LAYERS.conform(pd.DataFrame(columns=[c.name for c in tables.LAYERS.columns])),
    )


def opening(browser: Browser, address: str) -> float:
    """Seconds from asking for the page to its being drawn and ready to be used."""
    window = browser.new_page(viewport={"width": 1280, "height": 900})
    window.goto(address)
    window.wait_for_selector("body[data-ready]", timeout=60_000)
    seconds = float(window.evaluate(PAINTED)) / 1000
    window.close()
    return seconds


def measure(settings: Mapping[str, Any], repeats: int, chromium: str = CHROMIUM) -> dict[str, Any]:
    """The page of one configuration, made in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="idpipe-explorer-") as folder:
        plan = load({**settings, "results": folder})
        made_up(plan)
        targets = Targets(plan)
        results = Results(targets.layout.tables(plan.config.run), targets.selection())
        path, start = Path(folder) / "explorer.html", time.perf_counter()
        page.write(plan, results, path)
        seconds = time.perf_counter() - start
        # The cell of most pixels.
        largest = max(plan.cells.values(), key=lambda cell: cell.data.size * cell.net.depth)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox"] if os.getuid() == 0 else []
            )
            addresses = {
                "opens": path.as_uri(),
                "at_cell": f"{path.as_uri()}#cell={largest.cell_id}",
            }
            taken = {
                name: [opening(browser, address) for _ in range(repeats)]
                for name, address in addresses.items()
            }
            version = browser.version
            browser.close()
        row = {
            "run": plan.config.run,
            "cells": len(plan.cells),
            "replicates": sum(cell.replicates for cell in plan.cells.values()),
            "megabytes": path.stat().st_size / 1e6,
            "seconds": seconds,
            **{name: statistics.median(times) for name, times in taken.items()},
            "slowest": max(max(times) for times in taken.values()),
        }
    return {"rows": [row], "chromium": version, "repeats": repeats, "load": os.getloadavg()[0]}


def table(content: dict[str, Any]) -> str:
    """A row for each configuration."""
    rows = [
        [
            row["run"],
            f"{row['cells']:,}",
            f"{row['replicates']:,}",
            f"{row['megabytes']:.0f}",
            f"{row['seconds']:.0f} s",
            f"{row['opens']:.2f} s",
            f"{row['at_cell']:.2f} s",
        ]
        for row in content["rows"]
    ]
    return markdown(HEAD, rows)


def note(content: dict[str, Any]) -> str:
    """By which browser, how often, the slowest, and how busy the machine was."""
    slowest = max(row["slowest"] for row in content["rows"])
    return (
        f"Chromium {content['chromium']}, median of {content['repeats']}, slowest {slowest:.2f} s; "
        f"load of the machine {content['load']:.1f}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command `python -m benchmarks.explorer`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="openings of the page; 5")
    parser.add_argument("--chromium", default=CHROMIUM, help=f"the browser; {CHROMIUM}")
    parser.add_argument("--results", type=Path, help="folder of the JSON files")
    asked = parser.parse_args(arguments)
    settings = read([REPOSITORY / "config.yaml", REPOSITORY / "config/paper.yaml"])
    content = measure(settings, asked.repeats, asked.chromium)
    where = {} if asked.results is None else {"folder": asked.results}
    print(f"{table(content)}\n\n{note(content)}\n{record('explorer', content, **where)}")


if __name__ == "__main__":
    main()

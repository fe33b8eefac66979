"""What becomes of seeds: how often one dies, and how long those that live stay on the plateau.

    python -m benchmarks.survival                    # 32 channels on a CPU, 8 to 128 on a GPU
    python -m benchmarks.survival --docs MACHINE     # its recorded table into docs/fidelity.md

Deep ReLU CNNs train on one digit at a constant rate, `--seeds` at a time and none restarted, until
their train MSE is below `REACHED` or for `STEPS` steps. A network that knows nothing but the mean
of its image has the image's variance as its MSE; a replicate is on the plateau until its MSE is
below half of that.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.record import RESULTS, record
from benchmarks.tables import markdown
from idpipe import engine, nets
from idpipe.cells import CONVERGED, DEAD, DIVERGED, MAX_STEPS, Cell
from idpipe.config import DataConfig
from idpipe.engine import Progress, Trained
from idpipe.images import prepare, training_images
from idpipe.store import read_json, write_bytes, write_json

DEPTHS = (5, 10, 14, 20)
RATES = (0.01, 0.0035, 0.001)
"""The paper's rate, that of the default preset, and one below."""
WIDTHS = {"cpu": (32,), "cuda": (32, 128, 8)}
REACHED, STEPS = 2e-3, 10_000

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs/fidelity.md"
PARTS = ROOT / "results/survival"
"""A file for each measured cell, so that a run that was cut short goes on where it was."""


def cells(device: str, seeds: int) -> Iterator[Cell]:
    """The cells, by rate, then by width."""
    for rate in RATES:
        for width in WIDTHS[device]:
            for depth in DEPTHS:
                yield Cell.model_validate(
                    {
                        "net": {"arch": "cnn", "depth": depth, "width": width},
                        "optimizer": {"lr": rate},
                        "schedule": {"milestones": []},
                        "data": {"source": "digits"},
                        "replicates": seeds,
                        "stop_mse": REACHED,
                        "max_steps": STEPS,
                        "failure": {"policy": "keep"},
                    }
                )


def measured(cell: Cell, images: np.ndarray) -> dict[str, Any]:
    """Train the cell and say what became of its seeds."""
    start = time.monotonic()
    progress = Progress(cell.net.slug, cell.max_steps, print, 30.0)
    found = engine.train(cell, images, None, nets.choose_device(), progress)
    return {
        "depth": cell.net.depth,
        "width": cell.net.width,
        "lr": cell.optimizer.lr,
        "seeds": fates(found, float(images.var()) / 2),
        "seconds": round(time.monotonic() - start),
    }


def fates(found: Trained, plateau: float) -> list[dict[str, Any]]:
    """Status, steps and the step from which on the MSE is below `plateau`, of each replicate.

    `left` is None for those that never came below.
    """
    curves: dict[int, list[tuple[int, float]]] = {}
    for replicate, step, mse in zip(
        found.history.replicate, found.history.step, found.history.mse, strict=True
    ):
        curves.setdefault(replicate, []).append((step, mse))
    return [
        {
            "status": outcome.status,
            "steps": outcome.steps,
            "left": next((s for s, mse in curves[outcome.replicate] if mse < plateau), None),
        }
        for outcome in found.outcomes
    ]


def measure_all(chosen: Sequence[Cell]) -> Iterator[dict[str, Any]]:
    """What became of each cell's seeds; cells that have a file already are read from it."""
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        prepare(chosen[0].data, DataConfig(), Path(folder) / "digits")
        images = training_images(chosen[0].data, Path(folder) / "digits", 1)
    for cell in chosen:
        path = PARTS / f"{cell.cell_id}.json"
        if not path.is_file():
            write_json(path, measured(cell, images))
        yield read_json(path)


# --- table -----------------------------------------------------------------------------------

HEAD = (
    "channels",
    "rate",
    "layers",
    "died",
    "at step",
    "diverged",
    "learned",
    "plateau, steps",
    "steps to 0.002",
    "still on the plateau",
)


def table(found: Mapping[str, Any]) -> str:
    """Markdown: one row for each cell; steps as median and range."""
    parts = sorted(found["cells"], key=lambda part: (part["width"], -part["lr"], part["depth"]))
    return markdown(HEAD, [_row(part) for part in parts])


def _row(part: Mapping[str, Any]) -> list[str]:
    seeds = part["seeds"]
    dead = [seed for seed in seeds if seed["status"] == DEAD]
    learned = [seed for seed in seeds if seed["status"] == CONVERGED]
    waiting = [s for s in seeds if s["status"] == MAX_STEPS and s["left"] is None]
    return [
        str(part["width"]),
        f"{part['lr']:g}",
        str(part["depth"]),
        f"{len(dead)} of {len(seeds)}",
        _spread([seed["steps"] for seed in dead]),
        str(sum(seed["status"] == DIVERGED for seed in seeds)),
        str(len(learned)),
        _spread([seed["left"] for seed in learned]),
        _spread([seed["steps"] for seed in learned]),
        str(len(waiting)),
    ]


def _spread(steps: Sequence[int]) -> str:
    if not steps:
        return ""
    middle, least, most = round(statistics.median(steps)), min(steps), max(steps)
    return f"{middle:,}" if least == most else f"{middle:,} ({least:,}–{most:,})"


def documented(text: str, machine: str, found: Mapping[str, Any]) -> str:
    """The documentation with a machine's table in its place."""
    first, last = f"<!-- survival: {machine} -->", "<!-- survival: end -->"
    before, _, rest = text.partition(first)
    _, _, after = rest.partition(last)
    said = f"`{machine}`, {found['date']}, commit `{found['commit'][:8]}`."
    return f"{before}{first}\n\n{said}\n\n{table(found)}\n\n{last}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--docs", metavar="MACHINE", help="only write a machine's table to docs")
    args = parser.parse_args()
    if args.docs:
        found = json.loads((RESULTS / f"{args.docs}.json").read_text())["survival"]
        write_bytes(DOCS, documented(DOCS.read_text(), args.docs, found).encode())
        return
    chosen = list(cells(nets.choose_device().type, args.seeds))
    parts = []
    for part in measure_all(chosen):
        parts.append(part)
        path = record("survival", {"seeds": args.seeds, "cells": parts})
        print(f"{_row(part)}: in {path}", flush=True)
    print(table(read_json(path)["survival"]))


if __name__ == "__main__":
    main()

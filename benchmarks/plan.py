"""What `idpipe plan` predicts against what a finished run took: steps, seconds, memory.

    python -m benchmarks.plan

Takes the cells of a configuration (--configfile as for the workflow; config.yaml alone by default)
that this machine has trained by Snakemake. Seconds are processor seconds, so other programs do not
disturb, from the last line of each job's log. Prices are those that `idpipe plan` kept, or are
measured now.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.record import record
from benchmarks.tables import markdown
from idpipe import costs, store
from idpipe.cells import Cell
from idpipe.config import load, read
from idpipe.costs import Prices, devices
from idpipe.engine import calibrate
from idpipe.errors import IdpipeError
from idpipe.store import Layout

TOOK = re.compile(r"took [\d.]+ s, ([\d.]+) s of processor time, at most (\d+) MiB")
HEAD = (
    "study",
    "cells",
    "steps",
    "predicted",
    "seconds",
    "predicted",
    "at the steps made",
    "MiB",
    "predicted",
)


@dataclass(frozen=True)
class Pair:
    """What one cell took and was predicted to take."""

    steps: float
    """Of one replicate, restarts included, on average."""
    steps_predicted: float
    seconds: float
    seconds_predicted: float
    seconds_at_steps: float
    """What the model gives for the steps that were made: the error of its prices alone."""
    mib: float
    mib_predicted: float

    @classmethod
    def of(cls, cell: Cell, layout: Layout, prices: Prices) -> Pair | None:
        """None where the cell is not trained, or its log is not there."""
        log = layout.root / "logs/train" / f"{cell.cell_id}.log"
        status = layout.cell(cell.cell_id) / "status.json"
        took = TOOK.search(log.read_text()) if log.is_file() and status.is_file() else None
        if took is None:
            return None
        steps = statistics.mean(
            told["steps"] + sum(earlier["steps"] for earlier in told["earlier"])
            for told in store.read_json(status)["replicates"]
        )
        step, expected = costs.step_seconds(cell, prices), costs.steps_expected(cell)
        return cls(
            steps,
            expected,
            float(took[1]),
            expected * step,
            steps * step,
            float(took[2]),
            costs.memory_mib(cell),
        )


def row(name: str, pairs: Sequence[Pair]) -> list[str]:
    """Medians of steps, sums of seconds, the largest of memory."""
    return [
        name,
        str(len(pairs)),
        f"{statistics.median(pair.steps for pair in pairs):,.0f}",
        f"{statistics.median(pair.steps_predicted for pair in pairs):,.0f}",
        f"{sum(pair.seconds for pair in pairs):,.0f}",
        f"{sum(pair.seconds_predicted for pair in pairs):,.0f}",
        f"{sum(pair.seconds_at_steps for pair in pairs):,.0f}",
        f"{max(pair.mib for pair in pairs):,.0f}",
        f"{max(pair.mib_predicted for pair in pairs):,.0f}",
    ]


def spread(ratios: Sequence[float]) -> dict[str, float]:
    """Median, and the two numbers between which eight of ten ratios lie."""
    tenths = statistics.quantiles(ratios, n=10)
    return {"median": statistics.median(ratios), "low": tenths[0], "high": tenths[-1]}


def table(content: dict[str, Any]) -> str:
    """A row for each study, and one for all."""
    return markdown(content["columns"], content["rows"])


def note(content: dict[str, Any]) -> str:
    """How many cells, and how far predictions are off cell by cell."""
    told = [
        f"{name.replace('_', ' ')} median {found['median']:.2f}, 8 of 10 cells from "
        f"{found['low']:.2f} to {found['high']:.2f}"
        for name, found in content["predicted_over_actual"].items()
    ]
    return f"{content['cells']} cells; predicted over actual, " + "; ".join(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configfile", action="append", default=[], help="over config.yaml")
    parser.add_argument("--results", help="folder of the results; the configuration's by default")
    parsed = parser.parse_args()
    plan = load(read(["config.yaml", *parsed.configfile]))
    layout = Layout(Path(parsed.results or plan.config.results))
    device = devices.calibrated() or calibrate.run()
    found = {
        cell_id: pair
        for cell_id, cell in plan.cells.items()
        if (pair := Pair.of(cell, layout, device.prices)) is not None
    }
    if len(found) < 2:
        raise IdpipeError(f"{layout.root}: must hold cells of {plan.config.run} with their logs")
    rows = [
        row(name, [found[cell.cell_id] for cell in cells if cell.cell_id in found])
        for name, cells in plan.studies.items()
        if any(cell.cell_id in found for cell in cells)
    ]
    rows.append(row("all", list(found.values())))
    pairs = [pair for pair in found.values() if pair.steps and pair.seconds]
    ratios = {
        "steps": spread([pair.steps_predicted / pair.steps for pair in pairs]),
        "seconds": spread([pair.seconds_predicted / pair.seconds for pair in pairs]),
        "seconds_at_steps": spread([pair.seconds_at_steps / pair.seconds for pair in pairs]),
        "memory": spread([pair.mib_predicted / pair.mib for pair in pairs]),
    }
    content = {
        "run": plan.config.run,
        "device": device.name,
        "cells": len(found),
        "columns": list(HEAD),
        "rows": rows,
        "predicted_over_actual": ratios,
        "prices": dict(device.prices.of),
    }
    print(f"{table(content)}\n\n{note(content)}\n{record('plan', content)}")


if __name__ == "__main__":
    try:
        main()
    except IdpipeError as error:
        sys.exit(f"benchmarks.plan: {error}")

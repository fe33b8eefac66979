"""What Snakemake itself takes: to plan, to find nothing to be done, and to run one more job.

    python -m benchmarks.workflow

Every run is in a folder of its own. Processor seconds are those of Snakemake and of all that it
starts, so other programs disturb them little; seconds that pass are worth reading on a machine that
does nothing else.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.record import record
from benchmarks.tables import markdown
from idpipe.config import load, read
from idpipe.errors import IdpipeError

REPOSITORY = Path(__file__).parents[1]
HEAD = ("what", "cells", "jobs", "seconds", "processor seconds")
FEW = 5
"""Jobs of the shorter of two runs, whose difference gives the price of one job."""


@dataclass(frozen=True)
class Taken:
    """One run of Snakemake."""

    jobs: int
    seconds: float
    processor_seconds: float
    said: str


def snakemake(folder: Path, settings: Mapping[str, Any], *arguments: str) -> Taken:
    """Run the workflow in `folder`. Raises IdpipeError where Snakemake fails."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(dict(settings), sort_keys=False))
    line = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    line += ["--directory", str(folder), "--cores", "2", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    before, start = _processor_seconds(), time.perf_counter()
    done = subprocess.run(line, capture_output=True, text=True, env=environment, check=False)
    seconds = time.perf_counter() - start
    said = done.stdout + done.stderr
    if done.returncode != 0:
        raise IdpipeError(f"snakemake {' '.join(arguments)} failed:\n{said}")
    total = re.search(r"^total +(\d+)$", said, re.MULTILINE)
    jobs = int(total[1]) if total else 0
    return Taken(jobs, seconds, _processor_seconds() - before, done.stdout)


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def grid(cells: int) -> dict[str, Any]:
    """Settings of so many small cells, in one study that no figure reads."""
    base = {"net": {"arch": "fcn", "depth": 1, "width": 4}}
    return {
        "run": "grid",
        "defaults": {"replicates": 1, "max_steps": 1},
        "studies": {"grid": {"base": base, "axes": {"seed": list(range(cells))}}},
        "probes": {"rho": [0, 1], "n_per_rho": 1},
    }


def nothing_to_do(folder: Path, settings: Mapping[str, Any]) -> Taken:
    """A run after a finished one, of which only names and dates of the files matter."""
    summary = snakemake(folder, settings, "--summary", "all_figures").said
    for row in summary.splitlines()[1:]:
        path = folder / row.split("\t")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("there\n")
    snakemake(folder, settings, "--touch", "--forceall", "all_figures")
    return snakemake(folder, settings, "all_figures")


def one_job(folder: Path, jobs: int) -> float:
    """Processor seconds of one more job that trains a network of one layer for one step."""
    settings = grid(1 + FEW + jobs)
    cells = [f"results/cells/{cell}/status.json" for cell in load(settings).cells]
    first, few, many = cells[:1], cells[1 : 1 + FEW], cells[1 + FEW :]
    snakemake(folder, settings, *first)  # its images are prepared now
    taken = [snakemake(folder, settings, *some).processor_seconds for some in (few, many)]
    return (taken[1] - taken[0]) / (len(many) - len(few))


def measure(cells: int, jobs: int) -> dict[str, Any]:
    """Everything, on a grid of `cells`, and with `jobs` that run."""
    default = read([REPOSITORY / "config.yaml"])
    paper = read([REPOSITORY / "config.yaml", REPOSITORY / "config/paper.yaml"])
    with tempfile.TemporaryDirectory(prefix="idpipe-workflow-") as name:
        folder = Path(name)
        found = {
            "dry run of the paper preset": (paper, _plan(folder / "paper", paper)),
            "dry run of a grid": (grid(cells), _plan(folder / "grid", grid(cells))),
            "run of the default preset with nothing to do": (
                default,
                nothing_to_do(folder / "default", default),
            ),
        }
        price = one_job(folder / "jobs", jobs)
    rows = [
        {
            "what": what,
            "cells": len(load(settings).cells),
            "jobs": taken.jobs,
            "seconds": taken.seconds,
            "processor_seconds": taken.processor_seconds,
        }
        for what, (settings, taken) in found.items()
    ]
    return {"rows": rows, "job_processor_seconds": price, "load": os.getloadavg()[0]}


def _plan(folder: Path, settings: Mapping[str, Any]) -> Taken:
    return snakemake(folder, settings, "--dry-run", "all_figures")


def table(content: dict[str, Any]) -> str:
    """A row for each run."""
    rows = [
        [
            row["what"],
            f"{row['cells']:,}",
            f"{row['jobs']:,}",
            f"{row['seconds']:.1f}",
            f"{row['processor_seconds']:.1f}",
        ]
        for row in content["rows"]
    ]
    return markdown(HEAD, rows)


def note(content: dict[str, Any]) -> str:
    """The price of a job, and how busy the machine was."""
    return (
        f"one more job that trains for one step takes {content['job_processor_seconds']:.2f} "
        f"processor seconds; load of the machine {content['load']:.1f}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command `python -m benchmarks.workflow`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=10_000, help="of the grid; 10,000")
    parser.add_argument("--jobs", type=int, default=30, help=f"that run, more than {FEW}; 30")
    parser.add_argument("--results", type=Path, help="folder of the JSON files")
    asked = parser.parse_args(arguments)
    if asked.jobs <= FEW:
        parser.error(f"--jobs {asked.jobs}: must be more than {FEW}")
    content = measure(asked.cells, asked.jobs)
    where = {} if asked.results is None else {"folder": asked.results}
    print(f"{table(content)}\n\n{note(content)}\n{record('workflow', content, **where)}")


if __name__ == "__main__":
    main()

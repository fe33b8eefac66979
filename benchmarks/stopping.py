"""What stopping early changes: metrics at a small train MSE against those of a long training.

    python -m benchmarks.stopping                    # all cells; those measured already are kept
    python -m benchmarks.stopping --only cnn-d05     # cells whose name begins so
    python -m benchmarks.stopping --docs MACHINE     # its recorded tables into docs/fidelity.md

Every cell trains twice: until its train MSE is below `STOP`, or the long cells' below `SOONER`,
which tells its steps; then, never stopping, for `--factor` times the steps of its slowest replicate
(at most `--budget`), under the paper's schedule over that budget. On the way the parameters of
each replicate are kept as they are where training would have ended under each of `VALUES`: at the
first judged step with a train MSE below it. All are evaluated on the same probes. Takes hours on
one core, minutes on an H200; the deep CNNs are most of it, and come last. `--shrink 5.3` has the
paper's 128 channels.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from benchmarks.record import RESULTS, record
from idpipe import engine, evaluate, nets
from idpipe.cells import LOST, Cell, DataSpec
from idpipe.config import DataConfig, ProbeSpec, out_of_domain_source
from idpipe.engine import Progress, Training
from idpipe.images import ProbeSet, build, mse, prepare, training_images
from idpipe.nets import Params
from idpipe.store import read_json, write_bytes, write_json

VALUES = (1e-2, 5e-3, 2e-3, 1e-3, 5e-4, 2e-4, 1e-4, 5e-5, 2e-5, 1e-5, 5e-6, 2e-6, 1e-6)
"""Train MSEs at which training might stop, loosest first."""
STOP: float = Cell.model_fields["stop_mse"].default
SOONER = 5e-6
"""Budgets are multiples of the steps to the stop; those of long cells, to this value."""
AGREE = 0.01
"""Metrics that differ by no more agree."""
FACTOR, BUDGET = 20, 2_000_000
LAPTOP_RATE = 0.0035
SHOWN = (1e-2, 2e-3, 1e-3, 5e-4, 1e-4, 1e-5, 5e-6, 2e-6, 1e-6)
"""The values that the tables show."""
KINDS = {
    "correlated": "Correlation, mean over the probes of a ρ",
    "named": "Correlation, single image",
    "correlated_mse": "MSE, mean over the probes of a ρ",
}

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs/fidelity.md"
PARTS = ROOT / "results/stopping"
"""A file for each measured cell, so that a run that was cut short goes on where it was."""


def cells(replicates: int, shrink: float, source: str) -> dict[str, Cell]:
    """The cells by name, quick ones first; `shrink` multiplies their widths."""
    found = {}
    for settings in _settings():
        net = {**settings["net"], "width": max(1, round(settings["net"]["width"] * shrink))}
        data = {**settings.get("data", {}), "source": source}
        common = {"replicates": replicates, "stop_mse": STOP}
        cell = Cell.model_validate({**common, **settings, "net": net, "data": data})
        words = [cell.net.slug, cell.optimizer.name, f"{cell.optimizer.lr:g}"]
        words += [cell.init] if cell.init != "pytorch" else []
        words += [f"{cell.data.size}px"] if "data" in settings else []
        found[" ".join(words)] = cell
    return found


def _settings() -> Iterator[dict[str, Any]]:
    for depth in (1, 2, 4, 10):
        yield {"net": {"arch": "fcn", "depth": depth, "width": 784 if depth < 10 else 256}}
    yield {"net": {"arch": "fcn", "depth": 4, "width": 784, "activation": "linear"}}
    one, kaiming = {"replicates": 1}, {"init": "kaiming_normal"}
    long = {**one, "stop_mse": SOONER}
    # Narrower nets take cheaper steps, but so many more that they take longer.
    for depth, width, others in (
        (1, 24, {}),
        (5, 24, {**one, "data": {"size": 14}}),
        (3, 24, one),
        (5, 24, {**long, "optimizer": {"name": "adam"}}),
        (5, 24, long),
        (5, 8, {**long, "init": "xavier_normal"}),
        (7, 24, long),
        (20, 8, {**long, **kaiming}),
        (10, 24, {**long, "optimizer": {"lr": LAPTOP_RATE}}),
        (14, 8, {**long, **kaiming}),
        (20, 16, {**long, "optimizer": {"lr": LAPTOP_RATE}}),
    ):
        yield {"net": {"arch": "cnn", "depth": depth, "width": width}, **others}


# --- one cell --------------------------------------------------------------------------------


class Moment(NamedTuple):
    """A replicate on its way."""

    step: int
    params: Params


class Kept:
    """Called before every step: keeps each replicate as it is where it would stop."""

    def __init__(self, cell: Cell, images: np.ndarray, values: Sequence[float]) -> None:
        self.cell, self.images, self.values = cell, images, values
        self.moments: dict[tuple[float, int], Moment] = {}

    def __call__(self, training: Training) -> None:
        stack, cell = training.stack, self.cell
        if stack.step % cell.report_every and stack.step != cell.max_steps:
            return
        waiting = [self._waiting(replicate) for replicate in stack.replicates]
        if not any(waiting):
            return
        found = evaluate.outputs(cell, stack.params, self.images, training.device)
        for row, error in enumerate(mse(found, self.images).mean(1)):
            below = [value for value in waiting[row] if error < value]
            if below:
                moment = Moment(stack.step, _row(stack.params, row))
                replicate = stack.replicates[row]
                self.moments.update({(value, replicate): moment for value in below})

    def _waiting(self, replicate: int) -> list[float]:
        return [value for value in self.values if (value, replicate) not in self.moments]


def _row(params: Params, row: int) -> Params:
    return {name: value[row].detach().cpu().clone() for name, value in params.items()}


def changed(cell: Cell, **settings: Any) -> Cell:
    """The cell with other settings, its failed replicates left as they are."""
    return Cell.model_validate({**cell.model_dump(), **settings, "failure": {"policy": "keep"}})


def long_budget(cell: Cell, images: np.ndarray, factor: int, most: int) -> int:
    """`factor` times the steps until the slowest replicate stops; `most` where none does."""
    short = changed(cell, max_steps=most // factor, schedule={"milestones": []})
    outcomes = engine.train(short, images, None, nets.choose_device(), _progress(short)).outcomes
    steps = [o.steps for o in outcomes if o.status not in LOST]
    return factor * max(steps, default=most // factor)


def _progress(cell: Cell) -> Progress:
    return Progress(cell.net.slug, cell.max_steps, print, 60.0)


def measured(
    cell: Cell,
    images: np.ndarray,
    probes: ProbeSet,
    values: Sequence[float] = VALUES,
    factor: int = FACTOR,
    most: int = BUDGET,
) -> dict[str, Any]:
    """Train the cell for long and say how its metrics at each value differ from those at the end.

    Its dead and diverged replicates are left out, and named.
    """
    start = time.monotonic()
    budget = long_budget(cell, images, factor, most)
    long = changed(cell, max_steps=budget, stop_mse=0)
    kept = Kept(long, images, values)
    device = nets.choose_device()
    outcomes = engine.train(long, images, None, device, _progress(long), at_step=kept).outcomes
    failed = [o for o in outcomes if o.status in LOST]
    last = {o.replicate: o.params for o in outcomes if o not in failed}
    late = _metrics(long, last, probes)
    stops = {}
    for value in values:
        moments = {r: kept.moments[value, r] for r in last if (value, r) in kept.moments}
        if moments:
            early = _metrics(long, {r: moment.params for r, moment in moments.items()}, probes)
            steps = {str(r): moment.step for r, moment in moments.items()}
            stops[f"{value:g}"] = {"steps": steps, **differences(early, late)}
    return {
        "cell_id": cell.cell_id,
        "budget": budget,
        "final_mse": {str(o.replicate): o.mse for o in outcomes if o not in failed},
        "left_out": {str(o.replicate): f"{o.status} at step {o.steps:,}" for o in failed},
        "stops": stops,
        "seconds": round(time.monotonic() - start),
    }


def _metrics(cell: Cell, params: Mapping[int, Params], probes: ProbeSet) -> pd.DataFrame:
    """The metrics table of some replicates, by their numbers."""
    if not params:
        return pd.DataFrame()
    names = next(iter(params.values()))
    stacked = {name: torch.stack([own[name] for own in params.values()]) for name in names}
    predictions = evaluate.predict(cell, stacked, probes, nets.choose_device())
    table = evaluate.measure(cell, probes, predictions, "cosine")
    return table.assign(replicate=np.array(list(params))[table["replicate"]])


def differences(early: pd.DataFrame, late: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Largest and mean absolute differences over replicates, references and probes.

    `correlated` and `correlated_mse` are of each replicate's mean over the probes of a rho, the
    numbers that Figs. 4, 14 and 33 to 35 average; `named` is of the correlations of the single
    images in the grids.
    """
    of_rho = ["replicate", "reference", "rho"]
    of_probe = ["replicate", "reference", "probe"]
    asked = {
        "correlated": ("correlation", True, of_rho),
        "correlated_mse": ("mse", True, of_rho),
        "named": ("correlation", False, of_probe),
    }
    found = {}
    for name, (measure, correlated, keys) in asked.items():
        pair = [
            table[(table["kind"] == "correlated") == correlated].groupby(keys)[measure].mean()
            for table in (early, late)
        ]
        size = (pair[0] - pair[1]).abs().dropna()
        found[name] = {"largest": float(size.max()), "mean": float(size.mean())}
    return found


# --- all cells -------------------------------------------------------------------------------


def measure_all(chosen: Mapping[str, Cell], factor: int, most: int) -> Iterator[str]:
    """Measure the cells that have no file yet; yield every cell's name once it has one."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        sources: dict[str, Path] = {}
        for name, cell in chosen.items():
            asked = {"values": list(VALUES), "factor": factor, "most": most}
            path = PARTS / f"{cell.cell_id}.json"
            if not path.is_file() or read_json(path)["asked"] != asked:
                images, probes = _inputs(cell, Path(folder), sources)
                found = measured(cell, images, probes, VALUES, factor, most)
                write_json(path, {"name": name, "asked": asked, **found})
            yield name


def _inputs(cell: Cell, folder: Path, sources: dict[str, Path]) -> tuple[np.ndarray, ProbeSet]:
    spec = ProbeSpec()
    other = out_of_domain_source(cell.data, spec)
    for name in {cell.data.source, other} - set(sources):
        data = DataSpec.model_validate({"source": name})
        prepare(data, DataConfig(), folder / name)
        sources[name] = folder / name
    own = sources[cell.data.source]
    images = training_images(cell.data, own, cell.replicates)
    return images, build(cell.data, spec, cell.replicates, own, sources[other])


def content(chosen: Mapping[str, Cell], factor: int) -> dict[str, Any]:
    """What is recorded: the measured cells, in order, and the conclusion."""
    paths = [PARTS / f"{cell.cell_id}.json" for cell in chosen.values()]
    parts = [read_json(path) for path in paths if path.is_file()]
    parts = [part for part in parts if part.pop("asked")["factor"] == factor]
    return {
        "source": next(iter(chosen.values())).data.source,
        "factor": factor,
        "agree": AGREE,
        "cells": parts,
    }


def loosest(parts: Sequence[Mapping[str, Any]], kind: str) -> float | None:
    """The largest value from which on down the metrics of all cells under SGD agree."""
    found = None
    for value in sorted(VALUES):
        stops = [part["stops"].get(f"{value:g}") for part in parts if " sgd " in part["name"]]
        if any(stop[kind]["largest"] > AGREE for stop in stops if stop):
            break
        found = value
    return found


# --- tables ----------------------------------------------------------------------------------


def tables(found: Mapping[str, Any]) -> str:
    """Markdown of a machine's record: steps, then the largest differences by kind of metric."""
    parts = found["cells"]
    blocks = [f"Measured {found['date']}, commit `{found['commit'][:8]}`."]
    blocks.append(_steps_table(parts))
    for kind, title in KINDS.items():
        value = loosest(parts, kind)
        where = "at no value" if value is None else f"at {value:g} and below"
        blocks.append(f"{title}: under SGD all are within {found['agree']} {where}.")
        blocks.append(_table(parts, kind))
    return "\n\n".join(blocks)


def _steps_table(parts: Sequence[Mapping[str, Any]]) -> str:
    values = (2e-3, 1e-4, SOONER, STOP)
    rows = []
    for part in parts:
        steps = [_steps(part, value) for value in values]
        left = "; ".join(f"{r} {why}" for r, why in part["left_out"].items())
        times = _times(part)
        rows.append([part["name"], *steps, f"{part['budget']:,}", times, left or "none"])
    heads = [f"steps to {value:g}" for value in values]
    times = f"budget over steps to {STOP:g}"
    return _markdown(["cell", *heads, "budget", times, "replicates left out"], rows)


def _times(part: Mapping[str, Any]) -> str:
    """How many times the steps of the slowest replicate to the default stop the budget is."""
    stop = part["stops"].get(f"{STOP:g}")
    return f"{part['budget'] / max(stop['steps'].values()):.1f}" if stop else "–"


def _steps(part: Mapping[str, Any], value: float) -> str:
    """Steps of the slowest replicate that came below the value."""
    stop = part["stops"].get(f"{value:g}")
    return f"{max(stop['steps'].values()):,}" if stop else "–"


def _table(parts: Sequence[Mapping[str, Any]], kind: str) -> str:
    rows = []
    for part in parts:
        stops = [part["stops"].get(f"{value:g}") for value in SHOWN]
        rows.append([part["name"], *(_shown(s[kind]["largest"]) if s else "–" for s in stops)])
    return _markdown(["cell", *(f"{value:g}" for value in SHOWN)], rows)


def _shown(difference: float) -> str:
    text = f"{difference:.4f}"
    return f"**{text}**" if difference > AGREE else text


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def marks(machine: str) -> tuple[str, str]:
    """The lines in the documentation between which a machine's tables stand."""
    return f"<!-- stopping: {machine} -->", "<!-- stopping: end -->"


def documented(text: str, machine: str, found: Mapping[str, Any]) -> str:
    """The documentation with a machine's tables in their place."""
    first, last = marks(machine)
    before, _, rest = text.partition(first)
    _, _, after = rest.partition(last)
    return f"{before}{first}\n\n{tables(found)}\n\n{last}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", help="measure the cells whose name begins so")
    parser.add_argument("--factor", type=int, default=FACTOR, help="budget over steps to the stop")
    parser.add_argument("--budget", type=int, default=BUDGET, help="most steps of a cell")
    parser.add_argument("--replicates", type=int, default=2)
    parser.add_argument("--shrink", type=float, default=1.0, help="multiplies widths")
    parser.add_argument("--source", default="digits", help="where the training image comes from")
    parser.add_argument("--docs", metavar="MACHINE", help="only write a machine's tables to docs")
    args = parser.parse_args()
    if args.docs:
        found = json.loads((RESULTS / f"{args.docs}.json").read_text())["stopping"]
        write_bytes(DOCS, documented(DOCS.read_text(), args.docs, found).encode())
        return
    every = cells(args.replicates, args.shrink, args.source)
    chosen = {name: cell for name, cell in every.items() if name.startswith(args.only)}
    for name in measure_all(chosen, args.factor, args.budget):
        path = record("stopping", content(every, args.factor))
        print(f"{name}: in {path}", flush=True)
    if chosen:
        print(tables(read_json(path)["stopping"]))


if __name__ == "__main__":
    main()

"""How far the engine's weights are from a plain loop's, and both from double precision.

    python -m benchmarks agreement --depth 5 --width 128

All start from the same weights and make `STEPS` steps at a rate of `RATE`. Distances are shares of
the distance that the loop in double precision travels. For convolutions a second plain loop keeps
its channels side by side in memory: it differs from the first in the order of its sums alone.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from benchmarks import tables
from benchmarks.engine import Case, cases
from benchmarks.networks import Plain, image, living, measured_cell
from benchmarks.timing import Options
from idpipe import engine, nets
from idpipe.cells import Cell

STEPS = 100
RATE = 1e-4
"""Rounding is not amplified much. At the paper's 0.01 two plain loops part for good, too."""
DOUBLE = torch.float64


def measure(options: Options) -> dict[str, Any]:
    """Train the last replicate of each case in every way and compare."""
    nets.set_numerics(measured_cell("cnn", 1, 1))
    rows = []
    for case in _cases(options):
        rows.append(_row(case, options.device))
        print("  ".join(_columns(rows[-1])), flush=True)
        gc.collect()
    return {"rate": RATE, "rows": rows}


def _cases(options: Options) -> Iterator[Case]:
    counted = replace(options, replicates=options.replicates or (2,))
    return (case for case in cases(counted) if case.arch == "fcn" or case.width <= 128)


def _row(case: Case, device: torch.device) -> dict[str, Any]:
    cell = measured_cell(
        *case[:3],
        replicates=case.replicates,
        max_steps=STEPS,
        report_every=STEPS,
        optimizer={"lr": RATE},
        schedule={"milestones": []},
    )
    replicates = living(cell, case.replicates)
    trained = engine.train(cell, image(cell), replicates, device)
    ours = _flat(trained.outcomes[-1].params.values())
    start, exact = _plain(cell, replicates[-1], device, dtype=DOUBLE)
    _, plain = _plain(cell, replicates[-1], device)
    distances = {
        "engine, plain": ours - plain,
        "engine, double": ours - exact,
        "plain, double": plain - exact,
    }
    if case.arch == "cnn":
        _, other = _plain(cell, replicates[-1], device, layout=torch.channels_last)
        distances["other, plain"] = other - plain
    travelled = (exact - start).norm()
    return {
        **case._asdict(),
        "steps": STEPS,
        "distances": {name: float(gap.norm() / travelled) for name, gap in distances.items()},
        "of_weights": float((ours - plain).norm() / plain.norm()),
    }


def _plain(
    cell: Cell, replicate: int, device: torch.device, **settings: Any
) -> tuple[Tensor, Tensor]:
    """Its weights before and after."""
    loop = Plain(cell, replicate, device, **settings)
    start = _flat(loop.net.parameters())
    loop(cell.max_steps)
    return start, _flat(loop.net.parameters())


def _flat(params: Iterable[Tensor]) -> Tensor:
    return torch.cat([param.detach().double().cpu().flatten() for param in params])


PAIRS = {
    "engine, plain": "engine – plain loop",
    "other, plain": "two plain loops",
    "engine, double": "engine – double",
    "plain, double": "plain loop – double",
}
HEAD = ("network", "replicates", *PAIRS.values(), "engine – plain, of weights")


def table(content: dict[str, Any]) -> str:
    """All cases: distances as shares of the distance travelled, and of the weights' size."""
    return tables.markdown(HEAD, [_columns(row) for row in content["rows"]])


def note(content: dict[str, Any]) -> str:
    """How it was trained."""
    steps = {row["steps"] for row in content["rows"]}
    return f"{min(steps)} steps at a rate of {content['rate']:g}"


def _columns(row: dict[str, Any]) -> list[str]:
    found = row["distances"]
    shares = [f"{found[pair]:.1e}" if pair in found else "" for pair in PAIRS]
    of_weights = f"{row['of_weights']:.1e}" if "of_weights" in row else ""
    return [tables.network(row), str(row["replicates"]), *shares, of_weights]

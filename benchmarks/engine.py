"""Replicate-steps per second: our engine, a plain eager loop, and torch.func.vmap.

    python -m benchmarks engine --arch cnn --depth 5 --width 3 32 --replicates 1 4

A replicate-step is one step (forward, backward, update) of one replicate. The plain loop trains one
replicate after the other, so its rate does not depend on their number. All three start from the
same weights. FLOPs: two for each multiplication of the forward pass, twice as many backward.
"""

from __future__ import annotations

import gc
import itertools
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, NamedTuple

import torch

from benchmarks import tables, timing
from benchmarks.networks import Engine, Plain, Vmapped, living, measured_cell, still_cell
from benchmarks.timing import Options, Spread, Steps
from idpipe import nets
from idpipe.cells import Cell

MEMORY_OF_VMAP = 1.5
"""It holds new gradients beside those of the last step."""


class Case(NamedTuple):
    """A row of the table."""

    arch: str
    depth: int
    width: int
    replicates: int


def cases(options: Options) -> Iterator[Case]:
    """The grid, or what the options leave of it, small networks first."""
    large = options.device.type == "cuda"
    known = {
        "cnn": ((5, 10, 20), (3, 32, 64, 128, *((1024,) if large else ()))),
        "fcn": ((4, 10), (2048,)),
    }
    counts = options.replicates or ((1, 4) if options.quick else (1, 4, 16))
    for arch in options.archs or (("cnn",) if options.quick else tuple(known)):
        depths, widths = known[arch]
        depths = options.depths or (depths[:2] if options.quick else depths)
        widths = options.widths or (widths[:3] if options.quick else widths)
        for width, depth, count in itertools.product(widths, depths, counts):
            yield Case(arch, depth, width, count)


def measure(options: Options) -> dict[str, Any]:
    """Time and compare all cases."""
    nets.set_numerics(measured_cell("cnn", 1, 1))
    ceiling = timing.ceiling(options)
    print(f"matrix products: {ceiling / 1e9:,.0f} GFLOP/s")
    rows = []
    for case in cases(options):
        try:
            rows.append(_row(case, ceiling, options))
        except torch.OutOfMemoryError:
            rows.append({**case._asdict(), "skipped": "out of memory"})
        print(_line(rows[-1]), flush=True)
        gc.collect()
    return {"ceiling_gflops": ceiling / 1e9, "look": timing.LOOK, "rows": rows}


def _row(case: Case, ceiling: float, options: Options) -> dict[str, Any]:
    row: dict[str, Any] = case._asdict()
    cell = still_cell(*case[:3], replicates=case.replicates)
    need = cell.memory_bytes / 2**30
    if need > options.memory_gib:
        return {**row, "skipped": f"needs {need:.0f} GiB"}
    replicates = living(cell, case.replicates)
    rivals: dict[str, Steps] = {
        "engine": Engine(cell, replicates, options.device),
        "plain": Plain(cell, replicates[0], options.device),
    }
    need *= 1 + MEMORY_OF_VMAP
    if need <= options.memory_gib:
        rivals["vmap"] = Vmapped(cell, replicates, options.device)
    else:
        row["vmap_skipped"] = f"needs {need:.0f} GiB"
    taken = timing.interleaved(rivals, options.seconds, options.repeats, options.device)
    del rivals
    return row | _rates(taken, cell, ceiling)


def _rates(taken: dict[str, list[float]], cell: Cell, ceiling: float) -> dict[str, Any]:
    """Replicate-steps per second, how many times the rivals' the engine's are, share of ceiling."""
    each = {
        name: [value if name == "plain" else value / cell.replicates for value in values]
        for name, values in taken.items()
    }
    rates = {name: 1 / Spread.of(values).median for name, values in each.items()}
    rivals = {name: values for name, values in each.items() if name != "engine"}
    return {
        "rates": rates,
        "ratios": {n: asdict(timing.ratios(v, each["engine"])) for n, v in rivals.items()},
        "ceiling": rates["engine"] * flops(cell) / ceiling,
    }


def flops(cell: Cell) -> float:
    """Floating-point operations of one replicate-step."""
    return 6 * cell.work / cell.replicates


HEAD = (
    "network",
    "replicates",
    "engine",
    "plain loop",
    "vmap",
    "engine : plain",
    "engine : vmap",
    "of ceiling",
)


def table(content: dict[str, Any]) -> str:
    """All cases: replicate-steps per second, and ratios with their range over repeats."""
    return tables.markdown(HEAD, [_columns(row) for row in content["rows"]])


def note(content: dict[str, Any]) -> str:
    """What the share of the ceiling refers to."""
    return f"float32 matrix products reach {content['ceiling_gflops']:,.0f} GFLOP/s"


def _line(row: dict[str, Any]) -> str:
    return "  ".join(f"{name} {value}" for name, value in zip(HEAD, _columns(row), strict=True))


def _columns(row: dict[str, Any]) -> list[str]:
    first = [tables.network(row), str(row["replicates"])]
    if "skipped" in row:
        return [*first, row["skipped"], *[""] * (len(HEAD) - 3)]
    rates, found = row["rates"], row["ratios"]
    return [
        *first,
        _rate(rates["engine"]),
        _rate(rates["plain"]),
        _rate(rates["vmap"]) if "vmap" in rates else row["vmap_skipped"],
        tables.ratio(found["plain"]),
        tables.ratio(found["vmap"]) if "vmap" in found else "",
        _share(row["ceiling"]),
    ]


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _share(value: float) -> str:
    return f"{value:.0%}" if value >= 0.1 else f"{value:.1%}"

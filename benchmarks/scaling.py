"""How the engine's cost of a replicate-step grows with depth, channels, replicates, image size.

One of them varies at a time, the others stay at `BASE`. All sizes of one are timed in turn, round
by round; exponents are least squares over logarithms.
"""

from __future__ import annotations

from typing import Any

from benchmarks import tables, timing
from benchmarks.networks import Engine, living, still_cell
from benchmarks.timing import Options, Spread, Steps
from idpipe.cells import Cell

BASE = {"depth": 5, "channels": 32, "replicates": 4, "image size": 28}
VARIED = {
    "depth": (3, 6, 12, 24),
    "channels": (16, 32, 64, 128),
    "replicates": (1, 2, 4, 8, 16),
    "image size": (7, 14, 28, 56),
}


def measure(options: Options) -> dict[str, Any]:
    """Time every size of everything that varies."""
    rows = [_row(name, options) for name in VARIED]
    return {"base": BASE, "rows": rows}


def _row(name: str, options: Options) -> dict[str, Any]:
    sizes = VARIED[name][:2] if options.quick else VARIED[name]
    cells = {str(size): _cell({**BASE, name: size}) for size in sizes}
    rivals: dict[str, Steps] = {
        size: Engine(cell, living(cell, cell.replicates), options.device)
        for size, cell in cells.items()
    }
    taken = timing.interleaved(rivals, options.seconds / 2, options.repeats, options.device)
    costs = [Spread.of(taken[size]).median / cell.replicates for size, cell in cells.items()]
    work = [cell.work / cell.replicates for cell in cells.values()]
    row = {
        "varied": name,
        "sizes": list(sizes),
        "seconds": costs,
        "exponent": timing.exponent(sizes, costs),
        "exponent_of_work": timing.exponent(sizes, work),
    }
    print("  ".join(_columns(row)), flush=True)
    return row


def _cell(at: dict[str, int]) -> Cell:
    return still_cell(
        "cnn",
        at["depth"],
        at["channels"],
        replicates=at["replicates"],
        data={"size": at["image size"]},
    )


HEAD = ("varied", "sizes", "ms a replicate-step", "exponent", "exponent of FLOPs")


def table(content: dict[str, Any]) -> str:
    """Costs over each size, and the exponents of cost and of FLOPs."""
    return tables.markdown(HEAD, [_columns(row) for row in content["rows"]])


def note(content: dict[str, Any]) -> str:
    """Where the other sizes stay."""
    base = ", ".join(f"{name} {size}" for name, size in content["base"].items())
    return f"5 x 5 CNN; what does not vary stays at {base}"


def _columns(row: dict[str, Any]) -> list[str]:
    return [
        row["varied"],
        " / ".join(str(size) for size in row["sizes"]),
        " / ".join(f"{1e3 * seconds:.2g}" for seconds in row["seconds"]),
        f"{row['exponent']:.2f}",
        f"{row['exponent_of_work']:.2f}",
    ]

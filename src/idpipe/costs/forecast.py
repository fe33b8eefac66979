"""What a run will take: cells, arithmetic, memory and hours, study by study. No torch here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from idpipe.cells import Cell
from idpipe.config import Plan
from idpipe.costs.devices import Device
from idpipe.costs.limits import MIB, memory_mib, vram_bytes
from idpipe.costs.steps import steps_expected
from idpipe.costs.work import flops, step_seconds
from idpipe.store import Layout

GIB = 2**30


@dataclass(frozen=True)
class Forecast:
    """What training one cell is expected to take."""

    cell: Cell
    steps: int
    seconds: float
    """On one thread, or the whole GPU."""
    done: bool
    """Whether it is trained already."""


@dataclass(frozen=True)
class CostRow:
    """Some cells, each once."""

    name: str
    cells: Sequence[Forecast]
    jobs: int
    """How many train at a time."""

    @property
    def hours(self) -> float:
        """Hours of all of them."""
        return self._hours(self.cells)

    @property
    def hours_left(self) -> float:
        """Hours of those that are not trained yet."""
        return self._hours([one for one in self.cells if not one.done])

    def _hours(self, cells: Sequence[Forecast]) -> float:
        seconds = [one.seconds for one in cells]
        return max([sum(seconds) / self.jobs, *seconds]) / 3600

    def content(self) -> dict[str, Any]:
        """As plain data; ranges are pairs of least and most."""
        cells = [one.cell for one in self.cells]
        return {
            "study": self.name,
            "cells": len(cells),
            "trained": sum(one.done for one in self.cells),
            "replicates": sum(cell.replicates for cell in cells),
            "parameters": _range(cell.parameters for cell in cells),
            "flops_per_step": _range(flops(cell).total for cell in cells),
            "steps_expected": _range(one.steps for one in self.cells),
            "steps_cap": _range(cell.max_steps for cell in cells),
            "host_bytes": max(memory_mib(cell) * MIB for cell in cells),
            "gpu_bytes": max(vram_bytes(cell) for cell in cells),
            "hours": self.hours,
            "hours_left": self.hours_left,
        }


def _range(values: Iterable[int]) -> tuple[int, int]:
    found = list(values)
    return min(found), max(found)


def forecast(cell: Cell, device: Device, layout: Layout) -> Forecast:
    """What a cell is expected to take on a device, and whether it is trained."""
    steps = steps_expected(cell)
    seconds = steps * step_seconds(cell, device.prices)
    return Forecast(cell, steps, seconds, (layout.cell(cell.cell_id) / "status.json").is_file())


def rows(plan: Plan, device: Device, layout: Layout, jobs: int) -> list[CostRow]:
    """One row for each study, and the last for all of them, with the cells they share once."""
    known = {cell_id: forecast(cell, device, layout) for cell_id, cell in plan.cells.items()}
    studies = [
        CostRow(name, [known[cell.cell_id] for cell in cells], jobs)
        for name, cells in plan.studies.items()
    ]
    return [*studies, CostRow("all", list(known.values()), jobs)]


HEADER = (
    ("study", "cells", "seeds", "parameters", "FLOP", "steps", "steps", "host", "GPU", "hours"),
    ("", "", "", "", "per step", "expected", "at most", "GiB", "GiB", ""),
)


def table(found: Sequence[CostRow]) -> list[str]:
    """The rows as lines of text."""
    lines = [*HEADER, *(_line(row.content()) for row in found)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            text.rjust(width) if place else text.ljust(width)
            for place, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]


def _line(content: dict[str, Any]) -> tuple[str, ...]:
    return (
        content["study"],
        str(content["cells"]),
        str(content["replicates"]),
        _span(content["parameters"], short),
        _span(content["flops_per_step"], short),
        _span(content["steps_expected"], lambda value: f"{value:,}"),
        _span(content["steps_cap"], lambda value: f"{value:,}"),
        f"{content['host_bytes'] / GIB:.1f}",
        f"{content['gpu_bytes'] / GIB:.1f}",
        hours(content["hours"]),
    )


def _span(pair: tuple[int, int], told: Callable[[int], str]) -> str:
    low, high = map(told, pair)
    return low if low == high else f"{low} to {high}"


def short(value: int) -> str:
    """A count in thousands, millions and so on: 12, 3.4k, 160M, 2G, 1.5T."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:g}"


def hours(value: float) -> str:
    """Hours, to two or three digits."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}"


def report(found: Sequence[CostRow], run: str, device: Device) -> tuple[list[str], dict[str, Any]]:
    """What a run will take, as lines of text and as plain data."""
    total = found[-1]
    content = {
        "run": run,
        "device": device.name,
        "prices": device.source,
        "jobs_at_a_time": total.jobs,
        "studies": [row.content() for row in found[:-1]],
        "total": total.content(),
    }
    trained = sum(one.done for one in total.cells)
    at_a_time = f"{total.jobs} cells at a time" if total.jobs > 1 else "one cell at a time"
    lines = [
        *table(found),
        f"all: {len(total.cells)} cells, those that studies share counted once",
        f"{trained} of them trained already: {hours(total.hours_left)} of "
        f"{hours(total.hours)} hours left",
        f"Training only, on {device.name}, {at_a_time}; speed: {device.source}.",
    ]
    return lines, content

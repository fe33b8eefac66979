"""Common to all benchmarks: what is asked for, and fair timings of rivals in one run."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import torch

LOOK = 25
"""Steps between two looks at the losses, in the engine (its default) and in its rivals."""

Steps = Callable[[int], int]
"""Makes at least so many steps and says how many it made."""


@dataclass(frozen=True)
class Options:
    """How thoroughly to measure, and what; None: all that the benchmark knows."""

    device: torch.device
    quick: bool = False
    """Only a few small cases."""
    seconds: float = 0.5
    """Length of one timing."""
    repeats: int = 3
    memory_gib: float = 12.0
    archs: tuple[str, ...] | None = None
    depths: tuple[int, ...] | None = None
    widths: tuple[int, ...] | None = None
    replicates: tuple[int, ...] | None = None
    images: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Spread:
    """Median and range over repeats."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


def synchronize(device: torch.device) -> None:
    """Wait for all that the device was given to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_a_step(steps: Steps, number: int, device: torch.device) -> float:
    synchronize(device)
    start = perf_counter()
    made = steps(number)
    synchronize(device)
    return (perf_counter() - start) / made


def interleaved(
    rivals: Mapping[str, Steps], seconds: float, repeats: int, device: torch.device
) -> dict[str, list[float]]:
    """Seconds a step of each rival, once a round; all take their turn in every round.

    Each makes one step to warm up, then finds how many steps take about `seconds`. What slows the
    machine for a while slows all rivals of a round, so their ratios within a round can be trusted
    where their times cannot.
    """
    numbers = {name: _number(steps, seconds, device) for name, steps in rivals.items()}
    taken: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(repeats):
        for name, steps in rivals.items():
            taken[name].append(seconds_a_step(steps, numbers[name], device))
    return taken


def _number(steps: Steps, seconds: float, device: torch.device) -> int:
    """How many steps take `seconds`, in whole periods of `LOOK` where that is more than one."""
    if seconds_a_step(steps, 1, device) > 2 * seconds:
        return 1
    number = 1
    while (taken := number * seconds_a_step(steps, number, device)) < seconds / 8:
        number *= 4
    number = max(1, round(seconds / taken * number))
    return number // LOOK * LOOK or number


def ratios(slower: Sequence[float], faster: Sequence[float]) -> Spread:
    """How many times as fast the second is, round by round."""
    return Spread.of([a / b for a, b in zip(slower, faster, strict=True)])


def ceiling(options: Options) -> float:
    """FLOP/s of float32 matrix products: the best of several sizes, at their best repeat."""
    sizes = (4096, 8192, 16384) if options.device.type == "cuda" else (512, 1024, 2048)
    some = sizes[:1] if options.quick else sizes
    return max(_product_rate(size, options.device, options.seconds / 2) for size in some)


def _product_rate(size: int, device: torch.device, seconds: float) -> float:
    a, b, out = (torch.randn(size, size, device=device) for _ in range(3))

    def multiply(number: int) -> int:
        for _ in range(number):
            torch.mm(a, b, out=out)
        return number

    best = min(interleaved({"mm": multiply}, seconds / 4, 4, device)["mm"])
    return 2 * size**3 / best


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float | None:
    """The power of the size that costs grow with: least squares over logarithms.

    None where there are fewer than two sizes.
    """
    if len(sizes) < 2:
        return None
    return statistics.linear_regression(
        [math.log(size) for size in sizes], [math.log(cost) for cost in costs]
    ).slope

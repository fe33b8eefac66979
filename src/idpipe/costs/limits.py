"""What a job is given: memory, and minutes that even a slow one does not exceed."""

from __future__ import annotations

import math

from idpipe.cells import Cell
from idpipe.costs.steps import steps_expected
from idpipe.costs.work import (
    Prices,
    forward_seconds,
    images_per_step,
    number_bytes,
    numbers_held,
    step_seconds,
)

MIB = 2**20
CONTEXT_BYTES = 700 * MIB
"""What CUDA and its libraries hold on a device for themselves, in each process."""


def vram_bytes(cell: Cell) -> int:
    """Estimated peak on a GPU: parameters, gradients, optimizer state, activations, images."""
    # What the CPU's estimate has beside four copies of the parameters it has here too.
    other = cell.memory_bytes - 4 * number_bytes(cell) * cell.replicates * cell.parameters
    return CONTEXT_BYTES + number_bytes(cell) * numbers_held(cell) + other


PROCESS_MIB = 1000
"""Memory of a training job before it trains: Python, torch and the images it reads."""

SHORTEST_MINUTES = 10
SLOWER, LONGER = 2, 3
"""A job is given time to be so much slower than expected, in so many times the steps expected."""


def memory_mib(cell: Cell) -> int:
    """MiB of main memory of a job that trains the cell."""
    return PROCESS_MIB + cell.memory_bytes // MIB


def vram_mib(cell: Cell) -> int:
    """MiB of GPU memory of a job that trains the cell."""
    return math.ceil(vram_bytes(cell) / MIB)


JOB_SECONDS = 1.0
"""A job's start; evaluations and figures take little more."""


def training_seconds(cell: Cell, at: Prices) -> float:
    """Seconds that training the cell is expected to take."""
    return steps_expected(cell) * step_seconds(cell, at)


def training_minutes(cell: Cell, at: Prices) -> int:
    """Minutes that a job that trains the cell is given."""
    steps = min(cell.max_steps, LONGER * steps_expected(cell))
    return _minutes(steps * step_seconds(cell, at))


def forward_minutes(cell: Cell, at: Prices, images: float) -> int:
    """Minutes that a job is given which shows so many images to each replicate of the cell."""
    return _minutes(LONGER * forward_seconds(cell, at) * images / images_per_step(cell))


def _minutes(seconds: float) -> int:
    return max(SHORTEST_MINUTES, math.ceil(SLOWER * seconds / 60))

"""Prices of the device at hand: the engine itself trains small cells on made-up images for seconds.

What each kind of work costs is fitted to the times of a few shapes, each of which is mostly of one
kind (`SHAPES`). On the CPU it is processor time that counts, so other programs do not disturb.
"""

from __future__ import annotations

import datetime
import itertools
import statistics
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from scipy.optimize import nnls  # type: ignore[import-untyped]

from idpipe import nets
from idpipe.cells import Cell
from idpipe.costs import (
    CHANNELS,
    KINDS,
    MEMORY_MB,
    Device,
    Prices,
    amounts,
    devices,
    images_per_step,
    kind,
)
from idpipe.engine.training import Training

SECONDS = 0.5
"""How long one shape trains at least."""

EVERY = 10
"""Steps between two looks at the clock, when the engine reads its losses."""


class _Enough(Exception):
    """Ends a training whose speed is known."""


def _shape(net: Mapping[str, Any], **settings: Any) -> Cell:
    fixed = {
        "optimizer": {"lr": 1e-6},
        "schedule": {"milestones": []},
        "stop_mse": 0,
        "report_every": EVERY,
        "failure": {"policy": "keep"},
    }
    return Cell.model_validate({**fixed, "net": net, "replicates": 3, **settings})


SHAPES = (
    _shape({"arch": "cnn", "depth": 1}),
    _shape({"arch": "cnn", "depth": 20, "width": 3}),
    _shape({"arch": "cnn", "depth": 5, "width": 3}),
    _shape({"arch": "cnn", "depth": 5, "width": 8}),
    _shape({"arch": "cnn", "depth": 7, "width": 24}),
    _shape({"arch": "cnn", "depth": 4, "width": 128}, replicates=1),
    _shape({"arch": "cnn", "depth": 4, "width": 16, "kernel": 57}, replicates=1),
    _shape({"arch": "fcn", "depth": 1}),
    _shape({"arch": "fcn", "depth": 10, "width": 256}),
    _shape({"arch": "fcn", "depth": 2, "width": 2048}, replicates=2),
    _shape(
        {"arch": "fcn", "depth": 4, "width": 512},
        data={"source": "mnist", "examples": "all"},
        batch_size=64,
        replicates=1,
    ),
)
WIDE = (_shape({"arch": "cnn", "depth": 4, "width": 1024}, replicates=1),)
"""Trained on a GPU beside the others; a CPU has no better rate there than at 128 channels."""


def run() -> Device:
    """Measure the device that jobs train on, and keep its prices for later."""
    device = nets.choose_device()
    gpu = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if gpu else "one CPU thread"
    taken = measure(device)
    prices, date = fitted(taken), datetime.date.today().isoformat()
    devices.keep(name, gpu, prices.of, date)
    return Device(name, prices, gpu, f"measured here on {date}")


def measure(device: torch.device) -> dict[Cell, float]:
    """Seconds per step of each of the shapes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as every job trains
    try:
        cells = SHAPES + (WIDE if device.type == "cuda" else ())
        return {cell: step_seconds(cell, device) for cell in cells}
    finally:
        torch.set_num_threads(threads)


def step_seconds(cell: Cell, device: torch.device) -> float:
    """Median seconds of a step of the cell's training, after the first steps."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    looks: list[float] = []

    def look(step: int, mse: float, training: int, restart: int) -> None:
        looks.append(clock())
        if len(looks) > 2 and looks[-1] - looks[0] > SECONDS:
            raise _Enough

    images = _images(cell)
    with suppress(_Enough):
        Training(cell, images, range(cell.replicates), device, look).run()
    # The losses were read at each look, so all that was asked of the device until then was done.
    taken = [after - before for before, after in itertools.pairwise(looks)]
    return statistics.median(taken[1:]) / EVERY


def _images(cell: Cell) -> np.ndarray:
    shape = (1, images_per_step(cell), cell.data.channels, cell.data.size, cell.data.size)
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def fitted(taken: Mapping[Cell, float]) -> Prices:
    """The prices, none negative, that come nearest to the seconds per step, in relative terms."""
    seconds = np.array(list(taken.values()))
    work = np.array([[amounts(cell)[name] for name in KINDS] for cell in taken])
    scale = np.where(work.any(0), np.abs(work / seconds[:, None]).max(0), 1)
    found, _ = nnls(work / seconds[:, None] / scale, np.ones(len(seconds)))
    price = dict(zip(KINDS, (found / scale).tolist(), strict=True))
    known = [kind("convolution", channels) for channels in CHANNELS]
    if not work[:, KINDS.index(known[-1])].any():
        price[known[-1]] = price[known[-2]]
    # Narrower nets are never cheaper per operation, nor memory that no cache holds per byte.
    rising = [[*reversed(known)], [kind("byte", size) for size in MEMORY_MB]]
    for cheap, dear in (pair for names in rising for pair in itertools.pairwise(names)):
        price[dear] = max(price[cheap], price[dear])
    return Prices(price)

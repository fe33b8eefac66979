"""How many steps a cell is expected to train."""

from __future__ import annotations

import math

from idpipe.cells import CNN, FCN, SGD, Cell, Pace

REFERENCE_STOP = 0.002
"""The train MSE for which the constants below count steps."""

DEEP = 10
"""The depth for which they do."""


LOG = 0.33
WIDTH_POWER, KERNEL_POWER, SHALLOW_POWER = -0.4, -0.5, 0.5
"""Powers of channels, filter size and depth (up to `SHALLOW`) with which a CNN's decay grows."""

SHALLOW = 5
IMAGES_POWER = 0.4
"""Power of the number of images with which any training grows."""

LINEAR = 0.3
"""The plateau of a linear network, in those of ReLU; a residual one has none."""

BOTTOM = 15.0
"""How many times as long the bottom layer alone takes."""

OTHER_INIT = 2.0
"""How many times as fast a CNN is from an init of larger weights than `pytorch`."""


def steps_expected(cell: Cell) -> int:
    """Steps that one replicate is expected to make, restarts included; never more than the budget.

    A cell that trains on all images of a source is not expected to fit them, nor one whose
    architecture or optimizer has no numbers here.
    """
    pace = cell.net.pace
    if cell.stop_mse == 0 or cell.data.examples == "all":
        return cell.max_steps
    speed = cell.optimizer.speed
    if pace is None or speed is None:
        return cell.max_steps
    plateau = pace.plateau * math.pow(cell.net.depth / DEEP, pace.growth)
    if cell.net.activation == "linear":
        plateau *= LINEAR
    if isinstance(cell.net, FCN) and cell.net.residual:
        plateau = 0.0
    images = math.pow(len(cell.data.examples), IMAGES_POWER)
    rate = _rate(cell, speed)
    # A rate or a stop at the edge of what floats hold leads to no number: the budget then.
    steps = (plateau + _decay(cell, pace)) * images / rate if rate > 0 else math.inf
    if cell.train_layers == "bottom":
        steps *= BOTTOM
    steps = min(max(steps, _momentum_steps(cell)), float(cell.max_steps))
    looks = math.ceil(steps / cell.report_every)  # it ends where its losses are read
    return min(cell.max_steps, looks * cell.report_every)


def _momentum_steps(cell: Cell) -> float:
    """Steps below which momentum does not reach the stop at any rate: it forgets no faster."""
    momentum = cell.optimizer.momentum if isinstance(cell.optimizer, SGD) else 0.0
    if momentum == 0 or cell.stop_mse >= 1:
        return 0.0
    return math.log(cell.stop_mse) / math.log(momentum)


def _decay(cell: Cell, pace: Pace) -> float:
    ratio = REFERENCE_STOP / cell.stop_mse
    by_power = pace.power and cell.net.activation != "linear"
    grown = math.pow(ratio, pace.power) if by_power else max(0.0, 1 + LOG * math.log(ratio))
    if isinstance(cell.net, CNN):
        wide = math.pow(cell.net.width / 24, WIDTH_POWER) if cell.net.depth > 1 else 1.0
        grown *= wide * math.pow(min(cell.net.depth, SHALLOW) / SHALLOW, SHALLOW_POWER)
        grown *= math.pow(cell.net.kernel / 5, KERNEL_POWER) * cell.data.channels
    return pace.decay * grown


def _rate(cell: Cell, speed: float) -> float:
    """How many times as fast as at the paper's rate."""
    optimizer = cell.optimizer
    rate = optimizer.lr / 0.01 * speed
    if isinstance(optimizer, SGD):
        rate *= (1 - 0.9) / (1 - optimizer.momentum)
    if cell.loss == "half_sum":
        rate *= cell.data.channels * cell.data.size**2 / 2
    if cell.net.convolutional and cell.init not in ("pytorch", "printed"):
        rate *= OTHER_INIT
    return rate

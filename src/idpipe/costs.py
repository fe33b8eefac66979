"""What training a cell costs: arithmetic, memory, steps, and the time of a step at given prices.

Everything follows from the cell alone but the prices, which `idpipe.calibrate` measures on a device
or `idpipe.devices` takes from a data sheet. Neither torch nor numpy is imported here: the workflow
asks for the resources of its jobs from the same functions.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from idpipe.cells import Cell
from idpipe.data_specs import SOURCES
from idpipe.net_specs import CNN, FCN
from idpipe.optimizer_specs import SGD
from idpipe.transforms import pays, transform_length

MIB = 2**20
CONTEXT_BYTES = 700 * MIB
"""What CUDA and its libraries hold on a device for themselves, in each process."""

CHANNELS = (3, 8, 24, 128, 1024)
"""Channels at which a convolution has a price of its own; between them the price is interpolated
over the logarithm, for narrow nets are far from a processor's peak."""

MEMORY_MB = (16, 128)
"""The same for a byte of the parameters' memory, in MB of parameters, gradients and optimizer
state: small ones stay in a processor's caches."""

UPDATE_FLOPS = {"sgd": 4, "adagrad": 7, "rmsprop": 8, "adam": 14, "adamax": 10}
"""Operations on one number of the parameters in one step, a square root or quotient as one."""

STATES = {"sgd": 1, "adagrad": 1, "rmsprop": 2, "adam": 2, "adamax": 2}
"""Numbers that an optimizer remembers for one number of the parameters."""

UPDATE_PASSES = {"sgd": 5, "adagrad": 11, "rmsprop": 13, "adam": 7, "adamax": 16}
"""How often one step's update reads or writes memory of the parameters' size."""

OTHERS = "adamax"
"""The optimizer that those without numbers of their own are taken to cost as much as."""

READ_PASSES, GRADIENT_PASSES = 2, 1
"""The same for the products: weights read forwards and backwards; gradients written."""


@dataclass(frozen=True)
class Flops:
    """Floating-point operations of one step of all replicates, a multiply-add as two.

    Products as the layer's definition has them: those with padding count, biases and activations
    do not, and a faster formulation of the same layer makes it none the less.
    """

    forward: int
    backward: int
    """Gradients of the weights that train, and of the inputs of every layer above one of those."""
    update: int

    @property
    def total(self) -> int:
        """All of the step."""
        return self.forward + self.backward + self.update


def images_per_step(cell: Cell) -> int:
    """Training images that a replicate sees in one step."""
    counts = SOURCES[cell.data.source].per_class
    if cell.data.examples == "all":
        return min(cell.batch_size, sum(counts)) if counts else cell.batch_size
    return min(cell.batch_size, len(cell.data.examples))


@dataclass(frozen=True)
class _Layer:
    """One layer of a step of all replicates."""

    channels: float
    """Of a convolution, the geometric mean of in and out."""
    transformed: bool
    forward: int
    """Operations of the layer's definition."""
    work: float
    """Operations as they are done forwards, by transform where that is faster."""
    passes: int
    """Forward pass, gradient of the weights, gradient of the input: those that the step has."""


def _layers(cell: Cell) -> list[_Layer]:
    size, images = cell.data.size, images_per_step(cell) * cell.replicates
    found = []
    for place, (out, into, *taps) in enumerate(cell.weight_shapes):
        places = size**2 if taps else 1
        forward = 2 * images * out * into * math.prod(taps) * places
        trains = cell.train_layers == "all" or place == 0
        by_transform = bool(taps) and cell.optimizer.name == "sgd" and pays(taps[0], max(out, into))
        work = float(forward)
        if by_transform:
            length = transform_length(size, taps[0])
            work = _transform_flops(length, out, into, images, cell.replicates)
        passes = 1 + trains + (place > 0)
        found.append(_Layer(math.sqrt(out * into), by_transform, forward, work, passes))
    return found


def _transform_flops(length: int, out: int, into: int, images: int, replicates: int) -> float:
    """A product of two-dimensional transforms, of the weights and of the images."""
    waves = length * (length // 2 + 1)
    transforms = replicates * out * into + images * (out + into)
    return 8 * images * out * into * waves + transforms * 5 * waves * math.log2(length**2)


def flops(cell: Cell) -> Flops:
    """Floating-point operations of one step of all replicates."""
    layers = _layers(cell)
    return Flops(
        forward=sum(layer.forward for layer in layers),
        backward=sum(layer.forward * (layer.passes - 1) for layer in layers),
        update=_of(UPDATE_FLOPS, cell) * cell.replicates * _trained(cell),
    )


def _trained(cell: Cell) -> int:
    """Weights and biases of one replicate that train."""
    shapes = cell.weight_shapes if cell.train_layers == "all" else cell.weight_shapes[:1]
    return sum(math.prod(shape) + cell.net.bias * shape[0] for shape in shapes)


def _of(table: Mapping[str, int], cell: Cell) -> int:
    """What a table of optimizers says of the cell's."""
    return table.get(cell.optimizer.name, table[OTHERS])


def number_bytes(cell: Cell) -> int:
    """Bytes of one number in the cell's precision."""
    return 8 if cell.precision == "float64" else 4


def vram_bytes(cell: Cell) -> int:
    """Estimated peak on a GPU: parameters, gradients, optimizer state, activations, images."""
    states = _of(STATES, cell)
    held = cell.replicates * (cell.parameters + (1 + states) * _trained(cell))
    # What the CPU's estimate has beside four copies of the parameters it has here too.
    other = cell.memory_bytes - 4 * number_bytes(cell) * cell.replicates * cell.parameters
    return CONTEXT_BYTES + number_bytes(cell) * held + other


# --- time -------------------------------------------------------------------------------------


def kind(name: str, knot: int) -> str:
    """The name of work whose price depends on the size: `convolution 24`, `byte 16`."""
    return f"{name} {knot}"


KINDS = (
    "step",  # whatever the network: Python, launches
    "layer",  # whatever its size
    *(kind("byte", size) for size in MEMORY_MB),  # of parameters, read or written
    "dense",  # a floating-point operation of a fully connected layer
    *(kind("convolution", channels) for channels in CHANNELS),  # one of a convolution
    "transform",  # one of a convolution by Fourier transform
)
"""What the work of a step is made of."""


@dataclass(frozen=True)
class Prices:
    """Seconds that a device needs for one unit of each of `KINDS`.

    A step takes their sum: what each costs is measured where it dominates.
    """

    of: Mapping[str, float]
    double: float = 2.0
    """What a number in double precision costs, in those of single precision."""


def amounts(cell: Cell) -> dict[str, float]:
    """How much of each kind of work one step of all replicates is, in single precision."""
    found = dict.fromkeys(KINDS, 0.0)
    layers = _layers(cell)
    found["step"], found["layer"] = 1.0, float(len(layers))
    trained = _trained(cell)
    moved = cell.parameters * READ_PASSES + trained * (GRADIENT_PASSES + _of(UPDATE_PASSES, cell))
    held = 4e-6 * cell.replicates * (cell.parameters + (1 + _of(STATES, cell)) * trained)
    for size, share in _shares(held, MEMORY_MB).items():
        found[kind("byte", size)] = 4.0 * cell.replicates * moved * share
    for layer in layers:
        for product, amount in _products(cell, layer).items():
            found[product] += amount * layer.passes
    return found


def _products(cell: Cell, layer: _Layer) -> dict[str, float]:
    """The kinds of work that a layer's forward pass is."""
    if not cell.net.convolutional:
        return {"dense": layer.work}
    if layer.transformed:
        return {"transform": layer.work}
    shares = _shares(layer.channels, CHANNELS)
    return {kind("convolution", channels): layer.work * s for channels, s in shares.items()}


def _shares(value: float, knots: Sequence[int]) -> dict[int, float]:
    """The knots around a value, and the weight of each in the interpolation over the logarithm."""
    above = bisect.bisect_left(knots, value)
    if above in (0, len(knots)):
        return {knots[min(above, len(knots) - 1)]: 1.0}
    low, high = knots[above - 1], knots[above]
    share = math.log(value / low) / math.log(high / low)
    return {low: 1 - share, high: share}


def step_seconds(cell: Cell, at: Prices) -> float:
    """Seconds of one step of all replicates."""
    return sum(amount * _price(cell, at, name) for name, amount in amounts(cell).items())


def _price(cell: Cell, at: Prices, name: str) -> float:
    numbers = cell.precision == "float64" and name not in ("step", "layer")
    return at.of[name] * (at.double if numbers else 1.0)


# --- steps ------------------------------------------------------------------------------------


REFERENCE_STOP = 0.002
"""The train MSE for which the constants below count steps."""

DEEP = 10
"""The depth for which they do."""


@dataclass(frozen=True)
class Pace:
    """Steps to `REFERENCE_STOP` at the paper's rate, momentum SGD at 0.01 and 0.9, and one image.

    A plateau, which grows with depth, then a decay. Fitted to the cells of the default preset
    (docs/performance.md).
    """

    plateau: float
    """Steps at `DEEP` layers."""
    growth: float
    """Power of the depth with which the plateau grows."""
    decay: float
    """Steps from there to `REFERENCE_STOP`."""
    power: float
    """Power of the stop, in parts of `REFERENCE_STOP`, with which the decay of a ReLU network
    grows; 0, and in a linear one: its logarithm times `LOG`."""


LOG = 0.33
PACES = {
    "fcn": Pace(plateau=400.0, growth=2.4, decay=45.0, power=0.0),
    "cnn": Pace(plateau=90.0, growth=2.2, decay=450.0, power=0.45),
}
"""The decay of a CNN is that of 24 channels of 5 x 5 filters on a grey image."""

WIDTH_POWER, KERNEL_POWER, SHALLOW_POWER = -0.4, -0.5, 0.5
"""Powers of channels, filter size and depth (up to `SHALLOW`) with which a CNN's decay grows."""

SHALLOW = 5
IMAGES_POWER = 0.4
"""Power of the number of images with which any training grows."""

LINEAR = 0.3
"""The plateau of a linear network, in those of ReLU; a residual one has none."""

BOTTOM = 15.0
"""How many times as long the bottom layer alone takes."""

RATES = {"sgd": 1.0, "adagrad": 3.0, "rmsprop": 50.0, "adam": 50.0, "adamax": 10.0}
"""How many times as fast as SGD an optimizer is at the same rate."""

OTHER_INIT = 2.0
"""How many times as fast a CNN is from an init of larger weights than `pytorch`."""


def steps_expected(cell: Cell) -> int:
    """Steps that one replicate is expected to make, restarts included; never more than the budget.

    A cell that trains on all images of a source is not expected to fit them, nor one whose
    architecture or optimizer has no numbers here.
    """
    pace = PACES.get(cell.net.arch)
    if cell.stop_mse == 0 or cell.data.examples == "all":
        return cell.max_steps
    if pace is None or cell.optimizer.name not in RATES:
        return cell.max_steps
    plateau = pace.plateau * math.pow(cell.net.depth / DEEP, pace.growth)
    if cell.net.activation == "linear":
        plateau *= LINEAR
    if isinstance(cell.net, FCN) and cell.net.residual:
        plateau = 0.0
    images = math.pow(len(cell.data.examples), IMAGES_POWER)
    steps = (plateau + _decay(cell, pace)) * images / _rate(cell)
    if cell.train_layers == "bottom":
        steps *= BOTTOM
    looks = math.ceil(
        max(steps, _momentum_steps(cell)) / cell.report_every
    )  # it ends where its losses are read
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


def _rate(cell: Cell) -> float:
    """How many times as fast as at the paper's rate."""
    optimizer = cell.optimizer
    rate = optimizer.lr / 0.01 * RATES[optimizer.name]
    if isinstance(optimizer, SGD):
        rate *= (1 - 0.9) / (1 - optimizer.momentum)
    if cell.loss == "half_sum":
        rate *= cell.data.channels * cell.data.size**2 / 2
    if cell.net.convolutional and cell.init not in ("pytorch", "printed"):
        rate *= OTHER_INIT
    return rate


# --- what a job is given ----------------------------------------------------------------------

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
    seconds = sum(
        amount * _price(cell, at, name)
        for layer in _layers(cell)
        for name, amount in _products(cell, layer).items()
    )
    return _minutes(LONGER * seconds * images / images_per_step(cell))


def _minutes(seconds: float) -> int:
    return max(SHORTEST_MINUTES, math.ceil(SLOWER * seconds / 60))

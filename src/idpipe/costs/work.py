"""The work of one step, and how long it takes at given prices.

Everything follows from the cell alone but the prices, which `idpipe.engine.calibrate` measures on a
device or `idpipe.costs.devices` takes from a data sheet.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from idpipe.cells import SOURCES, Cell, pays, transform_length

CHANNELS = (3, 8, 24, 128, 1024)
"""Channels at which a convolution has a price of its own; between them the price is interpolated
over the logarithm, for narrow nets are far from a processor's peak."""

MEMORY_MB = (16, 128)
"""The same for a byte of the parameters' memory, in MB of parameters, gradients and optimizer
state: small ones stay in a processor's caches."""

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
        by_transform = bool(taps) and not cell.optimizer.divides and pays(taps[0], max(out, into))
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
        update=cell.optimizer.update_flops * cell.replicates * _trained(cell),
    )


def _trained(cell: Cell) -> int:
    """Weights and biases of one replicate that train."""
    shapes = cell.weight_shapes if cell.train_layers == "all" else cell.weight_shapes[:1]
    return sum(math.prod(shape) + cell.net.bias * shape[0] for shape in shapes)


def numbers_held(cell: Cell) -> int:
    """Numbers of the parameters, their gradients and the optimizer's state, of all replicates."""
    remembered = (1 + cell.optimizer.states) * _trained(cell)
    return cell.replicates * (cell.parameters + remembered)


def number_bytes(cell: Cell) -> int:
    """Bytes of one number in the cell's precision."""
    return 8 if cell.precision == "float64" else 4


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
    passes = GRADIENT_PASSES + cell.optimizer.update_passes
    moved = cell.parameters * READ_PASSES + trained * passes
    for size, share in _shares(4e-6 * numbers_held(cell), MEMORY_MB).items():
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


def forward_seconds(cell: Cell, at: Prices) -> float:
    """Seconds of the products of a step's forward pass."""
    return sum(
        amount * _price(cell, at, name)
        for layer in _layers(cell)
        for name, amount in _products(cell, layer).items()
    )


def _price(cell: Cell, at: Prices, name: str) -> float:
    numbers = cell.precision == "float64" and name not in ("step", "layer")
    return at.of[name] * (at.double if numbers else 1.0)

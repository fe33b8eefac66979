"""All formulations of a layer's convolution, and the one that the engine takes.

One forward and backward pass, one 28 x 28 image for each replicate; relative errors of the weights'
gradient against double precision.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor

from benchmarks import tables, timing
from benchmarks.networks import measured_cell
from benchmarks.timing import Options, Spread, Steps
from idpipe.engine import WARM, Choices, Repeated
from idpipe.nets import set_numerics
from idpipe.nets.convolutions import FORMULATIONS, Shape, candidates, direct

SIZE = 28
INNER = (3, 8, 12, 24, 32, 64, 128)
"""Channels of layers between hidden ones, 5 x 5 filters."""
OUTER = ((1, 24), (24, 1), (1, 64), (64, 1), (3, 24), (24, 3))
"""Channels in and out of first and last layers."""
KERNELS = (3, 7, 9, 15, 25)
"""Other filters, of 24 channels."""
REPLICATES = (1, 4)


def shapes(options: Options) -> list[Shape]:
    """What is measured: inner layers, first and last layers, other filters."""
    inner = [(width, width, 5) for width in options.widths or INNER]
    outer = [(*pair, 5) for pair in OUTER]
    other = [(24, 24, kernel) for kernel in KERNELS]
    layers = inner[:2] if options.quick else [*inner, *outer, *other]
    counts = options.replicates or REPLICATES
    return [
        Shape(1, count, *layer, SIZE, SIZE) for layer, count in itertools.product(layers, counts)
    ]


def measure(options: Options) -> dict[str, Any]:
    """Time every formulation at every shape."""
    rows = []
    for shape in shapes(options):
        rows.append(_row(shape, options))
        print("  ".join(_columns(rows[-1])), flush=True)
    return {"rows": rows}


def _row(shape: Shape, options: Options) -> dict[str, Any]:
    set_numerics(measured_cell("cnn", 1, 1))
    given = _given(shape, options.device)
    names = [*candidates(shape), "padded"]
    rivals = {name: _passes(name, given) for name in names}
    taken = timing.interleaved(rivals, options.seconds / 4, options.repeats, options.device)
    exact = _gradient("direct", [tensor.detach().double().requires_grad_() for tensor in given])
    chosen = Choices(options.device, torch.float32, "ieee", exact_zeros=False)(shape)
    return {
        **shape._asdict(),
        "seconds": {name: Spread.of(values).median for name, values in taken.items()},
        "errors": {
            name: ((_gradient(name, given) - exact).norm() / exact.norm()).item() for name in names
        },
        "chosen": chosen,
    }


def _given(shape: Shape, device: torch.device) -> list[Tensor]:
    """Images, weights and biases."""
    _, e, i, o, k, height, width = shape
    weight = torch.randn(e, o, i, k, k, device=device) / math.sqrt(i * k**2)
    images = torch.randn(1, e, i, height, width, device=device)
    return [one.requires_grad_() for one in (images, weight, torch.zeros(e, o, device=device))]


def _passes(name: str, given: list[Tensor]) -> Steps:
    """Forward and backward passes, on a GPU recorded as in training."""
    convolve = FORMULATIONS[name]
    upstream = torch.randn_like(direct(*given))
    repeated = Repeated(given[0].device, 1)

    def steps(number: int) -> int:
        repeated.run(lambda: torch.autograd.grad(convolve(*given), given, upstream), number)
        return number

    steps(WARM + 1)

    return steps


def _gradient(name: str, given: list[Tensor]) -> Tensor:
    output = FORMULATIONS[name](*given)
    return torch.autograd.grad(output.square().sum(), given[1])[0].double()


HEAD = ("layer", "replicates", *FORMULATIONS, "engine's : best", "largest error")


def table(content: dict[str, Any]) -> str:
    """Milliseconds a replicate; the engine's choice is starred."""
    return tables.markdown(HEAD, [_columns(row) for row in content["rows"]])


def _columns(row: dict[str, Any]) -> list[str]:
    seconds, chosen = row["seconds"], row["chosen"]
    worst = max(row["errors"], key=row["errors"].__getitem__)
    best = min(seconds.values())
    times = {
        name: f"{1e3 * value / row['replicates']:.3g}" + "*" * (name == chosen)
        for name, value in seconds.items()
    }
    return [
        f"{row['inputs']}>{row['outputs']}, {row['kernel']} x {row['kernel']}",
        str(row["replicates"]),
        *(times.get(name, "") for name in FORMULATIONS),
        f"{seconds[chosen] / best:.2f}",
        f"{row['errors'][worst]:.0e} ({worst})",
    ]


def note(content: dict[str, Any]) -> str:
    """What the numbers are."""
    return "milliseconds a replicate; starred is what the engine takes"

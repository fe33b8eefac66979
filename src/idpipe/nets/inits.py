"""How networks start (Appendix I): PyTorch's initializers, drawn for each replicate by itself.

Adding one: its name in `idpipe.cells.nets.InitName`, its entry in `INITS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn import init as torch_init

from idpipe.cells import Cell, InitName, derived_seed, every_one_of
from idpipe.nets.numerics import DTYPES, Params


def _fans(weight: Tensor) -> tuple[int, int]:
    """Fan-in and fan-out of [out, in] or [out, in, kernel, kernel] weights."""
    field = math.prod(weight.shape[2:])
    return weight.shape[1] * field, weight.shape[0] * field


def _pytorch(weight: Tensor, generator: torch.Generator) -> None:
    bound = 1 / math.sqrt(_fans(weight)[0])
    weight.uniform_(-bound, bound, generator=generator)


def _printed(weight: Tensor, generator: torch.Generator) -> None:
    fan_in, fan_out = _fans(weight)
    weight.normal_(0, 1 / math.sqrt(fan_in * fan_out), generator=generator)


def _geometric(weight: Tensor, generator: torch.Generator) -> None:
    fan_in, fan_out = _fans(weight)
    weight.normal_(0, (fan_in * fan_out) ** -0.25, generator=generator)


def _xavier_normal(weight: Tensor, generator: torch.Generator) -> None:
    torch_init.xavier_normal_(weight, generator=generator)


def _xavier_uniform(weight: Tensor, generator: torch.Generator) -> None:
    torch_init.xavier_uniform_(weight, generator=generator)


def _kaiming_normal(weight: Tensor, generator: torch.Generator) -> None:
    torch_init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)


def _kaiming_uniform(weight: Tensor, generator: torch.Generator) -> None:
    torch_init.kaiming_uniform_(weight, nonlinearity="relu", generator=generator)


def _orthogonal(weight: Tensor, generator: torch.Generator) -> None:
    torch_init.orthogonal_(weight, generator=generator)


INITS: dict[str, Callable[[Tensor, torch.Generator], None]] = {
    "pytorch": _pytorch,
    "printed": _printed,
    "geometric": _geometric,
    "xavier_normal": _xavier_normal,
    "xavier_uniform": _xavier_uniform,
    "kaiming_normal": _kaiming_normal,
    "kaiming_uniform": _kaiming_uniform,
    "orthogonal": _orthogonal,
}
"""Weight inits in place (Appendix I), with f_i, f_o the fan-in and fan-out:

`pytorch` U(+-1/sqrt f_i); `printed` N(0, 1/(f_i f_o)) as the paper prints its default;
`geometric` N(0, 1/sqrt(f_i f_o)); Xavier variance 2/(f_i + f_o); Kaiming variance 2/f_i;
`orthogonal` orthonormal rows or columns of the [out, rest] matrix.
"""
every_one_of("INITS", INITS, get_args(InitName))


def initial_params(
    cell: Cell,
    replicates: Sequence[int],
    restart: int = 0,
    device: torch.device | str = "cpu",
) -> Params:
    """Initial parameters of some replicates, stacked in the order given.

    Drawn in float32 on the CPU from one generator per (seed, replicate, restart), so that they are
    the same bits on every device and in every stack.
    """
    solo = [_draw(cell, replicate, restart) for replicate in replicates]
    dtype = DTYPES[cell.precision]
    return {
        name: torch.stack([params[name] for params in solo]).to(device=device, dtype=dtype)
        for name in solo[0]
    }


def initial_weights(cell: Cell, replicate: int, restart: int = 0) -> dict[str, np.ndarray]:
    """The parameters that one replicate's attempt number `restart` started from, as arrays."""
    params = initial_params(cell, [replicate], restart)
    return {name: value[0].numpy() for name, value in params.items()}


def _draw(cell: Cell, replicate: int, restart: int) -> Params:
    generator = torch.Generator().manual_seed(derived_seed(cell.seed, "init", replicate, restart))
    params: Params = {}
    for layer, shape in enumerate(cell.weight_shapes):
        weight = torch.empty(shape)
        INITS[cell.init](weight, generator)
        params[f"weight.{layer}"] = weight
        if cell.net.bias:
            bias = torch.zeros(shape[0])
            bound = 1 / math.sqrt(_fans(weight)[0])
            # Drawn in either case, so that `bias_init` does not change the weights.
            drawn = torch.empty(shape[0]).uniform_(-bound, bound, generator=generator)
            params[f"bias.{layer}"] = drawn if cell.bias_init == "pytorch" else bias
    return params


def param_shapes(cell: Cell) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a cell's parameters, in order, without the replicate axis."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, shape in enumerate(cell.weight_shapes):
        shapes[f"weight.{layer}"] = shape
        if cell.net.bias:
            shapes[f"bias.{layer}"] = shape[:1]
    return shapes


def trainable(cell: Cell, params: Params) -> list[str]:
    """Names of the parameters that train: all, or the bottom layer's (Appendix E.2)."""
    if cell.train_layers == "all":
        return list(params)
    return [name for name in params if name.endswith(".0")]

"""Convolutions of stacked replicates, in the formulation that is fastest for their shape.

All of them compute the same up to rounding; `direct`, the library's own, is what the others are
tested against. On a CPU the choice is a rule of the shape (`rule`, from benchmarks/convolution.py),
so that training again gives the same bits; on a GPU they are timed (`idpipe.engine.tuning`).

Adding one: its function in `FORMULATIONS`, its place in `candidates` and `rule`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from idpipe.cells import TILED_KERNELS, pays, tiling_pays
from idpipe.nets.convolutions.columns import Columns
from idpipe.nets.convolutions.fourier import Fourier
from idpipe.nets.convolutions.winograd import Winograd

Formulation = Callable[[Tensor, Tensor, Tensor | None], Tensor]

LANES = 8
"""Channels that a processor's vector holds: the library's code for other multiples is slow."""


class Shape(NamedTuple):
    """What decides which formulation is the fastest."""

    images: int
    replicates: int
    inputs: int
    outputs: int
    kernel: int
    height: int
    width: int

    def __str__(self) -> str:
        return (
            f"{self.inputs}>{self.outputs} channels {self.kernel}x{self.kernel} "
            f"on {self.height}x{self.width}, {self.replicates} x {self.images} images"
        )


def direct(
    x: Float[Tensor, "n e i h w"],
    weight: Float[Tensor, "e o i k k"],
    bias: Float[Tensor, "e o"] | None = None,
) -> Float[Tensor, "n e o h w"]:
    """`convolve` by the library's own convolution: replicates are groups of one."""
    count, outputs, *_, kernel = weight.shape
    flat = F.conv2d(
        x.flatten(1, 2),
        weight.flatten(0, 1),
        None if bias is None else bias.flatten(),
        padding=kernel // 2,
        groups=count,
    )
    return flat.view(len(x), count, outputs, *x.shape[-2:])


def _padded(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`direct`, with channels of zeros up to a multiple of `LANES`."""
    outputs, inputs = weight.shape[1:3]
    more_out, more_in = -outputs % LANES, -inputs % LANES
    wide = F.pad(weight, (0, 0, 0, 0, 0, more_in, 0, more_out))
    whole = direct(F.pad(x, (0, 0, 0, 0, 0, more_in)), wide)
    return _plus(whole[:, :, :outputs], bias)


def _channels_last(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The library's own, replicate by replicate, channels side by side in memory."""
    if len(weight) == 1:
        # Views: the next layer takes the output as it lies.
        shift = None if bias is None else bias.squeeze(0)
        return _one_channels_last(x.squeeze(1), weight.squeeze(0), shift).unsqueeze(1)
    biases = [None] * len(weight) if bias is None else bias.unbind()
    parts = zip(x.unbind(1), weight.unbind(), biases, strict=True)
    return torch.stack([_one_channels_last(*part) for part in parts], 1)


def _one_channels_last(images: Tensor, kernel: Tensor, shift: Tensor | None) -> Tensor:
    return F.conv2d(
        images.contiguous(memory_format=torch.channels_last),
        kernel.contiguous(memory_format=torch.channels_last),
        shift,
        padding=kernel.shape[-1] // 2,
    )


def _columns(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return _plus(Columns.apply(x, weight), bias)


def _fourier(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return _plus(Fourier.apply(x, weight), bias)


def _winograd(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if x.is_cuda:
        return _plus(Winograd.apply(x, weight), bias)
    # One after the other, each stays in the processor's cache.
    pairs = zip(torch.split(x, 1, 1), torch.split(weight, 1), strict=True)
    return _plus(torch.cat([Winograd.apply(*pair) for pair in pairs], 1), bias)


def _plus(output: Tensor, bias: Tensor | None) -> Tensor:
    return output if bias is None else output + bias[..., None, None]


FORMULATIONS: dict[str, Formulation] = {
    "direct": direct,
    "padded": _padded,
    "channels_last": _channels_last,
    "columns": _columns,
    "winograd": _winograd,
    "fourier": _fourier,
}

Choose = Callable[[Shape], str]
"""Names the formulation for a shape."""


def plain(shape: Shape) -> str:
    """What networks go by outside training."""
    fourier = pays(shape.kernel, max(shape.inputs, shape.outputs))
    return "fourier" if fourier else "direct"


def rule(shape: Shape, exact_zeros: bool = False) -> str:
    """The fastest on a processor core at about 28 x 28 pixels (benchmarks/convolution.py).

    Args:
        shape: of the layer.
        exact_zeros: only those that give exactly zero where only zeros were added up.
    """
    narrow, wide = sorted((shape.inputs, shape.outputs))
    if not exact_zeros:
        if pays(shape.kernel, wide):
            return "fourier"
        if tiling_pays(shape.kernel, narrow):
            return "winograd"
    if wide <= 4 and shape.kernel <= 7:
        return "columns"
    if shape.replicates == 1:
        # From 15 x 15 taps on, the library has no code for it that is any good.
        return "channels_last" if narrow <= 32 and shape.kernel < 15 else "direct"
    uneven = shape.outputs % LANES or (shape.inputs > 4 and shape.inputs % LANES)
    return "padded" if uneven else "direct"


def candidates(shape: Shape, exact_zeros: bool = False) -> list[str]:
    """Those worth timing for a shape, the library's own first; `exact_zeros` as in `rule`."""
    names = ["direct", "channels_last", "columns"]
    if not exact_zeros:
        names += ["winograd"] * (shape.kernel in TILED_KERNELS)
        names += ["fourier"] * (shape.kernel >= 9)
    return names


_CHOOSE: ContextVar[Choose] = ContextVar("formulation", default=plain)


@contextmanager
def formulations(choose: Choose) -> Iterator[None]:
    """Within, convolutions go by the formulations that `choose` names."""
    token = _CHOOSE.set(choose)
    try:
        yield
    finally:
        _CHOOSE.reset(token)


def convolve(
    x: Float[Tensor, "n e i h w"],
    weight: Float[Tensor, "e o i k k"],
    bias: Float[Tensor, "e o"] | None = None,
) -> Float[Tensor, "n e o h w"]:
    """Each replicate's convolution (cross-correlation), stride 1, zero padding to the same size."""
    images, replicates, inputs, height, width = x.shape
    shape = Shape(images, replicates, inputs, weight.shape[1], weight.shape[-1], height, width)
    return FORMULATIONS[_CHOOSE.get()(shape)](x, weight, bias)

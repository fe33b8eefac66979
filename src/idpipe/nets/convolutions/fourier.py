"""Convolutions of stacked replicates by Fourier transform, for large kernels.

At 28 x 28 pixels a 57 x 57 kernel reaches every pixel from every pixel. A direct convolution pays
for each of its 3,249 taps at each pixel, most of them on the padding; the transforms do not, and
their rounding errors are no larger (benchmarks/convolution.py).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from idpipe.cells import transform_length


class Fourier(torch.autograd.Function):
    """y[p] = sum over s of w[s] x[p + s - k // 2], as a product of two-dimensional transforms.

    The kernel's taps beyond the image's size touch only padding and are left out; the transforms
    are long enough that nothing else wraps around.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        """Outputs [n, e, o, h, w] of x [n, e, i, h, w] and weight [e, o, i, k, k]."""
        size, kernel = max(x.shape[-2:]), weight.shape[-1]
        half = min(kernel // 2, size - 1)
        ctx.cut = kernel // 2 - half
        ctx.half, ctx.shape, ctx.length = half, x.shape[-2:], transform_length(size, kernel)
        taps = weight[..., ctx.cut : kernel - ctx.cut, ctx.cut : kernel - ctx.cut]
        # Shifted by half a kernel, so that the output starts at the origin.
        shifted = F.pad(x, (half, 0, half, 0))
        x_waves, w_waves = _waves(shifted, ctx.length), _waves(taps, ctx.length)
        ctx.save_for_backward(x_waves, w_waves)
        product = torch.einsum("neiab,eoiab->neoab", x_waves.conj(), w_waves).conj()
        return _image(product, ctx.length, (0, 0), ctx.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Gradients of x and weight from that of the output [n, e, o, h, w]."""
        x_waves, w_waves = ctx.saved_tensors
        waves = _waves(grads[0], ctx.length)
        x_grad = w_grad = None
        if ctx.needs_input_grad[0]:
            product = torch.einsum("neoab,eoiab->neiab", waves, w_waves)
            x_grad = _image(product, ctx.length, (ctx.half, ctx.half), ctx.shape)
        if ctx.needs_input_grad[1]:
            product = torch.einsum("neoab,neiab->eoiab", waves.conj(), x_waves)
            taps = (2 * ctx.half + 1,) * 2
            w_grad = F.pad(_image(product, ctx.length, (0, 0), taps), (ctx.cut,) * 4)
        return x_grad, w_grad


def _waves(x: Tensor, length: int) -> Tensor:
    waves: Tensor = torch.fft.rfft2(x, s=(length, length))
    return waves


def _image(waves: Tensor, length: int, start: tuple[int, int], shape: tuple[int, ...]) -> Tensor:
    """The window of `shape` at `start` of the inverse transform."""
    whole: Tensor = torch.fft.irfft2(waves, s=(length, length))
    return whole[..., start[0] : start[0] + shape[0], start[1] : start[1] + shape[1]]

"""Convolutions of stacked replicates as matrix products with the patches of their inputs."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

KEPT = 2**22
"""Numbers of patches that are kept from the forward to the backward pass."""


class Columns(torch.autograd.Function):
    """A convolution, stride 1, zero padding to the same size; each column a patch of the input.

    The gradient of the input is the convolution with the kernel turned round, a product with
    patches again: nothing is scattered. Patches are k k times the input; where they are many, they
    are gathered anew in the backward pass, not kept.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        """Outputs [n, e, o, h, w] of x [n, e, i, h, w] and weight [e, o, i, k, k]."""
        columns = _columns(x, weight.shape[-1])
        ctx.kept = columns.numel() <= KEPT
        ctx.save_for_backward(columns if ctx.kept else x, weight)
        output = torch.matmul(weight.flatten(2), columns)
        return output.view(*output.shape[:3], *x.shape[-2:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Gradients of x and weight from that of the output [n, e, o, h, w]."""
        seen, weight = ctx.saved_tensors
        grad = grads[0]
        kernel = weight.shape[-1]
        x_grad = w_grad = None
        if ctx.needs_input_grad[0]:
            turned = weight.flip(3, 4).transpose(1, 2).flatten(2)
            product = torch.matmul(turned, _columns(grad, kernel))
            x_grad = product.view(*product.shape[:3], *grad.shape[-2:])
        if ctx.needs_input_grad[1]:
            columns = seen if ctx.kept else _columns(seen, kernel)
            product = torch.matmul(grad.flatten(3), columns.transpose(2, 3))
            w_grad = (product.sum(0) if len(grad) > 1 else product[0]).view(weight.shape)
        return x_grad, w_grad


def _columns(x: Float[Tensor, "n e i h w"], kernel: int) -> Float[Tensor, "n e ikk hw"]:
    """The k x k patch around every pixel, zeros beyond the image."""
    n, e, i, height, width = x.shape
    padded = F.pad(x, (kernel // 2,) * 4)
    *rest, down, across = padded.stride()
    shape = (n, e, i, kernel, kernel, height, width)
    patches = padded.as_strided(shape, (*rest, down, across, down, across))
    return patches.reshape(n, e, i * kernel**2, height * width)

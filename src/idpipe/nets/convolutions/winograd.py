"""Convolutions of stacked replicates by Winograd's minimal filtering, for 5 x 5 and 7 x 7 kernels.

An 8 x 8 tile of the input, 64 numbers per channel, yields an m x m tile of the output, m = 9 - k.
Evaluated at 64 points, kernel and tile need one product per point, where the direct convolution
needs m^2 k^2: 6.25 times fewer for k = 5 (F(4 x 4, 5 x 5)), 3.06 times for k = 7. What is left are
64 matrix products, so that all replicates and points are one batch. Its rounding errors are about
ten times those of the direct convolution (benchmarks/convolution.py).
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from idpipe.cells import TILE

POINTS = (0, 1, -1, 2, -2, 0.5, -0.5)
"""Where the polynomials are evaluated, beside infinity."""


class Matrices(NamedTuple):
    """y = output^T [(kernel w) * (input x)] on flat 8 x 8 tiles, k x k kernels, m x m outputs."""

    output: Tensor
    """[64, m m]"""
    kernel: Tensor
    """[64, k k]"""
    input: Tensor
    """[64, 64]"""


@cache
def matrices(kernel: int, dtype: torch.dtype, device: torch.device) -> Matrices:
    """The three transforms of k x k kernels (Toom and Cook's, transposed)."""
    output, taps = _powers(TILE + 1 - kernel), _powers(kernel)
    tile = np.linalg.inv(_powers(TILE)).T
    # Rows of all three of like size: points far from 0 would otherwise drown the others' digits.
    share = np.ones((TILE, 1))
    for matrix in (output, taps, tile):
        norms = np.linalg.norm(matrix, axis=1, keepdims=True)
        matrix /= norms
        share *= norms ** (1 / 3)
    return Matrices(
        *[
            torch.tensor(np.kron(one * share, one * share), dtype=dtype, device=device)
            for one in (output, taps, tile)
        ]
    )


def _powers(count: int) -> np.ndarray:
    """The powers 0 to count - 1 of every point, [8, count]; of infinity the last alone."""
    finite = [[float(point) ** power for power in range(count)] for point in POINTS]
    return np.array([*finite, [0.0] * (count - 1) + [1.0]])


class Winograd(torch.autograd.Function):
    """A convolution, stride 1, zero padding to the same size, of some replicates at once."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        """Outputs [n, e, o, h, w] of x [n, e, i, h, w] and weight [e, o, i, k, k]."""
        count, outputs, inputs, kernel, _ = weight.shape
        by = matrices(kernel, x.dtype, x.device)
        height, width = x.shape[-2:]
        step = TILE + 1 - kernel
        down, across = -(-height // step), -(-width // step)
        points = (by.kernel @ weight.reshape(-1, kernel**2).T).view(-1, outputs, inputs)
        tiles = _tiles(x, kernel, down, across)
        waves = (by.input @ tiles.view(TILE**2, -1)).view(TILE**2 * count, inputs, -1)
        product = torch.bmm(points, waves)
        flat = (by.output.T @ product.view(TILE**2, -1)).view(
            step, step, count, outputs, len(x), down, across
        )
        whole = flat.permute(4, 2, 3, 5, 0, 6, 1).reshape(
            len(x), count, outputs, down * step, across * step
        )
        ctx.save_for_backward(points, waves)
        ctx.shape, ctx.kernel, ctx.tiles = x.shape, kernel, (down, across)
        return whole[..., :height, :width]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Gradients of x and weight from that of the output [n, e, o, h, w]."""
        points, waves = ctx.saved_tensors
        (grad,) = grads
        images, count, inputs, height, width = ctx.shape
        kernel, (down, across) = ctx.kernel, ctx.tiles
        outputs, step = grad.shape[2], TILE + 1 - kernel
        by = matrices(kernel, grad.dtype, grad.device)
        padded = F.pad(grad, (0, across * step - width, 0, down * step - height))
        tiled = padded.reshape(images, count, outputs, down, step, across, step)
        flat = tiled.permute(4, 6, 1, 2, 0, 3, 5).reshape(step**2, -1)
        product = (by.output @ flat).view(TILE**2 * count, outputs, -1)
        x_grad = w_grad = None
        if ctx.needs_input_grad[1]:
            at_points = torch.bmm(product, waves.transpose(1, 2)).view(TILE**2, -1)
            w_grad = (at_points.T @ by.kernel).view(count, outputs, inputs, kernel, kernel)
        if ctx.needs_input_grad[0]:
            at_points = torch.bmm(points.transpose(1, 2), product).view(TILE**2, -1)
            tiles = (by.input.T @ at_points).view(TILE, TILE, count, inputs, images, down, across)
            half = kernel // 2
            x_grad = _overlaid(tiles, step)[..., half : half + height, half : half + width]
        return x_grad, w_grad


def _tiles(x: Tensor, kernel: int, down: int, across: int) -> Tensor:
    """The overlapping tiles of the padded images, [8, 8, e, i, n, down, across]."""
    height, width = x.shape[-2:]
    step, half = TILE + 1 - kernel, kernel // 2
    rest = [step * (tiles - 1) + TILE - half for tiles in (down, across)]
    padded = F.pad(x, (half, rest[1] - width, half, rest[0] - height))
    n, e, i, y, z = padded.stride()
    shape = (TILE, TILE, x.shape[1], x.shape[2], len(x), down, across)
    return padded.as_strided(shape, (y, z, e, i, n, step * y, step * z)).contiguous()


def _overlaid(tiles: Tensor, step: int) -> Tensor:
    """The padded images [n, e, i, height, width] whose tiles, added up where they overlap, these
    are; [8, 8, e, i, n, down, across]."""
    *_, count, inputs, images, down, across = tiles.shape
    pieces = TILE // step
    parts = tiles.view(pieces, step, pieces, step, count, inputs, images, down, across)
    high, wide = down + pieces - 1, across + pieces - 1
    whole = tiles.new_zeros(images, count, inputs, high, step, wide, step)
    for row in range(pieces):
        for column in range(pieces):
            window = whole[:, :, :, row : row + down, :, column : column + across]
            window += parts[row, :, column].permute(4, 2, 3, 5, 0, 6, 1)
    return whole.view(images, count, inputs, high * step, wide * step)

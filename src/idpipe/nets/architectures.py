"""Networks over stacked parameters: forward pass and identity constructions.

The parameters of a cell are one dict of tensors, `weight.0`, `bias.0`, `weight.1`, ..., input side
first, each with a leading replicate axis. A network is a function of that dict and its inputs.

Adding an architecture: its settings in `idpipe.cells.nets` (a class in `Net`), its layers here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from idpipe.cells import CNN, FCN, NETS, AnyNet, every_one_of
from idpipe.nets.convolutions import convolve
from idpipe.nets.numerics import Params


def forward(
    net: AnyNet, params: Params, images: Float[Tensor, "e n c h w"], buffers: Params | None = None
) -> Float[Tensor, "e n c h w"]:
    """Outputs of every replicate on its own images; `buffers` as in `layers`."""
    output = images
    for output in layers(net, params, images, buffers):  # noqa: B007  (only the last is kept)
        pass
    return output.reshape(images.shape)


def layers(
    net: AnyNet, params: Params, images: Float[Tensor, "e n c h w"], buffers: Params | None = None
) -> Iterator[Tensor]:
    """Each layer's output after its activation, bottom first, the network's output last.

    Shapes: FCN [e, n, units]; CNN [e, n, channels, h, w]. In a residual FCN the second layer of a
    block yields the block's output.

    Args:
        buffers: what `gradient_buffers` gave; gradients are written over them. Without them, every
            gradient is a tensor of its own.
    """
    return LAYERS[net.arch](net, params, images, buffers or {})


def gradient_buffers(net: AnyNet, params: Params, names: Collection[str]) -> Params:
    """For each weight of dense layers among `names`, a tensor for its gradient, not filled.

    Fresh pages for a gradient as large as those cost more than the product that fills them.
    """
    if net.convolutional:
        return {}
    weights = [name for name in names if name.startswith("weight.")]
    return {name: torch.empty_like(params[name]) for name in weights}


def _fcn_layers(net: FCN, params: Params, images: Tensor, buffers: Params) -> Iterator[Tensor]:
    hidden = block_input = images.flatten(2)
    for layer in range(net.depth):
        hidden = _dense(hidden, params, layer, buffers)
        if layer < net.depth - 1 and net.activation == "relu":
            hidden = F.relu(hidden)
        if net.residual and layer % 2:
            hidden = block_input = block_input + hidden
        yield hidden


def _dense(
    x: Float[Tensor, "e n i"], params: Params, layer: int, buffers: Params
) -> Float[Tensor, "e n o"]:
    """The layer of that number, without its activation."""
    weight, bias = f"weight.{layer}", params.get(f"bias.{layer}")
    output: Tensor = _BatchedLinear.apply(x, params[weight], buffers.get(weight))
    return output if bias is None else output + bias[:, None]


class _BatchedLinear(torch.autograd.Function):
    """x W^T per replicate, with the weight's gradient born in the weight's own layout.

    Left to autograd, it comes out transposed and is copied element by element: at one image and
    1,024 units that copy takes most of the step. It is written over `buffer`, where there is one.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, buffer: Tensor | None) -> Tensor:
        """Outputs [e, n, o] of x [e, n, i] and weight [e, o, i]; the buffer is like the weight."""
        ctx.save_for_backward(x, weight)
        ctx.buffer = buffer
        return torch.bmm(x, weight.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        """Gradients of x and weight from that of the output [e, n, o]."""
        x, weight = ctx.saved_tensors
        (grad,) = grads
        x_grad = w_grad = None
        if ctx.needs_input_grad[0]:
            x_grad = torch.bmm(grad, weight)
        if ctx.needs_input_grad[1]:
            w_grad = torch.bmm(grad.transpose(1, 2), x, out=ctx.buffer)
        return x_grad, w_grad, None


def _cnn_layers(net: CNN, params: Params, images: Tensor, buffers: Params) -> Iterator[Tensor]:
    hidden = images.transpose(0, 1)
    for layer in range(net.depth):
        hidden = convolve(hidden, params[f"weight.{layer}"], params.get(f"bias.{layer}"))
        if layer < net.depth - 1 and net.activation == "relu":
            hidden = F.relu(hidden)
        yield hidden.transpose(0, 1)


LAYERS: dict[str, Callable[..., Iterator[Tensor]]] = {
    "fcn": _fcn_layers,
    "cnn": _cnn_layers,
}
every_one_of("LAYERS", LAYERS, NETS)


def forward_and_dead(
    net: AnyNet, params: Params, images: Float[Tensor, "e n c h w"], buffers: Params | None = None
) -> tuple[Float[Tensor, "e n c h w"], Float[Tensor, " e"]]:
    """Outputs, and 1 for a replicate with a hidden layer without any active ReLU, else 0.

    No gradient passes such a layer, and no input either: whatever the upper layers still learn, it
    is a constant. A residual block passes both around its ReLUs, and a linear net has none.
    `buffers` as in `layers`.
    """
    dead = torch.zeros(len(images), device=images.device)
    blocks = net.activation == "relu" and not getattr(net, "residual", False)
    output, before = images, None
    for output in layers(net, params, images, buffers):
        if blocks and before is not None:
            # NaN is no dead unit: the comparison is false, the replicate diverged.
            dead = torch.maximum(dead, (before.flatten(1).amax(1) <= 0).to(dead.dtype))
        before = output.detach()
    return output.reshape(images.shape), dead


# --- identity constructions (Appendix B) -----------------------------------------------------


def identity_params(net: AnyNet, channels: int, size: int) -> Params:
    """Parameters of one replicate with which `net` is the identity map (Appendix B).

    Linear layers copy; a ReLU network carries the positive and the negative part side by side and
    subtracts them at the top; residual blocks add zero (Appendix N).

    Raises:
        ValueError: the hidden layers are too narrow for the construction.
    """
    shapes = net.weight_shapes(channels, size)
    split = net.activation == "relu" and net.depth > 1 and not getattr(net, "residual", False)
    need = shapes[0][1] * (2 if split else 1)
    if net.depth > 1 and net.width < need:
        raise ValueError(f"net.width: the identity construction needs at least {need} units")
    params: Params = {}
    for layer, shape in enumerate(shapes):
        matrix = torch.zeros(shape[:2])
        if not getattr(net, "residual", False):
            matrix = _copy_matrix(shape[0], shape[1], split, layer, net.depth)
        params[f"weight.{layer}"] = _at_centre(matrix, shape)[None]
        if net.bias:
            params[f"bias.{layer}"] = torch.zeros(1, shape[0])
    return params


def _copy_matrix(rows: int, columns: int, split: bool, layer: int, depth: int) -> Tensor:
    """Eye; with `split`, [I; -I] at the bottom and [I, -I] at the top."""
    matrix = torch.eye(rows, columns)
    if split and layer == 0:
        matrix[columns : 2 * columns] = -torch.eye(columns)
    if split and layer == depth - 1:
        matrix[:, rows : 2 * rows] = -torch.eye(rows)
    return matrix


def _at_centre(matrix: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The matrix itself, or for a convolution at the kernel's centre (Appendix B.3)."""
    if len(shape) == 2:
        return matrix
    weight = torch.zeros(shape)
    weight[:, :, shape[2] // 2, shape[3] // 2] = matrix
    return weight

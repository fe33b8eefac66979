"""Small cells and pictures, and plain torch loops that train them."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import nn

from idpipe import engine, nets
from idpipe.cells import CNN, FCN, Cell

OPTIMIZERS = {
    "sgd": partial(torch.optim.SGD, lr=0.01, momentum=0.9),
    "adagrad": partial(torch.optim.Adagrad, lr=0.001),
    "rmsprop": partial(torch.optim.RMSprop, lr=0.0001),
    "adam": partial(torch.optim.Adam, lr=0.0001),
    "adamax": partial(torch.optim.Adamax, lr=0.001),
}
NETS = {
    "fcn_relu": {"arch": "fcn", "depth": 4, "width": 70},
    "fcn_linear": {"arch": "fcn", "depth": 4, "width": 70, "activation": "linear"},
    "fcn_residual": {"arch": "fcn", "depth": 4, "width": 64, "residual": True},
    "cnn": {"arch": "cnn", "depth": 4, "width": 8, "kernel": 5},
    "cnn_no_bias": {"arch": "cnn", "depth": 3, "width": 4, "kernel": 3, "bias": False},
    "cnn_linear": {"arch": "cnn", "depth": 3, "width": 4, "activation": "linear"},
    "cnn_large_kernel": {"arch": "cnn", "depth": 2, "width": 3, "kernel": 17},
}
PAIRS = [(net, name) for net in ("fcn_relu", "cnn", "cnn_large_kernel") for name in OPTIMIZERS]
PAIRS += [(net, "sgd") for net in NETS if (net, "sgd") not in PAIRS]
"""Every optimizer on dense layers and on each way to convolve, and every network."""
SIZE = 8
UNIT = 2**-24
"""What rounding to single precision changes a number by, at most, as a share of it."""


def picture(number: int = 1, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Training images [1, number, channels, SIZE, SIZE] of about unit scale."""
    generator = np.random.default_rng(seed)
    return generator.normal(size=(1, number, channels, SIZE, SIZE)).astype(np.float32)


def sevens(count: int) -> dict:
    """Settings of so many training images."""
    return {"size": SIZE, "examples": [{"label": 7, "index": i} for i in range(count)]}


def make_cell(net: str | dict = "cnn", **settings) -> Cell:
    """A small cell that never stops early."""
    spec = NETS[net] if isinstance(net, str) else net
    usual = {"data": {"size": SIZE}, "max_steps": 50, "stop_mse": 0, "report_every": 10}
    usual |= {"replicates": 3, "failure": {"policy": "keep"}}
    return Cell.model_validate({"net": spec, **usual, **settings})


class ResidualFCN(nn.Module):
    """Appendix N as printed: x -> x + ReLU(W2 ReLU(W1 x)), no ReLU at the output."""

    def __init__(self, layers: list[nn.Linear]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shape = x.shape
        x = x.flatten(1)
        pairs = list(zip(self.layers[::2], self.layers[1::2], strict=True))
        for number, (first, second) in enumerate(pairs):
            inner = second(torch.relu(first(x)))
            x = x + (inner if number == len(pairs) - 1 else torch.relu(inner))
        return x.reshape(shape)


def plain_net(cell: Cell, replicate: int) -> nn.Module:
    """The same network in torch.nn, with the initial weights of one replicate."""
    params = nets.initial_params(cell, [replicate])
    net, modules, layers = cell.net, [], []
    for number, shape in enumerate(cell.weight_shapes):
        if isinstance(net, FCN):
            layer = nn.Linear(shape[1], shape[0], bias=net.bias)
        else:
            layer = nn.Conv2d(shape[1], shape[0], net.kernel, padding="same", bias=net.bias)
        layer = layer.to(nets.DTYPES[cell.precision])
        with torch.no_grad():
            layer.weight.copy_(params[f"weight.{number}"][0])
            if net.bias:
                layer.bias.copy_(params[f"bias.{number}"][0])
        layers.append(layer)
        modules.append(layer)
        if net.activation == "relu" and number < net.depth - 1:
            modules.append(nn.ReLU())
    if isinstance(net, CNN):
        return nn.Sequential(*modules)
    if net.residual:
        return ResidualFCN(layers)
    channels = cell.data.channels
    return nn.Sequential(nn.Flatten(), *modules, nn.Unflatten(1, (channels, SIZE, SIZE)))


def plain_loop(
    cell: Cell,
    images: np.ndarray,
    replicate: int,
    precision: torch.dtype | None = None,
    rounded: int | None = None,
    rows: Callable[[int], torch.Tensor] | None = None,
    **more: float,
) -> nn.Module:
    """What people would write: one network, torch.optim, the paper's schedule by hand.

    Args:
        precision: to compute in; the cell's by default.
        rounded: seed of an error of single precision that the initial weights are off by.
        rows: which images a step shows; all by default.
        more: settings of the optimizer that are not PyTorch's own.
    """
    precision = precision or nets.DTYPES[cell.precision]
    net = plain_net(cell, replicate).to(precision)
    if rounded is not None:
        generator = torch.Generator().manual_seed(rounded)
        with torch.no_grad():
            for param in net.parameters():
                error = torch.rand(param.shape, generator=generator, dtype=precision) * 2 - 1
                param.mul_(1 + UNIT * error)
    x = torch.tensor(images[0]).to(precision)
    updater = OPTIMIZERS[cell.optimizer.name](net.parameters(), **more)
    base = updater.param_groups[0]["lr"]
    for step in range(cell.max_steps):
        decays = sum(step >= cell.max_steps * share for share in (0.3, 0.6, 0.8))
        updater.param_groups[0]["lr"] = base * 0.2**decays
        shown = x if rows is None else x[rows(step)]
        updater.zero_grad()
        nn.functional.mse_loss(net(shown), shown).backward()
        updater.step()
    return net


def flat(parameters) -> np.ndarray:
    """All numbers in one vector."""
    return np.concatenate([p.detach().double().numpy().ravel() for p in parameters])


def assert_only_rounded(
    trained: engine.Trained, cell: Cell, images: np.ndarray, **more: float
) -> None:
    """Single precision is no further from double precision than rounding at every step explains.

    Each step rounds the weights once, and training carries the error on. How it does is measured
    here: by loops in double precision whose initial weights were rounded. The cell must be smooth,
    for at a kink (a ReLU, the sign of a gradient divided by its size) rounding takes whole steps.
    """
    for replicate, outcome in enumerate(trained.outcomes):
        loop = partial(plain_loop, cell, images, replicate, torch.float64, **more)
        exact = flat(loop().parameters())
        others = [flat(loop(rounded=seed).parameters()) for seed in range(3)]
        carried = max(np.linalg.norm(exact - other) for other in others)
        error = np.linalg.norm(flat(outcome.params.values()) - exact)
        assert 0 < error <= cell.max_steps * carried


ONE_LAYER = {"arch": "cnn", "depth": 1, "kernel": 3}


def dying_cell(**settings) -> Cell:
    """Three-channel ReLU nets of 20 layers: many have a dead layer from the start."""
    net = {"arch": "cnn", "depth": 20, "width": 3, "kernel": 3}
    return make_cell(net, replicates=8, max_steps=20, **settings)

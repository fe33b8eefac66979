"""Cells to be measured, and the same networks as people would write them in torch.nn."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.timing import LOOK
from idpipe import nets
from idpipe.cells import SGD, Cell
from idpipe.engine import Training
from idpipe.images import PATTERNS, normalize
from idpipe.nets import set_numerics

NARROW = 16
"""Below so many channels a deep CNN can have a layer without an active ReLU from the start."""


def measured_cell(arch: str, depth: int, width: int, **settings: object) -> Cell:
    """A cell with the defaults of the paper preset that never stops early."""
    net = {"arch": arch, "depth": depth, "width": width}
    usual = {"net": net, "stop_mse": 0, "report_every": LOOK, "failure": {"policy": "keep"}}
    return Cell.model_validate({**usual, **settings})


def still_cell(arch: str, depth: int, width: int, **settings: object) -> Cell:
    """`measured_cell` at a rate at which nothing is learnt: while timed, none dies or diverges."""
    return measured_cell(arch, depth, width, optimizer={"lr": 1e-8}, **settings)


def image(cell: Cell) -> np.ndarray:
    """The training image [1, 1, 1, h, w]: a cross."""
    cross = PATTERNS["cross"](cell.data.size).astype(np.float32)[None, None, None]
    return normalize(cross, cell.data)


def living(cell: Cell, count: int) -> list[int]:
    """The first replicates that start alive: dead ones would leave the engine's stack at once."""
    if cell.net.width >= NARROW or cell.net.arch == "fcn":
        return list(range(count))
    shown = torch.from_numpy(image(cell))

    def dead(replicate: int) -> bool:
        params = nets.initial_params(cell, [replicate])
        return bool(nets.forward_and_dead(cell.net, params, shown)[1].item())

    return list(itertools.islice(itertools.filterfalse(dead, itertools.count()), count))


def plain_network(cell: Cell, replicate: int) -> nn.Sequential:
    """The same network in torch.nn, with the initial weights of one replicate."""
    params = nets.initial_params(cell, [replicate])
    modules: list[nn.Module] = []
    for number, shape in enumerate(cell.weight_shapes):
        layer: nn.Linear | nn.Conv2d
        if len(shape) == 2:
            layer = nn.Linear(shape[1], shape[0], device="meta")
        else:
            layer = nn.Conv2d(shape[1], shape[0], shape[2], padding="same", device="meta")
        layer.weight = nn.Parameter(params[f"weight.{number}"][0])
        layer.bias = nn.Parameter(params[f"bias.{number}"][0])
        modules += [layer, nn.ReLU()]
    return nn.Sequential(*modules[:-1])


def plain_input(cell: Cell, device: torch.device) -> Tensor:
    """The training image as `plain_network` takes it: [1, c, h, w], or [1, pixels] for an FCN."""
    x = torch.from_numpy(image(cell)[0]).to(device)
    return x if cell.net.convolutional else x.flatten(1)


class Engine:
    """Our engine, step by step: it is halted between two steps and goes on from there."""

    def __init__(self, cell: Cell, replicates: list[int], device: torch.device) -> None:
        self.training = Training(cell, image(cell), replicates, device)
        self.count = len(replicates)

    def __call__(self, steps: int) -> int:
        set_numerics(self.training.cell)
        start = self.training.stack.step

        def halt(training: Training) -> None:
            if training.stack.step >= start + steps:
                raise _Halted

        with contextlib.suppress(_Halted):
            self.training.run(halt)
        stack = self.training.stack
        if len(stack.training) < self.count:
            raise RuntimeError("a replicate ended while it was timed")
        return stack.step - start


class _Halted(Exception):
    pass


def _optimizer(cell: Cell, params: Iterable[Tensor]) -> torch.optim.SGD:
    settings = cell.optimizer
    if not isinstance(settings, SGD):
        raise TypeError("only SGD is measured")
    return torch.optim.SGD(params, lr=settings.lr, momentum=settings.momentum)


def _as_a_user_would() -> None:
    """Undo what the engine asks of the process beyond precision: it may cost time."""
    torch.backends.cudnn.deterministic = False


class Plain:
    """A plain eager loop over one replicate: the next one would take as long again."""

    def __init__(
        self,
        cell: Cell,
        replicate: int,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        layout: torch.memory_format = torch.contiguous_format,
    ) -> None:
        self.net = plain_network(cell, replicate).to(device, dtype)
        self.net = self.net.to(memory_format=layout)
        self.optimizer = _optimizer(cell, self.net.parameters())
        x = plain_input(cell, device).to(dtype)
        self.x = x if x.ndim < 4 else x.contiguous(memory_format=layout)

    def __call__(self, steps: int) -> int:
        _as_a_user_would()
        for step in range(steps):
            self.optimizer.zero_grad()
            loss = F.mse_loss(self.net(self.x), self.x)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            if step % LOOK == 0:
                loss.item()
        return steps


class Vmapped:
    """A loop over all replicates at once by torch.func.vmap."""

    def __init__(self, cell: Cell, replicates: list[int], device: torch.device) -> None:
        models = [plain_network(cell, replicate).to(device) for replicate in replicates]
        stacked, _ = torch.func.stack_module_state(models)
        self.params = {name: value.detach() for name, value in stacked.items()}
        base = models[0].to("meta")
        self.x = plain_input(cell, device)

        def loss(params: dict[str, Tensor], x: Tensor) -> Tensor:
            return F.mse_loss(torch.func.functional_call(base, params, (x,)), x)

        self.gradients = torch.func.vmap(torch.func.grad_and_value(loss), in_dims=(0, None))
        self.optimizer = _optimizer(cell, self.params.values())

    def __call__(self, steps: int) -> int:
        _as_a_user_would()
        for step in range(steps):
            gradients, losses = self.gradients(self.params, self.x)
            for name, param in self.params.items():
                param.grad = gradients[name]
            self.optimizer.step()
            if step % LOOK == 0:
                losses.tolist()
        return steps

"""Optimizers of Appendix I over stacked parameters, and the stagewise learning rate.

Every one of them works number by number, so PyTorch's own classes train a stack of replicates as
they would train each alone. Adding one: its settings in `idpipe.cells`, its entry in `BUILDERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from idpipe import cells
from idpipe.cells import Cell, Schedule

Builder = Callable[[list[Tensor], Any], torch.optim.Optimizer]


def _sgd(params: list[Tensor], spec: cells.SGD) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        params,
        lr=spec.lr,
        momentum=spec.momentum,
        nesterov=spec.nesterov,
        weight_decay=spec.weight_decay,
        fused=True,
    )


def _adagrad(params: list[Tensor], spec: cells.Adagrad) -> torch.optim.Optimizer:
    return torch.optim.Adagrad(params, lr=spec.lr, eps=spec.eps)


def _rmsprop(params: list[Tensor], spec: cells.RMSprop) -> torch.optim.Optimizer:
    return torch.optim.RMSprop(
        params, lr=spec.lr, alpha=spec.alpha, eps=spec.eps, momentum=spec.momentum
    )


def _adam(params: list[Tensor], spec: cells.Adam) -> torch.optim.Optimizer:
    betas = (spec.beta1, spec.beta2)
    return torch.optim.Adam(params, lr=spec.lr, betas=betas, eps=spec.eps, fused=True)


def _adamax(params: list[Tensor], spec: cells.Adamax) -> torch.optim.Optimizer:
    return torch.optim.Adamax(params, lr=spec.lr, betas=(spec.beta1, spec.beta2), eps=spec.eps)


BUILDERS: dict[str, Builder] = {
    "sgd": _sgd,
    "adagrad": _adagrad,
    "rmsprop": _rmsprop,
    "adam": _adam,
    "adamax": _adamax,
}


def build(cell: Cell, params: list[Tensor]) -> torch.optim.Optimizer:
    """The cell's optimizer over stacked parameters, at its base rate."""
    return BUILDERS[cell.optimizer.name](params, cell.optimizer)


def stage_factor(schedule: Schedule, max_steps: int, step: int) -> float:
    """What the base rate is multiplied by at `step` (Appendix A).

    The rate decays by `factor` when `step` reaches each milestone's share of `max_steps`.
    """
    passed = sum(step >= share * max_steps for share in schedule.milestones)
    return float(schedule.factor**passed)


def keep_rows(optimizer: torch.optim.Optimizer, old: Tensor, new: Tensor, rows: Tensor) -> None:
    """Move the state of `old` to `new`, which holds only some replicates of it."""
    state = optimizer.state.pop(old, {})
    optimizer.state[new] = {
        key: value[rows] if isinstance(value, Tensor) and value.shape == old.shape else value
        for key, value in state.items()
    }

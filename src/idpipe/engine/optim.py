"""Optimizers of Appendix I over stacked parameters, and the stagewise learning rate.

Every one of them works number by number, so PyTorch's update rules train a stack of replicates as
they would train each alone. They are called as functions, for building one of PyTorch's optimizer
objects imports its compiler, which takes longer than many a cell.

Adding one: its settings in `idpipe.cells.optimizers`, its entry in `RULES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim.adagrad import adagrad
from torch.optim.adam import adam
from torch.optim.adamax import adamax
from torch.optim.rmsprop import rmsprop
from torch.optim.sgd import sgd

from idpipe.cells import OPTIMIZERS, Cell, Schedule, every_one_of
from idpipe.cells import optimizers as specs

Tensors = list[Tensor]


class Update(NamedTuple):
    """What one step works on, in place."""

    params: Tensors
    grads: Tensors
    memory: list[Tensors]
    """One list for each of the rule's averages."""
    done: Tensors
    """Steps done so far, a scalar for each parameter."""
    rate: float


@dataclass(frozen=True)
class Rule:
    """How an optimizer changes parameters."""

    averages: tuple[str, ...]
    """What it remembers of past gradients, one number per parameter, 0 at the start."""
    update: Callable[[Any, Update], None]
    """Makes the step that settings and `Update` describe."""
    counts: bool = False
    """Whether it depends on the steps done, which then lie beside the parameters."""


def _sgd(s: specs.SGD, now: Update) -> None:
    sgd(
        now.params,
        now.grads,
        [*now.memory[0]],
        fused=True,
        weight_decay=s.weight_decay,
        momentum=s.momentum,
        lr=now.rate,
        dampening=0,
        nesterov=s.nesterov,
        maximize=False,
    )


def _adagrad(s: specs.Adagrad, now: Update) -> None:
    adagrad(
        now.params,
        now.grads,
        now.memory[0],
        now.done,
        lr=now.rate,
        weight_decay=0,
        lr_decay=0,
        eps=s.eps,
        maximize=False,
    )


def _rmsprop(s: specs.RMSprop, now: Update) -> None:
    rmsprop(
        now.params,
        now.grads,
        now.memory[0],
        [],
        now.memory[1],
        now.done,
        lr=now.rate,
        alpha=s.alpha,
        eps=s.eps,
        weight_decay=0,
        momentum=s.momentum,
        centered=False,
    )


def _adam(s: specs.Adam, now: Update) -> None:
    adam(
        now.params,
        now.grads,
        now.memory[0],
        now.memory[1],
        [],
        now.done,
        fused=True,
        amsgrad=False,
        beta1=s.beta1,
        beta2=s.beta2,
        lr=now.rate,
        weight_decay=0,
        eps=s.eps,
        maximize=False,
    )


def _adamax(s: specs.Adamax, now: Update) -> None:
    adamax(
        now.params,
        now.grads,
        now.memory[0],
        now.memory[1],
        now.done,
        eps=s.eps,
        beta1=s.beta1,
        beta2=s.beta2,
        lr=now.rate,
        weight_decay=0,
        capturable=now.done[0].is_cuda,
    )


RULES: dict[str, Rule] = {
    "sgd": Rule(("momentum",), _sgd),
    "adagrad": Rule(("sum of squares",), _adagrad),
    "rmsprop": Rule(("average of squares", "momentum"), _rmsprop),
    "adam": Rule(("average", "average of squares"), _adam, counts=True),
    "adamax": Rule(("average", "infinity norm"), _adamax, counts=True),
}
every_one_of("RULES", RULES, OPTIMIZERS)


class StackedOptimizer:
    """A cell's optimizer over stacked parameters, with what it remembers of past gradients."""

    def __init__(self, cell: Cell, params: Sequence[Tensor]) -> None:
        self.settings = cell.optimizer
        self.rule = RULES[cell.optimizer.name]
        self.params = list(params)
        self.memory = [[torch.zeros_like(p) for p in self.params] for _ in self.rule.averages]
        self.done = [
            torch.zeros((), dtype=torch.float32, device=p.device if self.rule.counts else "cpu")
            for p in self.params
        ]
        """Steps done, once per parameter, as PyTorch's functions want it."""

    @torch.no_grad()
    def step(self, grads: Sequence[Tensor], rate: float) -> None:
        """Change the parameters along their gradients."""
        now = Update(self.params, list(grads), self.memory, self.done, rate)
        self.rule.update(self.settings, now)

    def tensors(self) -> dict[str, Tensor]:
        """What it remembers, by name; not copied."""
        memory = {
            f"memory.{average}.{place}": value
            for average, values in enumerate(self.memory)
            for place, value in enumerate(values)
        }
        return memory | {f"done.{place}": value for place, value in enumerate(self.done)}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take what one over the same parameters gave as its `tensors`."""
        self.memory = [
            [tensors[f"memory.{average}.{place}"].to(p.device) for place, p in enumerate(values)]
            for average, values in enumerate(self.memory)
        ]
        self.done = [tensors[f"done.{place}"].to(p.device) for place, p in enumerate(self.done)]

    def keep_rows(self, params: Sequence[Tensor], rows: Tensor) -> None:
        """Go on with `params`, the replicates `rows` of the parameters so far."""
        self.params = list(params)
        self.memory = [[value[rows] for value in values] for values in self.memory]


def stage_factor(schedule: Schedule, max_steps: int, step: int) -> float:
    """What the base rate is multiplied by at `step` (Appendix A).

    The rate decays by `factor` when `step` reaches each milestone's share of `max_steps`.
    """
    passed = sum(step >= max(1, share * max_steps) for share in schedule.milestones)
    return float(schedule.factor**passed)

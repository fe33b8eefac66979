"""Training: all replicates of a cell as one stacked problem, one loop for every network.

Here is which replicates train together and which start again; their steps are read in
`idpipe.engine.stack`. A replicate trained in a stack takes the same steps as alone: the loss is a
sum over replicates, the optimizers work number by number, and every seed belongs to one replicate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from jaxtyping import Float32

from idpipe.cells import LOST, Cell
from idpipe.engine import heap
from idpipe.engine.outcomes import History, Outcome, Report, State
from idpipe.engine.stack import Stack
from idpipe.engine.tuning import Choices
from idpipe.nets import DTYPES, Params, set_numerics
from idpipe.nets.convolutions import formulations


@dataclass
class Trained:
    """A trained cell: the attempt kept for each replicate, and all attempts in order."""

    outcomes: list[Outcome]
    attempts: list[Outcome]
    history: History
    formulations: dict[str, str] = field(default_factory=dict)
    """How each shape of convolution was computed (`idpipe.nets.convolutions.dispatch`)."""

    @property
    def params(self) -> Params:
        """Final parameters, stacked over replicates."""
        names = self.outcomes[0].params
        return {name: torch.stack([o.params[name] for o in self.outcomes]) for name in names}


AtStep = Callable[["Training"], None]
"""What `train` calls before steps; may read the training's state, must not change it."""


@contextmanager
def _flushed_denormals() -> Iterator[None]:
    """Treat denormals as zero: the momentum of a weight whose gradient is zero would decay into
    them and slow every step."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def train(
    cell: Cell,
    images: Float32[np.ndarray, "t j c h w"],
    replicates: Sequence[int] | None = None,
    device: torch.device | str = "cpu",
    report: Report | None = None,
    state: State | None = None,
    at_step: AtStep | None = None,
) -> Trained:
    """Train the cell's replicates (or only those named) to reproduce their own images.

    Args:
        cell: the problem.
        images: standardized training images; `t` is 1, or with `data.vary` the cell's replicates.
        replicates: which replicates to train; all by default.
        device: where to compute.
        report: called after every look at the losses.
        state: where a training of the same arguments was; it ends as that one would have.
        at_step: called before every step; on a GPU, whose steps are not made one by one, before
            every look and wherever the rate changes.

    Dead and diverged replicates are restarted as `cell.failure` says, together, from step 0.
    """
    chosen = list(range(cell.replicates) if replicates is None else replicates)
    return Training(cell, images, chosen, torch.device(device), report, state).run(at_step)


class Training:
    """A cell in training: one stack of replicates after the other, each of those that failed."""

    def __init__(
        self,
        cell: Cell,
        images: Float32[np.ndarray, "t j c h w"],
        replicates: Sequence[int],
        device: torch.device,
        report: Report | None = None,
        state: State | None = None,
        replayed: bool | None = None,
    ) -> None:
        """As `train`; `replayed`: whether steps go by `replay`, by default on a GPU."""
        set_numerics(cell)
        if device.type == "cpu":
            heap.keep_freed()
        self.cell, self.device, self.report = cell, device, report
        self.images = torch.tensor(images, device=device, dtype=DTYPES[cell.precision])
        self.replayed = device.type == "cuda" if replayed is None else replayed
        # Where only zeros were added up, an optimizer that divides a gradient by its size would
        # make whole steps of a rounding error.
        exact_zeros = cell.optimizer.divides
        self.choices = Choices(
            device,
            DTYPES[cell.precision],
            cell.precision,
            exact_zeros,
            None if state is None else state.formulations,
        )
        self.order = list(replicates)
        self.attempts: list[Outcome] = []
        self.history = History()
        if state is None:
            self.stack = self._stack(self.order, 0)
            return
        self.attempts = [a for a in state.attempts if a.restart < state.restart]
        self.history = state.history
        self.stack = self._stack(state.replicates, state.restart, state)

    def _stack(self, replicates: Sequence[int], restart: int, state: State | None = None) -> Stack:
        return Stack(
            self.cell,
            self.images,
            replicates,
            restart,
            history=self.history,
            report=self.report,
            replayed=self.replayed,
            state=state,
        )

    def state(self) -> State:
        """Where the training is, to be gone on from."""
        stack = self.stack
        attempts = [*self.attempts, *stack.ended]
        return State(
            stack.restart,
            stack.step,
            stack.training,
            stack.tensors(),
            attempts,
            self.history,
            self.choices.names,
        )

    def run(self, at_step: AtStep | None = None) -> Trained:
        """Train to the end."""
        policy = self.cell.failure
        last = 0 if policy.policy == "keep" else policy.max_restarts
        while True:
            with _flushed_denormals(), formulations(self.choices):
                ended = self.stack.run(None if at_step is None else partial(at_step, self))
            self.attempts += ended
            failed = [o for o in ended if o.status in LOST]
            if not failed or self.stack.restart == last:
                break
            for outcome in failed:
                outcome.params.clear()  # another attempt takes its place
            waiting = sorted(o.replicate for o in failed)
            self.stack = self._stack(waiting, self.stack.restart + 1)
        kept_last = {outcome.replicate: outcome for outcome in self.attempts}
        return Trained(
            [kept_last[replicate] for replicate in self.order],
            self.attempts,
            self.history,
            self.choices.names,
        )

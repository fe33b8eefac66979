"""Replicates in training together: their steps, the looks at their losses, how each of them ends.

Losses stay on the device between looks, every `report_every` steps; a look tells which replicates
end there. Their numbers are taken out then and no longer change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from idpipe import nets
from idpipe.cells import CONVERGED, DEAD, DIVERGED, MAX_STEPS, Cell
from idpipe.engine import optim
from idpipe.engine.minibatches import Minibatches
from idpipe.engine.outcomes import History, Outcome, Report, State, kept
from idpipe.engine.replay import Steps
from idpipe.nets import DTYPES

GOES_ON = 0
VERDICTS = (None, DIVERGED, CONVERGED, DEAD, MAX_STEPS)
"""What a look's numbers stand for; 0: the replicate goes on."""


@runtime_checkable
class Owner(Protocol):
    """What a stack takes from the training that it is of (`idpipe.engine.Training`)."""

    cell: Cell
    images: np.ndarray
    device: torch.device
    replayed: bool
    report: Report | None
    history: History


class Stack:
    """Replicates in training together, from the same step 0."""

    def __init__(
        self,
        training: Owner,
        replicates: Sequence[int],
        restart: int,
        state: State | None = None,
    ) -> None:
        self.cell, self.restart, self.device = training.cell, restart, training.device
        self.history, self.report = training.history, training.report
        self.replayed = training.replayed
        self.replicates = list(replicates)
        """Those that are computed, in the order of the tensors' rows."""
        self.frozen: set[int] = set()
        """Rows of those that have ended and are computed on, to no effect."""
        if state is None:
            self.params = nets.initial_params(self.cell, replicates, restart, self.device)
        else:
            held = _below("params.", state.tensors)
            self.params = {name: value.to(self.device) for name, value in held.items()}
        self.names = nets.trainable(self.cell, self.params)
        for name in self.names:
            self.params[name].requires_grad_(True)
        self.optimizer = optim.Optimizer(self.cell, [self.params[name] for name in self.names])
        self.buffers = nets.gradient_buffers(self.cell.net, self.params, self.names)
        """What each step writes its gradients over."""
        images = training.images
        rows = list(replicates) if len(images) > 1 else [0]
        self.images = torch.tensor(
            images[rows], device=self.device, dtype=DTYPES[self.cell.precision]
        )
        self.batches = Minibatches(self.cell, self.images.shape[1], restart)
        self.loss_scale = 1.0 if self.cell.loss == "mean" else self.images[0, 0].numel() / 2
        self.step = 0
        self.losses: list[Tensor] = []
        """Of the steps since the last look."""
        self.ahead: Tensor | None = None
        """The next step's MSEs, with their graph, where a look has found them already."""
        self.ended: list[Outcome] = []
        self.steps: Steps | None = None
        if state is not None:
            self._go_on(state)

    def _go_on(self, state: State) -> None:
        self.step = state.step
        self.ended = [a for a in state.attempts if a.restart == self.restart]
        self.losses = list(state.tensors["losses"].to(self.device))
        self.optimizer.load(_below("optimizer.", state.tensors))
        state.tensors.clear()  # or the memory of rows that leave the stack would stay in use

    @property
    def rows(self) -> list[int]:
        """Rows of the replicates still in training."""
        return [row for row in range(len(self.replicates)) if row not in self.frozen]

    @property
    def training(self) -> list[int]:
        """The replicates still in training."""
        return [self.replicates[row] for row in self.rows]

    def tensors(self) -> dict[str, Tensor]:
        """All tensors that the next steps depend on, by name; copied only where rows are frozen."""
        none = self.params[self.names[0]].detach().new_empty(0, len(self.replicates))
        losses = torch.stack(self.losses) if self.losses else none
        held = {
            **{f"params.{name}": param.detach() for name, param in self.params.items()},
            **{f"optimizer.{name}": value for name, value in self.optimizer.tensors().items()},
        }
        if not self.frozen:
            return {**held, "losses": losses}
        rows = self.rows
        stay = {name: value[rows] if value.ndim else value for name, value in held.items()}
        return {**stay, "losses": losses[:, rows]}

    def run(self, at_step: Callable[[], None] | None = None) -> list[Outcome]:
        """Train until every replicate has ended; `at_step` is called before every stretch."""
        every, last = self.cell.report_every, self.cell.max_steps
        while True:
            if at_step is not None:
                at_step()
            if self.step % every == 0 or self.step == last:
                self._look()
                if not self.training:
                    return self.ended
                assert self.step < last, f"replicates {self.training} go on beyond the last step"
            self._advance()

    def _advance(self) -> None:
        """Make a stretch of steps: one, or where they are replayed all of one rate up to a look."""
        rate = self._rate(self.step)
        if self.replayed:
            self._replay(rate, self._stretch())
            return
        rows = self.batches.rows(self.replicates, self.step)
        self.losses.append(self._step(rate, rows))
        self.step += 1

    def _stretch(self) -> int:
        """Steps up to the next look or milestone: the rate is the same in all of them."""
        every, last = self.cell.report_every, self.cell.max_steps
        most = min(every - self.step % every, last - self.step)
        rate = self._rate(self.step)
        return next((n for n in range(1, most) if self._rate(self.step + n) != rate), most)

    def _replay(self, rate: float, count: int) -> None:
        """Make so many steps as recorded ones."""
        batches = [self.batches.rows(self.replicates, self.step + i) for i in range(count)]
        rows = torch.stack([b for b in batches if b is not None]) if self.batches.small else None
        if self.steps is None:
            name = self.names[0]
            like = self.params[name].new_zeros(len(self.replicates))
            batch = self.cell.batch_size if self.batches.small else None
            self.steps = Steps(self.cell.report_every, like, batch)
        self.losses += self.steps.run(self._step, rate, count, rows).unbind()
        self.step += count

    def _step(self, rate: float, rows: Int64[Tensor, "e batch"] | None) -> Float[Tensor, " e"]:
        """One step of gradient descent; the losses before it."""
        mse, self.ahead = self._batch_mse(rows) if self.ahead is None else self.ahead, None
        total = mse.sum() * self.loss_scale
        params = [self.params[name] for name in self.names]
        grads = [grad.contiguous() for grad in torch.autograd.grad(total, params)]
        self.optimizer.step(grads, rate)
        return mse.detach()

    def _rate(self, step: int) -> float:
        rate = self.cell.optimizer.lr * optim.stage_factor(
            self.cell.schedule, self.cell.max_steps, step
        )
        return rate * 0.5**self.restart if self.cell.failure.policy == "half_rate" else rate

    def _batch_mse(self, rows: Int64[Tensor, "e batch"] | None) -> Float[Tensor, " e"]:
        """Each replicate's MSE on the images of those numbers, or on all of them."""
        images = self._all_images()
        if rows is not None:
            index = rows.to(self.device)
            images = images[torch.arange(len(index), device=self.device)[:, None], index]
        return self._mse(images)

    def _all_images(self) -> Float[Tensor, "e n c h w"]:
        return self.images.expand(len(self.replicates), -1, -1, -1, -1)

    def _mse(self, images: Float[Tensor, "e n c h w"]) -> Float[Tensor, " e"]:
        return _error(nets.forward(self.cell.net, self.params, images, self.buffers), images)

    def _full_mse(self) -> Float[Tensor, " e"]:
        """Each replicate's MSE on all its training images, in batches."""
        images = self._all_images()
        parts = torch.split(images, self.cell.batch_size, dim=1)
        total = sum(self._mse(part) * part.shape[1] for part in parts)
        return torch.as_tensor(total) / images.shape[1]

    @torch.no_grad()
    def _look(self) -> None:
        """Read the losses since the last look, and take out the replicates that end here."""
        images = self._all_images()[:, : self.cell.batch_size]
        small = self.batches.small
        goes_ahead = not small and not self.replayed
        with torch.set_grad_enabled(goes_ahead):
            output, dead = nets.forward_and_dead(self.cell.net, self.params, images, self.buffers)
            mse = _error(output, images)
        if goes_ahead:
            self.ahead, mse = mse, mse.detach()
        if small:
            mse = self._batch_mse(self.batches.rows(self.replicates, self.step))
        window = torch.stack([*self.losses[1:], mse])
        self.losses.clear()
        # One batch tells nothing of the others: what ends is judged by all images.
        verdict = self._verdict(mse, dead, whole=not small)
        read = torch.cat([window.double(), verdict.double()[None]]).cpu().numpy()
        curves, verdicts = read[:-1], read[-1]
        final = curves[-1]
        going = self.rows
        may_end = verdicts.astype(bool) | (curves.mean(0) < self.cell.stop_mse)
        if small and may_end[going].any():
            mse = self._full_mse()
            verdict = self._verdict(mse, dead, whole=True)
            final, verdicts = torch.stack([mse.double(), verdict.double()]).cpu().numpy()
        ends = {row: int(verdicts[row]) for row in going if verdicts[row] != GOES_ON}
        self._record(curves, ends.keys())
        if self.report is not None:
            left = len(going) - len(ends)
            self.report(self.step, float(np.mean(final[going])), left, self.restart)
        if ends:
            self._retire(
                {row: (VERDICTS[end] or "", float(final[row])) for row, end in ends.items()}
            )

    def _verdict(
        self, mse: Float[Tensor, " e"], dead: Float[Tensor, " e"], whole: bool
    ) -> Int64[Tensor, " e"]:
        """Whether and how each replicate ends here, on the device: places in `VERDICTS`."""
        last = GOES_ON if self.step < self.cell.max_steps else VERDICTS.index(MAX_STEPS)
        verdict = torch.where(dead > 0, VERDICTS.index(DEAD), last)
        if whole:
            below = mse.double() < self.cell.stop_mse
            verdict = torch.where(below, VERDICTS.index(CONVERGED), verdict)
        return torch.where(mse.isfinite(), verdict, VERDICTS.index(DIVERGED))

    def _record(self, window: Float[np.ndarray, "steps e"], ends: Collection[int]) -> None:
        """Keep the losses of the window: thinned, but always the one a replicate ends with."""
        first = self.step - len(window) + 1
        for step, losses in enumerate(window, first):
            rate = self._rate(step)
            for row in self.rows:
                if kept(step) or (step == self.step and row in ends):
                    loss = float(losses[row])
                    self.history.add(self.replicates[row], self.restart, step, loss, rate)

    def _retire(self, ends: Mapping[int, tuple[str, float]]) -> None:
        """Keep the numbers of the rows that end, status and MSE given; compact the stack.

        Recorded steps are of a stack of one size: there the rows are computed on, to no effect,
        until half of them are of no use.
        """
        for row, (status, mse) in ends.items():
            params = {name: p[row].detach().cpu().clone() for name, p in self.params.items()}
            self.ended.append(
                Outcome(self.replicates[row], self.restart, status, self.step, mse, params)
            )
        self.frozen |= ends.keys()
        stay = self.rows
        if not stay or (self.replayed and 2 * len(stay) > len(self.replicates)):
            return
        self.replicates = [self.replicates[row] for row in stay]
        self.frozen, self.steps, self.ahead, self.buffers = set(), None, None, {}
        rows = torch.tensor(stay, device=self.device)
        if len(self.images) > 1:
            self.images = self.images[rows]
        for name, old in self.params.items():
            self.params[name] = old.detach()[rows].requires_grad_(old.requires_grad)
        self.optimizer.keep_rows([self.params[name] for name in self.names], rows)
        self.buffers = nets.gradient_buffers(self.cell.net, self.params, self.names)


def _error(
    output: Float[Tensor, "e n c h w"], images: Float[Tensor, "e n c h w"]
) -> Float[Tensor, " e"]:
    return (output - images).square().flatten(1).mean(1)


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose name begins so, by the rest of their name."""
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }

"""Replicates in training together: their steps, the looks at their losses, how each of them ends.

A step is read in two files: this one (its images, losses and gradients, looks and ends) and
`idpipe.engine.optim` (what gradients change). Whether it is recorded (`idpipe.engine.replay`) makes
no difference to it.

Losses stay on the device between looks, every `report_every` steps; a look tells which replicates
end there. Their numbers are taken out then and no longer change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from idpipe import nets
from idpipe.cells import CONVERGED, DEAD, DIVERGED, MAX_STEPS, Cell, derived_seed
from idpipe.engine import optim
from idpipe.engine.outcomes import History, Outcome, Report, State, kept
from idpipe.engine.replay import Steps

GOES_ON = 0
VERDICTS = ("", DIVERGED, CONVERGED, DEAD, MAX_STEPS)
"""What a look's numbers stand for; 0: the replicate goes on."""


class Minibatches:
    """Minibatches without replacement, a fresh order per epoch, from the replicate's own seed."""

    def __init__(self, cell: Cell, images: int, restart: int) -> None:
        self.cell, self.images, self.restart = cell, images, restart
        self.small = images > cell.batch_size
        """Whether a step sees only some of the images."""
        self.per_epoch = images // cell.batch_size
        self.orders: dict[int, tuple[int, Tensor]] = {}

    def rows(self, replicates: Sequence[int], step: int) -> Int64[Tensor, "e batch"] | None:
        """Numbers of this step's images, on the CPU; None where a step sees all of them."""
        if not self.small:
            return None
        epoch, place = divmod(step, self.per_epoch)
        start = place * self.cell.batch_size
        end = start + self.cell.batch_size
        return torch.stack([self._order(r, epoch)[start:end] for r in replicates])

    def _order(self, replicate: int, epoch: int) -> Tensor:
        known = self.orders.get(replicate)
        if known is None or known[0] != epoch:
            seed = derived_seed(self.cell.seed, "batches", replicate, self.restart, epoch)
            order = torch.randperm(self.images, generator=torch.Generator().manual_seed(seed))
            known = self.orders[replicate] = (epoch, order)
        return known[1]


class Look(NamedTuple):
    """What a look reads, on the CPU."""

    curves: Float[np.ndarray, "steps e"]
    """MSEs of each step since the last look, up to those of the parameters as they are."""
    mse: Float[np.ndarray, " e"]
    """MSEs of the parameters as they are: on all images, where a replicate may end."""
    verdicts: Float[np.ndarray, " e"]
    """Whether and how each replicate ends: places in `VERDICTS`."""


class Stack:
    """Replicates in training together, from the same step 0.

    Args:
        cell: the problem.
        images: standardized, on the device and in the precision to train in; `t` is 1, or all the
            cell's replicates.
        replicates: which to train.
        restart: how often they have failed before.
        history: learning curves, which theirs are added to.
        report: called after every look.
        replayed: whether steps go by `idpipe.engine.replay`.
        state: where a training of the same arguments was.
    """

    def __init__(
        self,
        cell: Cell,
        images: Float[Tensor, "t j c h w"],
        replicates: Sequence[int],
        restart: int,
        history: History,
        report: Report | None = None,
        replayed: bool = False,
        state: State | None = None,
    ) -> None:
        self.cell, self.restart, self.device = cell, restart, images.device
        self.history, self.report, self.replayed = history, report, replayed
        self.replicates = list(replicates)
        """Those that are computed, in the order of the tensors' rows."""
        self.frozen: set[int] = set()
        """Rows of those that have ended and are computed on, to no effect."""
        self.images = images if len(images) == 1 else images[self.replicates]
        self.batches = Minibatches(cell, images.shape[1], restart)
        self.loss_scale = 1.0 if cell.loss == "mean" else images[0, 0].numel() / 2
        if state is None:
            self.params = nets.initial_params(cell, replicates, restart, self.device)
        else:
            held = _below("params.", state.tensors)
            self.params = {name: value.to(self.device) for name, value in held.items()}
        self.names = nets.trainable(cell, self.params)
        self.optimizer = optim.StackedOptimizer(cell, self._trained())
        self._want_gradients()
        self.step = 0
        self.losses: list[Tensor] = []
        """Of the steps since the last look."""
        self.ended: list[Outcome] = []
        self.steps: Steps | None = None
        if state is not None:
            self._go_on(state)

    def _trained(self) -> list[Tensor]:
        """The parameters that train."""
        return [self.params[name] for name in self.names]

    def _want_gradients(self) -> None:
        """Make the parameters ready for `_step`."""
        for param in self._trained():
            param.requires_grad_(True)
        self.buffers = nets.gradient_buffers(self.cell.net, self.params, self.names)
        """What each step writes its gradients over."""

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

    # --- steps -------------------------------------------------------------------------------

    def run(self, at_step: Callable[[], None] | None = None) -> list[Outcome]:
        """Train until every replicate has ended; `at_step` is called before every stretch."""
        every, last = self.cell.report_every, self.cell.max_steps
        while True:
            if at_step is not None:
                at_step()
            ahead = None
            if self.step % every == 0 or self.step == last:
                ahead = self._look()
                if not self.training:
                    return self.ended
                assert self.step < last, f"replicates {self.training} go on beyond the last step"
            self._advance(ahead)

    def _advance(self, ahead: Float[Tensor, " e"] | None = None) -> None:
        """Make a stretch of steps: one, or where they are replayed all of one rate up to a look."""
        rate = self._rate(self.step)
        if self.replayed:
            self._replay(rate, self._stretch())
            return
        rows = self.batches.rows(self.replicates, self.step)
        self.losses.append(self._step(rate, rows, ahead))
        self.step += 1

    def _stretch(self) -> int:
        """Steps up to the next look or milestone: the rate is the same in all of them."""
        every, last = self.cell.report_every, self.cell.max_steps
        most = min(every - self.step % every, last - self.step)
        rate = self._rate(self.step)
        return next((n for n in range(1, most) if self._rate(self.step + n) != rate), most)

    def _rate(self, step: int) -> float:
        rate = self.cell.optimizer.lr * optim.stage_factor(
            self.cell.schedule, self.cell.max_steps, step
        )
        return rate * 0.5**self.restart if self.cell.failure.policy == "half_rate" else rate

    def _replay(self, rate: float, count: int) -> None:
        """Make so many steps as recorded ones."""
        batches = [self.batches.rows(self.replicates, self.step + i) for i in range(count)]
        rows = torch.stack([b for b in batches if b is not None]) if self.batches.small else None
        if self.steps is None:
            like = self.params[self.names[0]].new_zeros(len(self.replicates))
            batch = self.cell.batch_size if self.batches.small else None
            self.steps = Steps(self.cell.report_every, like, batch)
        self.losses += self.steps.run(self._step, rate, count, rows).unbind()
        self.step += count

    def _step(
        self,
        rate: float,
        rows: Int64[Tensor, "e batch"] | None,
        ahead: Float[Tensor, " e"] | None = None,
    ) -> Float[Tensor, " e"]:
        """One step of gradient descent; each replicate's MSE before it.

        Args:
            rate: of learning.
            rows: numbers of each replicate's images; None for all of them.
            ahead: those MSEs, where the look before this step has computed them (`_look`).
        """
        mse = self._batch_mse(rows) if ahead is None else ahead
        grads = torch.autograd.grad(mse.sum() * self.loss_scale, self._trained())
        self.optimizer.step([grad.contiguous() for grad in grads], rate)
        return mse.detach()

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

    # --- looks -------------------------------------------------------------------------------

    @torch.no_grad()
    def _look(self) -> Float[Tensor, " e"] | None:
        """Read the losses since the last look, and take out the replicates that end here.

        Returns:
            the look-ahead: the look's MSEs with their graph, from which the step that follows goes
            down without computing them again. None where that step is of other images (minibatches)
            or of fewer replicates, or is recorded.
        """
        looks_ahead = not self.batches.small and not self.replayed
        with torch.set_grad_enabled(looks_ahead):
            mse, dead = self._mse_and_dead()
        look = self._read(mse.detach(), dead)
        ends = {
            row: (VERDICTS[int(look.verdicts[row])], float(look.mse[row]))
            for row in self.rows
            if look.verdicts[row] != GOES_ON
        }
        self._record(look.curves, ends)
        self._tell(look.mse, len(ends))
        if ends:
            self._retire(ends)
        return mse if looks_ahead and not ends else None

    def _mse_and_dead(self) -> tuple[Float[Tensor, " e"], Float[Tensor, " e"]]:
        """MSEs on the first batch of images, and which replicates are dead."""
        images = self._all_images()[:, : self.cell.batch_size]
        output, dead = nets.forward_and_dead(self.cell.net, self.params, images, self.buffers)
        return _error(output, images), dead

    def _read(self, mse: Float[Tensor, " e"], dead: Float[Tensor, " e"]) -> Look:
        """What there is to know of every row, from the device at once.

        One batch tells nothing of the others: with minibatches, where it looks as if a replicate
        ended, what ends is judged by all images.
        """
        small = self.batches.small
        if small:
            mse = self._batch_mse(self.batches.rows(self.replicates, self.step))
        curves = torch.stack([*self.losses[1:], mse])  # the first was the last look's
        self.losses.clear()
        verdict = self._verdict(mse, dead, whole=not small)
        read = torch.cat([curves.double(), verdict.double()[None]]).cpu().numpy()
        look = Look(read[:-1], read[-2], read[-1])
        may_end = look.verdicts.astype(bool) | (look.curves.mean(0) < self.cell.stop_mse)
        if not small or not may_end[self.rows].any():
            return look
        mse = self._full_mse()
        verdict = self._verdict(mse, dead, whole=True)
        return Look(look.curves, *torch.stack([mse.double(), verdict.double()]).cpu().numpy())

    def _full_mse(self) -> Float[Tensor, " e"]:
        """Each replicate's MSE on all its training images, in batches."""
        images = self._all_images()
        parts = torch.split(images, self.cell.batch_size, dim=1)
        total = sum(self._mse(part) * part.shape[1] for part in parts)
        return torch.as_tensor(total) / images.shape[1]

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

    def _record(self, curves: Float[np.ndarray, "steps e"], ends: Collection[int]) -> None:
        """Keep the losses since the last look: thinned, but always that which a row ends with."""
        first = self.step - len(curves) + 1
        for step, losses in enumerate(curves, first):
            rate = self._rate(step)
            for row in self.rows:
                if kept(step) or (step == self.step and row in ends):
                    loss = float(losses[row])
                    self.history.add(self.replicates[row], self.restart, step, loss, rate)

    def _tell(self, mse: Float[np.ndarray, " e"], ends: int) -> None:
        """Report a look at which so many replicates end."""
        if self.report is not None:
            going = self.rows
            mean = float(np.mean(mse[going]))
            self.report(self.step, mean, len(going) - ends, self.restart)

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
        if stay and not (self.replayed and 2 * len(stay) > len(self.replicates)):
            self._compact(stay)

    def _compact(self, stay: Sequence[int]) -> None:
        """Go on with these rows alone."""
        self.replicates = [self.replicates[row] for row in stay]
        self.frozen, self.steps, self.buffers = set(), None, {}
        rows = torch.tensor(stay, device=self.device)
        if len(self.images) > 1:
            self.images = self.images[rows]
        self.params = {name: old.detach()[rows] for name, old in self.params.items()}
        self.optimizer.keep_rows(self._trained(), rows)
        self._want_gradients()


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

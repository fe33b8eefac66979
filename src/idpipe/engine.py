"""Training: all replicates of a cell as one stacked problem, one loop for every network.

A replicate trained in a stack takes the same steps as alone: the loss is a sum over replicates, the
optimizers work number by number, and every seed belongs to one replicate. Losses stay on the device
between looks, every `report_every` steps; a look tells which replicates end there. Their numbers
are taken out then and no longer change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from idpipe import heap, nets, optim
from idpipe.cells import Cell
from idpipe.convolution import formulations
from idpipe.history import History, kept
from idpipe.minibatches import Minibatches
from idpipe.nets import DTYPES, Params
from idpipe.replay import Steps
from idpipe.tuning import Choices

CONVERGED, MAX_STEPS, DEAD, DIVERGED = "converged", "max_steps", "dead", "diverged"
GOES_ON = 0
VERDICTS = (None, DIVERGED, CONVERGED, DEAD, MAX_STEPS)
"""What a look's numbers stand for; 0: the replicate goes on."""

Report = Callable[[int, float, int, int], None]
"""Called with (step, mean MSE, replicates still training, restart)."""


@dataclass
class Outcome:
    """How one attempt at one replicate ended."""

    replicate: int
    restart: int
    status: str
    steps: int
    mse: float
    """Train MSE per pixel, standardized scale, of the parameters kept."""
    params: dict[str, Tensor] = field(repr=False)
    """Parameters without the replicate axis, on the CPU; none where another attempt followed."""


@dataclass
class Trained:
    """A trained cell: the attempt kept for each replicate, and all attempts in order."""

    outcomes: list[Outcome]
    attempts: list[Outcome]
    history: History
    formulations: dict[str, str] = field(default_factory=dict)
    """How each shape of convolution was computed (`idpipe.convolution`)."""

    @property
    def params(self) -> Params:
        """Final parameters, stacked over replicates."""
        names = self.outcomes[0].params
        return {name: torch.stack([o.params[name] for o in self.outcomes]) for name in names}


@dataclass
class State:
    """All that the rest of a training depends on, beside the cell and its images.

    It is of a moment between two steps, from which minibatches and rates follow. Its tensors are
    those in use: they change with the next step, and a training that starts from them takes them.
    """

    restart: int
    step: int
    """Steps made by the replicates still in training, since their restart."""
    replicates: list[int]
    """The replicates still in training, in the order of the stack."""
    tensors: dict[str, Tensor]
    """Their parameters, the optimizer's memory, losses not looked at yet."""
    attempts: list[Outcome]
    """Those that have ended."""
    history: History
    formulations: dict[str, str] = field(default_factory=dict)
    """What `Trained` says, so far."""


AtStep = Callable[["Training"], None]
"""Called before every step; may read the training's state, must not change it."""


def choose_device() -> torch.device:
    """The first CUDA device if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def set_numerics(cell: Cell) -> None:
    """Make this process compute as the cell's precision says, and repeatably.

    `ieee` turns TF32 off in matrix products and in cuDNN's convolutions, where it is on unless
    told otherwise and rounds an identity map.
    """
    precision = "tf32" if cell.precision == "tf32" else "ieee"
    torch.backends.cuda.matmul.fp32_precision = precision
    torch.backends.cudnn.conv.fp32_precision = precision  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def placed(cell: Cell, params: Params, device: torch.device | str) -> Params:
    """The parameters where and in the precision in which the cell computes; sets it."""
    set_numerics(cell)
    dtype = DTYPES[cell.precision]
    return {name: value.to(device=device, dtype=dtype) for name, value in params.items()}


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
        at_step: called before every step; on a GPU before every look.

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
        """As `train`; `replayed`: whether steps go by `idpipe.replay`, by default on a GPU."""
        set_numerics(cell)
        if device.type == "cpu":
            heap.keep_freed()
        self.cell, self.images, self.device, self.report = cell, images, device, report
        self.replayed = device.type == "cuda" if replayed is None else replayed
        # Where only zeros were added up, an optimizer that divides a gradient by its size would
        # make whole steps of a rounding error.
        exact_zeros = cell.optimizer.name != "sgd"
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
            self.stack = _Stack(self, self.order, 0)
            return
        self.attempts = [a for a in state.attempts if a.restart < state.restart]
        self.history = state.history
        self.stack = _Stack(self, state.replicates, state.restart, state)

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
            failed = [o for o in ended if o.status in (DEAD, DIVERGED)]
            if not failed or self.stack.restart == last:
                break
            for outcome in failed:
                outcome.params.clear()  # another attempt takes its place
            waiting = sorted(o.replicate for o in failed)
            self.stack = _Stack(self, waiting, self.stack.restart + 1)
        kept_last = {outcome.replicate: outcome for outcome in self.attempts}
        return Trained(
            [kept_last[replicate] for replicate in self.order],
            self.attempts,
            self.history,
            self.choices.names,
        )


class _Stack:
    """Replicates in training together, from the same step 0."""

    def __init__(
        self,
        training: Training,
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
        """Train until every replicate has ended."""
        every, last = self.cell.report_every, self.cell.max_steps
        while True:
            if at_step is not None:
                at_step()
            if self.step % every == 0 or self.step == last:
                self._look()
                if not self.training:
                    return self.ended
            self._advance(min(every - self.step % every, last - self.step), at_step)

    def _advance(self, count: int, at_step: Callable[[], None] | None) -> None:
        """Make so many steps; `at_step` is called between them, if they are made one by one."""
        if self.replayed:
            self._replay(count)
            return
        for number in range(count):
            if number and at_step is not None:
                at_step()
            rows = self.batches.rows(self.replicates, self.step)
            self.losses.append(self._step(self._rate(self.step), rows))
            self.step += 1

    def _replay(self, count: int) -> None:
        batches = [self.batches.rows(self.replicates, self.step + i) for i in range(count)]
        rows = torch.stack([b for b in batches if b is not None]) if self.batches.small else None
        if self.steps is None:
            name = self.names[0]
            like = self.params[name].new_zeros(len(self.replicates))
            batch = self.cell.batch_size if self.batches.small else None
            self.steps = Steps(self.cell.report_every, like, batch)
        rates = [self._rate(self.step + i) for i in range(count)]
        self.losses += self.steps.run(self._step, rates, rows).unbind()
        self.step += count

    def _step(
        self, rate: float | Tensor, rows: Int64[Tensor, "e batch"] | None
    ) -> Float[Tensor, " e"]:
        """One step of gradient descent; the losses before it."""
        mse, self.ahead = self._batch_mse(rows) if self.ahead is None else self.ahead, None
        total = mse.sum() * self.loss_scale
        params = [self.params[name] for name in self.names]
        grads = [grad.contiguous() for grad in torch.autograd.grad(total, params)]
        self.optimizer.step(grads, rate)
        if not self.cell.net.convolutional:
            for param, grad in zip(params, grads, strict=True):
                param.grad = grad  # fully connected layers write their next one over it
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
        return _error(nets.forward(self.cell.net, self.params, images), images)

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
            output, dead = nets.forward_and_dead(self.cell.net, self.params, images)
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
        self.frozen, self.steps, self.ahead = set(), None, None
        rows = torch.tensor(stay, device=self.device)
        if len(self.images) > 1:
            self.images = self.images[rows]
        for name, old in self.params.items():
            self.params[name] = old.detach()[rows].requires_grad_(old.requires_grad)
        self.optimizer.keep_rows([self.params[name] for name in self.names], rows)


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

"""Training: all replicates of a cell as one stacked problem, one loop for every network.

A replicate trained in a stack takes the same steps as alone: the loss is a sum over replicates, the
optimizers work number by number, and every seed belongs to one replicate. A replicate that has
ended leaves the stack, so its numbers no longer change.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from idpipe import nets, optim
from idpipe.cells import Cell, derived_seed
from idpipe.convolution import transforms_allowed
from idpipe.nets import DTYPES, Params

CONVERGED, MAX_STEPS, DEAD, DIVERGED = "converged", "max_steps", "dead", "diverged"

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
class History:
    """Learning curves, one row per (replicate, restart, step)."""

    replicate: list[int] = field(default_factory=list)
    restart: list[int] = field(default_factory=list)
    step: list[int] = field(default_factory=list)
    mse: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)


@dataclass
class Trained:
    """A trained cell: the attempt kept for each replicate, and all attempts in order."""

    outcomes: list[Outcome]
    attempts: list[Outcome]
    history: History

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
        report: called after every read of the losses.
        state: where a training of the same arguments was; it ends as that one would have.
        at_step: called before every step.

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
    ) -> None:
        set_numerics(cell)
        self.cell, self.images, self.device, self.report = cell, images, device, report
        self.order = list(replicates)
        self.attempts: list[Outcome] = []
        self.history = History()
        if state is None:
            self.stack = self._new_stack(self.order, 0)
            return
        self.attempts = [a for a in state.attempts if a.restart < state.restart]
        self.history = state.history
        self.stack = self._new_stack(state.replicates, state.restart, state)

    def _new_stack(
        self, replicates: Sequence[int], restart: int, state: State | None = None
    ) -> _Stack:
        return _Stack(
            self.cell,
            self.images,
            replicates,
            restart,
            self.device,
            self.history,
            self.report,
            state,
        )

    def state(self) -> State:
        """Where the training is, to be gone on from."""
        stack = self.stack
        attempts = [*self.attempts, *stack.ended]
        return State(
            stack.restart, stack.step, stack.replicates, stack.tensors(), attempts, self.history
        )

    def run(self, at_step: AtStep | None = None) -> Trained:
        """Train to the end."""
        policy = self.cell.failure
        last = 0 if policy.policy == "keep" else policy.max_restarts
        while True:
            with _flushed_denormals(), transforms_allowed(self.cell.optimizer.name == "sgd"):
                ended = self.stack.run(None if at_step is None else partial(at_step, self))
            self.attempts += ended
            failed = [o for o in ended if o.status in (DEAD, DIVERGED)]
            if not failed or self.stack.restart == last:
                break
            for outcome in failed:
                outcome.params.clear()  # another attempt takes its place
            waiting = sorted(o.replicate for o in failed)
            self.stack = self._new_stack(waiting, self.stack.restart + 1)
        kept = {outcome.replicate: outcome for outcome in self.attempts}
        return Trained([kept[replicate] for replicate in self.order], self.attempts, self.history)


class _Stack:
    """Replicates in training together, from the same step 0."""

    def __init__(
        self,
        cell: Cell,
        images: Float32[np.ndarray, "t j c h w"],
        replicates: Sequence[int],
        restart: int,
        device: torch.device,
        history: History,
        report: Report | None,
        state: State | None = None,
    ) -> None:
        self.cell, self.restart, self.device = cell, restart, device
        self.history, self.report = history, report
        self.replicates = list(replicates)
        if state is None:
            self.params = nets.initial_params(cell, replicates, restart, device)
        else:
            held = _below("params.", state.tensors)
            self.params = {name: value.to(device) for name, value in held.items()}
        self.names = nets.trainable(cell, self.params)
        for name in self.names:
            self.params[name].requires_grad_(True)
        self.optimizer = optim.Optimizer(cell, [self.params[name] for name in self.names])
        rows = list(replicates) if len(images) > 1 else [0]
        self.images = torch.tensor(images[rows], device=device, dtype=DTYPES[cell.precision])
        self.batches = _Batches(cell, self.images.shape[1], restart)
        self.loss_scale = 1.0 if cell.loss == "mean" else self.images[0, 0].numel() / 2
        self.step = 0
        self.window: list[Tensor] = []
        self.ended: list[Outcome] = []
        if state is not None:
            self._go_on(state)

    def _go_on(self, state: State) -> None:
        self.step = state.step
        self.ended = [a for a in state.attempts if a.restart == self.restart]
        self.window = list(state.tensors["window"].to(self.device))
        self.optimizer.load(_below("optimizer.", state.tensors))
        state.tensors.clear()  # or the memory of rows that leave the stack would stay in use
        if self.step > 0:
            # Added to zero, a gradient of -0 becomes 0; the first one of all is taken as it is.
            for name in self.names:
                self.params[name].grad = torch.zeros_like(self.params[name])

    def tensors(self) -> dict[str, Tensor]:
        """All tensors that the next steps depend on, by name; not copied."""
        window = torch.stack(self.window) if self.window else torch.empty(0, len(self.replicates))
        return {
            **{f"params.{name}": param.detach() for name, param in self.params.items()},
            **{f"optimizer.{name}": value for name, value in self.optimizer.tensors().items()},
            "window": window,
        }

    def run(self, at_step: Callable[[], None] | None = None) -> list[Outcome]:
        """Train until every replicate has ended."""
        while True:
            if at_step is not None:
                at_step()
            mse = self._batch_mse()
            self.window.append(mse.detach())
            if self.step % self.cell.report_every == 0 or self.step == self.cell.max_steps:
                ends = self._judge()
                if ends:
                    self._retire(ends)
                    if not self.replicates:
                        return self.ended
                    mse = self._batch_mse()
            self._update(mse)
            self.step += 1

    def _update(self, mse: Float[Tensor, " e"]) -> None:
        self.optimizer.zero_grad()
        (mse.sum() * self.loss_scale).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step(self._rate(self.step))

    def _rate(self, step: int) -> float:
        rate = self.cell.optimizer.lr * optim.stage_factor(
            self.cell.schedule, self.cell.max_steps, step
        )
        return rate * 0.5**self.restart if self.cell.failure.policy == "half_rate" else rate

    def _batch_mse(self) -> Float[Tensor, " e"]:
        """Each replicate's MSE on the images of this step."""
        rows = self.batches.rows(self.replicates, self.step)
        images = self.images.expand(len(self.replicates), -1, -1, -1, -1)
        if rows is not None:
            index = rows.to(self.device)
            images = images[torch.arange(len(index), device=self.device)[:, None], index]
        return self._mse(images)

    def _mse(self, images: Float[Tensor, "e n c h w"]) -> Float[Tensor, " e"]:
        output = nets.forward(self.cell.net, self.params, images)
        return (output - images).square().flatten(1).mean(1)

    @torch.no_grad()
    def _full_mse(self) -> Float[Tensor, " e"]:
        """Each replicate's MSE on all its training images, in batches."""
        images = self.images.expand(len(self.replicates), -1, -1, -1, -1)
        parts = torch.split(images, self.cell.batch_size, dim=1)
        total = sum(self._mse(part) * part.shape[1] for part in parts)
        return torch.as_tensor(total) / images.shape[1]

    def _judge(self) -> list[tuple[int, str, float]]:
        """Read the losses since the last look; say which rows of the stack end here, and how."""
        window = torch.stack(self.window).double().cpu().numpy()
        self.window.clear()
        mse = window[-1]
        last = self.step == self.cell.max_steps
        dead = self._dead()
        # One batch tells nothing of the others: what ends is judged by all images.
        whole = not self.batches.small
        if not whole and (last or dead.any() or (window.mean(0) < self.cell.stop_mse).any()):
            mse, whole = self._full_mse().double().cpu().numpy(), True
        ends = []
        for row, value in enumerate(mse):
            status = self._status(float(value), bool(dead[row]), last, whole)
            if status is not None:
                ends.append((row, status, float(value)))
        self._record(window, {row for row, _, _ in ends})
        if self.report is not None:
            self.report(self.step, float(np.mean(mse)), len(mse) - len(ends), self.restart)
        return ends

    def _status(self, mse: float, dead: bool, last: bool, whole: bool) -> str | None:
        if not math.isfinite(mse):
            return DIVERGED
        if whole and mse < self.cell.stop_mse:
            return CONVERGED
        if dead:
            return DEAD
        return MAX_STEPS if last else None

    def _dead(self) -> Float[Tensor, " e"]:
        images = self.images.expand(len(self.replicates), -1, -1, -1, -1)
        return nets.dead_replicates(
            self.cell.net, self.params, images[:, : self.cell.batch_size]
        ).cpu()

    def _record(self, window: np.ndarray, ended: set[int]) -> None:
        """Keep the losses of the window: thinned, but always the one a replicate ends with."""
        first = self.step - len(window) + 1
        for offset, losses in enumerate(window):
            step = first + offset
            thinned = step % _stride(step) != 0
            for row, (replicate, mse) in enumerate(zip(self.replicates, losses, strict=True)):
                if thinned and (step < self.step or row not in ended):
                    continue
                self.history.replicate.append(replicate)
                self.history.restart.append(self.restart)
                self.history.step.append(step)
                self.history.mse.append(float(mse))
                self.history.lr.append(self._rate(step))

    def _retire(self, ends: list[tuple[int, str, float]]) -> None:
        """Take the rows that end out of the stack, with their optimizer state."""
        for row, status, mse in ends:
            params = {name: p[row].detach().cpu().clone() for name, p in self.params.items()}
            self.ended.append(
                Outcome(self.replicates[row], self.restart, status, self.step, mse, params)
            )
        gone = {row for row, _, _ in ends}
        stay = [row for row in range(len(self.replicates)) if row not in gone]
        self.replicates = [self.replicates[row] for row in stay]
        if not stay:
            return
        rows = torch.tensor(stay, device=self.device)
        if len(self.images) > 1:
            self.images = self.images[rows]
        for name, old in self.params.items():
            self.params[name] = old.detach()[rows].requires_grad_(old.requires_grad)
        self.optimizer.keep_rows([self.params[name] for name in self.names], rows)


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose name begins so, by the rest of their name."""
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


class _Batches:
    """Minibatches without replacement, a fresh order per epoch, from the replicate's own seed."""

    def __init__(self, cell: Cell, images: int, restart: int) -> None:
        self.cell, self.images, self.restart = cell, images, restart
        self.small = images > cell.batch_size
        """Whether a step sees only some of the images."""
        self.per_epoch = images // cell.batch_size
        self.orders: dict[int, tuple[int, Tensor]] = {}

    def rows(self, replicates: Sequence[int], step: int) -> Tensor | None:
        """Image numbers of this step, int64 [e, batch]; None where a step sees all of them."""
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


def _stride(step: int) -> int:
    """History keeps every step up to 1,000, then every 10th up to 10,000, and so on."""
    return max(1, 10 ** (len(str(step)) - 3)) if step else 1


class Progress:
    """Prints step, MSE, speed and time left, at most every `seconds`, from `step` on."""

    def __init__(
        self,
        name: str,
        max_steps: int,
        show: Callable[[str], None],
        seconds: float = 5.0,
        step: int = 0,
    ) -> None:
        self.name, self.max_steps, self.show, self.seconds = name, max_steps, show, seconds
        self.last_time, self.last_step = time.monotonic(), step

    def __call__(self, step: int, mse: float, training: int, restart: int) -> None:
        """Take one report of the engine."""
        now = time.monotonic()
        if step < self.last_step:
            self.last_time, self.last_step = now, step
        if now - self.last_time < self.seconds:
            return
        speed = (step - self.last_step) / (now - self.last_time)
        if speed == 0:
            return
        left = (self.max_steps - step) / speed
        again = f", restart {restart}" if restart else ""
        self.show(
            f"{self.name}: step {step:,}/{self.max_steps:,}  MSE {mse:.2e}  {speed:,.0f} steps/s  "
            f"at most {left / 60:,.1f} min left  ({training} training{again})"
        )
        self.last_time, self.last_step = now, step

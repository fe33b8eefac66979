"""What training comes to: learning curves, how each replicate ends, and all of it at a step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

Report = Callable[[int, float, int, int], None]
"""Called with (step, mean MSE, replicates still training, restart)."""


@dataclass
class History:
    """Learning curves, one row per (replicate, restart, step)."""

    replicate: list[int] = field(default_factory=list)
    restart: list[int] = field(default_factory=list)
    step: list[int] = field(default_factory=list)
    mse: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)

    def add(self, replicate: int, restart: int, step: int, mse: float, lr: float) -> None:
        """One more row."""
        self.replicate.append(replicate)
        self.restart.append(restart)
        self.step.append(step)
        self.mse.append(mse)
        self.lr.append(lr)


def kept(step: int) -> bool:
    """Every step is kept up to 1,000, then every 10th up to 10,000, and so on."""
    return step == 0 or step % max(1, 10 ** (len(str(step)) - 3)) == 0


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

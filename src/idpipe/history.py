"""Learning curves."""

from __future__ import annotations

from dataclasses import dataclass, field


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

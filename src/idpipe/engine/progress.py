"""The line that a training prints every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable


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

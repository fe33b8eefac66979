"""How the training of a replicate ends, and what each ending is called where it is told."""

from __future__ import annotations

from typing import NamedTuple

CONVERGED, MAX_STEPS, DEAD, DIVERGED = "converged", "max_steps", "dead", "diverged"


class Ending(NamedTuple):
    """One of the four."""

    lives: bool
    """Whether the numbers of such a replicate count."""
    told: str
    """What such replicates did, after their number."""
    mark: str
    """What a row of images adds to its label; empty for what needs no word."""


ENDINGS = {
    CONVERGED: Ending(True, "converged", ""),
    MAX_STEPS: Ending(True, "ran out of steps", "not converged"),
    DEAD: Ending(False, "died", "dead"),
    DIVERGED: Ending(False, "diverged", "diverged"),
}
"""Status -> what is said of it."""
LIVE = tuple(status for status, ending in ENDINGS.items() if ending.lives)
LOST = tuple(status for status, ending in ENDINGS.items() if not ending.lives)

"""Algorithmic patterns: one picture each, drawn at any resolution (Figs. 1 to 3).

Adding a pattern: its name in `idpipe.config.PatternName`, a function here, its entry in `PATTERNS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import numpy as np
from jaxtyping import Bool, Float, Float64

from idpipe.cells import every_one_of
from idpipe.config import PatternName

Plane = Float64[np.ndarray, "h w"]

FINE = 448
"""Samples a side at least, so that edges are smooth; a multiple of 7, 14, 28, 56, 112 and 224, at
which sizes a pattern is the exact average of itself at a larger one."""


def _painted(size: int, paint: Callable[[Plane, Plane], np.ndarray]) -> Plane:
    """Average `paint(x, y)` over the area of each of size x size pixels; x and y are in (0, 1)."""
    samples = max(1, -(-FINE // size))
    places = (np.arange(size * samples) + 0.5) / (size * samples)
    fine = paint(*np.meshgrid(places, places)).astype(np.float64)
    return np.asarray(fine.reshape(size, samples, size, samples).mean(axis=(1, 3)))


def _distance(x: Plane, y: Plane) -> Plane:
    return np.asarray(np.hypot(x - 0.5, y - 0.5))


def _flat(size: int) -> Plane:
    return np.full((size, size), 0.5)


def _gradient(size: int) -> Plane:
    return _painted(size, lambda x, y: x)


def _checkerboard(size: int) -> Plane:
    return _painted(size, lambda x, y: (7 * x // 1 + 7 * y // 1) % 2)


def _stripes(size: int) -> Plane:
    return _painted(size, lambda x, y: 7 * x // 1 % 2)


def _circle(size: int) -> Plane:
    return _painted(size, lambda x, y: _distance(x, y) < 5 / 14)


def _cross(size: int) -> Plane:
    def paint(x: Plane, y: Plane) -> Bool[np.ndarray, "h w"]:
        near, far = np.sort(np.abs([x - 0.5, y - 0.5]), axis=0)
        return np.asarray((near < 1 / 14) & (far < 5 / 14))

    return _painted(size, paint)


def _rings(size: int) -> Plane:
    return _painted(size, lambda x, y: 7 * _distance(x, y) // 1 % 2)


def _dots(size: int) -> Plane:
    return _painted(size, lambda x, y: np.hypot(4 * x % 1 - 0.5, 4 * y % 1 - 0.5) < 0.3)


def _noise(size: int) -> Plane:
    cells = np.random.default_rng(0).random((28, 28))
    return _painted(size, lambda x, y: cells[(28 * y).astype(int), (28 * x).astype(int)])


PATTERNS: dict[str, Callable[[int], Float[np.ndarray, "size size"]]] = {
    "flat": _flat,
    "gradient": _gradient,
    "checkerboard": _checkerboard,
    "stripes": _stripes,
    "circle": _circle,
    "cross": _cross,
    "rings": _rings,
    "dots": _dots,
    "noise": _noise,
}
"""Name -> gray values in [0, 1] at size x size pixels: one picture, drawn at any resolution."""
every_one_of("PATTERNS", PATTERNS, get_args(PatternName))

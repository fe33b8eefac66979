"""Numbers per replicate, and what is made of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

Sample = dict[int, float]
"""Replicate -> its number. Replicates of different cells are independent, so which of them are
paired in a difference does not matter."""


class Untestable(Exception):
    """A run cannot tell whether a claim holds; the message is the reason, a sentence's middle."""


def combined(samples: Sequence[Sample], function: Callable[[list[float]], float]) -> Sample:
    """`function` of each replicate's numbers, where all samples have the replicate."""
    shared = set.intersection(*(set(sample) for sample in samples))
    return {r: float(function([sample[r] for sample in samples])) for r in sorted(shared)}


def least(samples: Sequence[Sample]) -> Sample:
    """Each replicate's least number."""
    return combined(samples, min)


def greatest(samples: Sequence[Sample]) -> Sample:
    """Each replicate's greatest number."""
    return combined(samples, max)


def mean(samples: Sequence[Sample]) -> Sample:
    """Each replicate's mean."""
    return combined(samples, lambda values: float(np.mean(values)))


def minus(a: Sample, b: Sample) -> Sample:
    """Differences."""
    return combined([a, b], lambda values: values[0] - values[1])


def magnitude(sample: Sample) -> Sample:
    """Absolute values."""
    return {r: abs(value) for r, value in sample.items()}


def log10(sample: Sample) -> Sample:
    """Logarithms; what is 0 counts as 1e-30."""
    return {r: math.log10(max(value, 1e-30)) for r, value in sample.items()}


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Spearman's, with mean ranks for ties; NaN where one side is constant."""
    ranks = [_ranks(np.asarray(values, float)) for values in (a, b)]
    centred = [r - r.mean() for r in ranks]
    size = math.sqrt(float((centred[0] ** 2).sum() * (centred[1] ** 2).sum()))
    return float((centred[0] * centred[1]).sum()) / size if size else math.nan


def _ranks(values: np.ndarray) -> np.ndarray:
    below = (values[:, None] > values).sum(1)
    return np.asarray(below + ((values[:, None] == values).sum(1) - 1) / 2)

"""Mean and confidence interval over replicates."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit  # type: ignore[import-untyped]


def interval(values: Sequence[float], level: float) -> tuple[float, float]:
    """Mean of `values` and half the width of its Student t interval at `level`.

    The half-width is NaN for one value, which says nothing of the spread; both are NaN for none.
    """
    count = len(values)
    if count == 0:
        return math.nan, math.nan
    mean = float(np.mean(values))
    if count == 1:
        return mean, math.nan
    quantile = float(stdtrit(count - 1, 0.5 + level / 2))
    return mean, quantile * float(np.std(values, ddof=1)) / math.sqrt(count)

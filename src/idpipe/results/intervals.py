"""Mean and confidence interval over replicates."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import stdtrit  # type: ignore[import-untyped]

from idpipe.cells import LIVE


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


def per_replicate(metrics: pd.DataFrame, measure: str) -> list[float]:
    """Each live replicate's mean of `measure` over the rows where it is finite, one cell's rows."""
    kept = metrics[metrics["status"].isin(LIVE) & np.isfinite(metrics[measure])]
    return list(kept.groupby("replicate")[measure].mean())

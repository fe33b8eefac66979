import math

import numpy as np
import pandas as pd
import pytest

from idpipe.results import interval, per_replicate

# Student's table, two-sided 95 % and 90 %.
TABLE = {(1, 0.95): 12.7062, (2, 0.95): 4.30265, (4, 0.95): 2.77645, (9, 0.90): 1.83311}


@pytest.mark.parametrize(("freedom", "level"), TABLE)
def test_half_width_is_the_tabled_quantile_times_the_standard_error(freedom, level):
    values = np.random.default_rng(freedom).normal(3, 2, freedom + 1)
    mean, half = interval(list(values), level)
    total = sum(values)
    variance = sum((value - total / len(values)) ** 2 for value in values) / freedom
    assert mean == pytest.approx(total / len(values))
    assert half == pytest.approx(
        TABLE[freedom, level] * math.sqrt(variance / len(values)), rel=1e-5
    )


def test_t_density_between_the_limits_integrates_to_the_level():
    values, level = [0.0, 1.0, 4.0, 7.0], 0.8
    _, half = interval(values, level)
    limit = half / (np.std(values, ddof=1) / 2)
    t = np.linspace(-limit, limit, 200_001)
    scale = math.gamma(2) / (math.sqrt(3 * math.pi) * math.gamma(1.5))
    density = scale * (1 + t**2 / 3) ** -2
    assert np.trapezoid(density, t) == pytest.approx(level, abs=1e-8)


def test_covers_the_truth_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(size=(4000, 3))
    hits = [abs(mean) <= half for mean, half in (interval(list(d), 0.9) for d in draws)]
    assert np.mean(hits) == pytest.approx(0.9, abs=0.02)


def test_one_value_has_no_width_and_none_has_no_mean():
    assert interval([2.5], 0.95)[0] == 2.5
    assert math.isnan(interval([2.5], 0.95)[1])
    assert all(math.isnan(number) for number in interval([], 0.95))


def test_replicates_are_averaged_over_what_is_live_and_finite():
    rows = pd.DataFrame(
        {
            "replicate": [0, 0, 1, 1, 2, 3],
            "status": ["converged"] * 2 + ["max_steps"] * 2 + ["dead", "diverged"],
            "correlation": [0.2, 0.4, np.nan, 0.8, 0.9, np.inf],
        }
    )
    assert per_replicate(rows, "correlation") == pytest.approx([0.3, 0.8])

"""Correlation and MSE against numpy's own and explicit sums."""

import math

import numpy as np
import pytest

from idpipe.images import correlation, mse

pytestmark = pytest.mark.numerical


@pytest.fixture
def pairs():
    generator = np.random.default_rng(0)
    return generator.normal(1, 2, size=(2, 3, 4, 1, 5, 5)).astype(np.float32)


def test_pearson_is_corrcoef(pairs):
    ours = correlation(pairs[0], pairs[1], "pearson")
    assert ours.shape == (3, 4)
    for place in np.ndindex(3, 4):
        theirs = np.corrcoef(pairs[0][place].ravel(), pairs[1][place].ravel())[0, 1]
        assert ours[place] == pytest.approx(theirs, abs=1e-7)


def test_cosine_is_the_angle(pairs):
    a, b = pairs[0, 0, 0].astype(float), pairs[1, 0, 0].astype(float)
    expected = sum(x * y for x, y in zip(a.ravel(), b.ravel(), strict=True)) / math.sqrt(
        sum(x * x for x in a.ravel()) * sum(y * y for y in b.ravel())
    )
    assert correlation(a, b, "cosine") == pytest.approx(expected)


def test_mse_is_the_mean_square(pairs):
    ours = mse(*pairs)
    assert ours.shape == (3, 4)
    for place in np.ndindex(3, 4):
        a, b = (images[place].astype(float).ravel() for images in pairs)
        expected = sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / 25
        assert ours[place] == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["cosine", "pearson"])
def test_single_precision_is_widened_before_anything_is_rounded(pairs, kind):
    a, b = pairs
    wide = correlation(a.astype(float), b.astype(float), kind)
    np.testing.assert_array_equal(correlation(a, b, kind), wide)
    np.testing.assert_array_equal(mse(a, b), mse(a.astype(float), b.astype(float)))


@pytest.mark.parametrize("kind", ["cosine", "pearson"])
def test_laws(pairs, kind):
    a = pairs[0]
    np.testing.assert_allclose(correlation(a, a, kind), 1)
    np.testing.assert_allclose(correlation(a, -3 * a, kind), -1)
    np.testing.assert_allclose(correlation(a, 1e-4 * a, kind), 1)
    shifted = correlation(a, a + 1, kind)
    assert np.allclose(shifted, 1) == (kind == "pearson")


def test_a_reference_broadcasts_over_replicates(pairs):
    reference = pairs[1, :1]
    ours = correlation(pairs[0], reference, "cosine")
    alone = [correlation(pairs[0, replicate], reference[0], "cosine") for replicate in range(3)]
    np.testing.assert_array_equal(ours, alone)


@pytest.mark.parametrize("kind", ["cosine", "pearson"])
@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 1e30, 1e200])
def test_no_direction_is_nan_and_spoils_nothing_else(pairs, kind, value):
    a = pairs[0].astype(np.float64)
    a[1, 2] = value
    found = correlation(a, pairs[1], kind)
    # A flat image still has an angle to another; under `pearson` it has none.
    undefined = not (value == 1e30 and kind == "cosine")
    assert np.isnan(found[1, 2]) == undefined
    assert np.isfinite(np.delete(found.ravel(), 6)).all()


def test_the_error_of_what_diverged_is_no_number_and_spoils_nothing_else(pairs):
    a, b = pairs.astype(np.float64)
    a[0, 0], a[1, 2] = 1e200, np.inf
    b[1, 2] = np.inf
    found = mse(a, b).ravel()
    assert np.isinf(found[0]) and np.isnan(found[6])
    assert np.isfinite(np.delete(found, [0, 6])).all()

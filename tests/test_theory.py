"""Closed forms against brute force: gradient descent, torch's convolution, random draws."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq, minimize_scalar
from torch.nn import functional as F

from idpipe import nets, theory

pytestmark = pytest.mark.numerical

GENERATOR = np.random.default_rng(0)


def descend(start, x, y, steps=20_000):
    """Plain gradient descent on half the squared error of x W against y."""
    weights = start.copy()
    rate = 1 / np.linalg.norm(x, 2) ** 2
    for _ in range(steps):
        weights -= rate * x.T @ (x @ weights - y)
    return weights


def test_theorem_1_is_what_gradient_descent_comes_to():
    start, train, x = (GENERATOR.normal(size=s) for s in ((6, 6), 6, (4, 6)))
    descended = descend(start.T, train[None], train[None], 500).T
    np.testing.assert_allclose(theory.theorem1_weights(start, train), descended, atol=1e-12)
    along, across = theory.theorem1(start, train, x)
    np.testing.assert_allclose(along + across, x @ descended.T, atol=1e-12)


def test_theorem_1_parts():
    start, train, x = (GENERATOR.normal(size=s) for s in ((6, 6), 6, (4, 6)))
    along = theory.parallel(train, x)
    np.testing.assert_allclose((x - along) @ train, 0, atol=1e-12)
    assert np.linalg.matrix_rank(np.vstack([along, train])) == 1
    # The training image passes; what is orthogonal to it meets the initial weights alone.
    passed, rest = theory.theorem1(start, train, np.stack([train, (x - along)[0]]))
    np.testing.assert_allclose(passed[0], train)
    np.testing.assert_allclose(rest[0], 0, atol=1e-12)
    np.testing.assert_allclose(passed[1], 0, atol=1e-12)
    np.testing.assert_allclose(rest[1], start @ (x - along)[0])


@pytest.mark.parametrize(("kernel", "channels"), [(1, 1), (3, 1), (5, 3), (13, 2)])
def test_patches_times_the_matrix_are_a_convolution(kernel, channels):
    images = GENERATOR.normal(size=(2, channels, 5, 6))
    filters = GENERATOR.normal(size=(channels, channels, kernel, kernel))
    rows = theory.patches(images, kernel) @ theory.as_matrix(filters)
    convolved = F.conv2d(torch.tensor(images), torch.tensor(filters), padding=kernel // 2)
    np.testing.assert_allclose(rows, theory.pixels(convolved.numpy()), atol=1e-12)
    np.testing.assert_array_equal(
        theory.patches(images, kernel) @ theory.centre(kernel, channels), theory.pixels(images)
    )


def problem(size, kernel, channels=1):
    """Initial weights, patches and pixels of a random image."""
    image = GENERATOR.normal(size=(1, channels, size, size))
    x, y = theory.patches(image, kernel)[0], theory.pixels(image)[0]
    return 0.3 * GENERATOR.normal(size=(x.shape[1], channels)), x, y


@pytest.mark.parametrize(("size", "kernel", "channels"), [(4, 3, 1), (3, 5, 1), (3, 3, 2)])
def test_lemmas_are_what_gradient_descent_comes_to(size, kernel, channels):
    start, x, y = problem(size, kernel, channels)
    found = theory.closed_form(start, x, y)
    lemma = theory.lemma1(start, x, y) if len(x) < x.shape[1] else theory.lemma2(x, y)
    np.testing.assert_array_equal(found, lemma)
    np.testing.assert_allclose(found, descend(start, x, y), atol=1e-6)


def test_repeated_patches_count_once():
    """Footnote 1 of Appendix D: neither lemma's inverse exists."""
    start, x, y = problem(3, 5)
    again = np.vstack([x, x[:4], 2 * x[5] - x[:1]])
    targets = np.vstack([y, y[:4], 2 * y[5] - y[:1]])
    assert theory.row_space(again).shape == (25, 9)
    found = theory.closed_form(start, again, targets)
    np.testing.assert_allclose(found, theory.lemma1(start, x, y), atol=1e-10)
    # Fewer patches than 25 numbers in each, more than their rank.
    np.testing.assert_allclose(found, descend(start, again, targets), atol=1e-6)


@pytest.mark.parametrize("scale", [1e-8, 1, 1e8])
@pytest.mark.parametrize("rank", [1, 3])
def test_row_space_is_an_orthonormal_basis_of_the_rows_at_any_scale(rank, scale):
    x = scale * GENERATOR.normal(size=(4, rank)) @ GENERATOR.normal(size=(rank, 7))
    basis = theory.row_space(x)
    assert basis.shape == (7, rank)
    np.testing.assert_allclose(basis.T @ basis, np.eye(rank), atol=1e-12)
    np.testing.assert_allclose(x @ basis @ basis.T, x, atol=1e-12 * scale)
    assert theory.row_space(GENERATOR.normal(size=(2, 7)).astype(np.float32)).dtype == np.float64


@pytest.mark.parametrize(("size", "kernel", "channels"), [(4, 5, 1), (3, 3, 2), (6, 3, 1)])
def test_the_error_is_that_of_the_closed_form(size, kernel, channels):
    start, x, y = problem(size, kernel, channels)
    images = GENERATOR.normal(size=(3, channels, 7, 7))
    test = theory.patches(images, kernel)
    predicted = test @ theory.closed_form(start, x, y)
    error = ((predicted - theory.pixels(images)) ** 2).mean(axis=(1, 2))
    basis = theory.row_space(x)
    np.testing.assert_allclose(theory.theorem2_error(start, basis, test), error, atol=1e-12)
    assert (error.max() < 1e-12) == (basis.shape[1] == kernel**2 * channels)


# --- the bound -------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "lost"), [(1, 1), (1, 161), (3, 83)])
def test_the_tail_is_chernoffs_own(channels, lost):
    """ζ with n min_t exp(-ζ t C) (1 - 2t)^(-C/2) = δ, by search over t and ζ."""

    def log_probability(zeta):
        def exponent(t):
            return -zeta * t * channels - channels / 2 * math.log(1 - 2 * t)

        best = minimize_scalar(exponent, bounds=(0, 0.5 - 1e-12), method="bounded")
        return math.log(lost) + best.fun - math.log(0.05)

    zeta = brentq(log_probability, 1.01, 200)
    kernel = 1 + 2 * math.ceil(math.sqrt(lost / channels))
    bound = theory.theorem2_bound(kernel, channels, kernel**2 * channels - lost, 0.7, 1.5)
    field = kernel**2 * channels
    root = math.sqrt(lost * 0.7 * zeta * channels) + math.sqrt(lost * channels)
    assert bound == pytest.approx((root * 1.5 * math.sqrt(field)) ** 2 / channels, rel=1e-4)


@pytest.mark.parametrize("init", ["printed", "pytorch", "kaiming_uniform"])
def test_few_starts_exceed_what_the_bound_rests_on(init):
    """P(some ||W⁰ᵀ v_k||² >= σ² C M) <= δ, for the inits that the engine draws (Eqs. 10, 11)."""
    kernel, channels, delta, draws = 5, 3, 0.1, 2_000
    weights = torch.empty(draws * channels, channels, kernel, kernel)
    nets.INITS[init](weights, torch.Generator().manual_seed(0))
    start = weights.double().numpy().reshape(draws, channels, -1)
    if init == "printed":  # the fan-out of so many filters at once is another
        start *= math.sqrt(draws)
    variance = theory.initial_variance(init, kernel, channels)
    assert start.var() == pytest.approx(variance, rel=0.02)
    directions = np.linalg.qr(GENERATOR.normal(size=(kernel**2 * channels, 40)))[0]
    sizes = np.square(start @ directions).sum(axis=1)
    limit = variance * channels * theory._tail(2 / channels * math.log(40 / delta))
    exceeded = (sizes > limit).any(axis=1).mean()
    assert exceeded <= delta
    # It is no empty bound either: half the threshold is passed by most.
    assert (sizes > limit / 2).any(axis=1).mean() > delta


@pytest.mark.parametrize(("size", "kernel", "channels"), [(4, 5, 1), (3, 3, 2), (4, 7, 3)])
def test_the_error_stays_below_the_bound(size, kernel, channels):
    image = GENERATOR.uniform(-1, 1, size=(1, channels, size, size))
    test = theory.patches(GENERATOR.uniform(-2, 2, size=(20, channels, 8, 8)), kernel)
    basis = theory.row_space(theory.patches(image, kernel)[0])
    variance = theory.initial_variance("printed", kernel, channels)
    bound = theory.theorem2_bound(kernel, channels, basis.shape[1], variance, 2.0)
    for _ in range(20):
        start = GENERATOR.normal(0, math.sqrt(variance), size=(kernel**2 * channels, channels))
        assert 0 < theory.theorem2_error(start, basis, test).max() < bound


def test_the_bound_grows_with_the_kernel_and_shrinks_with_the_rank():
    kernels = [theory.theorem2_bound(k, 1, 9, 0.1, 2.0) for k in (3, 5, 7, 9)]
    assert kernels[0] == 0 and kernels == sorted(kernels)
    ranks = [theory.theorem2_bound(9, 3, r, 0.1, 2.0) for r in (10, 50, 100, 243)]
    assert ranks[-1] == 0 and ranks == sorted(ranks, reverse=True)


@pytest.mark.parametrize("init", theory.VARIANCES)
def test_variances_are_those_of_the_inits(init):
    weights = torch.empty(40, 40, 5, 5)
    nets.INITS[init](weights, torch.Generator().manual_seed(0))
    assert weights.var().item() == pytest.approx(theory.VARIANCES[init](1000, 1000), rel=0.05)
    one = theory.initial_variance(init, 5, 40)
    assert one == theory.VARIANCES[init](1000, 1000)


def test_an_init_without_independent_weights_is_refused():
    assert set(nets.INITS) - set(theory.VARIANCES) == {"orthogonal"}
    with pytest.raises(ValueError, match="init orthogonal: Theorem 2 needs independent weights"):
        theory.initial_variance("orthogonal", 5, 1)

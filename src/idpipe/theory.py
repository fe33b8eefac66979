"""Closed forms of Theorems 1 and 2: one-layer networks without biases, trained on one image.

Gradient descent, with or without momentum, moves the weights only within the span of the training
inputs; where it starts from survives outside of it. That decides what these networks become
(Appendix C for fully connected ones, Appendix D for convolutions). All numbers are float64.

Shapes: `p` pixels of all channels; `n` images; `c` channels; `k` kernel size; `d = c k k` numbers
in a patch; `a = h w` patches of an image; `r` rank of the training image's patches.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Float64
from scipy.special import lambertw  # type: ignore[import-untyped]

# --- Theorem 1: fully connected (Sec. 3.1, Appendix C) ---------------------------------------


def parallel(
    train: Float[np.ndarray, " p"], x: Float[np.ndarray, "n p"]
) -> Float64[np.ndarray, "n p"]:
    """The projections (t·x / t·t) t of inputs x onto the training image t."""
    t = train.astype(np.float64)
    return np.outer(x @ t / (t @ t), t)


def theorem1(
    start: Float[np.ndarray, "p p"], train: Float[np.ndarray, " p"], x: Float[np.ndarray, "n p"]
) -> tuple[Float64[np.ndarray, "n p"], Float64[np.ndarray, "n p"]]:
    """What a trained one-layer FCN makes of x, in the two parts of Eq. (1).

    Args:
        start: the initial weights R, rows are outputs.
        train: the training image.
        x: inputs.

    Returns:
        The part of x along the training image, which passes as it is, and R times the part of x
        across it. The prediction is their sum.
    """
    along = parallel(train, x)
    return along, (x - along) @ start.T


def theorem1_weights(
    start: Float[np.ndarray, "p p"], train: Float[np.ndarray, " p"]
) -> Float64[np.ndarray, "p p"]:
    """The weights that gradient descent converges to: R + u tᵀ, u = (I - R) t / t·t (Eq. 4)."""
    t = train.astype(np.float64)
    return start + np.outer((t - start @ t) / (t @ t), t)


# --- Theorem 2: convolutions (Sec. 3.2, Appendix D) ------------------------------------------


def patches(images: Float[np.ndarray, "n c h w"], kernel: int) -> Float64[np.ndarray, "n a d"]:
    """Every patch P_ij of zero-padded images as a row, so that a convolution is `patches @ W`.

    Of the training image this is the matrix X of Appendix D.
    """
    count, channels, height, width = images.shape
    around = kernel // 2
    padding = ((0, 0), (0, 0), (around, around), (around, around))
    padded = np.pad(images.astype(np.float64), padding)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(2, 3))
    rows = windows.transpose(0, 2, 3, 1, 4, 5)
    return rows.reshape(count, height * width, channels * kernel**2)


def pixels(images: Float[np.ndarray, "n c h w"]) -> Float64[np.ndarray, "n a c"]:
    """The pixels at the patches' centres: of the training image the matrix Y of Appendix D."""
    flat = images.astype(np.float64).reshape(*images.shape[:2], -1)
    return np.moveaxis(flat, 1, 2)


def as_matrix(filters: Float[np.ndarray, "c c k k"]) -> Float64[np.ndarray, "d c"]:
    """The weights of a convolution, first axis output channels, as the matrix W of Appendix D."""
    return filters.astype(np.float64).reshape(len(filters), -1).T


def centre(kernel: int, channels: int) -> Float64[np.ndarray, "d c"]:
    """The matrix Λ of Appendix D that takes a patch to its centre pixel: X Λ = Y."""
    selector = np.zeros((channels, channels, kernel, kernel))
    selector[..., kernel // 2, kernel // 2] = np.eye(channels)
    return as_matrix(selector)


def row_space(x: Float[np.ndarray, "a d"]) -> Float64[np.ndarray, "d r"]:
    """An orthonormal basis of the span of the patches, whose number of columns is their rank r.

    Singular values below 1e-10 of the largest one count as zero: the directions behind them take
    1e20 times as many steps to learn.
    """
    _, sizes, basis = np.linalg.svd(x, full_matrices=False)
    return np.asarray(basis[sizes > 1e-10 * sizes[0]].T, np.float64)


def lemma1(
    start: Float[np.ndarray, "d c"], x: Float[np.ndarray, "a d"], y: Float[np.ndarray, "a c"]
) -> Float64[np.ndarray, "d c"]:
    """W⁰ + Xᵀ (X Xᵀ)⁻¹ (Y - X W⁰), for linearly independent patches (Lemma 1, Eq. 5)."""
    return np.asarray(start + x.T @ np.linalg.solve(x @ x.T, y - x @ start))


def lemma2(x: Float[np.ndarray, "a d"], y: Float[np.ndarray, "a c"]) -> Float64[np.ndarray, "d c"]:
    """(Xᵀ X)⁻¹ Xᵀ Y, for patches of full rank d: the start is forgotten (Lemma 2, Eq. 6)."""
    return np.linalg.solve(x.T @ x, x.T @ y)


def closed_form(
    start: Float[np.ndarray, "d c"], x: Float[np.ndarray, "a d"], y: Float[np.ndarray, "a c"]
) -> Float64[np.ndarray, "d c"]:
    """The weights that gradient descent converges to, whatever the rank r of the patches.

    Lemma 2 where r = d and Lemma 1 where r = a. Between the two, where patches depend linearly on
    others, Lemma 1 for as many combinations of them as are independent (footnote 1 of Appendix D).
    """
    basis = row_space(x)
    rank = basis.shape[1]
    if rank == x.shape[1]:
        return lemma2(x, y)
    if rank == len(x):
        return lemma1(start, x, y)
    columns = np.linalg.qr(x @ basis)[0]
    return lemma1(start, columns.T @ x, columns.T @ y)


def theorem2_error(
    start: Float[np.ndarray, "d c"],
    basis: Float[np.ndarray, "d r"],
    test: Float[np.ndarray, "n a d"],
) -> Float64[np.ndarray, " n"]:
    """Mean squared error of the closed form over the pixels of each test image (Appendix D).

    ||(W⁰ - Λ)ᵀ P||² over the part of each patch outside the span of the training image's patches.

    Args:
        start: the initial weights W⁰.
        basis: of the training image's patches, from `row_space`.
        test: the test images' patches.
    """
    channels = start.shape[1]
    across = test - test @ basis @ basis.T
    error = across @ (start - centre(math.isqrt(len(start) // channels), channels))
    return np.asarray(np.square(error).mean(axis=(1, 2)))


# --- Theorem 2: the bound (Eqs. 8 to 12) -----------------------------------------------------


def theorem2_bound(
    kernel: int, channels: int, rank: int, variance: float, largest: float, delta: float = 0.05
) -> float:
    """What the mean squared error stays below with probability 1 - δ over the start (Eq. 12).

        MSE <= B² K² C (sqrt(n σ² (2 log(n/δ) + C (1 + log M))) + sqrt(n C))² / C

    K² stands for K_H K_W. The paper's Õ(m (m/C - r) / C) with m = K² C² parameters is this with
    B, σ², δ and M as constants. It is 0 where n = 0.

    Args:
        kernel: K.
        channels: C, of the image.
        rank: r of the training image's patches; n = K² C - r directions stay as they start.
        variance: σ² of the independent initial weights, from `initial_variance`.
        largest: B, no pixel of the test image is larger in absolute value.
        delta: δ.
    """
    field = kernel**2 * channels
    lost = field - rank
    if lost == 0:
        return 0.0
    drawn = lost * variance * channels * _tail(2 / channels * math.log(lost / delta))
    wanted = lost * channels
    return largest**2 * field * (math.sqrt(drawn) + math.sqrt(wanted)) ** 2 / channels


def _tail(log_odds: float) -> float:
    """The smallest constant M that Eq. (11) allows, M - 1 - log M = (2/C) log(n/δ).

    M is any upper bound of ζ = (2/C) log(n/δ) + 1 + log M; the smallest is ζ itself. (The paper's
    condition on δ_0 is this one with its exponential left out.)
    """
    return float(-lambertw(-math.exp(-1 - log_odds), -1).real)


VARIANCES: dict[str, Callable[[int, int], float]] = {
    "pytorch": lambda fan_in, fan_out: 1 / (3 * fan_in),
    "printed": lambda fan_in, fan_out: 1 / (fan_in * fan_out),
    "geometric": lambda fan_in, fan_out: (fan_in * fan_out) ** -0.5,
    "xavier_normal": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "xavier_uniform": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "kaiming_normal": lambda fan_in, fan_out: 2 / fan_in,
    "kaiming_uniform": lambda fan_in, fan_out: 2 / fan_in,
}
"""Variance of the independent weights of an init, from fan-in and fan-out (Appendix I)."""


def initial_variance(init: str, kernel: int, channels: int) -> float:
    """σ² of Eq. (12) for a one-layer convolution.

    The proof takes Gaussian weights. It holds for uniform ones of the same variance as well: their
    moment generating function is nowhere above the Gaussian's, and so is that of the square of any
    unit combination of them.

    Raises:
        ValueError: the init's weights are not independent.
    """
    if init not in VARIANCES:
        raise ValueError(
            f"init {init}: Theorem 2 needs independent weights ({', '.join(VARIANCES)})"
        )
    fan = kernel**2 * channels
    return VARIANCES[init](fan, fan)

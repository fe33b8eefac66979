"""How close an output is to a reference image: correlation and mean squared error (Sec. 3.2)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def correlation(
    a: Float[np.ndarray, "... c h w"], b: Float[np.ndarray, "... c h w"], kind: str
) -> Float[np.ndarray, ...]:
    """Correlation of images over their pixels, in [-1, 1], computed in float64.

    Args:
        a: images.
        b: images; leading axes broadcast against those of `a`.
        kind: `cosine`, the cosine of the angle between them as in Sec. 3.2 ("for rho = 0 the test
            images are orthogonal"), or `pearson`, the same after each image's mean is subtracted.

    Returns:
        NaN where an image has no direction (zero; flat, under `pearson`) or is not finite.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):  # of diverged replicates; NaN says it
        if kind == "pearson":
            a = a - a.mean((-3, -2, -1), keepdims=True)
            b = b - b.mean((-3, -2, -1), keepdims=True)
        dot = (a * b).sum((-3, -2, -1))
        size = np.sqrt((a * a).sum((-3, -2, -1)) * (b * b).sum((-3, -2, -1)))
    # Rounding leaves a flat image a mean of about 1e-16 per pixel; that is no direction.
    defined = np.isfinite(size) & np.isfinite(dot) & (size > 1e-12)
    return np.where(defined, dot / np.where(defined, size, 1), np.nan)


def mse(
    a: Float[np.ndarray, "... c h w"], b: Float[np.ndarray, "... c h w"]
) -> Float[np.ndarray, ...]:
    """Mean squared difference per pixel, standardized scale, computed in float64."""
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
        return np.asarray((difference * difference).mean((-3, -2, -1)))

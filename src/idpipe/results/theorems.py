"""How far trained one-layer networks are from their closed forms (Theorems 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float64

from idpipe import theory
from idpipe.cells import LIVE, MAX_STEPS
from idpipe.results.run import Results

DELTA = 0.05
"""The bound holds with a probability of at least 1 - DELTA."""


@dataclass(frozen=True)
class Point:
    """One network: its theory, and a number per live replicate.

    Attributes:
        kernel: height and width of its filters.
        field: numbers in a patch, m/C.
        patches: patches of the training image.
        rank: dimension of their span.
        bound: of the mean squared error (Eq. 12).
        closed: mean squared error of the closed form on the test images, per live replicate.
        measured: that of the trained network.
        deviation: ||trained - closed form|| / ||closed form|| of the weights.
        unconverged: live replicates that spent their budget.
        total: all replicates.
    """

    kernel: int
    field: int
    patches: int
    rank: int
    bound: float
    closed: list[float]
    measured: list[float]
    deviation: list[float]
    unconverged: int
    total: int

    @property
    def lemma(self) -> str:
        """Which statement of Appendix D gives the closed form."""
        if self.rank == self.field:
            return "Lemma 2"
        return "Lemma 1" if self.rank == self.patches else "footnote 1"


def point_of(results: Results, cell_id: str, replicates: pd.DataFrame) -> Point:
    """The numbers of a cell of which Theorem 2 speaks (`idpipe.config.for_theorem2`).

    `replicates` are its rows of the table `cells`.
    """
    cell = results.cell(cell_id)
    kernel, channels = cell.weight_shapes[0][-1], cell.data.channels
    images = results.standardized(cell_id, 0)
    patches, pixels = theory.patches(images, kernel), theory.pixels(images)
    basis = theory.row_space(patches[0])
    live = replicates[replicates["status"].isin(LIVE)]
    starts = [
        theory.as_matrix(results.initial_weights(cell_id, r, restart)["weight.0"])
        for r, restart in zip(live["replicate"], live["restarts"], strict=True)
    ]
    trained = [theory.as_matrix(results.weights(cell_id)["weight.0"][r]) for r in live["replicate"]]
    limits = [theory.closed_form(start, patches[0], pixels[0]) for start in starts]
    return Point(
        kernel=kernel,
        field=kernel**2 * channels,
        patches=patches.shape[1],
        rank=basis.shape[1],
        bound=theory.theorem2_bound(
            kernel,
            channels,
            basis.shape[1],
            theory.initial_variance(cell.init, kernel, channels),
            _largest(results, cell_id),
            DELTA,
        ),
        closed=[theory.theorem2_error(start, basis, patches[1:]).mean() for start in starts],
        measured=_measured(results, live),
        deviation=[
            float(np.linalg.norm(found - limit) / np.linalg.norm(limit))
            for found, limit in zip(trained, limits, strict=True)
        ],
        unconverged=int((live["status"] == MAX_STEPS).sum()),
        total=len(replicates),
    )


def _largest(results: Results, cell_id: str) -> float:
    """B of Eq. (8): the largest absolute value of a standardized pixel."""
    mean, std = results.scale(cell_id)
    return float(np.max(np.maximum(mean, 1 - mean) / std))


def _measured(results: Results, live: pd.DataFrame) -> list[float]:
    """Each replicate's mean squared error over the test images at the training image's size."""
    metrics = results.metrics(live)
    rows = metrics[
        (metrics["reference"] == "identity")
        & (metrics["size"] == metrics["size_train"])
        & ~metrics["kind"].isin(["train", "correlated"])
    ]
    return [float(rows.loc[rows["replicate"] == r, "mse"].mean()) for r in live["replicate"]]


@dataclass(frozen=True)
class Fit:
    """One replicate on every test image x: both parts of Eq. (1), and what the network outputs.

    `weights` is how far its weights are from those of Eq. (4), relative to them.
    """

    along: Float64[np.ndarray, "n p"]
    across: Float64[np.ndarray, "n p"]
    trained: Float64[np.ndarray, "n p"]
    weights: float

    @property
    def deviation(self) -> Float64[np.ndarray, " n"]:
        """||trained - closed form|| / ||closed form|| of each test image."""
        closed = self.along + self.across
        distance = np.linalg.norm(self.trained - closed, axis=1)
        return np.asarray(distance / np.linalg.norm(closed, axis=1))


def fit_of(results: Results, cell_id: str, replicate: int, restart: int) -> Fit:
    """One replicate and its closed form, in double precision; the first probe was trained on."""
    images = results.standardized(cell_id, replicate)
    x = images.reshape(len(images), -1)
    start = results.initial_weights(cell_id, replicate, restart)["weight.0"]
    trained = results.weights(cell_id)["weight.0"][replicate].astype(np.float64)
    closed = theory.theorem1_weights(start, x[0])
    distance = float(np.linalg.norm(trained - closed) / np.linalg.norm(closed))
    return Fit(*theory.theorem1(start, x[0], x), x @ trained.T, distance)

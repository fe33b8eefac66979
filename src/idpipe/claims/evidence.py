"""What claims need and no other table holds: numbers of images, weights and closed forms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from idpipe import formats
from idpipe.claims.inputs import CELLS_OF
from idpipe.images import ProbeSet, correlation
from idpipe.results import EVIDENCE, Initial, Results, fit_of, point_of
from idpipe.store import Selection

UPPER = 10
"""Layers of the upper part of the 20-layer CNN (Fig. 24)."""

Rows = Iterator[tuple[int, str, float]]
"""Replicate, quantity, value."""
Named = Float[np.ndarray, "n c h w"]
Tested = Float[np.ndarray, "m c h w"]


def gather(selection: Selection, initial: Initial, kind: str) -> pd.DataFrame:
    """The table `evidence`.

    Args:
        selection: studies of `CELLS_OF`, and their cells that are asked for.
        initial: draws what a network started from.
        kind: what correlation means (`idpipe.images.metrics`).

    Raises:
        StoreError: a cell or its evaluation is missing or damaged.
    """
    results = Results.of_cells(selection, initial)
    records = []
    for study in selection.studies:
        take = TAKEN[CELLS_OF[study].what]
        for cell_id, rows in results.study(study).groupby("cell_id", sort=False):
            folder = selection.evaluation(str(cell_id))
            found = take(results, str(cell_id), rows, folder, kind)
            records += [(cell_id, *record) for record in found]
    frame = pd.DataFrame(records, columns=[column.name for column in EVIDENCE.columns])
    return EVIDENCE.conform(frame)


def _theorem1(
    results: Results, cell_id: str, replicates: pd.DataFrame, folder: Path, kind: str
) -> Rows:
    for replicate, restart in zip(replicates["replicate"], replicates["restarts"], strict=True):
        deviation = fit_of(results, cell_id, int(replicate), int(restart)).deviation
        yield int(replicate), "theorem1_deviation", float(deviation.max())


def _theorem2(
    results: Results, cell_id: str, replicates: pd.DataFrame, folder: Path, kind: str
) -> Rows:
    point = point_of(results, cell_id, replicates)
    for replicate in replicates["replicate"]:
        yield int(replicate), "null_dimension", float(point.field - point.rank)
        yield int(replicate), "bound", point.bound


def _sharpness(
    results: Results, cell_id: str, replicates: pd.DataFrame, folder: Path, kind: str
) -> Rows:
    probe_set, outputs = _predicted(results, cell_id, folder)
    for replicate in replicates["replicate"]:
        inputs, shown = _tested(probe_set, int(replicate), outputs[replicate])
        yield int(replicate), "sharpness", relative_sharpness(inputs, shown)


def _mixture(
    results: Results, cell_id: str, replicates: pd.DataFrame, folder: Path, kind: str
) -> Rows:
    probe_set, outputs = _predicted(results, cell_id, folder)
    for replicate in replicates["replicate"]:
        _, shown = _tested(probe_set, int(replicate), outputs[replicate])
        train = _own(probe_set.train, int(replicate))
        yield int(replicate), "mixture", mixture_correlation(train, shown)


def _upper(
    results: Results, cell_id: str, replicates: pd.DataFrame, folder: Path, kind: str
) -> Rows:
    probe_set = ProbeSet.load(results.selection.probes[cell_id])
    with formats.arrays(folder / "layers.npz") as arrays:
        outputs = np.asarray(arrays[f"upper{UPPER}_output"], np.float64)
    for replicate in replicates["replicate"]:
        _, shown = _tested(probe_set, int(replicate), outputs[replicate])
        close = correlation(shown, _own(probe_set.train, int(replicate)), kind)
        yield int(replicate), f"upper{UPPER}", _mean(close)


Take = Callable[[Results, str, pd.DataFrame, Path, str], Rows]
TAKEN: dict[str, Take] = {
    "theorem1": _theorem1,
    "theorem2": _theorem2,
    "sharpness": _sharpness,
    "mixture": _mixture,
    "upper": _upper,
}


def relative_sharpness(inputs: Named, outputs: Named) -> float:
    """Norm of neighbouring pixels' differences over the norm of the image, output over input.

    Mean over images; flat inputs, which have no difference to keep, and outputs without a norm
    are left out. NaN where none is left.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return _mean(_roughness(outputs) / _roughness(inputs))


def _roughness(images: Named) -> Float[np.ndarray, " n"]:
    centred = images - images.mean((-2, -1), keepdims=True)
    steps = [np.diff(images, axis=axis) for axis in (-2, -1)]
    across = sum((step**2).sum((-3, -2, -1)) for step in steps)
    size = (centred**2).sum((-3, -2, -1))
    return np.asarray(np.sqrt(np.where(size > 1e-9, across / size, np.nan)))


def mixture_correlation(train: Float[np.ndarray, "j c h w"], outputs: Named) -> float:
    """Correlation (cosine) of outputs to the linear mixture of the training images next to each.

    Mean over outputs; those without a direction are left out. NaN where none is left.
    """
    basis = np.linalg.qr(train.reshape(len(train), -1).T.astype(np.float64))[0]
    flat = outputs.reshape(len(outputs), -1)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return _mean(np.linalg.norm(flat @ basis, axis=1) / np.linalg.norm(flat, axis=1))


def _mean(values: Float[np.ndarray, " n"]) -> float:
    kept = values[np.isfinite(values)]
    return float(kept.mean()) if len(kept) else float("nan")


def _predicted(
    results: Results, cell_id: str, folder: Path
) -> tuple[ProbeSet, Float[np.ndarray, "e n c h w"]]:
    with formats.arrays(folder / "predictions.npz") as arrays:
        outputs = np.asarray(arrays["named"], np.float64)
    return ProbeSet.load(results.selection.probes[cell_id]), outputs


def _own(sets: Float[np.ndarray, "t n c h w"], replicate: int) -> Named:
    """One set serves all replicates unless each trains on an image of its own."""
    return np.asarray(sets[replicate if len(sets) > 1 else 0], np.float64)


def _tested(probe_set: ProbeSet, replicate: int, outputs: Named) -> tuple[Tested, Tested]:
    """Inputs and outputs of the named probes that are neither training images nor blends."""
    places = [n for n, kind in enumerate(probe_set.kinds) if kind not in ("train", "blend")]
    return _own(probe_set.named, replicate)[places], outputs[places]

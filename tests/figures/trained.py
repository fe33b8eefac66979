"""One-layer networks in the made-up run, with weights we choose."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from idpipe import nets
from idpipe.cells import Cell, column_values

SIZE = 4
MEAN, STD = 0.25, 0.5
"""As in conftest.py."""


def pictures(channels: int = 1) -> np.ndarray:
    """Probes without any structure, pixels in [0, 1]."""
    return np.random.default_rng(channels).random((15, channels, SIZE, SIZE))


def standardized(channels: int = 1) -> np.ndarray:
    """The same as a network sees them."""
    return ((pictures(channels) - MEAN) / STD).astype(np.float32).astype(np.float64)


def one_layer(net: dict[str, Any], channels: int = 1, **settings: Any) -> Cell:
    source = {1: "digits", 3: "photos"}[channels]
    data = {"source": source, "size": SIZE, "examples": [{"label": 1}]}
    spec = {"depth": 1, "bias": False, "activation": "linear", **net}
    return Cell.model_validate(
        {"net": spec, "data": data, "precision": "float64", "replicates": 3, **settings}
    )


def start(cell: Cell, replicate: int, restart: int = 0) -> np.ndarray:
    """The initial weights of the only layer."""
    return nets.initial_params(cell, [replicate], restart)["weight.0"][0].numpy()


def add(
    run: Any,
    study: str,
    cell: Cell,
    weights: Callable[[int], np.ndarray],
    statuses: Sequence[str] = ("converged",) * 3,
    restarts: Sequence[int] = (0, 0, 0),
    mse: Callable[[int, str], float] = lambda replicate, kind: 0.0,
) -> None:
    """Add a cell whose replicate r ended with `weights(r)` and that error on each kind of probe."""
    cell_id, images = cell.cell_id, pictures(cell.data.channels)
    run.inputs = lambda replicate: images
    run.studies.append({"study": study, "cell_id": cell_id})
    for replicate, status in enumerate(statuses):
        told = {"cell_id": cell_id, "replicate": replicate, "status": status}
        told |= {"restarts": restarts[replicate], **column_values(cell)}
        run.cells.append(told)
        for kind in run.kinds:
            error = mse(replicate, kind)
            run.metric(cell_id, replicate, kind, "identity", error, size=SIZE)
            run.metric(cell_id, replicate, kind, "constant", error + 7, size=SIZE)
    run.evaluate(cell_id, np.stack([images] * len(statuses)))
    folder = run.folder / "cells" / cell_id
    (folder / "cell.json").write_text(cell.canonical())
    stacked = np.stack([weights(replicate) for replicate in range(len(statuses))])
    save_file({"weight.0": stacked}, folder / "weights.safetensors")

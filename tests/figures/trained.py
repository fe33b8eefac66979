"""One-layer networks in the made-up run, with weights we choose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from idpipe import nets
from idpipe.cells import Cell

SIZE = 4
COUNT = 15
SHAPES = {1: (COUNT, 1, SIZE, SIZE), 3: (COUNT, 3, SIZE, SIZE)}


def pictures(channels: int = 1) -> np.ndarray:
    """Probes without any structure, pixels in [0, 1]."""
    return np.random.default_rng(channels).random(SHAPES[channels])


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
) -> str:
    """Add a cell whose replicate r ended with `weights(r)` and that error on each kind of probe."""
    channels = cell.data.channels
    run.inputs = lambda replicate: pictures(channels)
    for replicate, status in enumerate(statuses):
        row = {
            "cell_id": cell.cell_id,
            "replicate": replicate,
            "status": status,
            "restarts": restarts[replicate],
            "source": cell.data.source,
            "examples": "1/0",
            "size": SIZE,
        }
        run.cells.append(row)
        for kind in run.kinds:
            for reference in ("identity", "constant"):
                run.metrics.append(
                    {
                        "cell_id": cell.cell_id,
                        "replicate": replicate,
                        "probe": kind,
                        "kind": kind,
                        "rho": np.nan,
                        "size": SIZE,
                        "reference": reference,
                        "correlation": 0.5,
                        "mse": mse(replicate, kind) + 7 * (reference == "constant"),
                    }
                )
    run.studies.append({"study": study, "cell_id": cell.cell_id})
    run._evaluate(cell.cell_id, np.stack([pictures(channels)] * len(statuses)))
    folder = run.folder / "cells" / cell.cell_id
    (folder / "cell.json").write_text(cell.canonical())
    stacked = np.stack([weights(replicate) for replicate in range(len(statuses))])
    save_file({"weight.0": stacked}, folder / "weights.safetensors")
    return cell.cell_id

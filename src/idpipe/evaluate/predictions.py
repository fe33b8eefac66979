"""Outputs of trained replicates on every probe, and how close they are to the reference maps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float32
from torch import Tensor

from idpipe import nets
from idpipe.cells import IMAGES_AT_ONCE, Cell
from idpipe.images import ProbeSet, correlation, mse, resize
from idpipe.nets import Params, placed


@torch.no_grad()
def outputs(
    cell: Cell,
    params: Params,
    images: Float32[np.ndarray, "t n c h w"],
    device: torch.device | str = "cpu",
) -> Float32[np.ndarray, "e n c h w"]:
    """What every replicate of the cell makes of the images.

    Args:
        cell: the trained problem.
        params: its parameters, stacked over e replicates.
        images: standardized; `t` is 1 (all replicates see the same) or e.
        device: where to compute.
    """
    params = placed(cell, params, device)
    weight = params["weight.0"]
    count = len(weight)
    parts = []
    for start in range(0, images.shape[1], IMAGES_AT_ONCE):
        part = torch.tensor(images[:, start : start + IMAGES_AT_ONCE]).to(weight)
        parts.append(_forward(cell, params, part.expand(count, -1, -1, -1, -1)))
    if not parts:
        return np.empty((count, *images.shape[1:]), np.float32)
    return np.concatenate(parts, axis=1)


def _forward(cell: Cell, params: Params, images: Tensor) -> Float32[np.ndarray, "e n c h w"]:
    return nets.forward(cell.net, params, images).float().cpu().numpy()


def predict(
    cell: Cell, params: Params, probes: ProbeSet, device: torch.device | str = "cpu"
) -> dict[str, Float32[np.ndarray, ...]]:
    """Outputs on a whole probe set, by array name.

    `named` [e, n, c, h, w]; `correlated` [e, rho, k, c, h, w]; for a CNN also `named_<size>`.
    """
    grid = probes.correlated
    flat = outputs(cell, params, grid.reshape(len(grid), -1, *grid.shape[3:]), device)
    found = {
        "named": outputs(cell, params, probes.named, device),
        "correlated": flat.reshape(len(flat), *grid.shape[1:]),
    }
    if cell.net.convolutional:
        for size, images in probes.resized.items():
            found[f"named_{size}"] = outputs(cell, params, images, device)
    return found


def measure(
    cell: Cell, probes: ProbeSet, predictions: dict[str, Float32[np.ndarray, ...]], kind: str
) -> pd.DataFrame:
    """The metrics table of one cell (`idpipe.results.METRICS`).

    One row per replicate, probe and reference. The reference `identity` is the probe itself;
    `constant` is the training image, and is left out where a cell has several (Appendix L: the
    constant map is no longer defined).

    Args:
        cell: the trained problem.
        probes: the inputs.
        predictions: from `predict`.
        kind: `cosine` or `pearson`.
    """
    frames = []
    for inputs, output, columns in _sets(probes, predictions):
        references = {"identity": inputs}
        if probes.train.shape[1] == 1 and cell.data.examples != "all":
            references["constant"] = _constant(probes, inputs)
        for reference, images in references.items():
            frames += _rows(output, images, {**columns, "reference": reference}, kind)
    table = pd.concat(frames, ignore_index=True)
    table.insert(0, "cell_id", cell.cell_id)
    return table


def _constant(
    probes: ProbeSet, like: Float32[np.ndarray, "t n c h w"]
) -> Float32[np.ndarray, "t 1 c h w"]:
    size = like.shape[-1]
    return probes.train if probes.train.shape[-1] == size else resize(probes.train, size)


def _sets(
    probes: ProbeSet, predictions: dict[str, Float32[np.ndarray, ...]]
) -> Iterator[tuple[np.ndarray, np.ndarray, dict[str, object]]]:
    """(inputs [t, n, ...], outputs [e, n, ...], columns of length n) of every group of probes."""
    names = {"probe": list(probes.names), "kind": list(probes.kinds), "rho": np.nan}
    yield probes.named, predictions["named"], names
    for size, images in probes.resized.items():
        # The cell's own size has its rows already.
        if f"named_{size}" in predictions and size != probes.named.shape[-1]:
            yield images, predictions[f"named_{size}"], names
    for place, rho in enumerate(probes.rho):
        count = probes.correlated.shape[2]
        probe = [f"rho={float(rho)!r}/{number:02d}" for number in range(count)]
        columns = {"probe": probe, "kind": "correlated", "rho": float(rho)}
        yield probes.correlated[:, place], predictions["correlated"][:, place], columns


def _rows(
    output: np.ndarray, reference: np.ndarray, columns: dict[str, object], kind: str
) -> list[pd.DataFrame]:
    close, error = correlation(output, reference, kind), mse(output, reference)
    return [
        pd.DataFrame(
            {
                "replicate": replicate,
                **columns,
                "size": output.shape[-1],
                "correlation": close[replicate],
                "mse": error[replicate],
            }
        )
        for replicate in range(len(output))
    ]

"""What the explorer shows of one cell: its settings, its training, its predictions and layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from idpipe import store
from idpipe.explorer.map import short
from idpipe.explorer.sprites import sprite
from idpipe.results import Results

POINTS = 100
"""Points of a training curve, spread evenly over the logarithm of the step."""
SHOWN_VIEWS = {
    "trained_singular": "top singular vector, trained",
    "trained_correlated": "channel most correlated with the input, trained",
    "trained_channel0": "channel 0, trained",
    "untrained_singular": "top singular vector, before training",
}
"""Arrays of a cell's layers.npz that are shown; those of other sizes would double the page."""


class Details:
    """What the page holds of each cell, made when asked for.

    Attributes:
        results: the run's tables and its cells' images.
        replicate: the one whose layers are shown.
    """

    def __init__(self, results: Results, replicate: int) -> None:
        self.results, self.replicate = results, replicate
        self._history = dict(list(self.results.table("history").groupby("cell_id")))
        self._layers = dict(list(self.results.table("layers").groupby("cell_id")))

    def cell(self, cell_id: str) -> dict[str, Any]:
        """One cell, as plain JSON."""
        folder = self.results.selection.cell(cell_id)
        told = store.read_json(folder / "status.json")
        cell = self.results.cell(cell_id)
        count = cell.replicates
        outputs = [self.results.outputs(cell_id, replicate) for replicate in range(count)]
        return {
            "folder": folder.as_posix(),
            "evaluation": self.results.selection.evaluation(cell_id).name,
            "settings": dict(flat(cell.model_dump(mode="json"))),
            "seconds": short(told["seconds"]),
            "device": told["device"],
            "earlier": [
                [{key: attempt[key] for key in ("status", "steps")} for attempt in one["earlier"]]
                for one in told["replicates"]
            ],
            "curves": curves(self._history.get(cell_id), told["replicates"]),
            "probes": self.results.selection.probe_hash(cell_id),
            "predictions": [sprite(images[None]) for images in outputs],
            **self._layer_details(cell_id),
        }

    def inputs(self, probe_hash: str) -> dict[str, Any]:
        """The named probes of a set: one row of images, or with `data.vary` one per replicate."""
        selection = self.results.selection
        cell_id = next(c for c in selection.ids if selection.probe_hash(c) == probe_hash)
        cell = self.results.cell(cell_id)
        sets = cell.replicates if cell.data.vary else 1
        found = [self.results.inputs(cell_id, replicate) for replicate in range(sets)]
        return {
            "names": found[0].names,
            "kinds": found[0].kinds,
            "sets": [sprite(probes.images[None]) for probes in found],
        }

    def _layer_details(self, cell_id: str) -> dict[str, Any]:
        """The numbers and pictures of its layers; nothing where no figure asks for them."""
        found: dict[str, Any] = {}
        if (rows := self._layers.get(cell_id)) is not None:
            found["layers"] = layer_curves(rows)
        viewed = self.results.selection.analysed.get("layers", [])
        if cell_id in viewed and self._viewable(cell_id):
            found["views"] = self._views(cell_id)
        return found

    def _viewable(self, cell_id: str) -> bool:
        net = self.results.cell(cell_id).net
        return net.convolutional and net.depth > 1

    def _views(self, cell_id: str) -> dict[str, Any]:
        """One replicate's views of every hidden layer, a row per layer, a column per probe."""
        arrays = {name: self.results.views(cell_id, self.replicate, name) for name in SHOWN_VIEWS}
        return {
            "replicate": self.replicate,
            "probes": self.results.viewed(cell_id),
            "of": [
                {"key": name, "label": SHOWN_VIEWS[name], **sprite(views[..., None])}
                for name, views in arrays.items()
            ],
        }


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Settings under their dotted keys; lists stay whole."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def curves(
    history: pd.DataFrame | None, told: list[Mapping[str, Any]]
) -> list[dict[str, list[Any]]]:
    """Steps and train MSE of the attempt of each replicate that was kept, thinned to `POINTS`."""
    found: list[dict[str, list[Any]]] = []
    for one in told:
        if history is None:
            found.append({"step": [], "mse": []})
            continue
        kept = (history["replicate"] == one["replicate"]) & (history["restart"] == one["restart"])
        rows = history[kept]
        rows = rows.iloc[thinned(rows["step"].to_numpy())]
        found.append({"step": rows["step"].tolist(), "mse": [short(mse, 3) for mse in rows["mse"]]})
    return found


def thinned(steps: np.ndarray) -> np.ndarray:
    """Places of at most `POINTS` rising steps, the first and the last among them."""
    if len(steps) <= POINTS:
        return np.arange(len(steps))
    wanted = np.geomspace(1, steps[-1] - steps[0] + 1, POINTS) + steps[0] - 1
    return np.unique(np.searchsorted(steps, wanted).clip(0, len(steps) - 1))


def layer_curves(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Each quantity of the layers, before and after training: a list of values per replicate."""
    found = []
    for (quantity, state), alike in rows.groupby(["quantity", "state"], sort=False):
        table = alike.pivot(index="layer", columns="replicate", values="value")
        found.append(
            {
                "quantity": quantity,
                "state": state,
                "layer": table.index.tolist(),
                "values": [[short(value) for value in table[column]] for column in table],
            }
        )
    return found

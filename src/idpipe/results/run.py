"""A run as it is read: the run's tables, and the images of cells that they name."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Float64
from safetensors import SafetensorError
from safetensors.numpy import load_file

from idpipe import formats, store
from idpipe.cells import Cell
from idpipe.errors import FigureError
from idpipe.results import tables
from idpipe.results.gathering import gather
from idpipe.store import Selection

Images = Float[np.ndarray, "n h w c"]


@dataclass(frozen=True)
class NamedImages:
    """Named evaluation images as they are shown.

    Attributes:
        names: one name per image.
        kinds: train | blend | unseen | out_of_domain | pattern, one per image.
        images: pixels in [0, 1], shape (n, h, w, c).
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    images: Images


Initial = Callable[[Cell, int, int], dict[str, np.ndarray]]
"""The parameters that a replicate's attempt started from (`idpipe.nets.initial_weights`)."""

NOTHING = Selection()


@dataclass(frozen=True)
class Results:
    """A run as figures and claims see it. Nothing is read before it is asked for.

    Attributes:
        tables: folder of the run's tables, `results/<run>/tables`.
        selection: where its cells and their probes lie; only figures with images need it.
        initial: draws what a network started from; only figures with `weights` ask.
    """

    tables: Path = Path()
    selection: Selection = NOTHING
    initial: Initial | None = None
    _cache: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of_cells(cls, selection: Selection, initial: Initial | None = None) -> Results:
        """The studies of a selection, from their cells alone: the rest of a run may be missing.

        Raises StoreError where a cell or its evaluation is missing or damaged.
        """
        wanted = (tables.CELLS, tables.STUDIES, tables.METRICS, tables.LAYERS)
        found = gather(selection, wanted) if selection.studies else {}
        return cls(selection=selection, initial=initial, _cache=found)

    def table(self, name: str) -> pd.DataFrame:
        """The whole table `<name>.parquet`. Raises FigureError where the run has none."""
        if name not in self._cache:
            path = self.tables / f"{name}.parquet"
            if not path.is_file():
                raise FigureError(f"{path}: the run has no table {name!r}")
            self._cache[name] = formats.read_parquet(path)
        return self._cache[name]

    def study(self, name: str) -> pd.DataFrame:
        """The table `cells` restricted to a study, in grid order: a row per cell and replicate.

        Raises FigureError where the run lacks the study, or one of its cells.
        """
        members = self.table("studies").query("study == @name")[["cell_id"]]
        if members.empty:
            raise FigureError(f"studies.{name}: the run has no such study, or it has no cells")
        joined = members.merge(self.table("cells"), on="cell_id", how="left")
        lost = joined.loc[joined["replicate"].isna(), "cell_id"]
        if not lost.empty:
            raise FigureError(f"studies.{name}: no results of {', '.join(lost.unique())}")
        return joined.astype({"replicate": int})

    def metrics(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The metrics of the (cell, replicate) `rows`, joined with their columns.

        The train MSE and the size of the training image become `mse_train` and `size_train`, since
        `mse` and `size` are the probe's. Raises FigureError where a (cell, replicate) was not
        evaluated.
        """
        keys = ["cell_id", "replicate"]
        known = self.table("metrics")
        known = known[known["cell_id"].isin(rows["cell_id"])]
        missing = rows.merge(known[keys].drop_duplicates(), on=keys, how="left", indicator=True)
        missing = missing[missing["_merge"] == "left_only"]
        if not missing.empty:
            raise FigureError(f"no metrics of {', '.join(missing['cell_id'].unique())}")
        return known.merge(rows.rename(columns={"mse": "mse_train", "size": "size_train"}), on=keys)

    def layers(self, rows: pd.DataFrame, quantity: str, state: str) -> pd.DataFrame:
        """Layer and value of one quantity of the (cell, replicate) `rows`, joined with them.

        Raises FigureError where a (cell, replicate) has none.
        """
        keys = ["cell_id", "replicate"]
        known = self.table("layers").query("quantity == @quantity and state == @state")
        joined = rows.merge(known[[*keys, "layer", "value"]], on=keys, how="left")
        lost = joined.loc[joined["layer"].isna(), "cell_id"]
        if not lost.empty:
            raise FigureError(f"no {quantity} ({state}) of {', '.join(lost.unique())}")
        return joined.astype({"layer": int})

    def views(self, cell_id: str, replicate: int, name: str) -> Float[np.ndarray, "*lead h w"]:
        """An array of the cell's layers.npz (`idpipe.evaluate.pictures`), of one replicate."""
        return np.asarray(_pick(self._layer_array(cell_id, name), replicate, cell_id), np.float64)

    def layer_output(self, cell_id: str, replicate: int, name: str) -> Images:
        """As `views`, for an array of outputs, which it returns as pixels to show."""
        outputs = _pick(self._layer_array(cell_id, name), replicate, cell_id)
        return displayed(outputs, *self.scale(cell_id))

    def view_sizes(self, cell_id: str) -> list[int]:
        """Sizes beside the training image's at which the cell's layers were looked at."""
        prefix = "trained_singular_"
        with formats.arrays(self._evaluated(cell_id, "layers.npz")) as arrays:
            names = [name for name in arrays.files if name.startswith(prefix)]
        return sorted(int(name.removeprefix(prefix)) for name in names)

    def viewed(self, cell_id: str, which: str = "viewed") -> list[int]:
        """Places, among the named probes, of those viewed layer by layer."""
        return [int(place) for place in self._layer_array(cell_id, which)]

    def _layer_array(self, cell_id: str, name: str) -> np.ndarray:
        with formats.arrays(self._evaluated(cell_id, "layers.npz")) as arrays:
            if name not in arrays:
                raise FigureError(f"{cell_id}: its layers were not looked at for {name!r}")
            return np.asarray(arrays[name])

    def inputs(self, cell_id: str, replicate: int, size: int | None = None) -> NamedImages:
        """The cell's named probes as replicate `replicate` saw them, resized to `size` if given."""
        with self._probe_file(cell_id) as arrays:
            chosen = _own_set(arrays[_sized(arrays, size)], replicate, cell_id)
            return NamedImages(
                tuple(str(name) for name in arrays["names"]),
                tuple(str(kind) for kind in arrays["kinds"]),
                displayed(chosen, arrays["mean"], arrays["std"]),
            )

    def standardized(self, cell_id: str, replicate: int) -> Float64[np.ndarray, "n c h w"]:
        """The images of `inputs` as the network sees them (Appendix A), not clipped."""
        with self._probe_file(cell_id) as arrays:
            return _own_set(arrays["named"], replicate, cell_id).astype(np.float64)

    def scale(self, cell_id: str) -> tuple[Float64[np.ndarray, " c"], Float64[np.ndarray, " c"]]:
        """Mean and standard deviation that pixels in [0, 1] are standardized with, per channel."""
        with self._probe_file(cell_id) as arrays:
            return arrays["mean"].astype(np.float64), arrays["std"].astype(np.float64)

    def sizes(self, cell_id: str) -> tuple[int, ...]:
        """Sizes in pixels that the cell's named probes were drawn at, its own among them, rising.

        `inputs` and `outputs` take each of them.
        """
        with self._probe_file(cell_id) as arrays:
            drawn = {int(key[6:]) for key in arrays.files if key.startswith("named_")}
            return tuple(sorted({*drawn, arrays["named"].shape[-1]}))

    def outputs(self, cell_id: str, replicate: int, size: int | None = None) -> Images:
        """What replicate `replicate` predicts for `inputs`; NaN where it is not finite."""
        with formats.arrays(self._evaluated(cell_id, "predictions.npz")) as arrays:
            predicted = arrays[_sized(arrays, size)]
        return displayed(_pick(predicted, replicate, cell_id), *self.scale(cell_id))

    def cell(self, cell_id: str) -> Cell:
        """The cell's settings. Raises StoreError where its file is damaged."""
        return store.read_cell(self.selection.cell(cell_id))

    def weights(self, cell_id: str) -> dict[str, np.ndarray]:
        """The trained parameters `weight.0`, `bias.0`, ... stacked over replicates.

        Only figures with `weights` in the registry may ask. Raises FigureError where the file is
        missing or damaged.
        """
        path = self.selection.cell(cell_id) / "weights.safetensors"
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise FigureError(
                f"{path}: cannot be read ({error}); delete {path.parent} and run again"
            ) from None

    def initial_weights(self, cell_id: str, replicate: int, restart: int) -> dict[str, np.ndarray]:
        """The parameters that one replicate's attempt number `restart` started from.

        Raises FigureError where the results were not told how to draw them.
        """
        if self.initial is None:
            raise FigureError(f"{cell_id}: the figure was given no initial weights for this cell")
        return self.initial(self.cell(cell_id), replicate, restart)

    def _probe_file(self, cell_id: str) -> AbstractContextManager[np.lib.npyio.NpzFile]:
        return formats.arrays(self._probes(cell_id))

    def _probes(self, cell_id: str) -> Path:
        if cell_id not in self.selection.probes:
            raise FigureError(f"{cell_id}: the figure was given no probe file for this cell")
        return self.selection.probes[cell_id]

    def _evaluated(self, cell_id: str, name: str) -> Path:
        self._probes(cell_id)
        path = self.selection.evaluation(cell_id) / name
        if not path.is_file():
            raise FigureError(f"{path}: the cell was not evaluated on these probes")
        return path


def _sized(arrays: np.lib.npyio.NpzFile, size: int | None) -> str:
    """The array of named images at `size`; those at the cell's own size have no number."""
    own = size is None or arrays["named"].shape[-1] == size
    return "named" if own else f"named_{size}"


def _pick(
    images: Float[np.ndarray, "e n ..."], replicate: int, cell_id: str
) -> Float[np.ndarray, "n ..."]:
    if replicate >= len(images):
        raise FigureError(
            f"figures.replicate = {replicate}: {cell_id} has replicates 0 to {len(images) - 1}"
        )
    return np.asarray(images[replicate])


def _own_set(
    images: Float[np.ndarray, "t n ..."], replicate: int, cell_id: str
) -> Float[np.ndarray, "n ..."]:
    """One set serves all replicates unless each trains on an image of its own."""
    return _pick(images, replicate if len(images) > 1 else 0, cell_id)


def displayed(
    images: Float[np.ndarray, "n c h w"],
    mean: Float[np.ndarray, " c"],
    std: Float[np.ndarray, " c"],
) -> Images:
    """Pixels as shown: standardization undone, clipped to [0, 1], NaN where not finite."""
    wide = np.where(np.isfinite(images), images, np.nan).astype(np.float64)
    pixels = np.clip(wide * std[:, None, None] + mean[:, None, None], 0, 1)
    return np.asarray(np.moveaxis(pixels, 1, -1))

"""A made-up run in the format of the tables and evaluation files, with numbers we choose."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from idpipe.config import FigureStyle
from idpipe.errors import FigureError
from idpipe.figures.draw import draw, styled
from idpipe.nets import initial_weights
from idpipe.results import Results
from idpipe.store import Selection

KINDS = ("train", "blend", "blend", *("unseen",) * 3, *("out_of_domain",) * 3, *("pattern",) * 6)
RHO = tuple(i / 10 for i in range(11))
LIVE = ("converged", "converged", "converged")
MEAN, STD = 0.25, 0.5
COLUMNS = {
    "width": 32,
    "activation": "relu",
    "restarts": 0,
    "train_layers": "all",
    "init": "pytorch",
    "optimizer": "sgd",
    "lr": 0.01,
    "source": "digits",
    "examples": "7/39",
    "size": 28,
    "mse": 1e-4,
    "steps": 500,
}
"""A network's columns of the table `cells` unless a test says otherwise."""


def plain_inputs(replicate: int) -> np.ndarray:
    """Pixels in [0, 1], (n, c, h, w): probe j is flat at j / 20."""
    return np.stack([np.full((1, 4, 4), j / 20) for j in range(len(KINDS))])


def check_print(figure: Figure) -> None:
    """Every text at least 6 pt, inside the page, and off every other text."""
    with styled():
        renderer = FigureCanvasAgg(figure).get_renderer()
        figure.draw(renderer)
        texts = [t for t in figure.findobj(Text) if t.get_text() and t.get_visible()]
        boxes = np.array([t.get_window_extent(renderer).extents for t in texts])
    assert min(text.get_fontsize() for text in texts) >= 6
    width, height = figure.bbox.size
    for text, (left, bottom, right, top) in zip(texts, boxes, strict=True):
        assert left >= 0 and bottom >= 0 and right <= width and top <= height, text.get_text()
    # A box has room for accents and descenders that digits do not have.
    slack = 0.15 * (boxes[:, 3] - boxes[:, 1])
    left, bottom, right, top = boxes[:, 0], boxes[:, 1] + slack, boxes[:, 2], boxes[:, 3] - slack
    meets = (left[:, None] < right) & (left < right[:, None])
    meets &= (bottom[:, None] < top) & (bottom < top[:, None])
    np.fill_diagonal(meets, False)
    touching = [(texts[i].get_text(), texts[j].get_text()) for i, j in np.argwhere(meets)]
    assert not touching


class Drawn:
    """A figure that is fit for print, and what it shows."""

    def __init__(self, figure: Figure) -> None:
        check_print(figure)
        self.figure, self.axes = figure, figure.axes

    def artists(self, gid: str) -> list[Any]:
        """What is drawn in one role, in the order it was drawn."""
        return self.figure.findobj(lambda artist: artist.get_gid() == gid)

    def texts(self, gid: str) -> list[str]:
        return [text.get_text() for text in self.artists(gid)]

    @property
    def note(self) -> str:
        """The one note, in one line."""
        (note,) = self.texts("note")
        return " ".join(note.split())

    def tiles(self, panel: int = 0) -> list[list[np.ndarray]]:
        """Images of a panel: rows from above, each from left to right."""
        rows: dict[float, list[np.ndarray]] = {}
        for image in sorted(self.axes[panel].images, key=lambda image: image.get_extent()[0]):
            rows.setdefault(image.get_extent()[3], []).append(image.get_array())
        return [rows[top] for top in sorted(rows)]

    def grays(self, panel: int = 0) -> np.ndarray:
        """The first pixel of each of them, channels averaged."""
        return np.array([[np.mean(tile[0, 0]) for tile in row] for row in self.tiles(panel)])


@dataclass
class Run:
    """Collects networks; `results()` writes them and opens the run."""

    folder: Path
    kinds: Sequence[str] = KINDS
    rho: Sequence[float] = RHO
    probes: int = 2
    inputs: Callable[[int], np.ndarray] = plain_inputs
    vary: bool = False
    sizes: Sequence[int] = ()
    cells: list[dict[str, Any]] = field(default_factory=list)
    studies: list[dict[str, str]] = field(default_factory=list)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    layers: list[dict[str, Any]] = field(default_factory=list)
    paths: dict[str, Path] = field(default_factory=dict)

    def add(
        self,
        study: str,
        depth: int,
        statuses: Sequence[str] = LIVE,
        outputs: Callable[[int], np.ndarray] | None = None,
        measure: Callable[..., float] | None = None,
        probe_set: str = "0123456789ab",
        name: str | None = None,
        **columns: Any,
    ) -> str:
        """Add a network. `outputs(replicate)` and `measure(...)` give what it was evaluated to.

        Cells of another `probe_set` have probes of their own: `inputs` as it is at the first.
        """
        kind = "cnn" if study.startswith("cnn") else "fcn"
        columns = {"arch": kind, **COLUMNS, **columns}
        columns.setdefault("kernel", 5.0 if columns["arch"] == "cnn" else np.nan)
        cell_id = name or f"{study}-d{depth:02d}-w{columns['width']}-{len(self.cells)}"
        self.studies.append({"study": study, "cell_id": cell_id})
        for replicate, status in enumerate(statuses):
            told = {"replicate": replicate, "depth": depth, "status": status}
            self.cells.append({"cell_id": cell_id, **told, **columns})
            if measure is None:
                continue
            asked = product(self.rho, range(self.probes), ("constant", "identity"))
            for rho, probe, reference in asked:
                value = measure(replicate, rho, probe, reference)
                place = {"rho": rho, "probe": f"rho={rho:.2f}/{probe:02d}"}
                self.metric(cell_id, replicate, "correlated", reference, value, **place)
        if outputs is not None:
            predicted = np.stack([outputs(r) for r in range(len(statuses))])
            self.evaluate(cell_id, predicted, probe_set)
        return cell_id

    def metric(
        self, cell_id: str, replicate: int, kind: str, reference: str, value: float, **columns: Any
    ) -> None:
        """A row of the table `metrics`; both measures are `value` unless told otherwise."""
        row = {"cell_id": cell_id, "replicate": replicate, "kind": kind, "reference": reference}
        row |= {"probe": kind, "rho": np.nan, "size": 28, "correlation": value, "mse": value}
        self.metrics.append(row | columns)

    def evaluate(self, cell_id: str, outputs: np.ndarray, probe_set: str = "0123456789ab") -> None:
        source = self.folder / "data" / f"{outputs.shape[2]}-channels"
        source.mkdir(parents=True, exist_ok=True)
        path = source / f"probes-{probe_set}.npz"
        self.paths[cell_id] = path
        if not path.exists():
            sets = range(len(outputs) if self.vary else 1)
            named = np.stack([self.inputs(r) for r in sets])
            channels = named.shape[2]
            np.savez(
                path,
                names=np.array([f"probe {j}" for j in range(len(self.kinds))]),
                kinds=np.array(self.kinds),
                named=((named - MEAN) / STD).astype(np.float32),
                mean=np.full(channels, MEAN),
                std=np.full(channels, STD),
                **self._resized(((named - MEAN) / STD).astype(np.float32)),
            )
        folder = self.folder / "cells" / cell_id / f"eval-{probe_set}"
        folder.mkdir(parents=True)
        predicted = ((outputs - MEAN) / STD).astype(np.float32)
        np.savez(folder / "predictions.npz", named=predicted, **self._resized(predicted))

    def _resized(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Flat images at the further sizes, a hundredth darker per pixel of size."""
        flat = images[..., :1, :1]
        return {
            f"named_{size}": np.tile(flat - np.float32(size / 100 / STD), (size, size))
            for size in self.sizes
        }

    def times(self, factor: float) -> Callable[[int], np.ndarray]:
        """Outputs that are the inputs times `factor`, so that a tile tells its row and column."""
        inputs = self.inputs
        return lambda replicate: inputs(replicate) * factor

    def results(self) -> Results:
        tables = self.folder / "tables"
        tables.mkdir(exist_ok=True)
        for name in ("cells", "studies", "metrics", *["layers"] * bool(self.layers)):
            pd.DataFrame(getattr(self, name)).to_parquet(tables / f"{name}.parquet")
        selection = Selection(cells=self.folder / "cells", probes=self.paths)
        return Results(tables, selection, initial_weights)

    def draw(self, name: str, **style: Any) -> Drawn:
        return Drawn(draw(name, self.results(), FigureStyle(**style)))

    def refuses(self, name: str, message: str, **style: Any) -> None:
        """The figure cannot be drawn, for a reason that matches."""
        with pytest.raises(FigureError, match=message):
            self.draw(name, **style)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


@pytest.fixture
def printed() -> type[Drawn]:
    """What takes a figure that was not drawn by name."""
    return Drawn

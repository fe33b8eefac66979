"""The table `evidence` of real cells, gathered by each test and recomputed image by image."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from idpipe import nets
from idpipe.cells import Cell
from idpipe.claims.evidence import gather, mixture_correlation, relative_sharpness
from idpipe.config import ProbeSpec
from idpipe.images import ProbeSet, probes
from idpipe.nets import initial_weights
from idpipe.store import Selection
from idpipe.workflow import jobs

PROBES = ProbeSpec(rho=(0.0,), n_per_rho=1, sizes=(), out_of_domain=0)
SIZE = 6
TWO = [{"label": 7}, {"label": 3}]
STUDIES = {
    "theorem1": [{"net": {"arch": "fcn", "depth": 1, "activation": "linear", "bias": False}}],
    "theorem2": [
        {"net": {"arch": "cnn", "depth": 1, "activation": "linear", "bias": False, "kernel": k}}
        for k in (3, 9)
    ],
    "cnn_kernel": [{"net": {"arch": "cnn", "depth": 2, "width": 3}, "data": {"vary": True}}],
    "few_examples": [{"net": {"arch": "cnn", "depth": 2, "width": 3}, "data": {"examples": TWO}}],
    "cnn_depth": [{"net": {"arch": "cnn", "depth": 20, "width": 3}}],
}


def made(settings: dict) -> Cell:
    more = {"data": {"size": SIZE, **settings.get("data", {})}, "max_steps": 20, "replicates": 2}
    return Cell.model_validate({**settings, **more})


class World:
    """Cells on disk, and the table that is gathered of them."""

    def __init__(self, digits: Path, root: Path) -> None:
        self.root = root
        self.cells = {study: [made(s) for s in found] for study, found in STUDIES.items()}
        self.probes: dict[str, Path] = {}
        for study, cells in self.cells.items():
            for cell in cells:
                folder, file = root / cell.cell_id, root / cell.cell_id / "probes-0.npz"
                probes.build(cell.data, PROBES, cell.replicates, digits, digits).save(file)
                jobs.train(cell, digits, folder, lambda line: None)
                jobs.evaluate(folder, file, "cosine", folder / "eval-0")
                if study == "cnn_depth":
                    jobs.analyse(folder, file, folder / "eval-0")
                self.probes[cell.cell_id] = file
        self.ids = {study: [cell.cell_id for cell in cells] for study, cells in self.cells.items()}

    def gathered(self, kind: str = "cosine") -> pd.DataFrame:
        selection = Selection(cells=self.root, studies=self.ids, probes=self.probes)
        return gather(selection, initial_weights, kind)

    def values(self, cell: Cell, quantity: str) -> list[float]:
        rows = self.gathered().query("cell_id == @cell.cell_id and quantity == @quantity")
        assert rows["replicate"].tolist() == [0, 1]
        return rows["value"].tolist()

    def arrays(self, cell: Cell, file: str, name: str, replicate: int) -> np.ndarray:
        with np.load(self.root / cell.cell_id / "eval-0" / file) as found:
            return found[name][replicate].astype(float)

    def tested(self, cell: Cell, replicate: int) -> tuple[list[int], np.ndarray, np.ndarray]:
        """Places of what is neither trained on nor a blend; named probes; training images."""
        shown = ProbeSet.load(self.probes[cell.cell_id])
        one = replicate if cell.data.vary else 0
        places = [n for n, kind in enumerate(shown.kinds) if kind in ("unseen", "pattern")]
        return places, shown.named[one].astype(float), shown.train[one].astype(float)


@pytest.fixture(scope="module")
def world(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(digits, tmp_path_factory.mktemp("cells"))


def test_the_table_has_every_quantity_of_every_replicate(world):
    table = world.gathered()
    assert table["cell_id"].drop_duplicates().tolist() == list(world.probes)
    assert table.groupby("quantity").size().to_dict() == {
        **dict.fromkeys(("theorem1_deviation", "sharpness", "mixture", "upper10"), 2),
        **dict.fromkeys(("null_dimension", "bound"), 4),
    }


def test_theorem_1_is_compared_on_the_probe_that_is_furthest_from_it(world):
    (cell,) = world.cells["theorem1"]
    for replicate, value in enumerate(world.values(cell, "theorem1_deviation")):
        _, named, train = world.tested(cell, replicate)
        start = nets.initial_params(cell, [replicate])["weight.0"][0].double().numpy()
        trained = jobs.read_params(world.root / cell.cell_id)["weight.0"][replicate].numpy()
        t, off = train.ravel(), []
        for x in named.reshape(len(named), -1):
            along = (x @ t) / (t @ t) * t
            closed = along + start @ (x - along)
            off.append(np.linalg.norm(trained @ x - closed) / np.linalg.norm(closed))
        assert value == pytest.approx(max(off), rel=1e-4)


def test_theorem_2_counts_directions_that_no_patch_has(world):
    for cell, kernel in zip(world.cells["theorem2"], (3, 9), strict=True):
        _, _, train = world.tested(cell, 0)
        unfolded = F.unfold(torch.tensor(train), kernel, padding=kernel // 2)[0]
        free = kernel**2 - np.linalg.matrix_rank(unfolded.numpy())
        assert world.values(cell, "null_dimension") == [free, free]
        assert (free == 0) == (kernel == 3)
        assert [bound > 0 for bound in world.values(cell, "bound")] == [free > 0] * 2


def roughness(image: np.ndarray) -> float:
    """Of all channels, each about its own mean."""
    steps = away = 0.0
    for channel in image:
        away += sum((value - channel.mean()) ** 2 for value in channel.ravel())
        steps += sum((b - a) ** 2 for row in channel for a, b in itertools.pairwise(row))
        steps += sum((b - a) ** 2 for row in channel.T for a, b in itertools.pairwise(row))
    return math.sqrt(steps / away)


def test_sharpness_is_that_of_each_output_over_that_of_its_own_input(world):
    (cell,) = world.cells["cnn_kernel"]
    for replicate, value in enumerate(world.values(cell, "sharpness")):
        places, named, _ = world.tested(cell, replicate)
        outputs = world.arrays(cell, "predictions.npz", "named", replicate)
        told = [roughness(outputs[n]) / roughness(named[n]) for n in places if named[n].std() > 0]
        assert len(told) < len(places), "a flat pattern has no sharpness"
        assert value == pytest.approx(np.mean(told))


def test_a_mixture_is_the_best_one_of_all_training_images(world):
    (cell,) = world.cells["few_examples"]
    for replicate, value in enumerate(world.values(cell, "mixture")):
        places, _, train = world.tested(cell, replicate)
        outputs = world.arrays(cell, "predictions.npz", "named", replicate)
        columns, told = train.reshape(2, -1).T, []
        for y in outputs[places].reshape(len(places), -1):
            best = columns @ np.linalg.lstsq(columns, y, rcond=None)[0]
            told.append(y @ best / np.linalg.norm(y) / np.linalg.norm(best))
        assert value == pytest.approx(np.mean(told))


@pytest.mark.parametrize("kind", ["cosine", "pearson"])
def test_the_upper_layers_are_compared_with_the_training_image(world, kind):
    (cell,) = world.cells["cnn_depth"]
    table = world.gathered(kind).query("quantity == 'upper10'")
    for replicate, value in zip(table["replicate"], table["value"], strict=True):
        places, _, train = world.tested(cell, replicate)
        outputs = world.arrays(cell, "layers.npz", "upper10_output", replicate)
        pairs = [(outputs[n].ravel(), train.ravel()) for n in places]
        if kind == "pearson":
            pairs = [(y - y.mean(), t - t.mean()) for y, t in pairs]
        told = [y @ t / np.linalg.norm(y) / np.linalg.norm(t) for y, t in pairs]
        assert value == pytest.approx(np.mean(told))


def drawn(count: int) -> np.ndarray:
    """Images of two channels that are higher than wide, each of another contrast."""
    images = np.random.default_rng(0).normal(size=(count, 2, 5, 4))
    return images * np.arange(1, count + 1)[:, None, None, None]


def test_measures_are_means_over_images_of_every_channel_and_direction():
    inputs, outputs = drawn(6)[:3], drawn(6)[3:]
    told = [roughness(one) / roughness(other) for one, other in zip(outputs, inputs, strict=True)]
    assert relative_sharpness(inputs, outputs) == pytest.approx(np.mean(told))
    columns, told = inputs[:2].reshape(2, -1).T, []
    for y in outputs.reshape(3, -1):
        best = columns @ np.linalg.lstsq(columns, y, rcond=None)[0]
        told.append(np.linalg.norm(best) / np.linalg.norm(y))
    assert mixture_correlation(inputs[:2], outputs) == pytest.approx(np.mean(told))


@pytest.mark.parametrize("value", [0.0, np.inf, np.nan, 1e200])
def test_what_has_no_direction_is_left_out_of_a_mean(value):
    images = drawn(2)
    kept = images.copy()
    kept[1] = value * np.sign(kept[1])
    assert relative_sharpness(images, kept) == pytest.approx(1)
    assert math.isnan(relative_sharpness(images[1:], kept[1:]))
    assert mixture_correlation(images[:1], kept) == pytest.approx(1)
    assert math.isnan(mixture_correlation(images[:1], kept[1:]))
    small = 1e-4 * images
    assert relative_sharpness(small, small) == pytest.approx(1)

"""Evaluation on networks whose answer is known: identity, constant, and a sum by hand."""

import numpy as np
import pytest
import torch

from idpipe import evaluate, nets
from idpipe.cells import Cell
from idpipe.evaluate import predictions
from idpipe.images import ProbeSet
from idpipe.results import tables

pytestmark = pytest.mark.numerical

SIZE = 6


def probe_set(train: int = 1, sets: int = 1, size: int = SIZE) -> ProbeSet:
    """Random probes: 5 named ones, two values of rho with 3 images each, one resized set."""
    generator = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return generator.normal(size=shape).astype(np.float32)

    images = draw(sets, train, 1, size, size)
    return ProbeSet(
        names=("train0", "blend_train", "unseen0", "ood0", "flat"),
        kinds=("train", "blend", "unseen", "out_of_domain", "pattern"),
        named=np.concatenate([images[:, :1], draw(sets, 4, 1, size, size)], axis=1),
        resized={9: draw(sets, 5, 1, 9, 9)},
        rho=np.array([0.0, 0.5]),
        correlated=draw(sets, 2, 3, 1, size, size),
        train=images,
        mean=np.array([0.1307], np.float32),
        std=np.array([0.3081], np.float32),
    )


def cnn(**settings) -> Cell:
    net = {"arch": "cnn", "depth": 3, "width": 4, "kernel": 3}
    return Cell.model_validate({"net": net, "data": {"size": SIZE}, "replicates": 2, **settings})


def measured(cell: Cell, params: nets.Params, probes: ProbeSet, kind: str = "cosine"):
    return evaluate.measure(cell, probes, evaluate.predict(cell, params, probes), kind)


def test_an_identity_network_is_measured_as_one():
    cell, probes = cnn(replicates=1), probe_set()
    table = measured(cell, nets.identity_params(cell.net, 1, SIZE), probes)
    identity = table[table["reference"] == "identity"]
    np.testing.assert_allclose(identity["correlation"], 1, atol=1e-6)
    np.testing.assert_allclose(identity["mse"], 0, atol=1e-10)
    constant = table[(table["reference"] == "constant") & (table["probe"] != "train0")]
    assert (constant["correlation"] < 0.9).all()


def test_a_constant_network_is_measured_as_one():
    net = {"arch": "fcn", "depth": 2, "width": 7}
    cell, probes = cnn(net=net, replicates=1), probe_set()
    params = {name: 0 * value for name, value in nets.initial_params(cell, [0]).items()}
    params["bias.1"] = torch.tensor(probes.train).reshape(1, -1)
    table = measured(cell, params, probes)
    constant = table[table["reference"] == "constant"]
    np.testing.assert_allclose(constant["correlation"], 1, atol=1e-6)
    np.testing.assert_allclose(constant["mse"], 0, atol=1e-10)


def test_one_row_per_replicate_probe_and_reference():
    cell, probes = cnn(), probe_set()
    params = nets.initial_params(cell, [0, 1])
    table = tables.METRICS.conform(measured(cell, params, probes))
    keys = ["cell_id", "replicate", "probe", "size", "reference"]
    assert not table.duplicated(keys).any()
    assert len(table) == 2 * 2 * (5 + 5 + 2 * 3)
    assert set(table["probe"][table["rho"] == 0.5]) == {f"rho=0.5/0{i}" for i in range(3)}
    assert table["rho"].isna().sum() == 2 * 2 * 10


def test_every_number_stands_at_its_own_probe_and_replicate():
    cell, probes = cnn(), probe_set()
    params = nets.initial_params(cell, [0, 1])
    table = measured(cell, params, probes, "pearson")
    inputs = dict(zip(probes.names, probes.named[0], strict=True))
    for r, k in np.ndindex(2, 3):
        inputs[f"rho={float(probes.rho[r])!r}/{k:02d}"] = probes.correlated[0, r, k]
    for row in table[table["size"] == SIZE].itertuples():
        alone = {name: value[[row.replicate]] for name, value in params.items()}
        image = inputs[row.probe]
        output = nets.forward(cell.net, alone, torch.tensor(image)[None, None])[0, 0].numpy()
        reference = image if row.reference == "identity" else probes.train[0, 0]
        expected = np.corrcoef(output.ravel(), reference.ravel())[0, 1]
        assert row.correlation == pytest.approx(expected, abs=1e-5)
        assert row.mse == pytest.approx(((output - reference) ** 2).mean(), rel=1e-4)


def test_fully_connected_networks_skip_other_sizes():
    cell, probes = cnn(net={"arch": "fcn", "depth": 1}), probe_set()
    predictions = evaluate.predict(cell, nets.initial_params(cell, [0, 1]), probes)
    assert set(predictions) == {"named", "correlated"}


def test_the_constant_is_not_defined_for_several_training_images():
    cell = cnn(data={"size": SIZE, "examples": [{"label": 7}, {"label": 3}]})
    table = measured(cell, nets.initial_params(cell, [0, 1]), probe_set(train=2))
    assert set(table["reference"]) == {"identity"}


def test_replicates_with_images_of_their_own_see_their_own_probes():
    cell, probes = cnn(data={"size": SIZE, "vary": True}), probe_set(sets=2)
    params = nets.initial_params(cell, [0, 1])
    predictions = evaluate.predict(cell, params, probes)
    second = {name: value[1:] for name, value in params.items()}
    expected = nets.forward(cell.net, second, torch.tensor(probes.named[1:]))
    np.testing.assert_allclose(predictions["named"][1:], expected.numpy(), atol=1e-6)


def test_many_images_are_computed_in_parts(monkeypatch):
    cell, probes = cnn(), probe_set()
    params = nets.initial_params(cell, [0, 1])
    whole = evaluate.outputs(cell, params, probes.named)
    monkeypatch.setattr(predictions, "IMAGES_AT_ONCE", 2)
    np.testing.assert_allclose(evaluate.outputs(cell, params, probes.named), whole, atol=1e-6)

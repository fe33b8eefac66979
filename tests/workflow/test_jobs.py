"""The steps of the pipeline on files, from prepared images to the run's tables."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from runs_in_process import collected, made

from idpipe import engine, nets, store
from idpipe.cells import cell_from_json
from idpipe.errors import StoreError
from idpipe.images import training_images
from idpipe.results import tables
from idpipe.workflow import jobs
from idpipe.workflow.targets import Targets

SETTINGS = {
    "run": "tiny",
    "defaults": {"replicates": 2, "max_steps": 60},
    "studies": {
        "a": {"base": {"net": {"arch": "cnn", "width": 3}}, "axes": {"net.depth": [1, 2]}},
        "b": {"base": {"net": {"arch": "cnn", "width": 3, "depth": 2}}},
        "c": {"base": {"net": {"arch": "fcn", "width": 9, "depth": 2}}},
    },
    "probes": {"rho": [0, 0.5], "n_per_rho": 2, "sizes": [7]},
}


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> tuple[Targets, list[str]]:
    """A tiny run, trained and evaluated, and what it said."""
    said: list[str] = []
    return made({**SETTINGS, "results": str(tmp_path_factory.mktemp("run"))}, said.append), said


@pytest.fixture
def first(done) -> tuple[Targets, str]:
    """The run, and its first cell."""
    return done[0], next(iter(done[0].plan.cells))


def test_a_cell_folder_holds_the_spec_the_weights_and_the_status(done):
    targets, _ = done
    for cell_id, cell in targets.plan.cells.items():
        folder = targets.layout.cell(cell_id)
        assert cell_from_json((folder / "cell.json").read_text()) == cell
        params = jobs.read_params(folder)
        source = targets.layout.source("digits")
        expected = engine.train(cell, training_images(cell.data, source, cell.replicates))
        torch.testing.assert_close(params, expected.params, rtol=0, atol=0)
        status = json.loads((folder / "status.json").read_text())
        assert [r["replicate"] for r in status["replicates"]] == [0, 1]
        for told, outcome in zip(status["replicates"], expected.outcomes, strict=True):
            assert (told["status"], told["steps"]) == (outcome.status, outcome.steps)
            assert told["mse"] == outcome.mse
        assert status["formulations"] == expected.formulations
        assert status["seconds"] > 0
        assert status["versions"]["torch"] == torch.__version__.partition("+")[0]


def test_it_says_how_each_replicate_ended(done):
    targets, said = done
    for cell_id in targets.plan.cells:
        for replicate in range(2):
            assert any(f"{cell_id}: replicate {replicate}" in line for line in said)


def test_a_second_call_does_nothing(done):
    targets, _ = done
    said: list[str] = []
    for cell_id in targets.plan.cells:
        jobs.run_cell(targets, cell_id, said.append)
    assert said == []


def test_tables_are_as_documented_and_whole(done, tmp_path):
    targets, _ = done
    found = collected(targets, tmp_path)
    for table in tables.TABLES:
        frame = found[table.name]
        assert list(frame.columns) == [column.name for column in table.columns]
        for column in table.columns:
            assert str(frame[column.name].dtype) == column.type, column.name
    cells, studies, metrics = found["cells"], found["studies"], found["metrics"]
    assert len(cells) == 2 * 3
    assert not cells.duplicated(["cell_id", "replicate"]).any()
    by_study = studies.groupby("study")["cell_id"].apply(list)
    planned = targets.plan.studies.items()
    assert by_study.to_dict() == {name: [c.cell_id for c in members] for name, members in planned}
    assert by_study["b"][0] == by_study["a"][1], "two studies share a cell"
    assert set(metrics["cell_id"]) == set(cells["cell_id"]) == set(found["history"]["cell_id"])
    resized = metrics[metrics["size"] == 7]
    assert set(resized["cell_id"]) == {c for c in targets.plan.cells if c.startswith("cnn")}


def test_metrics_are_those_of_the_stored_predictions(first, tmp_path):
    targets, cell_id = first
    predictions = np.load(targets.evaluation(cell_id) / "predictions.npz")
    probes = np.load(targets.probes(cell_id))
    metrics = collected(targets, tmp_path)["metrics"].query("cell_id == @cell_id and size == 28")
    for place, name in enumerate(probes["names"]):
        for replicate in range(2):
            output = predictions["named"][replicate, place].astype(float)
            rows = metrics[(metrics["probe"] == name) & (metrics["replicate"] == replicate)]
            row = rows[rows["reference"] == "identity"].iloc[0]
            assert row["mse"] == pytest.approx(((output - probes["named"][0, place]) ** 2).mean())


def test_a_missing_evaluation_is_an_error_and_no_hole(first, tmp_path):
    targets, cell_id = first
    path = targets.evaluation(cell_id) / "metrics.parquet"
    away = path.rename(tmp_path / "away")
    try:
        with pytest.raises(StoreError, match=cell_id):
            collected(targets, tmp_path / "tables")
        assert not (tmp_path / "tables").exists()
    finally:
        away.rename(path)


@pytest.mark.parametrize("damage", [b"", b"x" * 100])
@pytest.mark.parametrize("name", ["cell.json", "status.json", "history.parquet"])
def test_a_damaged_cell_is_an_error_that_names_it(first, tmp_path, name, damage):
    targets, cell_id = first
    path = targets.layout.cell(cell_id) / name
    whole = path.read_bytes()
    path.write_bytes(damage)
    try:
        with pytest.raises(StoreError, match=name):
            collected(targets, tmp_path / "tables")
    finally:
        path.write_bytes(whole)


def test_truncated_weights_are_an_error_that_names_them(first, tmp_path):
    targets, cell_id = first
    weights = targets.layout.cell(cell_id) / "weights.safetensors"
    (tmp_path / weights.name).write_bytes(weights.read_bytes()[:-7])
    with pytest.raises(StoreError, match=r"weights.safetensors"):
        jobs.read_params(tmp_path)


def test_a_diverged_replicate_is_stored_and_told(tmp_path):
    training = {"max_steps": 200, "optimizer": {"lr": 100}, "failure": {"policy": "keep"}}
    changes = {"defaults": {"replicates": 1, **training}, "results": str(tmp_path)}
    targets = made({**SETTINGS, "studies": {"b": SETTINGS["studies"]["b"]}, **changes})
    found = collected(targets, tmp_path / "tables")
    assert found["cells"]["status"].tolist() == ["diverged"]
    assert found["cells"]["mse"].isna().all()
    assert found["metrics"]["correlation"].isna().all()


# --- layers ----------------------------------------------------------------------------------

CLASSIFIER = {"classifier_train_per_class": 4, "classifier_test_per_class": 3}
LAYERED = {
    "run": "layered",
    "defaults": {"replicates": 2, "max_steps": 40},
    "studies": {
        "cnn_depth": {"base": {"net": {"arch": "cnn", "width": 3}}, "axes": {"net.depth": [1, 3]}},
        "cnn_channels": {"base": {"net": {"arch": "cnn", "width": 4, "depth": 2}}},
        "another": {"base": {"net": {"arch": "cnn", "width": 5, "depth": 2}}},
    },
    "probes": {"rho": [0], "n_per_rho": 1, "sizes": [7], **CLASSIFIER},
}


@pytest.fixture(scope="module")
def layered(tmp_path_factory) -> Targets:
    """A tiny run with studies whose figures look at layers, and one whose do not."""
    return made({**LAYERED, "results": str(tmp_path_factory.mktemp("layered"))})


def test_layers_are_looked_at_where_a_figure_asks_for_it(layered):
    members = {name: [c.cell_id for c in cells] for name, cells in layered.plan.studies.items()}
    assert layered.analysed("classifier-trained") == members["cnn_depth"]
    assert layered.analysed("classifier-untrained") == members["cnn_depth"][-1:]
    assert layered.analysed("layers") == members["cnn_depth"] + members["cnn_channels"]
    for cell_id in layered.plan.cells:
        names = {path.name for path in layered.evaluation(cell_id).iterdir()}
        for analysis in ("classifier-trained", "classifier-untrained"):
            assert (f"{analysis}.parquet" in names) == (cell_id in layered.analysed(analysis))
        assert ({"layers.parquet", "layers.npz"} <= names) == (cell_id not in members["another"])


def test_no_initial_weights_are_drawn_to_classify_by_trained_ones(layered, tmp_path, monkeypatch):
    (cell_id,) = layered.analysed("classifier-untrained")
    source = layered.layout.source(next(iter(layered.sources)))
    spec, folder = layered.config.probes, layered.layout.cell(cell_id)
    monkeypatch.setattr(nets, "initial_params", lambda *args: 1 / 0)
    jobs.classify(folder, source, spec, tmp_path, "trained")
    with pytest.raises(ZeroDivisionError):
        jobs.classify(folder, source, spec, tmp_path, "untrained")


def test_the_table_of_layers_holds_what_was_asked_for(layered, tmp_path):
    frame = collected(layered, tmp_path)["layers"]
    for column in tables.LAYERS.columns:
        assert str(frame[column.name].dtype) == column.type, column.name
    assert not frame.duplicated(["cell_id", "replicate", "layer", "state", "quantity"]).any()
    counts = frame.groupby("quantity").size()
    # Two replicates; 1 + 3 + 2 layers; each layer and the input, the deepest untrained too.
    assert dict(counts) == {"chance": 2, "distance": 12, "error_rate": 2 * (2 + 4 + 4)}
    assert (frame.query("quantity == 'chance'")["value"] == 0.9).all()
    inputs = frame.query("quantity == 'error_rate' and layer == 0")["value"]
    assert inputs.nunique() == 1 and 0 < inputs.iloc[0] < 0.9


def test_the_untrained_network_is_the_one_the_kept_attempt_started_from(layered, tmp_path):
    cell_id = layered.analysed("layers")[1]
    folder = tmp_path / cell_id
    folder.mkdir()
    for name in ("cell.json", "weights.safetensors"):
        (folder / name).write_bytes((layered.layout.cell(cell_id) / name).read_bytes())
    status = json.loads((layered.layout.cell(cell_id) / "status.json").read_text())
    status["replicates"][1]["restart"] = 2
    store.write_json(folder / "status.json", status)
    jobs.analyse(folder, layered.probes(cell_id), tmp_path / "out")
    frame = pd.read_parquet(tmp_path / "out/layers.parquet")
    cell, after = store.read_cell(folder), jobs.read_params(folder)
    for replicate, restart in ((0, status["replicates"][0]["restart"]), (1, 2)):
        before = nets.initial_params(cell, [replicate], restart)
        for layer in range(3):
            start = before[f"weight.{layer}"][0].double()
            moved = (after[f"weight.{layer}"][replicate].double() - start).norm() / start.norm()
            rows = frame.query("replicate == @replicate and layer == @layer + 1")
            assert rows["value"].item() == pytest.approx(float(moved))
    arrays = np.load(tmp_path / "out/layers.npz")
    assert arrays["trained_singular"].shape[:2] == (2, 2)
    assert arrays["trained_singular_7"].shape[-1] == 7

"""Inputs and parameters of rules, without Snakemake."""

import json
from pathlib import Path
from typing import Any

import pytest

from idpipe.config import load, read
from idpipe.costs import devices
from idpipe.figures import FIGURES
from idpipe.store import Selection
from idpipe.workflow import params, resources
from idpipe.workflow.targets import Targets

ROOT = Path(__file__).parents[2]
MANY = {"probes": {"n_per_rho": 10_000, "sizes": [7, 1000]}}
PAPER = [ROOT / "config.yaml", ROOT / "config/paper.yaml"]
FILES = [ROOT / "config.yaml", ROOT / "config/smoke.yaml"]


def smoke(**changes: Any) -> Targets:
    return Targets(load(read(FILES, snakemake_config=changes)))


@pytest.fixture(scope="module")
def targets() -> Targets:
    return smoke()


def members(targets: Targets, *studies: str) -> list[str]:
    return list(dict.fromkeys(c.cell_id for s in studies for c in targets.plan.studies[s]))


def names(paths: list[Path], cell_id: str) -> set[str]:
    return {path.name for path in paths if cell_id in path.parts}


def test_a_figure_reads_its_own_cells_and_of_them_what_it_shows(targets):
    cells = members(targets, "cnn_depth")
    read_of = {
        "fig03": {"predictions.npz"},
        "fig04": set(),
        "fig05": {"classifier-trained.parquet"},
        "fig15": {"layers.parquet", "layers.npz"},
    }
    for name, more in read_of.items():
        paths = params.figure_inputs(targets, name)
        assert {path.relative_to(targets.layout.root).parts[1] for path in paths} == set(cells)
        for cell_id in cells[:-1]:
            usual = {"cell.json", "status.json", "metrics.parquet"}
            assert names(paths, cell_id) == usual | more, name
    assert "weights.safetensors" in names(
        params.figure_inputs(targets, "theorem1"), members(targets, "theorem1")[0]
    )
    assert params.figure_inputs(targets, "table1") == []


def test_the_deepest_network_alone_is_classified_untrained(targets):
    paths = params.figure_inputs(targets, "fig05")
    depths = {cell_id: targets.plan.cells[cell_id].net.depth for cell_id in targets.plan.cells}
    (deepest,) = [path for path in paths if path.name == "classifier-untrained.parquet"]
    cells = members(targets, "cnn_depth")
    asked = 20 if 20 in {depths[cell] for cell in cells} else max(depths[cell] for cell in cells)
    assert depths[deepest.parts[-3]] == asked


@pytest.mark.parametrize("name", FIGURES)
def test_a_figures_parameters_select_what_it_reads(targets, name):
    told = json.loads(params.figure(targets, name))
    selection = Selection.model_validate(told["selection"])
    paths = params.figure_inputs(targets, name)
    assert set(selection.ids) == {path.relative_to(targets.layout.root).parts[1] for path in paths}
    for cell_id in selection.ids:
        assert selection.evaluation(cell_id) / "metrics.parquet" in paths
    analysed = {path for path in paths if path.stem.startswith(("layers", "classifier"))}
    assert {path for path in analysed if path.suffix == ".parquet"} == {
        selection.evaluation(cell_id) / f"{analysis}.parquet"
        for analysis, cells in selection.analysed.items()
        for cell_id in cells
    }
    assert selection.studies.keys() == set(FIGURES[name].studies)
    assert selection.axes.keys() == selection.studies.keys()


def changed(before: Targets, after: Targets) -> set[str]:
    """Figures whose parameters differ."""
    return {name for name in FIGURES if params.figure(before, name) != params.figure(after, name)}


def test_what_changes_which_parameters(targets):
    style = smoke(figures={"dpi": 123})
    assert changed(targets, style) == set(FIGURES)
    assert params.tables(targets) == params.tables(style)
    probes = smoke(probes={"n_per_rho": 4})
    assert changed(targets, probes) == set(FIGURES) - {"table1"}
    assert params.evidence(targets) != params.evidence(probes)
    assert params.scorecard(targets) == params.scorecard(probes) != params.scorecard(style)
    elsewhere = smoke(studies={"fcn_residual": {"axes": {"net.depth": [4, 6]}}})
    assert changed(targets, elsewhere) == {"fig41"}
    assert params.explorer(targets) != params.explorer(elsewhere)


def test_the_tables_are_gathered_of_every_cell(targets):
    selection = Selection.model_validate(json.loads(params.tables(targets))["selection"])
    assert sorted(selection.ids) == sorted(targets.plan.cells)
    tables = params.analysis_tables(targets)
    assert {path.parts[-3] for path in tables if path.name == "layers.parquet"} == set(
        targets.analysed("layers")
    )
    assert {path.stem for path in tables} == {
        "layers",
        "classifier-trained",
        "classifier-untrained",
    }


def test_evidence_is_of_drawable_figures_alone(targets):
    assert set(params.evidence_cells(targets)) >= {"theorem1", "theorem2", "cnn_kernel"}
    for study, cells in params.evidence_cells(targets).items():
        assert set(cells) <= set(members(targets, study))
    paths = params.evidence_inputs(targets)
    assert {path.parts[-1] for path in paths} >= {"weights.safetensors", "predictions.npz"}
    refused = smoke(studies={"theorem1": {"base": {"net": {"bias": True}}}})
    assert "theorem1" not in params.evidence_cells(refused)


def test_the_explorer_reads_every_cell(targets):
    paths = params.explorer_inputs(targets)
    for cell_id in targets.plan.cells:
        assert {"cell.json", "status.json", "predictions.npz"} <= names(paths, cell_id)


def test_jobs_that_evaluate_are_given_room_and_time_for_what_they_show():
    paper = [Targets(load(read(PAPER, snakemake_config=c))) for c in ({}, MANY)]
    cell, prices = members(paper[0], "cnn_depth")[-1], devices.for_jobs().prices
    megabytes = [resources.evaluation_mb(t, cell) for t in paper]
    assert 0 < megabytes[0] < megabytes[1]
    minutes = [resources.evaluation_minutes(t, prices, cell) for t in paper]
    assert 0 < minutes[0] < minutes[1]
    assert resources.classifier_minutes(paper[0], prices, cell) > 0

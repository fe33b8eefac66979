"""The figure of what the paper leaves open: its rows, numbers and verdicts."""

import pytest

from idpipe.cells import Cell, column_values
from idpipe.figures.assumptions import readings

LIVE = ("converged", "max_steps")


def a_cell(depth: int, arch: str = "cnn", **settings) -> Cell:
    net = {"arch": arch, "depth": depth, "width": 4, **settings.pop("net", {})}
    return Cell.model_validate({"net": net, **settings})


def added(run, cell: Cell, identity: float, constant: float, statuses=LIVE) -> None:
    """The cell in the made-up run, correlated as given, 0.1 further off at each rho above 0."""

    def measure(replicate, rho, probe, reference):
        value = identity if reference == "identity" else constant
        return value + 0.02 * (replicate - 0.5) - rho

    columns = {key: column_values(cell)[key] for key in ("arch", "width", "activation")}
    depth, name = cell.net.depth, cell.cell_id
    run.add("assumptions", depth, statuses, measure=measure, name=name, **columns)
    folder = run.folder / "cells" / name
    folder.mkdir(parents=True)
    (folder / "cell.json").write_text(cell.canonical())


class TestReadings:
    def test_are_the_keys_that_differ_from_the_first_of_a_kind_but_the_depth(self):
        linear = {"activation": "linear"}
        cells = {
            a_cell(5): "default",
            a_cell(20): "default",
            a_cell(5, init="printed", net={"bias": False}): "bias: false, init: printed",
            a_cell(1, "fcn"): "default",
            a_cell(1, "fcn", data={"mean": [0], "std": [1]}): "mean: 0, std: 1",
            a_cell(9, "fcn", net=linear): "default",
            a_cell(9, "fcn", net=linear, optimizer={"nesterov": True}): "nesterov: true",
        }
        found = readings({cell.cell_id: cell for cell in cells})
        assert found == {cell.cell_id: told for cell, told in cells.items()}


class TestFigure:
    def test_has_a_row_for_each_reading_and_its_numbers_at_rho_0(self, run):
        for settings, shift in (({}, 0.0), ({"bias_init": "zeros"}, 0.02)):
            added(run, a_cell(5, **settings), 0.8 + shift, 0.2 + shift)
            added(run, a_cell(20, **settings), 0.1 + shift, 0.95 + shift)
            added(run, a_cell(3, "fcn", **settings), 0.0, 0.9 + shift)
        drawn = run.draw("assumptions")
        assert drawn.texts("row") == ["default", "bias_init: zeros"]
        assert drawn.texts("mean") == [
            *(".80†", ".10†", ".82†", ".12†"),
            *(".20†", ".95†", ".22†", ".97†"),
            *(".90†", ".92†"),
        ]
        assert drawn.texts("verdict") == ["yes", "yes"]
        assert "not converged within the budget: 6." in drawn.note

    @pytest.mark.parametrize(
        ("shallow", "deep", "fcn", "told"),
        [
            ((0.8, 0.2), (0.1, 0.95), 0.95, "yes"),
            ((0.2, 0.8), (0.1, 0.95), 0.95, "no:\nCNN 5"),
            ((0.8, 0.2), (0.1, 0.85), 0.95, "no:\nCNN 20"),
            ((0.8, 0.2), (0.1, 0.95), 0.85, "no:\nReLU FCN 3"),
        ],
    )
    def test_verdict_flips_with_each_of_its_conditions(self, run, shallow, deep, fcn, told):
        added(run, a_cell(5), *shallow)
        added(run, a_cell(20), *deep)
        added(run, a_cell(3, "fcn"), 0.0, fcn)
        assert run.draw("assumptions").texts("verdict") == [told]

    def test_the_dead_are_in_no_number_and_are_told(self, run):
        added(run, a_cell(5), 0.8, 0.2, ("converged", "dead"))
        added(run, a_cell(20), 0.1, 0.95, ("dead", "diverged"))
        drawn = run.draw("assumptions")
        assert drawn.texts("half") == ["1 of 2", "1 of 2"]
        assert drawn.texts("word") == ["dead,\ndiverged"] * 2
        assert drawn.texts("verdict") == ["no:\nCNN 20"]
        assert "the others died or diverged" in drawn.note

"""The figure of what the paper leaves open: its rows, numbers and verdicts."""

from __future__ import annotations

import pytest

from idpipe.cells import Cell
from idpipe.config import FigureStyle
from idpipe.figures.assumptions import readings
from idpipe.figures.draw import draw

STYLE = FigureStyle()
LIVE = ("converged", "max_steps")


def a_cell(depth: int, arch: str = "cnn", **settings) -> Cell:
    net = {"arch": arch, "depth": depth, "width": 4, **settings.pop("net", {})}
    return Cell.model_validate({"net": net, **settings})


def added(run, cell: Cell, identity: float, constant: float, statuses=LIVE) -> None:
    """The cell in the made-up run, correlated as given, 0.1 further off at each rho above 0."""

    def measure(replicate, rho, probe, reference):
        value = identity if reference == "identity" else constant
        return value + 0.02 * (replicate - 0.5) - rho

    columns = {key: cell.columns[key] for key in ("arch", "width", "activation")}
    depth, name = cell.net.depth, cell.cell_id
    run.add("assumptions", depth, statuses, measure=measure, name=name, **columns)
    folder = run.folder / "cells" / name
    folder.mkdir(parents=True)
    (folder / "cell.json").write_text(cell.canonical())


class TestReadings:
    def test_are_the_keys_that_differ_from_the_first_of_a_kind_but_the_depth(self):
        cells = {
            "a": a_cell(5),
            "b": a_cell(20),
            "c": a_cell(5, init="printed", net={"bias": False}),
            "d": a_cell(1, "fcn"),
            "e": a_cell(1, "fcn", data={"mean": [0], "std": [1]}),
            "f": a_cell(9, "fcn", net={"activation": "linear"}),
            "g": a_cell(9, "fcn", net={"activation": "linear"}, optimizer={"nesterov": True}),
        }
        assert readings(cells) == {
            "a": "default",
            "b": "default",
            "c": "bias: false, init: printed",
            "d": "default",
            "e": "mean: 0, std: 1",
            "f": "default",
            "g": "nesterov: true",
        }


class TestFigure:
    def test_has_a_row_for_each_reading_and_its_numbers_at_rho_0(self, run, texts, printed):
        for settings, shift in (({}, 0.0), ({"bias_init": "zeros"}, 0.02)):
            added(run, a_cell(5, **settings), 0.8 + shift, 0.2 + shift)
            added(run, a_cell(20, **settings), 0.1 + shift, 0.95 + shift)
            added(run, a_cell(3, "fcn", **settings), 0.0, 0.9 + shift)
        figure = draw("assumptions", run.results(), STYLE)
        assert texts(figure, "row") == ["default", "bias_init: zeros"]
        assert texts(figure, "mean") == [
            *(".80†", ".10†", ".82†", ".12†"),
            *(".20†", ".95†", ".22†", ".97†"),
            *(".90†", ".92†"),
        ]
        assert texts(figure, "verdict") == ["yes", "yes"]
        assert "not converged within the budget: 6." in texts(figure, "note")[0].replace("\n", " ")
        printed(figure)

    @pytest.mark.parametrize(
        ("shallow", "deep", "fcn", "told"),
        [
            ((0.8, 0.2), (0.1, 0.95), 0.95, "yes"),
            ((0.2, 0.8), (0.1, 0.95), 0.95, "no:\nCNN 5"),
            ((0.8, 0.2), (0.1, 0.85), 0.95, "no:\nCNN 20"),
            ((0.8, 0.2), (0.1, 0.95), 0.85, "no:\nReLU FCN 3"),
        ],
    )
    def test_verdict_flips_with_each_of_its_conditions(self, run, texts, shallow, deep, fcn, told):
        added(run, a_cell(5), *shallow)
        added(run, a_cell(20), *deep)
        added(run, a_cell(3, "fcn"), 0.0, fcn)
        assert texts(draw("assumptions", run.results(), STYLE), "verdict") == [told]

    def test_the_dead_are_in_no_number_and_are_told(self, run, texts, printed):
        added(run, a_cell(5), 0.8, 0.2, ("converged", "dead"))
        added(run, a_cell(20), 0.1, 0.95, ("dead", "diverged"))
        figure = draw("assumptions", run.results(), STYLE)
        assert texts(figure, "half") == ["1 of 2", "1 of 2"]
        assert texts(figure, "word") == ["dead,\ndiverged"] * 2
        assert texts(figure, "verdict") == ["no:\nCNN 20"]
        assert "the others died or diverged" in texts(figure, "note")[0]
        printed(figure)

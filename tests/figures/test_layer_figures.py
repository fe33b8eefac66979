"""Figures of single layers, from made-up views and curves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from idpipe.config import FigureStyle
from idpipe.errors import FigureError
from idpipe.figures.draw import draw
from idpipe.figures.ladder import ladder
from idpipe.figures.layercurves import curves, cut_at
from idpipe.figures.results import Results

STYLE = FigureStyle()
VIEWED, RESIZED = (0, 1, 3, 4, 6, 13, 11), (0, 3, 6, 13)
CHANCE = 0.9


@dataclass
class Layers:
    """Adds networks to a made-up run whose layers are told from the value of their tiles.

    Views of layer l of replicate r hold l / 40 + r / 400 (trained) or that plus 0.5 (untrained);
    `value(layer, replicate)` is what the table holds.
    """

    run: Any
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, study: str, depth: int, statuses=("converged",) * 3, value=None, **columns):
        cell = self.run.add(study, depth, statuses, self.run.times(1), **{"size": 4, **columns})
        for replicate in range(len(statuses)):
            for layer in range(depth + 1):
                number = (layer + replicate) / 100 if value is None else value(layer, replicate)
                self.row(cell, replicate, layer, "trained", "error_rate", number)
                self.row(cell, replicate, layer, "untrained", "error_rate", 0.5)
                if layer:
                    self.row(cell, replicate, layer, "trained", "distance", number)
            self.row(cell, replicate, 0, "untrained", "chance", CHANCE)
        if study.startswith("cnn"):
            self.views(cell, depth, len(statuses))
        return cell

    def row(self, cell, replicate, layer, state, quantity, value) -> None:
        names = ("cell_id", "replicate", "layer", "state", "quantity", "value")
        self.rows.append(
            dict(zip(names, (cell, replicate, layer, state, quantity, value), strict=True))
        )

    def views(self, cell: str, depth: int, replicates: int) -> None:
        def stack(first: int, last: int, probes: int, offset: float, size: int = 4) -> np.ndarray:
            planes = np.empty((replicates, last - first + 1, probes, size, size), np.float16)
            for replicate in range(replicates):
                for number, layer in enumerate(range(first, last + 1)):
                    planes[replicate, number] = layer / 40 + replicate / 400 + offset
            return planes

        arrays = {"viewed": np.array(VIEWED), "viewed_resized": np.array(RESIZED)}
        for state, offset in (("trained", 0.0), ("untrained", 0.5)):
            for number, view in enumerate(("singular", "correlated", "channel0")):
                arrays[f"{state}_{view}"] = stack(1, depth - 1, 7, offset + number / 10)
            arrays[f"{state}_output"] = np.zeros((replicates, 7, 1, 4, 4), np.float32)
        arrays["trained_singular_8"] = stack(1, depth - 1, 4, 0.3, 8)
        arrays["trained_output_8"] = np.zeros((replicates, 4, 1, 8, 8), np.float32)
        for top in (1, 2, 3, 6, 10):
            if top <= depth:
                arrays[f"upper{top}_singular"] = stack(depth - top + 1, depth - 1, 15, top / 100)
                arrays[f"upper{top}_output"] = np.zeros((replicates, 15, 1, 4, 4), np.float32)
        folder = self.run.folder / "cells" / cell / "eval-0123456789ab"
        np.savez(folder / "layers.npz", **arrays)
        probes = dict(np.load(self.run.paths[cell]))
        np.savez(self.run.paths[cell], **probes | {"named_8": np.zeros((1, 15, 1, 8, 8))})

    def results(self) -> Results:
        results = self.run.results()
        pd.DataFrame(self.rows).to_parquet(results.tables / "layers.parquet")
        return results


@pytest.fixture
def made(run) -> Layers:
    return Layers(run)


def note(texts, figure: Figure) -> str:
    return " ".join(" ".join(texts(figure, "note")).split())


def test_fig15_shows_the_untrained_20_layers_beside_trained_7_14_and_20(
    made, printed, texts, grays
):
    for depth in (1, 7, 14, 20, 24):
        made.add("cnn_depth", depth)
    figure = draw("fig15", made.results(), STYLE)
    titles = ["Untrained, 20 layers", "7 layers", "14 layers", "20 layers"]
    assert texts(figure, "title") == titles
    for panel, (depth, offset) in enumerate(((20, 0.5), (7, 0), (14, 0), (20, 0))):
        found = grays(figure, panel)
        assert found.shape == (depth + 1, 5)
        for layer in range(1, depth):
            np.testing.assert_allclose(found[layer], layer / 40 + offset, atol=1e-3)
        np.testing.assert_allclose(found[0], np.array([0, 1, 3, 6, 13]) / 20, atol=1e-6)
    maps = [image.get_cmap().name for image in figure.axes[1].images]
    assert maps.count("gray") == 10 and maps.count("viridis") == 6 * 5
    assert "Columns: train, blend, unseen, out of domain, patterns." in note(texts, figure)
    printed(figure)


def test_three_views_of_every_layer(made, printed, texts, grays):
    depths = {"fig16": 7, "fig17": 14, "fig18": 20}
    for depth in depths.values():
        made.add("cnn_depth", depth, ("converged", "max_steps"))
    results = made.results()
    for name, depth in depths.items():
        figure = draw(name, results, FigureStyle(replicate=1))
        assert len(texts(figure, "title")) == 3
        for panel in range(3):
            found = grays(figure, panel)
            assert found.shape == (depth + 1, 7)
            for layer in range(1, depth):
                expected = layer / 40 + 1 / 400 + panel / 10
                np.testing.assert_allclose(found[layer], expected, atol=1e-3)
        assert texts(figure, "mark") == ["not\nconverged"] * 3
        assert f"{depth} layers, 5 × 5 filters, 32 channels" in note(texts, figure)
        printed(figure)


def test_other_depths_stand_in_and_the_note_says_so(made, printed, texts, grays):
    for depth in (1, 3, 5):
        made.add("cnn_depth", depth)
    results = made.results()
    for name, wanted in (("fig15", "7, 14, 20"), ("fig17", "14"), ("fig21", "20")):
        figure = draw(name, results, STYLE)
        assert grays(figure, 1).shape[0] == 6
        assert f"Not in this study: {wanted} layers" in note(texts, figure)
        printed(figure)


def test_fig21_has_a_panel_per_size(made, printed, texts, grays):
    made.add("cnn_depth", 20)
    figure = draw("fig21", made.results(), STYLE)
    assert texts(figure, "title") == ["4 × 4", "8 × 8"]
    for panel, offset in enumerate((0, 0.3)):
        found = grays(figure, panel)
        assert found.shape == (21, 4)
        np.testing.assert_allclose(found[1:20, 2], np.arange(1, 20) / 40 + offset, atol=1e-3)
    printed(figure)


def test_narrow_and_wide(made, printed, texts, grays):
    for width in (1024, 3, 128):
        for depth in (5, 20):
            made.add("cnn_channels", depth, ("dead",), width=width)
    results = made.results()
    for name, offset, marks in (("fig29", 0.5, []), ("fig30", 0.0, ["dead"] * 2)):
        figure = draw(name, results, STYLE)
        assert texts(figure, "title") == ["(a) 3 channels", "(b) 128 channels"]
        for panel in range(2):
            expected = np.arange(1, 5) / 40 + offset
            np.testing.assert_allclose(grays(figure, panel)[1:5, 0], expected, atol=1e-3)
        assert texts(figure, "mark") == marks
        assert "Not in" not in note(texts, figure)
        printed(figure)


def test_narrow_and_wide_of_other_widths(made, texts):
    for width in (12, 3):
        made.add("cnn_channels", 4, width=width)
    said = note(texts, draw("fig30", made.results(), STYLE))
    assert "Not in this study: 5 layers" in said and "Not in this study: 128 channels" in said


def test_fig22_has_a_row_per_depth(made, printed, texts, grays):
    for depth in (1, 3, 20):
        made.add("cnn_depth", depth)
    figure = draw("fig22", made.results(), STYLE)
    assert texts(figure, "row") == ["input", "1", "3", "20"]
    assert {image.get_cmap().name for image in figure.axes[0].images} == {"gray"}
    assert grays(figure).shape == (4, 15)
    printed(figure)


def test_fig23_has_two_rows_per_depth(made, printed, texts, grays):
    for depth in range(1, 21):
        made.add("cnn_depth", depth)
    figure = draw("fig23", made.results(), STYLE)
    labels = [f"{layer}" for depth in range(2, 21) for layer in (depth - 1, depth)]
    assert texts(figure, "row") == ["input", *labels]
    assert texts(figure, "group") == [f"{depth} layers" for depth in range(2, 21)]
    expected = np.arange(1, 20) / 40 + 0.02
    np.testing.assert_allclose(grays(figure)[1::2, 3], expected, atol=1e-3)
    printed(figure)


@pytest.mark.parametrize(
    ("depth", "tops", "said"),
    [
        (20, (3, 6, 10), ""),
        (5, (3,), "Too few layers for the top 6, 10."),
        (2, (2,), "Too few layers for the top 3, 6, 10."),
    ],
)
def test_fig24_shows_the_tops_below_which_there_is_something(
    made, printed, texts, depth, tops, said
):
    made.add("cnn_depth", depth)
    figure = draw("fig24", made.results(), STYLE)
    assert texts(figure, "group") == [f"top {top}" for top in tops]
    labels = [f"{layer}" for top in tops for layer in range(depth - top + 1, depth + 1)]
    assert texts(figure, "row") == ["input", *labels]
    assert said in note(texts, figure)
    printed(figure)


def test_figures_of_views_refuse_what_was_not_looked_at(made):
    cell = made.add("cnn_depth", 1)
    (made.run.folder / "cells" / cell / "eval-0123456789ab/layers.npz").unlink()
    results = made.results()
    with pytest.raises(FigureError, match=r"layers\.npz"):
        draw("fig22", results, STYLE)
    with pytest.raises(FigureError, match=r"must have a net\.depth of at least 2"):
        draw("fig23", results, STYLE)


def test_fig05_curves_are_means_of_live_replicates(made, printed, texts):
    made.add("cnn_depth", 1)
    made.add("cnn_depth", 5, ("converged", "dead", "max_steps"), restarts=1)
    made.add("cnn_depth", 20, ("dead", "diverged", "dead"))
    figure = draw("fig05", made.results(), STYLE)
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.lines}
    assert [t.get_text() for t in axes.get_legend().get_texts()] == [
        "1", "5 (2 of 3) †", "20, untrained",
    ]  # fmt: skip
    five = lines["5 (2 of 3) †"]
    np.testing.assert_array_equal(five.get_xdata(), range(6))
    np.testing.assert_allclose(five.get_ydata(), np.arange(6) + 1.0)
    untrained = lines["20, untrained"]
    assert to_hex(untrained.get_color()) == "#ff0000"
    assert untrained.get_linewidth() > 2 * five.get_linewidth()
    np.testing.assert_allclose(untrained.get_ydata(), 50)
    (chance,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose(chance.get_ydata(), 90)
    said = note(texts, figure)
    assert "in brackets: how many are not" in said
    assert "No replicate left: dead or diverged at 20 layers." in said
    assert "Restarted after they died or diverged: 3 at 5 layers." in said
    printed(figure)


def test_curves_have_student_intervals(made):
    made.add("cnn_depth", 2)
    results = made.results()
    (curve,) = curves(results, ladder(results, "cnn_depth"), "distance", STYLE)
    np.testing.assert_array_equal(curve.layers, [1, 2])
    np.testing.assert_allclose(curve.mean, [0.02, 0.03])
    np.testing.assert_allclose(curve.half, 4.302653 * 0.01 / np.sqrt(3), rtol=1e-5)


def test_fig19_cuts_off_the_top_layers(made, printed, texts):
    top = {"cnn_depth": 9.0, "fcn_linear_depth": 3.0, "fcn_relu_depth": 0.01}
    for study, highest in top.items():
        for depth in (1, 2, 6):
            values = [layer / 50 for layer in range(depth)] + [highest]
            made.add(study, depth, value=lambda layer, _, values=values: values[layer])
    figure = draw("fig19", made.results(), STYLE)
    assert [axes.get_title("left") for axes in figure.axes] == [
        "(a) CNN", "(b) Linear FCN", "(c) ReLU FCN",
    ]  # fmt: skip
    for axes in figure.axes:
        assert axes.get_ylim() == pytest.approx((0, 1.1 * 5 / 50))
        assert [t.get_text() for t in axes.get_legend().get_texts()] == ["1", "2", "6"]
    assert "the top layer reaches 9 in (a), 3 in (b), 0.1 in (c)" in note(texts, figure)
    printed(figure)


def test_without_a_lower_layer_nothing_is_cut(made):
    made.add("cnn_depth", 1, value=lambda layer, replicate: 0.5)
    results = made.results()
    found = curves(results, ladder(results, "cnn_depth"), "distance", STYLE)
    assert cut_at(found) == pytest.approx(0.55)


def test_nothing_left_alive_is_refused(made):
    made.add("cnn_depth", 3, ("dead", "diverged"))
    with pytest.raises(FigureError, match=r"studies\.cnn_depth: every replicate died"):
        draw("fig05", made.results(), STYLE)
    made.rows.clear()
    made.row("another", 0, 0, "trained", "error_rate", 0.0)
    made.add("cnn_depth", 5)
    made.rows = [row for row in made.rows if row["state"] == "trained"]
    with pytest.raises(FigureError, match=r"no error_rate \(untrained\) of cnn_depth"):
        draw("fig05", made.results(), STYLE)

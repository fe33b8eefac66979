"""Figures of single layers, from made-up views and curves."""

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from idpipe.config import FigureStyle
from idpipe.figures.layercurves import curves, cut_at
from idpipe.results import ladder

VIEWED, RESIZED = (0, 1, 3, 4, 6, 13, 11), (0, 3, 6, 13)
CHANCE = 0.9


def add(run, study, depth, statuses=("converged",) * 3, value=None, **columns):
    """A network whose layers are told from the value of their tiles, or by `value` in the table.

    Views of layer l of replicate r hold l / 40 + r / 400 (trained) or that plus 0.5 (untrained).
    """
    cell = run.add(study, depth, statuses, run.times(1), **{"size": 4, **columns})
    for replicate in range(len(statuses)):
        told = [(0, "untrained", "chance", CHANCE)]
        for layer in range(depth + 1):
            number = value(layer) if value else (layer + replicate) / 100
            told.append((layer, "untrained", "error_rate", 0.5))
            told.append((layer, "trained", "error_rate", number))
            told += [(layer, "trained", "distance", number)] * (layer > 0)
        rows = pd.DataFrame(told, columns=["layer", "state", "quantity", "value"])
        run.layers += rows.assign(cell_id=cell, replicate=replicate).to_dict("records")
    if study.startswith("cnn"):
        add_views(run, cell, depth, len(statuses))
    return cell


def add_views(run, cell, depth, replicates):
    def stack(first, probes, offset, size=4):
        layers = np.arange(first, depth) / 40
        values = np.add.outer(np.arange(replicates) / 400, layers) + offset
        return np.tile(values[..., None, None, None], (probes, size, size)).astype(np.float16)

    arrays = {"viewed": np.array(VIEWED), "viewed_resized": np.array(RESIZED)}
    for state, offset in (("trained", 0.0), ("untrained", 0.5)):
        for number, view in enumerate(("singular", "correlated", "channel0")):
            arrays[f"{state}_{view}"] = stack(1, 7, offset + number / 10)
        arrays[f"{state}_output"] = np.zeros((replicates, 7, 1, 4, 4), np.float32)
    arrays["trained_singular_8"] = stack(1, 4, 0.3, 8)
    arrays["trained_output_8"] = np.zeros((replicates, 4, 1, 8, 8), np.float32)
    for top in [top for top in (1, 2, 3, 6, 10) if top <= depth]:
        arrays[f"upper{top}_singular"] = stack(depth - top + 1, 15, top / 100)
        arrays[f"upper{top}_output"] = np.zeros((replicates, 15, 1, 4, 4), np.float32)
    np.savez(run.folder / "cells" / cell / "eval-0123456789ab/layers.npz", **arrays)
    probes = dict(np.load(run.paths[cell]))
    np.savez(run.paths[cell], **probes | {"named_8": np.zeros((1, 15, 1, 8, 8))})


def test_fig15_shows_the_untrained_20_layers_beside_trained_7_14_and_20(run):
    for depth in (1, 7, 14, 20, 24):
        add(run, "cnn_depth", depth)
    drawn = run.draw("fig15")
    titles = ["Untrained, 20 layers", "7 layers", "14 layers", "20 layers"]
    assert drawn.texts("title") == titles
    for panel, (depth, offset) in enumerate(((20, 0.5), (7, 0), (14, 0), (20, 0))):
        inputs, *layers, _ = drawn.grays(panel)
        expected = [[layer / 40 + offset] * 5 for layer in range(1, depth)]
        np.testing.assert_allclose(layers, expected, atol=1e-3)
        np.testing.assert_allclose(inputs, np.array([0, 1, 3, 6, 13]) / 20, atol=1e-6)
    maps = [image.get_cmap().name for image in drawn.axes[1].images]
    assert maps.count("gray") == 10 and maps.count("viridis") == 6 * 5
    assert "Columns: train, blend, unseen, out of domain, patterns." in drawn.note


def test_three_views_of_every_layer(run):
    depths = {"fig16": 7, "fig17": 14, "fig18": 20}
    for depth in depths.values():
        add(run, "cnn_depth", depth, ("converged", "max_steps"))
    for name, depth in depths.items():
        drawn = run.draw(name, replicate=1)
        assert len(drawn.texts("title")) == 3
        for panel in range(3):
            layers = drawn.grays(panel)[1:-1]
            expected = [[layer / 40 + 1 / 400 + panel / 10] * 7 for layer in range(1, depth)]
            np.testing.assert_allclose(layers, expected, atol=1e-3)
        assert drawn.texts("mark") == ["not\nconverged"] * 3
        assert f"{depth} layers, 5 × 5 filters, 32 channels" in drawn.note


def test_other_depths_stand_in_and_the_note_says_so(run):
    for depth in (1, 3, 5):
        add(run, "cnn_depth", depth)
    for name, wanted in (("fig15", "7, 14, 20"), ("fig17", "14"), ("fig21", "20")):
        drawn = run.draw(name)
        assert drawn.grays(1).shape[0] == 6
        assert f"Not in this study: {wanted} layers" in drawn.note


def test_fig21_has_a_panel_per_size(run):
    add(run, "cnn_depth", 20)
    drawn = run.draw("fig21")
    assert drawn.texts("title") == ["4 × 4", "8 × 8"]
    for panel, offset in enumerate((0, 0.3)):
        found = drawn.grays(panel)
        assert found.shape == (21, 4)
        np.testing.assert_allclose(found[1:20, 2], np.arange(1, 20) / 40 + offset, atol=1e-3)


def test_narrow_and_wide(run):
    for width in (1024, 3, 128):
        for depth in (5, 20):
            add(run, "cnn_channels", depth, ("dead",), width=width)
    for name, offset, marks in (("fig29", 0.5, []), ("fig30", 0.0, ["dead"] * 2)):
        drawn = run.draw(name)
        assert drawn.texts("title") == ["(a) 3 channels", "(b) 128 channels"]
        for panel in range(2):
            expected = np.arange(1, 5) / 40 + offset
            np.testing.assert_allclose(drawn.grays(panel)[1:5, 0], expected, atol=1e-3)
        assert drawn.texts("mark") == marks
        assert "Not in" not in drawn.note


def test_narrow_and_wide_of_other_widths(run):
    for width in (12, 3):
        add(run, "cnn_channels", 4, width=width)
    note = run.draw("fig30").note
    assert "Not in this study: 5 layers" in note and "Not in this study: 128 channels" in note


def test_fig22_has_a_row_per_depth(run):
    for depth in (1, 3, 20):
        add(run, "cnn_depth", depth)
    drawn = run.draw("fig22")
    assert drawn.texts("row") == ["input", "1", "3", "20"]
    assert {image.get_cmap().name for image in drawn.axes[0].images} == {"gray"}
    assert drawn.grays().shape == (4, 15)


def test_fig23_has_two_rows_per_depth(run):
    for depth in range(1, 21):
        add(run, "cnn_depth", depth)
    drawn = run.draw("fig23")
    labels = [f"{layer}" for depth in range(2, 21) for layer in (depth - 1, depth)]
    assert drawn.texts("row") == ["input", *labels]
    assert drawn.texts("group") == [f"{depth} layers" for depth in range(2, 21)]
    expected = np.arange(1, 20) / 40 + 0.02
    np.testing.assert_allclose(drawn.grays()[1::2, 3], expected, atol=1e-3)


@pytest.mark.parametrize(
    ("depth", "tops", "said"),
    [
        (20, (3, 6, 10), []),
        (5, (3,), ["Too few layers for the top 6, 10."]),
        (2, (2,), ["Too few layers for the top 3, 6, 10."]),
    ],
)
def test_fig24_shows_the_tops_below_which_there_is_something(run, depth, tops, said):
    add(run, "cnn_depth", depth)
    drawn = run.draw("fig24")
    assert drawn.texts("group") == [f"top {top}" for top in tops]
    labels = [f"{layer}" for top in tops for layer in range(depth - top + 1, depth + 1)]
    assert drawn.texts("row") == ["input", *labels]
    assert re.findall(r"Too few .*?\.", drawn.note) == said


def test_figures_of_views_refuse_what_was_not_looked_at(run):
    cell = add(run, "cnn_depth", 1)
    (run.folder / "cells" / cell / "eval-0123456789ab/layers.npz").unlink()
    run.refuses("fig22", r"layers\.npz")
    run.refuses("fig23", r"must have a net\.depth of at least 2")


def test_fig05_curves_are_means_of_live_replicates(run):
    add(run, "cnn_depth", 1)
    add(run, "cnn_depth", 5, ("converged", "dead", "max_steps"), restarts=1)
    add(run, "cnn_depth", 20, ("dead", "diverged", "dead"))
    drawn = run.draw("fig05")
    (axes,) = drawn.axes
    lines = {line.get_label(): line for line in axes.lines}
    shown = [text.get_text() for text in axes.get_legend().get_texts()]
    assert shown == ["1", "5 (2 of 3) †", "20, untrained"]
    five = lines["5 (2 of 3) †"]
    np.testing.assert_array_equal(five.get_xdata(), range(6))
    np.testing.assert_allclose(five.get_ydata(), np.arange(6) + 1.0)
    untrained = lines["20, untrained"]
    assert to_hex(untrained.get_color()) == "#ff0000"
    assert untrained.get_linewidth() > 2 * five.get_linewidth()
    np.testing.assert_allclose(untrained.get_ydata(), 50)
    (chance,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose(chance.get_ydata(), 90)
    assert "in brackets: how many are not" in drawn.note
    assert "No replicate left: dead or diverged at 20 layers." in drawn.note
    assert "Restarted after they died or diverged: 3 at 5 layers." in drawn.note


def test_curves_have_student_intervals(run):
    add(run, "cnn_depth", 2)
    results = run.results()
    (curve,) = curves(results, ladder(results, "cnn_depth"), "distance", FigureStyle())
    np.testing.assert_array_equal(curve.layers, [1, 2])
    np.testing.assert_allclose(curve.mean, [0.02, 0.03])
    np.testing.assert_allclose(curve.half, 4.302653 * 0.01 / np.sqrt(3), rtol=1e-5)


def test_fig19_cuts_off_the_top_layers(run):
    top = {"cnn_depth": 9.0, "fcn_linear_depth": 3.0, "fcn_relu_depth": 0.01}
    for study, highest in top.items():
        for depth in (1, 2, 6):
            values = [layer / 50 for layer in range(depth)] + [highest]
            add(run, study, depth, value=values.__getitem__)
    drawn = run.draw("fig19")
    titles = [axes.get_title("left") for axes in drawn.axes]
    assert titles == ["(a) CNN", "(b) Linear FCN", "(c) ReLU FCN"]
    for axes in drawn.axes:
        assert axes.get_ylim() == pytest.approx((0, 1.1 * 5 / 50))
        assert [t.get_text() for t in axes.get_legend().get_texts()] == ["1", "2", "6"]
    assert "the top layer reaches 9 in (a), 3 in (b), 0.1 in (c)" in drawn.note


def test_without_a_lower_layer_nothing_is_cut(run):
    add(run, "cnn_depth", 1, value=lambda layer: 0.5)
    results = run.results()
    found = curves(results, ladder(results, "cnn_depth"), "distance", FigureStyle())
    assert cut_at(found) == pytest.approx(0.55)


def test_nothing_left_alive_is_refused(run):
    dead = add(run, "cnn_depth", 3, ("dead", "diverged"))
    run.refuses("fig05", r"studies\.cnn_depth: every replicate died")
    add(run, "cnn_depth", 5)
    run.layers = [row for row in run.layers if row["state"] == "trained" or row["cell_id"] == dead]
    run.refuses("fig05", r"no error_rate \(untrained\) of cnn_depth-d05")

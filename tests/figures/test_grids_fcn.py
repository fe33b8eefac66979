from __future__ import annotations

import pytest

from idpipe.config import FigureStyle
from idpipe.errors import FigureError
from idpipe.figures.draw import draw

STYLE = FigureStyle()


def test_fig02_shows_one_layer_once_then_linear_then_relu(run, printed, texts, grays):
    for study, factor in (("fcn_relu_depth", 0.5), ("fcn_linear_depth", 0.25)):
        for depth in (1, 2, 6):
            for width in (16, 64):
                run.add(study, depth, outputs=run.times(factor * width / 64), width=width)
    figure = draw("fig02", run.results(), STYLE)
    labels = ["input", "1 layer", "Linear 2", "Linear 6", "ReLU 2", "ReLU 6"]
    assert texts(figure, "row") == labels
    gray = grays(figure)
    factors = (1, 0.25, 0.25, 0.25, 0.5, 0.5)
    assert [gray[row, 8] for row in range(6)] == pytest.approx([0.4 * f for f in factors], abs=1e-6)
    assert "Hidden width 64 (the largest of 16, 64)." in texts(figure, "note")[0]
    printed(figure)


@pytest.mark.parametrize(
    ("depths", "labels", "absent"),
    [
        ((1, 2, 4, 6, 10), ["1", "3", "9"], ""),
        ((1, 2, 4), ["1", "3"], "not in this study: 9 hidden layers"),
        ((3, 6), ["2", "5"], "not in this study: 1, 3, 9 hidden layers"),
    ],
)
def test_fig13_shows_the_papers_hidden_layers_that_the_study_has(
    run, texts, depths, labels, absent
):
    for depth in depths:
        run.add("fcn_relu_depth", depth, outputs=run.times(1))
    figure = draw("fig13", run.results(), STYLE)
    assert texts(figure, "row") == ["input", *labels]
    assert texts(figure, "heading") == ["hidden layers"]
    assert len(figure.axes[0].images) == 15 * (1 + len(labels))
    note = " ".join(texts(figure, "note")[0].split())
    assert absent in note and ("not in" in note) == bool(absent)


def test_fig13_without_hidden_layers_is_refused(run):
    run.add("fcn_relu_depth", 1, outputs=run.times(1))
    with pytest.raises(FigureError, match=r"studies\.fcn_relu_depth: must have a net\.depth of"):
        draw("fig13", run.results(), STYLE)


def note_of(texts, figure):
    return " ".join(texts(figure, "note")[0].split())


def test_fig11_groups_widths_by_hidden_layers(run, printed, texts, grays):
    for width in (64, 16):
        for depth in (6, 1, 2, 10):
            run.add("fcn_linear_depth", depth, outputs=run.times(1 / (depth + width)), width=width)
    figure = draw("fig11", run.results(), STYLE)
    assert texts(figure, "row") == ["input", "16", "64", "16", "64"]
    assert texts(figure, "group") == ["1 hidden\nlayer", "5 hidden\nlayers"]
    expected = [0.4, *(0.4 / (d + w) for d, w in ((2, 16), (2, 64), (6, 16), (6, 64)))]
    assert grays(figure)[:, 8] == pytest.approx(expected, abs=1e-6)
    note = note_of(texts, figure)
    assert "not in this study: 3 hidden layers; not in this study: 784, 2048 hidden units." in note
    printed(figure)


def test_fig11_without_hidden_layers_is_refused(run):
    run.add("fcn_linear_depth", 1, outputs=run.times(1))
    with pytest.raises(FigureError, match=r"studies\.fcn_linear_depth: must have a net\.depth of"):
        draw("fig11", run.results(), STYLE)


def test_fig12_has_bottom_only_left_and_both_layers_right(run, printed, texts, grays):
    for layers, factor in (("all", 0.5), ("bottom", 1)):
        for width in (16384, 2048):
            outputs = run.times(factor * width / 16384)
            run.add("fcn_two_layer", 2, outputs=outputs, width=width, train_layers=layers)
    figure = draw("fig12", run.results(), STYLE)
    assert texts(figure, "title") == ["Bottom layer trained", "Both layers trained"]
    left, right = (axes.get_position() for axes in figure.axes)
    assert left.x1 < right.x0 and left.y0 == pytest.approx(right.y0)
    assert grays(figure, 0)[:, 8] == pytest.approx([0.4, 0.05, 0.4], abs=1e-6)
    assert grays(figure, 1)[:, 8] == pytest.approx([0.4, 0.025, 0.2], abs=1e-6)
    assert note_of(texts, figure).startswith("ReLU, 2 layers. Shown")
    printed(figure)


def test_fig12_says_which_panel_is_absent(run, texts):
    run.add("fcn_two_layer", 2, outputs=run.times(1), width=2048, train_layers="all")
    figure = draw("fig12", run.results(), STYLE)
    assert texts(figure, "title") == ["Both layers trained"]
    assert "not in this study: 16384 hidden units; not in this study: bottom layer trained." in (
        note_of(texts, figure)
    )


def test_fig41_counts_hidden_layers(run, printed, texts):
    for depth in (4, 2, 10):
        run.add("fcn_residual", depth, outputs=run.times(1 / depth), width=784)
    figure = draw("fig41", run.results(), STYLE)
    assert texts(figure, "row") == ["input", "1", "3", "9"]
    note = note_of(texts, figure)
    assert "Blocks of two layers, hidden width 784; not in this study: 5, 7 hidden layers." in note
    printed(figure)

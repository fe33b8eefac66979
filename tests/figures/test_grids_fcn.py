import pytest


def test_fig02_shows_one_layer_once_then_linear_then_relu(run):
    for study, factor in (("fcn_relu_depth", 0.5), ("fcn_linear_depth", 0.25)):
        for depth in (1, 2, 6):
            for width in (16, 64):
                run.add(study, depth, outputs=run.times(factor * width / 64), width=width)
    drawn = run.draw("fig02")
    labels = ["input", "1 layer", "Linear 2", "Linear 6", "ReLU 2", "ReLU 6"]
    assert drawn.texts("row") == labels
    assert drawn.grays()[:, 8] == pytest.approx([0.4, 0.1, 0.1, 0.1, 0.2, 0.2], abs=1e-6)
    assert "64 hidden units (the largest of 16, 64)." in drawn.note


@pytest.mark.parametrize(
    ("depths", "labels", "absent"),
    [
        ((1, 2, 4, 6, 10), ["1", "3", "9"], ""),
        ((1, 2, 4), ["1", "3"], "not in this study: 9 hidden layers"),
        ((3, 6), ["2", "5"], "not in this study: 1, 3, 9 hidden layers"),
    ],
)
def test_fig13_shows_the_papers_hidden_layers_that_the_study_has(run, depths, labels, absent):
    for depth in depths:
        run.add("fcn_relu_depth", depth, outputs=run.times(1))
    drawn = run.draw("fig13")
    assert drawn.texts("row") == ["input", *labels]
    assert drawn.texts("heading") == ["hidden layers"]
    assert len(drawn.axes[0].images) == 15 * (1 + len(labels))
    assert absent in drawn.note and ("not in" in drawn.note) == bool(absent)


@pytest.mark.parametrize(("name", "study"), [("fig11", "linear"), ("fig13", "relu")])
def test_a_study_without_hidden_layers_is_refused(run, name, study):
    run.add(f"fcn_{study}_depth", 1, outputs=run.times(1))
    run.refuses(name, rf"studies\.fcn_{study}_depth: must have a net\.depth of")


def test_fig11_groups_widths_by_hidden_layers(run):
    for width in (64, 16):
        for depth in (6, 1, 2, 10):
            run.add("fcn_linear_depth", depth, outputs=run.times(1 / (depth + width)), width=width)
    drawn = run.draw("fig11")
    assert drawn.texts("row") == ["input", "16", "64", "16", "64"]
    assert drawn.texts("group") == ["1 hidden\nlayer", "5 hidden\nlayers"]
    expected = [0.4, *(0.4 / (d + w) for d, w in ((2, 16), (2, 64), (6, 16), (6, 64)))]
    assert drawn.grays()[:, 8] == pytest.approx(expected, abs=1e-6)
    absent = "3 hidden layers; not in this study: 784, 2048 hidden units"
    assert f"not in this study: {absent}." in drawn.note


def test_fig12_has_bottom_only_left_and_both_layers_right(run):
    for layers, factor in (("all", 0.5), ("bottom", 1)):
        for width in (16384, 2048):
            outputs = run.times(factor * width / 16384)
            run.add("fcn_two_layer", 2, outputs=outputs, width=width, train_layers=layers)
    drawn = run.draw("fig12")
    assert drawn.texts("title") == ["Bottom layer trained", "Both layers trained"]
    left, right = (axes.get_position() for axes in drawn.axes)
    assert left.x1 < right.x0 and left.y0 == pytest.approx(right.y0)
    assert drawn.grays(0)[:, 8] == pytest.approx([0.4, 0.05, 0.4], abs=1e-6)
    assert drawn.grays(1)[:, 8] == pytest.approx([0.4, 0.025, 0.2], abs=1e-6)
    assert drawn.note.startswith("ReLU, 2 layers. Shown")


def test_fig12_says_which_panel_is_absent(run):
    run.add("fcn_two_layer", 2, outputs=run.times(1), width=2048, train_layers="all")
    drawn = run.draw("fig12")
    assert drawn.texts("title") == ["Both layers trained"]
    absent = "16384 hidden units; not in this study: bottom layer trained"
    assert f"not in this study: {absent}." in drawn.note


def test_fig41_counts_hidden_layers(run):
    for depth in (4, 2, 10):
        run.add("fcn_residual", depth, outputs=run.times(1 / depth), width=784)
    drawn = run.draw("fig41")
    assert drawn.texts("row") == ["input", "1", "3", "9"]
    absent = "not in this study: 5, 7 hidden layers."
    assert f"Blocks of two layers, 784 hidden units; {absent}" in drawn.note

from __future__ import annotations

import numpy as np
import pytest

from idpipe.config import FigureStyle
from idpipe.errors import FigureError
from idpipe.figures.draw import draw

STYLE = FigureStyle()


def note_of(texts, figure):
    return " ".join(texts(figure, "note")[0].split())


def test_fig31_groups_depths_by_initialization(run, printed, texts, grays):
    factors = {}
    for number, init in enumerate(("pytorch", "kaiming_normal", "printed")):
        for depth in (7, 3):
            factors[number, depth] = 1 / (number + 1) / depth
            run.add("cnn_init", depth, outputs=run.times(factors[number, depth]), init=init)
    figure = draw("fig31", run.results(), STYLE)
    assert texts(figure, "group") == ["Default", "Kaiming\nnormal", "printed"]
    assert texts(figure, "row") == ["input", *["3", "7"] * 3]
    expected = [0.4, *(0.4 * factors[n, d] for n in range(3) for d in (3, 7))]
    assert grays(figure)[:, 8] == pytest.approx(expected, abs=1e-6)
    absent = "Xavier normal, Xavier uniform, Kaiming uniform, Orthogonal"
    assert f"5 × 5 filters, 32 channels; not in this study: {absent}." in note_of(texts, figure)
    printed(figure)


def test_a_groups_name_stands_beside_its_rows_and_left_of_their_labels(run):
    for init in ("pytorch", "orthogonal"):
        for depth in (1, 3, 5):
            run.add("cnn_init", depth, outputs=run.times(1), init=init)
    figure = draw("fig31", run.results(), STYLE)
    rows = [t for t in figure.axes[0].texts if t.get_gid() == "row"][1:]
    groups = [t for t in figure.axes[0].texts if t.get_gid() == "group"]
    for number, name in enumerate(groups):
        middle = rows[3 * number + 1].get_position()
        assert name.get_position()[1] == pytest.approx(middle[1])
        assert name.get_position()[0] < middle[0]


def test_fig32_groups_depths_by_optimizer_and_rate(run, printed, texts, grays):
    settings = [("sgd", 0.01), ("sgd", 0.0001), ("adamax", 0.001)]
    for number, (name, rate) in enumerate(settings):
        status = "dead" if number == 1 else "converged"
        outputs = run.times(1 / (number + 1))
        run.add("cnn_optimizer", 3, (status,), outputs, optimizer=name, lr=rate, restarts=number)
    figure = draw("fig32", run.results(), STYLE)
    assert texts(figure, "group") == ["SGD\n0.01", "SGD\n0.0001", "Adamax\n0.001"]
    assert texts(figure, "mark") == ["dead"]
    assert grays(figure)[:, 8] == pytest.approx([0.4, 0.4, 0.2, 0.4 / 3], abs=1e-6)
    note = note_of(texts, figure)
    absent = "SGD 0.001, Adagrad 0.001, RMSprop 0.0001, Adam 0.0001"
    assert f"not in this study: {absent}. Shown: the only replicate." in note
    assert "died or diverged: SGD 0.0001 3 (1×), Adamax 0.001 3 (2×)." in note
    printed(figure)


def test_fig36_shows_each_run_with_what_became_of_it(run, printed, texts, grays):
    statuses = ("converged", "dead", "max_steps", "converged")
    outputs = {d: lambda r, d=d: run.inputs(r) / (d + r) for d in (1, 5)}
    run.add("cnn_depth", 1, statuses[:1] * 4, outputs[1])
    run.add("cnn_depth", 5, statuses, outputs[5])
    figure = draw("fig36", run.results(), STYLE)
    assert texts(figure, "title") == ["Replicate 0", "Replicate 1", "Replicate 2"]
    for panel in range(3):
        expected = [0.4, 0.4 / (1 + panel), 0.4 / (5 + panel)]
        assert grays(figure, panel)[:, 8] == pytest.approx(expected, abs=1e-6)
    marks = [[t.get_text() for t in axes.texts if t.get_gid() == "mark"] for axes in figure.axes]
    assert marks == [[], ["dead"], ["not converged"]]
    assert "Shown: replicates 0, 1, 2 (counted from 0) of 4." in note_of(texts, figure)
    printed(figure)


def test_fig36_leaves_columns_out_where_tiles_would_be_too_small(run, printed, texts, grays):
    for depth in range(1, 20):
        run.add("cnn_depth", depth, outputs=run.times(1))
    figure = draw("fig36", run.results(), STYLE)
    shown = [0, 1, 2, 3, 4, 6, 7, 9, 10]
    np.testing.assert_allclose(grays(figure, 2)[0], [j / 20 for j in shown], atol=1e-6)
    assert "Of each kind of evaluation image the first 2 are shown." in note_of(texts, figure)
    lefts = [axes.get_position().x0 for axes in figure.axes]
    assert lefts == sorted(set(lefts))
    printed(figure)


def test_fig36_with_one_replicate_has_one_panel(run, texts):
    run.add("cnn_depth", 1, ("converged",), run.times(1))
    figure = draw("fig36", run.results(), FigureStyle(replicate=2))
    assert texts(figure, "title") == ["Replicate 0"]
    assert "Shown: the only replicate." in note_of(texts, figure)


def test_fig37_has_a_panel_per_training_image_with_its_own_inputs(run, printed, texts, grays):
    plain = run.inputs
    for number, (examples, probes) in enumerate((("3/0", "a" * 12), ("0/0", "b" * 12))):
        run.inputs = lambda r, n=number: plain(r) / (n + 1)
        for depth in (5, 1):
            run.add("cnn_other_image", depth, outputs=run.times(1 / depth), examples=examples,
                    probe_set=probes)  # fmt: skip
    figure = draw("fig37", run.results(), STYLE)
    assert texts(figure, "title") == ["(a) digit 3", "(b) digit 0"]
    for panel in range(2):
        expected = np.array([0.4, 0.4, 0.08]) / (panel + 1)
        assert grays(figure, panel)[:, 8] == pytest.approx(expected, abs=1e-6)
    left, right = (axes.get_position() for axes in figure.axes)
    assert left.x1 < right.x0
    printed(figure)


def test_a_missing_replicate_is_refused(run):
    run.add("cnn_init", 3, outputs=run.times(1))
    with pytest.raises(FigureError, match=r"figures\.replicate = 3: .* replicates 0 to 2"):
        draw("fig31", run.results(), FigureStyle(replicate=3))

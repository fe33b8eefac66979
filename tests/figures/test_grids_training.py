import numpy as np
import pytest


def test_fig31_groups_depths_by_initialization_named_beside_the_groups_rows(run):
    for number, init in enumerate(("pytorch", "kaiming_normal", "printed"), 1):
        for depth in (7, 3, 5):
            run.add("cnn_init", depth, outputs=run.times(1 / number / depth), init=init)
    drawn = run.draw("fig31")
    assert drawn.texts("group") == ["Default", "Kaiming\nnormal", "printed"]
    assert drawn.texts("row") == ["input", *["3", "5", "7"] * 3]
    expected = [0.4, *(0.4 / number / depth for number in (1, 2, 3) for depth in (3, 5, 7))]
    assert drawn.grays()[:, 8] == pytest.approx(expected, abs=1e-6)
    absent = "Xavier normal, Xavier uniform, Kaiming uniform, Orthogonal"
    assert f"5 × 5 filters, 32 channels; not in this study: {absent}." in drawn.note
    middles = drawn.artists("row")[2::3]
    for name, middle in zip(drawn.artists("group"), middles, strict=True):
        assert name.get_position()[1] == pytest.approx(middle.get_position()[1])
        assert name.get_position()[0] < middle.get_position()[0]


def test_fig32_groups_depths_by_optimizer_and_rate(run):
    settings = [("sgd", 0.01, "converged"), ("sgd", 1e-4, "dead"), ("adamax", 1e-3, "converged")]
    for number, (name, rate, status) in enumerate(settings):
        outputs = run.times(1 / (number + 1))
        run.add("cnn_optimizer", 3, (status,), outputs, optimizer=name, lr=rate, restarts=number)
    drawn = run.draw("fig32")
    assert drawn.texts("group") == ["SGD\n0.01", "SGD\n0.0001", "Adamax\n0.001"]
    assert drawn.texts("mark") == ["dead"]
    assert drawn.grays()[:, 8] == pytest.approx([0.4, 0.4, 0.2, 0.4 / 3], abs=1e-6)
    absent = "SGD 0.001, Adagrad 0.001, RMSprop 0.0001, Adam 0.0001"
    assert f"not in this study: {absent}. Shown: the only replicate." in drawn.note
    assert "died or diverged: SGD 0.0001 3 (1×), Adamax 0.001 3 (2×)." in drawn.note


def test_fig36_shows_each_run_with_what_became_of_it(run):
    statuses = ("converged", "dead", "max_steps", "converged")
    outputs = {d: lambda r, d=d: run.inputs(r) / (d + r) for d in (1, 5)}
    run.add("cnn_depth", 1, statuses[:1] * 4, outputs[1])
    run.add("cnn_depth", 5, statuses, outputs[5])
    drawn = run.draw("fig36")
    assert drawn.texts("title") == ["Replicate 0", "Replicate 1", "Replicate 2"]
    for panel in range(3):
        expected = [0.4, 0.4 / (1 + panel), 0.4 / (5 + panel)]
        assert drawn.grays(panel)[:, 8] == pytest.approx(expected, abs=1e-6)
    marks = [[t.get_text() for t in axes.texts if t.get_gid() == "mark"] for axes in drawn.axes]
    assert marks == [[], ["dead"], ["not converged"]]
    assert "Shown: replicates 0, 1, 2 (counted from 0) of 4." in drawn.note


def test_fig36_leaves_columns_out_where_tiles_would_be_too_small(run):
    for depth in range(1, 20):
        run.add("cnn_depth", depth, outputs=run.times(1))
    drawn = run.draw("fig36")
    shown = [0, 1, 2, 3, 4, 6, 7, 9, 10]
    np.testing.assert_allclose(drawn.grays(2)[0], [j / 20 for j in shown], atol=1e-6)
    assert "Of each kind of evaluation image the first 2 are shown." in drawn.note
    lefts = [axes.get_position().x0 for axes in drawn.axes]
    assert lefts == sorted(set(lefts))


def test_fig36_with_one_replicate_has_one_panel(run):
    run.add("cnn_depth", 1, ("converged",), run.times(1))
    drawn = run.draw("fig36", replicate=2)
    assert drawn.texts("title") == ["Replicate 0"]
    assert "Shown: the only replicate." in drawn.note


def test_fig37_has_a_panel_per_training_image_with_its_own_inputs(run):
    plain = run.inputs
    for number, (examples, probes) in enumerate((("3/0", "a" * 12), ("0/0", "b" * 12))):
        run.inputs = lambda r, n=number: plain(r) / (n + 1)
        for depth in (5, 1):
            named = {"examples": examples, "probe_set": probes}
            run.add("cnn_other_image", depth, outputs=run.times(1 / depth), **named)
    drawn = run.draw("fig37")
    assert drawn.texts("title") == ["(a) digit 3", "(b) digit 0"]
    for panel in range(2):
        expected = np.array([0.4, 0.4, 0.08]) / (panel + 1)
        assert drawn.grays(panel)[:, 8] == pytest.approx(expected, abs=1e-6)
    left, right = (axes.get_position() for axes in drawn.axes)
    assert left.x1 < right.x0

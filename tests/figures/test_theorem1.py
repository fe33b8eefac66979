import numpy as np
import pytest
from figures.trained import MEAN, STD, add, one_layer, standardized, start

FCN = {"arch": "fcn"}
X = standardized().reshape(15, 16)
T2 = 4.302653
"""Student's 97.5 % point for 2 degrees of freedom."""


def equation_4(cell, replicate, restart=0):
    """W⁰ + (I - W⁰) x xᵀ / ||x||², x the training image."""
    before, x = start(cell, replicate, restart), X[0]
    return before + (np.eye(16) - before) @ np.outer(x, x) / (x @ x)


def test_both_parts_their_sum_and_the_trained_net_are_drawn(run):
    cell = one_layer(FCN)
    add(run, "theorem1", cell, lambda r: 1.5 * equation_4(cell, r))
    drawn = run.draw("theorem1", replicate=1)
    assert len(drawn.axes) == 1
    labels = ["input x", "Π∥(x)", "R Π⊥(x)", "sum, Eq. 1", "trained", "deviation"]
    assert drawn.texts("row") == labels
    along = (X @ X[0])[:, None] * X[0] / (X[0] @ X[0])
    across = (X - along) @ start(cell, 1).T
    shown = [X, along, across, along + across, 1.5 * X @ equation_4(cell, 1).T]
    pixels = np.clip(np.reshape(shown, (5, 15, 4, 4)) * STD + MEAN, 0, 1)
    np.testing.assert_allclose(drawn.tiles(), pixels, atol=1e-6)


def test_deviations_are_relative_with_an_interval_over_replicates(run):
    cell = one_layer(FCN)
    factors = (1.001, 1.002, 0.997)
    add(run, "theorem1", cell, lambda r: factors[r] * equation_4(cell, r))
    drawn = run.draw("theorem1")
    assert drawn.texts("mean") == [".002"] * 15
    assert drawn.texts("half") == [f"±{T2 * 0.001 / np.sqrt(3):.3f}".replace("0.", ".")] * 15
    assert "deviate from Eq. 4 by at most .003." in drawn.note
    assert "mean over replicates (3 of 3; none" in drawn.note


def test_restarted_replicates_are_held_to_what_they_last_started_from(run):
    cell, restarts = one_layer(FCN), (0, 2, 1)
    add(run, "theorem1", cell, lambda r: equation_4(cell, r, restarts[r]), restarts=restarts)
    assert all(float(mean) < 1e-12 for mean in run.draw("theorem1").texts("mean"))


def test_failed_replicates_are_in_no_number(run):
    cell = one_layer(FCN)
    factors, statuses = (1.25, 1.51, np.nan), ("max_steps", "converged", "diverged")
    add(run, "theorem1", cell, lambda r: factors[r] * equation_4(cell, r), statuses)
    drawn = run.draw("theorem1", replicate=2)
    assert set(drawn.texts("mean")) == {".38"}
    assert drawn.texts("mark") == ["diverged"]
    assert "(2 of 3; none" in drawn.note


def test_no_live_replicate_leaves_dashes(run):
    add(run, "theorem1", one_layer(FCN), lambda r: np.full((16, 16), np.nan), ("diverged",) * 3)
    drawn = run.draw("theorem1")
    assert set(drawn.texts("mean")) == {"–"} and drawn.texts("half") == []
    assert "Eq. 4" not in drawn.note


def test_each_training_image_has_a_block(run):
    for index in range(4):
        cell = one_layer(FCN, seed=index)
        add(run, "theorem1", cell, lambda r, cell=cell: equation_4(cell, r))
    drawn = run.draw("theorem1")
    assert len(drawn.axes) == 3
    assert drawn.figure.get_size_inches()[1] <= 9.9
    titles = [text.get_text() for text in drawn.figure.texts if text.get_fontweight() == "bold"]
    assert titles == [f"({letter}) Trained on image 0 of class 1, digits" for letter in "abc"]
    assert "Not shown: 1 further training images" in drawn.note


NO_SUCH_NET = "is no one-layer FCN without biases"
TWO = {"size": 4, "examples": [{"label": 1}, {"label": 2}]}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"net": {"arch": "fcn", "bias": True}}, NO_SUCH_NET),
        ({"net": {"arch": "fcn", "depth": 2}}, NO_SUCH_NET),
        ({"net": {"arch": "cnn"}}, NO_SUCH_NET),
        ({"net": FCN, "data": TWO}, "must train on one image"),
    ],
)
def test_what_the_theorem_does_not_speak_of_is_refused(run, settings, message):
    add(run, "theorem1", one_layer(**settings), lambda r: np.zeros((16, 16)))
    run.refuses("theorem1", rf"studies\.theorem1: .*{message}")

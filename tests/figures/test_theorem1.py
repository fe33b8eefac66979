from __future__ import annotations

import numpy as np
import pytest
from figures import trained

from idpipe.config import FigureStyle
from idpipe.errors import FigureError
from idpipe.figures.draw import draw

STYLE = FigureStyle()
FCN = {"arch": "fcn"}
MEAN, STD = 0.25, 0.5
X = ((trained.pictures() - MEAN) / STD).astype(np.float32).astype(np.float64).reshape(15, 16)
T2 = 4.302653
"""Student's 97.5 % point for 2 degrees of freedom."""


def equation_4(cell, replicate, restart=0):
    """W⁰ + (I - W⁰) x xᵀ / ||x||², x the training image."""
    start, x = trained.start(cell, replicate, restart), X[0]
    return start + (np.eye(16) - start) @ np.outer(x, x) / (x @ x)


def tiles(axes, row):
    """The images of a row, from left to right."""
    tops = sorted({image.get_extent()[3] for image in axes.images})
    found = [image for image in axes.images if image.get_extent()[3] == tops[row]]
    return [i.get_array() for i in sorted(found, key=lambda image: image.get_extent()[0])]


def note(texts, figure):
    return " ".join(texts(figure, "note")[0].split())


def test_both_parts_their_sum_and_the_trained_net_are_drawn(run, printed, texts):
    cell = trained.one_layer(FCN)
    trained.add(run, "theorem1", cell, lambda r: 1.5 * equation_4(cell, r))
    figure = draw("theorem1", run.results(), FigureStyle(replicate=1))
    (axes,) = figure.axes
    labels = ["input x", "Π∥(x)", "R Π⊥(x)", "sum, Eq. 1", "trained", "deviation"]
    assert texts(figure, "row") == labels
    start = trained.start(cell, 1)
    along = (X @ X[0])[:, None] * X[0] / (X[0] @ X[0])
    across = (X - along) @ start.T
    shown = [X, along, across, along + across, 1.5 * X @ equation_4(cell, 1).T]
    for row, images in enumerate(shown):
        pixels = np.clip(images * STD + MEAN, 0, 1).reshape(15, 4, 4)
        np.testing.assert_allclose(np.stack(tiles(axes, row)), pixels, atol=1e-6)
    printed(figure)


def test_deviations_are_relative_with_an_interval_over_replicates(run, printed, texts):
    cell = trained.one_layer(FCN)
    factors = (1.001, 1.002, 0.997)
    trained.add(run, "theorem1", cell, lambda r: factors[r] * equation_4(cell, r))
    figure = draw("theorem1", run.results(), STYLE)
    assert texts(figure, "mean") == [".002"] * 15
    assert texts(figure, "half") == [f"±{T2 * 0.001 / np.sqrt(3):.3f}".replace("0.", ".")] * 15
    assert "deviate from Eq. 4 by at most .003." in note(texts, figure)
    assert "mean over replicates (3 of 3; none" in note(texts, figure)
    printed(figure)


def test_restarted_replicates_are_held_to_what_they_last_started_from(run, texts):
    cell = trained.one_layer(FCN)
    restarts = (0, 2, 1)
    trained.add(
        run, "theorem1", cell, lambda r: equation_4(cell, r, restarts[r]), restarts=restarts
    )
    means = texts(draw("theorem1", run.results(), STYLE), "mean")
    assert all(float(mean) < 1e-12 for mean in means)


def test_failed_replicates_are_in_no_number(run, printed, texts):
    cell = trained.one_layer(FCN)
    factors = (1.25, 1.51, np.nan)
    trained.add(
        run,
        "theorem1",
        cell,
        lambda r: factors[r] * equation_4(cell, r),
        ("max_steps", "converged", "diverged"),
    )
    figure = draw("theorem1", run.results(), FigureStyle(replicate=2))
    assert set(texts(figure, "mean")) == {".38"}
    assert texts(figure, "mark") == ["diverged"]
    assert "(2 of 3; none" in note(texts, figure)
    printed(figure)


def test_no_live_replicate_leaves_dashes(run, printed, texts):
    cell = trained.one_layer(FCN)
    statuses = ("diverged",) * 3
    trained.add(run, "theorem1", cell, lambda r: np.full((16, 16), np.nan), statuses)
    figure = draw("theorem1", run.results(), STYLE)
    assert set(texts(figure, "mean")) == {"–"} and texts(figure, "half") == []
    assert "Eq. 4" not in note(texts, figure)
    printed(figure)


def test_each_training_image_has_a_block(run, printed, texts):
    for index in range(4):
        cell = trained.one_layer(FCN, seed=index)
        trained.add(run, "theorem1", cell, lambda r, cell=cell: equation_4(cell, r))
    figure = draw("theorem1", run.results(), STYLE)
    assert len(figure.axes) == 3
    assert figure.get_size_inches()[1] <= 9.9
    titles = [text.get_text() for text in figure.texts if text.get_fontweight() == "bold"]
    assert titles == [f"({letter}) Trained on image 0 of class 1, digits" for letter in "abc"]
    assert "Not shown: 1 further training images" in note(texts, figure)
    printed(figure)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"net": {"arch": "fcn", "bias": True}}, "is no one-layer FCN without biases"),
        ({"net": {"arch": "fcn", "depth": 2}}, "is no one-layer FCN without biases"),
        ({"net": {"arch": "cnn"}}, "is no one-layer FCN without biases"),
        (
            {"net": FCN, "data": {"size": 4, "examples": [{"label": 1}, {"label": 2}]}},
            "must train on one image",
        ),
    ],
)
def test_what_the_theorem_does_not_speak_of_is_refused(run, settings, message):
    cell = trained.one_layer(**settings)
    trained.add(run, "theorem1", cell, lambda r: np.zeros((16, 16)))
    with pytest.raises(FigureError, match=rf"studies\.theorem1: .*{message}"):
        draw("theorem1", run.results(), STYLE)

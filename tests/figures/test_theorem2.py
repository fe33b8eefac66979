from __future__ import annotations

import math

import numpy as np
import pytest
from figures import trained

from idpipe import theory
from idpipe.config import FigureStyle
from idpipe.errors import FigureError
from idpipe.figures.draw import draw

STYLE = FigureStyle()
MEAN, STD = 0.25, 0.5
T2, T1 = 4.302653, 12.706205
"""Student's 97.5 % points for 2 and 1 degrees of freedom."""


def standardized(channels):
    return ((trained.pictures(channels) - MEAN) / STD).astype(np.float32).astype(np.float64)


def limit(cell, replicate, restart=0):
    """What gradient descent comes to, by the pseudo-inverse of the patch matrix."""
    kernel, channels = cell.net.kernel, cell.data.channels
    x = theory.patches(standardized(channels)[:1], kernel)[0]
    y = standardized(channels)[0].reshape(channels, -1).T
    start = trained.start(cell, replicate, restart).reshape(channels, -1).T
    found = start + np.linalg.pinv(x) @ (y - x @ start)
    return found.T.reshape(channels, channels, kernel, kernel)


def cnn(kernel, channels=1, **settings):
    return trained.one_layer({"arch": "cnn", "kernel": kernel}, channels, **settings)


def add(run, cell, factors=(1.0,) * 3, **more):
    trained.add(run, "theorem2", cell, lambda r: factors[r] * limit(cell, r), **more)


def series(axes):
    """Label -> (centre, lower, upper) of each point, from left to right."""
    found = {}
    for bars in axes.containers:
        line, _, (stems,) = bars
        ends = [tuple(s[:, 1]) if len(s) else (np.nan,) * 2 for s in stems.get_segments()]
        found[bars.get_label()] = [(y, *e) for y, e in zip(line.get_ydata(), ends, strict=True)]
    return found


def note(texts, figure):
    return " ".join(texts(figure, "note")[0].split())


def test_a_column_per_image_and_a_point_per_kernel(run, printed, texts):
    for channels in (1, 3):
        for kernel in (5, 1, 3):
            add(run, cnn(kernel, channels))
    figure = draw("theorem2", run.results(), STYLE)
    assert len(figure.axes) == 6
    titles = [figure.axes[0].get_title(), figure.axes[3].get_title()]
    assert titles == ["digits, 4 × 4, 1 channel", "photos, 4 × 4, 3 channels"]
    for axes, channels in ((figure.axes[2], 1), (figure.axes[5], 3)):
        lines = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
        fields = [channels * kernel**2 for kernel in (1, 3, 5)]
        assert lines["numbers in a patch, m/C"] == fields
        assert lines["patches"] == [16] * 3
        assert lines["their rank r"] == [min(field, 16) for field in fields]
        labels = [label.get_text() for label in axes.get_xticklabels()]
        assert labels == ["1 × 1", "3 × 3", "5 × 5"]
    # 16 patches: with one channel Lemma 2 holds up to 3 x 3, with three for 1 x 1.
    assert {lemma: len(points) for lemma, points in series(figure.axes[1]).items()} == {
        "Lemma 1": 1,
        "Lemma 2": 2,
    }
    assert {lemma: len(points) for lemma, points in series(figure.axes[4]).items()} == {
        "Lemma 1": 2,
        "Lemma 2": 1,
    }
    printed(figure)


def test_deviations_are_those_of_the_weights(run):
    add(run, cnn(5), factors=(1.001, 1.01, 0.9))
    centre, low, high = series(draw("theorem2", run.results(), STYLE).axes[1])["Lemma 1"][0]
    half = T2 * 1 / math.sqrt(3)
    assert math.log10(centre) == pytest.approx(-2, abs=1e-3)
    assert math.log10(low) == pytest.approx(-2 - half, abs=0.02)
    assert math.log10(high) == 0  # the end of the axis


def test_restarted_replicates_are_held_to_what_they_last_started_from(run):
    cell, restarts = cnn(5), (1, 0, 3)
    trained.add(run, "theorem2", cell, lambda r: limit(cell, r, restarts[r]), restarts=restarts)
    centre, *_ = series(draw("theorem2", run.results(), STYLE).axes[1])["Lemma 1"][0]
    assert centre < 1e-10


def test_errors_are_measured_on_test_images_and_predicted_from_the_start(run, texts):
    cell = cnn(5)
    errors = {"train": 100.0, "blend": 1.0, "unseen": 1.0, "out_of_domain": 1.0, "pattern": 1.0}
    add(run, cell, mse=lambda r, kind: errors[kind] * 10.0 ** (r - 4))
    found = series(draw("theorem2", run.results(), STYLE).axes[0])
    assert found["trained"][0][0] == pytest.approx(1e-3)
    assert found["trained"][0][2] == pytest.approx(10 ** (-3 + T2 / math.sqrt(3)))
    test = standardized(1)[1:]
    predicted = []
    for replicate in range(3):
        weights = limit(cell, replicate).ravel()
        error = theory.patches(test, 5) @ weights - test.reshape(14, 16)
        predicted.append(np.log10((error**2).mean()))
    assert math.log10(found["closed form"][0][0]) == pytest.approx(np.mean(predicted))
    # B is the brightest pixel on the standardized scale, σ² that of the uniform start.
    bound = theory.theorem2_bound(5, 1, 16, 1 / 75, 1.5)
    assert found["bound, Eq. 12"][0] == pytest.approx((bound,) * 3)
    assert bound > 10 ** max(predicted)


def test_what_is_zero_stands_on_the_axis(run, printed):
    add(run, cnn(3))
    axes = draw("theorem2", run.results(), STYLE).axes[0]
    floor = axes.get_ylim()[0]
    for label in ("bound, Eq. 12", "closed form", "trained"):
        assert series(axes)[label] == [pytest.approx((floor,) * 3)]
    assert (axes.get_yticks()[0], axes.get_yticklabels()[0].get_text()) == (floor, "0")


def test_failed_replicates_are_in_no_number_and_told(run, printed, texts):
    add(
        run,
        cnn(5),
        factors=(1.1, 1.1, np.nan),
        statuses=("converged", "max_steps", "diverged"),
        mse=lambda r, kind: [0.1, 0.1, np.nan][r],
    )
    add(run, cnn(7), factors=(np.nan,) * 3, statuses=("diverged",) * 3)
    figure = draw("theorem2", run.results(), STYLE)
    assert [point[0] for point in series(figure.axes[1])["Lemma 1"]] == [pytest.approx(0.1)]
    assert series(figure.axes[0])["trained"][0] == pytest.approx((0.1,) * 3)
    (cross,) = [line for line in figure.axes[0].lines if line.get_gid() == "failed"]
    assert cross.get_xdata()[0] == 1
    said = note(texts, figure)
    column = "(digits, 4 × 4, 1 channel)"
    assert f"in no mean: 1 of 3 at 5 × 5 {column}; 3 of 3 at 7 × 7 {column}." in said
    assert f"not converged within the budget: 1 of 3 at 5 × 5 {column}." in said
    printed(figure)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"net": {"arch": "fcn"}}, "is no one-layer CNN without biases"),
        ({"net": {"arch": "cnn", "bias": True}}, "is no one-layer CNN without biases"),
        ({"net": {"arch": "cnn", "depth": 2}}, "is no one-layer CNN without biases"),
        ({"net": {"arch": "cnn"}, "init": "orthogonal"}, "needs independent weights"),
        (
            {"net": {"arch": "cnn"}, "data": {"size": 4, "vary": True}},
            "must train on one image, with vary: false",
        ),
    ],
)
def test_what_the_theorem_does_not_speak_of_is_refused(run, settings, message):
    cell = trained.one_layer(**settings)
    trained.add(run, "theorem2", cell, lambda r: trained.start(cell, r))
    with pytest.raises(FigureError, match=rf"studies\.theorem2: .*{message}"):
        draw("theorem2", run.results(), STYLE)

import math

import numpy as np
import pytest
from figures import trained
from figures.trained import one_layer, standardized

from idpipe import theory

T2 = 4.302653
"""Student's 97.5 % point for 2 degrees of freedom."""


def limit(cell, replicate, restart=0):
    """What gradient descent comes to, by the pseudo-inverse of the patch matrix."""
    kernel, channels = cell.net.kernel, cell.data.channels
    x = theory.patches(standardized(channels)[:1], kernel)[0]
    y = standardized(channels)[0].reshape(channels, -1).T
    start = trained.start(cell, replicate, restart).reshape(channels, -1).T
    found = start + np.linalg.pinv(x) @ (y - x @ start)
    return found.T.reshape(channels, channels, kernel, kernel)


def add(run, kernel, channels=1, factors=(1.0,) * 3, restarts=(0,) * 3, **more):
    """A cell that ended at its limits times `factors`."""
    cell = one_layer({"arch": "cnn", "kernel": kernel}, channels)
    weights = [factors[r] * limit(cell, r, restarts[r]) for r in range(3)]
    trained.add(run, "theorem2", cell, lambda r: weights[r], restarts=restarts, **more)
    return cell


def series(axes):
    """Label -> (centre, lower, upper) of each point, from left to right."""
    found = {}
    for bars in axes.containers:
        line, _, (stems,) = bars
        ends = [tuple(s[:, 1]) if len(s) else (np.nan,) * 2 for s in stems.get_segments()]
        found[bars.get_label()] = [(y, *e) for y, e in zip(line.get_ydata(), ends, strict=True)]
    return found


def test_a_column_per_image_and_a_point_per_kernel(run):
    for channels in (1, 3):
        for kernel in (5, 1, 3):
            add(run, kernel, channels)
    axes = run.draw("theorem2").axes
    assert len(axes) == 6
    titles = [axes[0].get_title(), axes[3].get_title()]
    assert titles == ["digits, 4 × 4, 1 channel", "photos, 4 × 4, 3 channels"]
    for below, channels in ((axes[2], 1), (axes[5], 3)):
        lines = {line.get_label(): list(line.get_ydata()) for line in below.lines}
        fields = [channels * kernel**2 for kernel in (1, 3, 5)]
        assert lines["numbers in a patch, m/C"] == fields
        assert lines["patches"] == [16] * 3
        assert lines["their rank r"] == [min(field, 16) for field in fields]
        labels = [label.get_text() for label in below.get_xticklabels()]
        assert labels == ["1 × 1", "3 × 3", "5 × 5"]
    # 16 patches: with one channel Lemma 2 holds up to 3 x 3, with three for 1 x 1.
    for middle, first, second in ((axes[1], 1, 2), (axes[4], 2, 1)):
        counts = {lemma: len(points) for lemma, points in series(middle).items()}
        assert counts == {"Lemma 1": first, "Lemma 2": second}


def test_deviations_are_those_of_the_weights(run):
    add(run, 5, factors=(1.001, 1.01, 0.9))
    centre, low, high = series(run.draw("theorem2").axes[1])["Lemma 1"][0]
    half = T2 * 1 / math.sqrt(3)
    assert math.log10(centre) == pytest.approx(-2, abs=1e-3)
    assert math.log10(low) == pytest.approx(-2 - half, abs=0.02)
    assert math.log10(high) == 0  # the end of the axis


def test_restarted_replicates_are_held_to_what_they_last_started_from(run):
    add(run, 5, restarts=(1, 0, 3))
    centre, *_ = series(run.draw("theorem2").axes[1])["Lemma 1"][0]
    assert centre < 1e-10


def test_errors_are_measured_on_test_images_and_predicted_from_the_start(run):
    errors = {"train": 100.0, "blend": 1.0, "unseen": 1.0, "out_of_domain": 1.0, "pattern": 1.0}
    cell = add(run, 5, mse=lambda r, kind: errors[kind] * 10.0 ** (r - 4))
    found = series(run.draw("theorem2").axes[0])
    assert found["trained"][0][0] == pytest.approx(1e-3)
    assert found["trained"][0][2] == pytest.approx(10 ** (-3 + T2 / math.sqrt(3)))
    test = standardized()[1:]
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


def test_what_is_zero_stands_on_the_axis(run):
    add(run, 3)
    axes = run.draw("theorem2").axes[0]
    floor = axes.get_ylim()[0]
    for label in ("bound, Eq. 12", "closed form", "trained"):
        assert series(axes)[label] == [pytest.approx((floor,) * 3)]
    assert (axes.get_yticks()[0], axes.get_yticklabels()[0].get_text()) == (floor, "0")


def test_failed_replicates_are_in_no_number_and_told(run):
    statuses, errors = ("converged", "max_steps", "diverged"), [0.1, 0.1, np.nan]
    add(run, 5, factors=(1.1, 1.1, np.nan), statuses=statuses, mse=lambda r, kind: errors[r])
    add(run, 7, factors=(np.nan,) * 3, statuses=("diverged",) * 3)
    drawn = run.draw("theorem2")
    above, middle = drawn.axes[:2]
    assert [point[0] for point in series(middle)["Lemma 1"]] == [pytest.approx(0.1)]
    assert series(above)["trained"][0] == pytest.approx((0.1,) * 3)
    (cross,) = [line for line in above.lines if line.get_gid() == "failed"]
    assert cross.get_xdata()[0] == 1
    column = "(digits, 4 × 4, 1 channel)"
    assert f"in no mean: 1 of 3 at 5 × 5 {column}; 3 of 3 at 7 × 7 {column}." in drawn.note
    assert f"not converged within the budget: 1 of 3 at 5 × 5 {column}." in drawn.note


NO_SUCH_NET = "is no one-layer CNN without biases"
VARIED = {"size": 4, "vary": True}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"net": {"arch": "fcn"}}, NO_SUCH_NET),
        ({"net": {"arch": "cnn", "bias": True}}, NO_SUCH_NET),
        ({"net": {"arch": "cnn", "depth": 2}}, NO_SUCH_NET),
        ({"net": {"arch": "cnn"}, "init": "orthogonal"}, "needs independent weights"),
        ({"net": {"arch": "cnn"}, "data": VARIED}, "must train on one image, with vary: false"),
    ],
)
def test_what_the_theorem_does_not_speak_of_is_refused(run, settings, message):
    cell = one_layer(**settings)
    trained.add(run, "theorem2", cell, lambda r: trained.start(cell, r))
    run.refuses("theorem2", rf"studies\.theorem2: .*{message}")

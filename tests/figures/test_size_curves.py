from functools import partial
from itertools import product

import numpy as np
import pytest

T2 = 4.302653
"""Student's 97.5 % point for 2 degrees of freedom."""


def curves(axes):
    """Label of the legend -> (mean, lower, upper) by depth; the points stand beside their depth."""
    found = {}
    for bars in axes.containers:
        line, _, (stems,) = bars
        ends = [s[:, 1] if len(s) else (np.nan, np.nan) for s in stems.get_segments()]
        points = zip(line.get_xdata(), line.get_ydata(), ends, strict=True)
        found[bars.get_label()] = {round(x): (y, *end) for x, y, end in points}
    return found


def test_fig08_is_the_mean_over_all_rho_with_its_interval(run):
    def value(middle, replicate, rho, probe, reference):
        middle += (rho - 0.5) / 5 + 0.1 * (probe - 0.5)
        return middle + 0.1 * (replicate - 1) + 0.3 * (reference == "identity")

    for size, depth, width in product((28, 7), (14, 1, 5), (8, 24)):
        measure = partial(value, depth / 40 + size / 1000)
        run.add("cnn_image_size", depth, measure=measure, size=size, width=width)
    drawn = run.draw("fig08")
    for axes, shift in zip(drawn.axes, (0, 0.3), strict=True):
        found = curves(axes)
        assert list(found) == ["7 × 7", "28 × 28"]
        for size, depth in product((7, 28), (1, 5, 14)):
            mean = depth / 40 + size / 1000 + shift
            half = T2 * 0.1 / np.sqrt(3)
            expected = (mean, mean - half, mean + half)
            assert found[f"{size} × {size}"][depth] == pytest.approx(expected, abs=1e-5)
        assert axes.get_ylim() == drawn.axes[0].get_ylim()
    assert "24 channels (the largest of 8, 24)" in drawn.note
    assert "Not in this study: images of 14, 56, 112 pixels." in drawn.note


def test_failed_replicates_are_in_no_mean_and_marked(run):
    fates = {
        1: ("converged", "converged", "max_steps"),
        5: ("converged", "converged", "dead"),
        20: ("dead", "diverged", "dead"),
    }
    for depth, statuses in fates.items():
        told = {"size": 14, "restarts": 2 * (depth == 20)}
        run.add("cnn_image_size", depth, statuses, None, lambda r, *_: [0.2, 0.4, 0.9][r], **told)
    drawn = run.draw("fig08")
    marks = (drawn.artists("some failed"), drawn.artists("all failed"))
    for axes, ring, cross in zip(drawn.axes, *marks, strict=True):
        found = curves(axes)["14 × 14"]
        assert found[1][0] == pytest.approx(0.5)
        assert found[5][0] == pytest.approx(0.3)
        assert np.isnan(found[20][0])
        assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (5, pytest.approx(0.3))
        assert (cross.get_xdata()[0], cross.get_marker()) == (20, "x")
    assert "others died or diverged: 2 of 3 at 14 × 14, 5 layers." in drawn.note
    assert "no replicate lived: dead or diverged at 14 × 14, 20 layers." in drawn.note
    assert "not converged within the budget: 1 at 14 × 14, 1 layers." in drawn.note
    assert "Restarted after they died or diverged: 3 at 14 × 14, 20 layers." in drawn.note


def test_one_replicate_has_no_interval_and_negative_means_are_inside(run):
    for depth in (1, 3):
        run.add("cnn_image_size", depth, ("converged",), measure=lambda *_: -0.2)
    drawn = run.draw("fig08")
    assert curves(drawn.axes[0])["28 × 28"][3] == pytest.approx((-0.2,) * 3)
    assert drawn.axes[0].get_ylim()[0] < -0.2
    assert "no interval" in drawn.note
    assert "bars" not in drawn.note


def test_cells_without_correlated_probes_are_refused(run):
    run.add("cnn_image_size", 1, measure=lambda *_: 0.5, examples="all")
    run.refuses("fig08", r"studies\.cnn_image_size: .* train on one image")


def test_the_papers_grid_is_readable(run):
    for size in (7, 14, 28, 56, 112):
        for depth in (1, 3, *range(5, 18), 19, 20, 24):
            run.add("cnn_image_size", depth, measure=lambda *_: 0.5, size=size)
    drawn = run.draw("fig08")
    (legend,) = drawn.figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == [f"trained at {size} × {size}" for size in (7, 14, 28, 56, 112)]

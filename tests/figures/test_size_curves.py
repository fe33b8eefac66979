from __future__ import annotations

import numpy as np
import pytest

from idpipe.config import FigureStyle
from idpipe.errors import FigureError
from idpipe.figures.draw import draw

STYLE = FigureStyle()
T2 = 4.302653
"""Student's 97.5 % point for 2 degrees of freedom."""


def curves(axes):
    """Label of the legend -> (mean, lower, upper) by depth; the points stand beside their depth."""
    found = {}
    for bars in axes.containers:
        line, _, (stems,) = bars
        ends = [s[:, 1] if len(s) else (np.nan, np.nan) for s in stems.get_segments()]
        found[bars.get_label()] = {
            round(x): (y, *end)
            for x, y, end in zip(line.get_xdata(), line.get_ydata(), ends, strict=True)
        }
    return found


def test_fig08_is_the_mean_over_all_rho_with_its_interval(run, printed, texts):
    def measure(size, depth):
        def value(replicate, rho, probe, reference):
            middle = depth / 40 + size / 1000 + (rho - 0.5) / 5 + 0.1 * (probe - 0.5)
            return middle + 0.1 * (replicate - 1) + 0.3 * (reference == "identity")

        return value

    for size in (28, 7):
        for depth in (14, 1, 5):
            for width in (8, 24):
                run.add(
                    "cnn_image_size", depth, measure=measure(size, depth), size=size, width=width
                )
    figure = draw("fig08", run.results(), STYLE)
    for axes, shift in zip(figure.axes, (0, 0.3), strict=True):
        found = curves(axes)
        assert list(found) == ["7 × 7", "28 × 28"]
        for size in (7, 28):
            for depth in (1, 5, 14):
                mean = depth / 40 + size / 1000 + shift
                half = T2 * 0.1 / np.sqrt(3)
                expected = (mean, mean - half, mean + half)
                assert found[f"{size} × {size}"][depth] == pytest.approx(expected, abs=1e-5)
        assert axes.get_ylim() == figure.axes[0].get_ylim()
    note = " ".join(texts(figure, "note")[0].split())
    assert "24 channels (the largest of 8, 24)" in note
    assert "Not in this study: images of 14, 56, 112 pixels." in note
    printed(figure)


def marks(axes, gid):
    return [line for line in axes.lines if line.get_gid() == gid]


def test_failed_replicates_are_in_no_mean_and_marked(run, printed, texts):
    fates = {
        1: ("converged", "converged", "max_steps"),
        5: ("converged", "converged", "dead"),
        20: ("dead", "diverged", "dead"),
    }
    for depth, statuses in fates.items():
        measure = lambda r, *_: [0.2, 0.4, 0.9][r]  # noqa: E731
        restarts = 2 * (depth == 20)
        run.add("cnn_image_size", depth, statuses, measure=measure, size=14, restarts=restarts)
    figure = draw("fig08", run.results(), STYLE)
    for axes in figure.axes:
        found = curves(axes)["14 × 14"]
        assert found[1][0] == pytest.approx(0.5)
        assert found[5][0] == pytest.approx(0.3)
        assert np.isnan(found[20][0])
        (ring,), (cross,) = marks(axes, "some failed"), marks(axes, "all failed")
        assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (5, pytest.approx(0.3))
        assert (cross.get_xdata()[0], cross.get_marker()) == (20, "x")
    note = " ".join(texts(figure, "note")[0].split())
    assert "others died or diverged: 2 of 3 at 14 × 14, 5 layers." in note
    assert "no replicate lived: dead or diverged at 14 × 14, 20 layers." in note
    assert "not converged within the budget: 1 at 14 × 14, 1 layers." in note
    assert "Restarted after they died or diverged: 3 at 14 × 14, 20 layers." in note
    printed(figure)


def test_one_replicate_has_no_interval_and_negative_means_are_inside(run, printed, texts):
    for depth in (1, 3):
        measure = lambda *_: -0.2  # noqa: E731
        run.add("cnn_image_size", depth, ("converged",), measure=measure, size=28)
    figure = draw("fig08", run.results(), STYLE)
    assert curves(figure.axes[0])["28 × 28"][3] == pytest.approx((-0.2,) * 3)
    assert figure.axes[0].get_ylim()[0] < -0.2
    printed(figure)
    note = " ".join(texts(figure, "note")[0].split())
    assert "no interval" in note
    assert "bars" not in note


def test_cells_without_correlated_probes_are_refused(run):
    run.add("cnn_image_size", 1, measure=lambda *_: 0.5, size=28, examples="all")
    with pytest.raises(FigureError, match=r"studies\.cnn_image_size: .* train on one image"):
        draw("fig08", run.results(), STYLE)


def test_the_papers_grid_is_readable(run, printed):
    for size in (7, 14, 28, 56, 112):
        for depth in (1, 3, *range(5, 18), 19, 20, 24):
            run.add("cnn_image_size", depth, measure=lambda *_: 0.5, size=size)
    figure = draw("fig08", run.results(), STYLE)
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == [f"trained at {size} × {size}" for size in (7, 14, 28, 56, 112)]
    printed(figure)

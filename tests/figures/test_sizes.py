from __future__ import annotations

import numpy as np
import pytest

from idpipe.config import FigureStyle
from idpipe.errors import FigureError
from idpipe.figures.draw import draw

STYLE = FigureStyle()
T2 = 4.302653
"""Student's 97.5 % point for 2 degrees of freedom."""


def add_net(run, depth, correlate=None, statuses=("converged",) * 3, factor=1.0):
    """A CNN trained at 4 pixels; `correlate(replicate, size, reference)` is its correlation."""
    cell = run.add("cnn_depth", depth, statuses, outputs=lambda r: run.inputs(r) * factor, size=4)
    for replicate in range(len(statuses)):
        for size in (4, *run.sizes):
            for reference in ("constant", "identity"):
                for kind, shift in (("train", 0.4), ("unseen", 0.01), ("pattern", -0.01)):
                    value = correlate(replicate, size, reference) if correlate else 0.5
                    run.metrics.append(
                        {
                            "cell_id": cell,
                            "replicate": replicate,
                            "probe": kind,
                            "kind": kind,
                            "rho": np.nan,
                            "size": size,
                            "reference": reference,
                            "correlation": value + shift,
                            "mse": 0.0,
                        }
                    )
    return cell


def shapes(figure):
    """Pixels of a side, by row from the top."""
    images = figure.axes[0].images
    tops = sorted({image.get_extent()[3] for image in images})
    rows = [[i for i in images if i.get_extent()[3] == top] for top in tops]
    return [{image.get_array().shape[0] for image in row} for row in rows]


def gray(figure, row, column):
    images = figure.axes[0].images
    tops = sorted({image.get_extent()[3] for image in images})
    lefts = sorted({image.get_extent()[0] for image in images})
    place = (tops[row], lefts[column])
    (found,) = [i for i in images if (i.get_extent()[3], i.get_extent()[0]) == place]
    return float(found.get_array()[0, 0])


def note(texts, figure):
    return " ".join(texts(figure, "note")[0].split())


def test_fig06_shows_inputs_and_outputs_at_7_and_112(run, printed, texts):
    run.sizes = (2, 7, 112, 224)
    add_net(run, 1)
    add_net(run, 5, lambda r, size, ref: size / 400 + (ref == "identity") / 4, factor=0.5)
    add_net(run, 20)
    figure = draw("fig06", run.results(), STYLE)
    assert shapes(figure) == [{7}, {7}, {112}, {112}]
    # Probe 8 is flat at 0.4; the further sizes are darker by a hundredth per pixel.
    for row, (factor, size) in enumerate(((1, 7), (0.5, 7))):
        assert gray(figure, row, 8) == pytest.approx(0.4 * factor - size / 100, abs=1e-6)
    labels = texts(figure, "row")
    assert labels == ["7 × 7", "output\n.27 ± .00", "112 × 112", "output\n.53 ± .00"]
    said = note(texts, figure)
    assert "5 layers, 5 × 5 filters, 32 channels. Trained on one 4 × 4 image: digits." in said
    assert "correlation of the outputs to their inputs" in said
    printed(figure)


def test_fig06_falls_back_on_the_smallest_and_the_largest_size(run, texts):
    run.sizes = (3, 9, 14)
    add_net(run, 3)
    add_net(run, 6)
    figure = draw("fig06", run.results(), STYLE)
    assert shapes(figure) == [{3}, {3}, {14}, {14}]
    assert "6 layers (the paper's figure: 5)" in note(texts, figure)


def test_fig20_shows_the_sizes_between(run, printed, texts):
    run.sizes = (2, 7, 14)
    add_net(run, 5)
    figure = draw("fig20", run.results(), STYLE)
    assert shapes(figure) == [{4}, {4}, {7}, {7}]
    assert [label.split("\n")[0] for label in texts(figure, "row")] == [
        "4 × 4", "output", "7 × 7", "output",
    ]  # fmt: skip
    printed(figure)


def test_fig07_has_a_row_per_size_of_the_deepest_net_and_its_closeness_to_the_constant(
    run, printed, texts
):
    run.sizes = (2, 7)

    def correlate(replicate, size, reference):
        return size / 10 + 0.1 * (replicate - 1) + (reference == "identity")

    add_net(run, 5)
    add_net(run, 20, correlate, factor=0.5)
    figure = draw("fig07", run.results(), STYLE)
    assert shapes(figure) == [{2}, {4}, {7}]
    half = f"{T2 * 0.1 / np.sqrt(3):.2f}"[1:]
    assert texts(figure, "row") == [f"{s}\n.{s}0 ± {half}" for s in (2, 4, 7)]
    assert gray(figure, 1, 8) == pytest.approx(0.2, abs=1e-6)
    assert "to the training image, resized" in note(texts, figure)
    printed(figure)


def test_dead_replicates_are_in_no_number_and_marked_where_shown(run, printed, texts):
    run.sizes = (7,)
    add_net(run, 20, lambda r, s, ref: [0.2, 0.3, 0.9][r], ("converged", "max_steps", "dead"))
    figure = draw("fig07", run.results(), FigureStyle(replicate=2))
    assert texts(figure, "mark") == ["dead", "dead"]
    assert all(label.split("\n")[1].startswith(".25 ± ") for label in texts(figure, "row"))
    assert "(2 of 3; none that is dead or diverged)" in note(texts, figure)
    printed(figure)


def test_no_live_replicate_leaves_a_dash_and_crosses(run, printed, texts):
    run.sizes = (7,)
    add_net(run, 20, lambda *_: np.nan, ("diverged",) * 2, factor=np.nan)
    figure = draw("fig07", run.results(), STYLE)
    assert texts(figure, "row") == ["4\n–", "7\n–"]
    assert "Crossed: the output is not finite." in note(texts, figure)
    printed(figure)


@pytest.mark.parametrize("name", ["fig06", "fig07", "fig20"])
def test_a_run_without_other_sizes_is_refused_by_the_key(run, name):
    add_net(run, 5)
    with pytest.raises(FigureError, match=r"probes\.sizes: "):
        draw(name, run.results(), STYLE)

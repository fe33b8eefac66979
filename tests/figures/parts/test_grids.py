import numpy as np
import pytest
from matplotlib.lines import Line2D

from idpipe.figures.parts.imagegrid import Grid, Row
from idpipe.figures.parts.imagepanels import grid_figure


def plain(kinds):
    """The inputs and one row below them, black."""
    images = np.zeros((len(kinds), 4, 4, 1))
    return Grid(kinds, [Row("input", images, group="input"), Row("1", images)], "layers")


def test_fig03_has_a_row_per_depth_below_the_inputs(run):
    depths = (10, 1, 3, 5)
    for depth in depths:
        run.add("cnn_depth", depth, outputs=run.times(1 / depth))
    drawn = run.draw("fig03")
    expected = [[column / 20 / depth for column in range(15)] for depth in (1, *sorted(depths))]
    assert drawn.grays() == pytest.approx(np.array(expected), abs=1e-6)
    assert drawn.texts("row") == ["input", "1", "3", "5", "10"]
    assert drawn.texts("heading") == ["layers"]
    assert drawn.texts("caption") == ["train", "blend", "unseen", "out of domain", "patterns"]
    assert drawn.note.startswith(
        "5 × 5 filters, 32 channels; not in this study: 6 to 9, 11 to 17, 19, 20, 24 layers. "
        "Shown: replicate 0 (counted from 0) of 3."
    )
    assert "Training and unseen images: digits." in drawn.note
    assert drawn.texts("mark") == []


@pytest.mark.parametrize("count", [1, 2, 3])
def test_red_dashed_line_stands_between_the_last_training_image_and_the_rest(printed, count):
    grid = plain(["train"] * count + ["unseen"] * 2)
    drawn = printed(grid_figure(grid, ["note"]))
    (line,) = drawn.artists("training")
    assert line.get_color() == "red" and line.get_linestyle() == "--"
    x = set(line.get_xdata())
    assert x == {(grid.lefts[count - 1] + 1 + grid.lefts[count]) / 2}
    rights = [image.get_extent()[1] for image in drawn.axes[0].images]
    assert sum(right < min(x) for right in rights) == 2 * count
    bottom = max(image.get_extent()[2] for image in drawn.axes[0].images)
    assert max(line.get_ydata()) == bottom and min(line.get_ydata()) < 0


@pytest.mark.parametrize("columns", [3, 15])
def test_tiles_are_square_and_the_page_is_not_left(run, columns):
    run.kinds = run.kinds[:columns]
    run.inputs = lambda r: np.zeros((columns, 1, 4, 4))
    for depth in range(1, 19):
        run.add("cnn_depth", depth, outputs=run.times(1))
    drawn = run.draw("fig03")
    width, height = drawn.figure.get_size_inches()
    assert width <= 7 and height <= 9.8
    box = drawn.axes[0].get_position()
    (right, left), (bottom, top) = drawn.axes[0].get_xlim()[::-1], drawn.axes[0].get_ylim()
    assert box.width * width / (right - left) == pytest.approx(box.height * height / (bottom - top))


def test_failed_and_late_replicates_are_marked_and_what_is_not_finite_is_crossed(run):
    for depth, status, factor in ((1, "converged", 1), (3, "max_steps", 1), (5, "dead", 1)):
        run.add("cnn_depth", depth, ("converged", status), run.times(factor), restarts=depth // 3)
    run.add("cnn_depth", 7, ("converged", "diverged"), run.times(np.nan))
    drawn = run.draw("fig03", replicate=1)
    assert drawn.texts("row") == ["input", "1", "3", "5", "7"]
    assert drawn.texts("mark") == ["not converged", "dead", "diverged"]
    assert len(drawn.axes[0].images) == 4 * 15
    assert len(drawn.artists("crossed")) == 15
    diagonals = [line for line in drawn.figure.findobj(Line2D) if len(set(line.get_ydata())) == 2]
    assert sum(len(set(line.get_xdata())) == 2 for line in diagonals) == 2 * 15
    assert "replicate 1 (counted from 0) of 2." in drawn.note
    assert "Restarted after it died or diverged: 3 (1×), 5 (1×)." in drawn.note
    assert "Crossed: the output is not finite." in drawn.note


def test_the_chosen_replicate_is_shown(run):
    run.add("cnn_depth", 1, outputs=lambda r: run.inputs(r) / (r + 1))
    for replicate in range(3):
        shown = run.draw("fig03", replicate=replicate).grays()[:, 8]
        assert shown == pytest.approx([0.4, 0.4 / (replicate + 1)], abs=1e-6)
    run.refuses("fig03", r"figures\.replicate = 3: .* replicates 0 to 2", replicate=3)


def test_colour_images_are_drawn_in_colour(run):
    tint = np.array([1.0, 0.5, 0.25])[:, None, None]
    run.inputs = lambda r: np.full((15, 3, 4, 4), 0.8) * tint
    run.add("cnn_depth", 1, outputs=run.inputs)
    for image in run.draw("fig03").axes[0].images:
        np.testing.assert_allclose(image.get_array()[0, 0], [0.8, 0.4, 0.2], atol=1e-6)


def test_gray_runs_from_0_to_1_whatever_an_image_holds(run):
    run.add("cnn_depth", 1, outputs=lambda r: run.inputs(r) * 0.1)
    drawn = run.draw("fig03")
    assert {image.get_clim() for image in drawn.axes[0].images} == {(0.0, 1.0)}
    assert {image.get_cmap().name for image in drawn.axes[0].images} == {"gray"}


def test_a_narrow_group_has_its_caption_in_two_lines(printed):
    grid = plain(["train", "blend", "unseen", "out_of_domain", *["pattern"] * 9])
    assert "out of\ndomain" in printed(grid_figure(grid, ["note"])).texts("caption")

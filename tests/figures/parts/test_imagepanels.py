import numpy as np
import pytest

from idpipe.figures.parts.imagegrid import Grid, Row
from idpipe.figures.parts.imagepanels import BETWEEN, MIN_TILE, panels_figure

KINDS = ("train", "blend", "blend", *("unseen",) * 3, *("pattern",) * 6)


def grid(rows, mark="", names=()):
    """A grid whose image in column j is flat at j / 20."""
    images = np.stack([np.full((4, 4, 1), j / 20) for j in range(len(KINDS))])
    shown = [Row("input", images, group="input")]
    shown += [Row(f"{row}", images, mark, f"{row % 2 * len(names)}") for row in range(rows)]
    return Grid(KINDS, shown, "layers", "(a) title", dict(names))


def boxes(figure):
    """Left, top, right, bottom of each panel's tiles, in inches from the upper left corner."""
    width, height = figure.get_size_inches()
    found = [axes.get_position() for axes in figure.axes]
    return [(b.x0 * width, (1 - b.y1) * height, b.x1 * width, (1 - b.y0) * height) for b in found]


def tile_of(figure, panel=0):
    left, _, right, _ = boxes(figure)[panel]
    low, high = figure.axes[panel].get_xlim()
    return (right - left) / (high - low)


@pytest.mark.parametrize(
    ("rows", "count", "side_by_side", "beside"),
    [(3, 2, False, False), (3, 2, True, True), (30, 2, False, True), (3, 3, True, False)],
)
def test_panels_stand_where_asked_or_where_tiles_are_largest(
    printed, rows, count, side_by_side, beside
):
    figure = printed(panels_figure([grid(rows)] * count, ["note"], side_by_side)).figure
    first, second = boxes(figure)[:2]
    if beside:
        assert first[2] < second[0] and first[1] == pytest.approx(second[1])
    else:
        assert first[3] < second[1] and first[0] == pytest.approx(second[0])
    width, height = figure.get_size_inches()
    assert width <= 7 + 1e-9 and height <= 9.3 + 1e-9


@pytest.mark.parametrize(("rows", "count"), [(2, 1), (2, 3), (25, 2), (40, 1)])
def test_tiles_are_square_and_of_one_size_and_the_page_is_not_left(rows, count):
    notes = ["a note of many words " * 30]
    assert_square_on_the_page(panels_figure([grid(rows, mark="not converged")] * count, notes))


def assert_square_on_the_page(figure):
    width, height = figure.get_size_inches()
    assert width <= 7 + 1e-9 and height <= 9.3 + 0.12
    for panel, (left, top, right, bottom) in enumerate(boxes(figure)):
        down = figure.axes[panel].get_ylim()[0]
        assert (bottom - top) / down == pytest.approx(tile_of(figure, panel))
        assert tile_of(figure, panel) == pytest.approx(tile_of(figure, 0))
        assert 0 < left < right < width and 0 < top < bottom < height


def test_grids_of_different_labels_below_each_other_have_their_tiles_in_line(printed):
    drawn = printed(panels_figure([grid(2, mark="not converged"), grid(2)], ["note"]))
    first, second = boxes(drawn.figure)
    assert first[0] == pytest.approx(second[0]) and first[2] == pytest.approx(second[2])
    assert second[1] - first[3] > BETWEEN


def test_columns_are_left_out_only_where_tiles_would_be_too_small(printed):
    whole, thin = (
        printed(panels_figure([grid(rows)] * 3, ["note"], side_by_side=True)) for rows in (3, 25)
    )
    assert whole.grays().shape == (4, 12)
    assert_square_on_the_page(thin.figure)
    np.testing.assert_allclose(thin.grays()[0], np.array([0, 1, 2, 3, 4, 6, 7]) / 20)
    assert tile_of(thin.figure) >= MIN_TILE
    assert "the first 2 are shown" in thin.note
    assert "the first" not in whole.note


def test_all_training_images_stay():
    kinds = ("train",) * 3 + ("unseen",) * 3
    images = np.arange(6.0).reshape(6, 1, 1, 1)
    thin = Grid(kinds, [Row("input", images)]).thinned(2)
    assert thin.kinds == ["train"] * 3 + ["unseen"] * 2
    np.testing.assert_array_equal(thin.rows[0].images.ravel(), [0, 1, 2, 3, 4])


def test_names_of_groups_have_room_left_of_the_labels(printed):
    named = grid(4, names=[("0", "Kaiming\nuniform"), ("1", "Orthogonal")])
    assert named.labels > grid(4).labels + 0.5
    printed(panels_figure([named], ["note"]))

from __future__ import annotations

import pytest

from idpipe.config import FigureStyle
from idpipe.errors import FigureError
from idpipe.figures.draw import draw

STYLE = FigureStyle()


def note_of(texts, figure):
    return " ".join(texts(figure, "note")[0].split())


@pytest.mark.parametrize(
    ("name", "rows", "absent"),
    [
        ("fig09", ["5 × 5", "29 × 29"], (9, 17, 57)),
        ("fig26", ["3 × 3", "5 × 5", "7 × 7", "29 × 29"], (9, 13, 17, 25, 57)),
    ],
)
def test_filter_sizes(run, printed, texts, grays, name, rows, absent):
    for kernel in (29, 7, 3, 5):
        run.add("cnn_kernel", 5, outputs=run.times(1 / kernel), kernel=float(kernel), width=8)
    figure = draw(name, run.results(), STYLE)
    assert texts(figure, "row") == ["input", *rows]
    sizes = [int(row.split()[0]) for row in rows]
    expected = [0.4, *(0.4 / size for size in sizes)]
    assert grays(figure)[:, 8] == pytest.approx(expected, abs=1e-6)
    lacking = ", ".join(f"{size} × {size}" for size in absent)
    assert f"8 channels; not in this study: {lacking} filters." in note_of(texts, figure)
    printed(figure)


def test_fig09_shows_all_sizes_where_it_has_none_of_the_papers(run, texts):
    for kernel in (3, 1):
        run.add("cnn_kernel", 5, outputs=run.times(1), kernel=float(kernel))
    assert texts(draw("fig09", run.results(), STYLE), "row") == ["input", "1 × 1", "3 × 3"]


def channels(run, depths):
    for depth in depths:
        for width in (128, 3):
            run.add("cnn_channels", depth, outputs=run.times(1 / depth / width), width=width)


def test_fig10_has_a_panel_per_depth(run, printed, texts, grays):
    channels(run, (20, 5, 7))
    figure = draw("fig10", run.results(), STYLE)
    assert texts(figure, "title") == ["(a) 5 layers", "(b) 20 layers"]
    assert texts(figure, "row") == ["input", "3", "128"] * 2
    for panel, depth in enumerate((5, 20)):
        expected = [0.4, 0.4 / depth / 3, 0.4 / depth / 128]
        assert grays(figure, panel)[:, 8] == pytest.approx(expected, abs=1e-6)
    above, below = (axes.get_position() for axes in figure.axes)
    assert above.y0 > below.y1 and above.x0 == pytest.approx(below.x0)
    assert "5 × 5 filters; not in this study: 1024 channels." in note_of(texts, figure)
    printed(figure)


def test_fig10_with_one_of_the_papers_depths(run, texts):
    channels(run, (5, 3))
    figure = draw("fig10", run.results(), STYLE)
    assert texts(figure, "title") == ["(a) 5 layers"]
    assert "not in this study: 20 layers; not in" in note_of(texts, figure)


def test_fig28_has_a_row_per_depth(run, texts):
    for depth in (8, 3):
        run.add("cnn_narrow_depth", depth, outputs=run.times(1), width=3)
    figure = draw("fig28", run.results(), STYLE)
    assert texts(figure, "row") == ["input", "3", "8"]
    note = note_of(texts, figure)
    assert "5 × 5 filters, 3 channels; not in this study: 1, 5 to 7, 9 to 17, 19, 20, 24" in note


def test_two_networks_for_a_row_are_refused(run):
    for depth in (5, 7):
        run.add("cnn_kernel", depth, outputs=run.times(1))
    with pytest.raises(FigureError, match=r"studies\.cnn_kernel: kernel 5\.0 has 2 cells"):
        draw("fig26", run.results(), STYLE)

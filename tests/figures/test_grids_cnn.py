import pytest


@pytest.mark.parametrize(
    ("name", "rows", "absent"),
    [
        ("fig09", ["5 × 5", "29 × 29"], (9, 17, 57)),
        ("fig26", ["3 × 3", "5 × 5", "7 × 7", "29 × 29"], (9, 13, 17, 25, 57)),
    ],
)
def test_filter_sizes(run, name, rows, absent):
    for kernel in (29, 7, 3, 5):
        run.add("cnn_kernel", 5, outputs=run.times(1 / kernel), kernel=float(kernel), width=8)
    drawn = run.draw(name)
    assert drawn.texts("row") == ["input", *rows]
    expected = [0.4, *(0.4 / int(row.split()[0]) for row in rows)]
    assert drawn.grays()[:, 8] == pytest.approx(expected, abs=1e-6)
    lacking = ", ".join(f"{size} × {size}" for size in absent)
    assert f"8 channels; not in this study: {lacking} filters." in drawn.note


def test_fig09_shows_all_sizes_where_it_has_none_of_the_papers(run):
    for kernel in (3, 1):
        run.add("cnn_kernel", 5, outputs=run.times(1), kernel=float(kernel))
    assert run.draw("fig09").texts("row") == ["input", "1 × 1", "3 × 3"]


def test_fig10_has_a_panel_per_depth(run):
    for depth in (20, 5, 7):
        for width in (128, 3):
            run.add("cnn_channels", depth, outputs=run.times(1 / depth / width), width=width)
    drawn = run.draw("fig10")
    assert drawn.texts("title") == ["(a) 5 layers", "(b) 20 layers"]
    assert drawn.texts("row") == ["input", "3", "128"] * 2
    for panel, depth in enumerate((5, 20)):
        expected = [0.4, 0.4 / depth / 3, 0.4 / depth / 128]
        assert drawn.grays(panel)[:, 8] == pytest.approx(expected, abs=1e-6)
    above, below = (axes.get_position() for axes in drawn.axes)
    assert above.y0 > below.y1 and above.x0 == pytest.approx(below.x0)
    assert "5 × 5 filters; not in this study: 1024 channels." in drawn.note


def test_fig10_with_one_of_the_papers_depths(run):
    for depth in (5, 3):
        run.add("cnn_channels", depth, outputs=run.times(1), width=3)
    drawn = run.draw("fig10")
    assert drawn.texts("title") == ["(a) 5 layers"]
    assert "not in this study: 20 layers; not in" in drawn.note


def test_fig28_has_a_row_per_depth(run):
    for depth in (8, 3):
        run.add("cnn_narrow_depth", depth, outputs=run.times(1), width=3)
    drawn = run.draw("fig28")
    assert drawn.texts("row") == ["input", "3", "8"]
    absent = "1, 5 to 7, 9 to 17, 19, 20, 24"
    assert f"5 × 5 filters, 3 channels; not in this study: {absent}" in drawn.note


def test_two_networks_for_a_row_are_refused(run):
    for depth in (5, 7):
        run.add("cnn_kernel", depth, outputs=run.times(1))
    run.refuses("fig26", r"studies\.cnn_kernel: kernel 5\.0 has 2 cells")

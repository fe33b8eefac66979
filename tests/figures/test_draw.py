from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from idpipe.config import FigureStyle
from idpipe.figures.draw import draw, save, styled, write
from idpipe.results import Results

STYLE = FigureStyle(dpi=60)


@pytest.fixture
def results(run) -> Results:
    run.add("cnn_depth", 1, outputs=run.inputs, measure=lambda *_: 0.5)
    return run.results()


@pytest.mark.parametrize("name", ["fig03", "fig04"])
def test_the_same_numbers_give_the_same_bytes(results, tmp_path, name):
    for turn in "ab":
        (tmp_path / turn).mkdir()
        write(name, results, STYLE, [tmp_path / turn / f"{name}.{s}" for s in ("png", "pdf")])
    for suffix in ("png", "pdf"):
        first, second = ((tmp_path / turn / f"{name}.{suffix}").read_bytes() for turn in "ab")
        assert first == second
        assert b"CreationDate" not in first


def test_dpi_and_size_of_the_png(results, tmp_path):
    save(draw("fig04", results, STYLE), [tmp_path / "a.png"], FigureStyle(dpi=100))
    assert imread(tmp_path / "a.png").shape[1] == 700


def test_pdf_embeds_truetype_and_native_pixels(results, tmp_path):
    write("fig03", results, STYLE, [tmp_path / "a.pdf"])
    content = (tmp_path / "a.pdf").read_bytes()
    assert b"/CIDFontType2" in content and b"/Type3" not in content
    assert content.count(b"/Subtype /Image") >= 15
    assert b"/Width 4 " in content or b"/Width 4\n" in content


def test_write_gives_every_suffix_and_leaves_nothing_else(results, tmp_path):
    folder = tmp_path / "figures"
    folder.mkdir()
    names = {f"table1.{suffix}" for suffix in ("png", "pdf", "csv", "md")}
    write("table1", Results(), STYLE, [str(folder / name) for name in names])
    assert {path.name for path in folder.iterdir()} == names
    assert (folder / "table1.md").read_text().startswith("| FCN num layers |")


def test_a_failed_write_keeps_the_old_file_and_no_part(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def fails(self: Figure, part: Path, **_: object) -> None:
        Path(part).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", fails)
    with pytest.raises(OSError, match="disk full"):
        save(Figure(), [path], STYLE)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"] and path.read_bytes() == b"old"


def test_the_users_own_matplotlib_settings_change_nothing(results):
    plain = draw("fig04", results, STYLE).axes[0].title.get_fontsize()
    with matplotlib.rc_context({"axes.titlesize": 30, "font.family": "serif"}):
        loud = draw("fig04", results, STYLE).axes[0].title
        assert matplotlib.rcParams["axes.titlesize"] == 30
    assert loud.get_fontsize() == plain
    assert loud.get_fontfamily() == ["DejaVu Sans"]


def test_line_colours_can_be_told_apart_by_the_colour_blind():
    """Pairs stay apart when red and green cones see alike (Vienot 1999, linear RGB)."""
    with styled():
        colours = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    linear = np.array([matplotlib.colors.to_rgb(colour) for colour in colours]) ** 2.2
    deuteranope = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])
    seen = np.clip(linear @ deuteranope.T, 0, 1) ** (1 / 2.2)
    distances = np.linalg.norm(seen[:, None] - seen, axis=-1)[np.triu_indices(len(seen), 1)]
    assert distances.min() > 0.1

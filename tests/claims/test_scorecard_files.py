"""How the scorecard is told, what it is measured from, and what remakes it."""

from __future__ import annotations

import csv
import io
import itertools
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image
from scorecard_world import World, identity, paper

from idpipe.claims import picture, texts
from idpipe.claims.catalogue import claims
from idpipe.claims.evidence import mixture_correlation, relative_sharpness
from idpipe.claims.scorecard import write
from idpipe.claims.verdicts import FAILED, REPRODUCED, UNTESTABLE, Judgement, judge
from idpipe.config import FigureStyle
from idpipe.figures import FIGURES
from idpipe.figures.draw import styled
from idpipe.figures.parts.layout import MAX_HEIGHT
from idpipe.workflow import fingerprints

CLAIMS = claims()


def mixed() -> World:
    """A run with every verdict: c05 fails, c14 cannot be tested."""
    world = paper()
    world["cnn_depth 3"].does = identity(0.5)
    world.drop("cnn_channels 20 1024")
    return world


@pytest.fixture(scope="module")
def judgements() -> list[Judgement]:
    return judge(mixed().results(), CLAIMS, 0.95)


class Page(HTMLParser):
    """Text, tags and addresses of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def evil() -> list[Judgement]:
    text = "a <script>alert('1')</script> & \"b\" | c"
    claim = CLAIMS[4].model_copy(update=dict.fromkeys(("claim", "words", "why", "place"), text))
    return judge(paper().results(), [claim], 0.95)


def test_verdicts_of_the_mixed_run(judgements):
    found = {j.claim.id: j.verdict for j in judgements if j.verdict != REPRODUCED}
    assert found == {"c05": FAILED, "c14": UNTESTABLE}
    assert texts.tally(judgements) == "29 reproduced, 1 not reproduced, 1 not testable"


def test_csv_has_a_row_per_part_with_number_interval_and_cells(judgements):
    rows = list(csv.DictReader(io.StringIO(texts.to_csv(judgements))))
    assert len(rows) == sum(len(claim.parts) for claim in CLAIMS)
    (row,) = [row for row in rows if row["claim"] == "c05"]
    assert (row["verdict"], row["part"], row["side"]) == (FAILED, "identity", "above")
    assert float(row["mean"]) == pytest.approx(0.5) and float(row["threshold"]) == 0.8
    assert float(row["low"]) < 0.5 < float(row["high"])
    assert [cell.rpartition("-")[0] for cell in row["cells"].split()] == [
        f"cnn_depth-{depth}" for depth in (5, 1, 3)
    ]
    (row,) = [row for row in rows if row["claim"] == "c14"]
    assert (row["mean"], row["cells"]) == ("", "")
    assert row["reason"] == "cnn_channels has no network of 20 layers, width 1024."


def test_markdown_has_a_row_per_claim(judgements):
    told = texts.to_markdown(judgements, "r", 0.95).splitlines()
    lines = [line for line in told if "| c" in line]
    assert [line.split(" | ")[0] for line in lines[1:]] == [f"| {c.id}" for c in CLAIMS]
    assert "✗ identity: 0.50 ± 0.01 (\\> 0.8)" in lines[5]
    assert "cnn\\_channels has no network" in lines[14]
    assert texts.to_markdown(evil(), "r", 0.9).splitlines()[-1].count(" | ") == 4
    assert "<script" not in texts.to_markdown(evil(), "r", 0.9).replace("\\<script", "")


def test_html_stands_alone_and_escapes(judgements):
    page = Page(texts.to_html(judgements, "my <run>", 0.95))
    assert page.open == ["html"] or page.open == []
    names = {name for claim in CLAIMS for name in claim.figures}
    anchors = {f"#{claim.id}" for claim in CLAIMS}
    assert set(page.addresses) == anchors | {f"{name}.png" for name in names}
    assert not {"script", "img", "link", "iframe"} & set(page.tags)
    told = " ".join(page.texts)
    assert "Scorecard of my <run>" in told
    assert "cnn_channels has no network of 20 layers, width 1024." in told
    assert all(claim.claim in told and claim.why in told for claim in CLAIMS)
    page = Page(texts.to_html(evil(), "r", 0.95))
    assert "script" not in page.tags and "<script>alert('1')</script>" in " ".join(page.texts)


def test_evidence_says_how_many_replicates_count_were_restarted_or_left_out():
    world = paper()
    world["cnn_depth 20"].statuses = ["converged", "converged", "dead"]
    world["cnn_depth 20"].restarts = 2
    world["cnn_depth 7"].statuses = ["dead"] * 3
    (c06, c24) = judge(world.results(), [CLAIMS[5], CLAIMS[23]], 0.95)
    told = "20-layer CNN (128 channels), 2 of 3 replicates, 3 restarted"
    assert texts.basis(c06) == f"cnn_depth (mnist): {told}"
    assert told in texts.basis(c24) and "left out: 0 of 3 replicates count" in texts.basis(c24)


def test_numbers_are_short():
    assert [texts.number(value) for value in (-0.001, -0.5, 1.0)] == ["0.00", "−0.50", "1.00"]


def test_the_picture_has_a_line_per_part_on_one_page_and_no_text_on_another(judgements):
    with styled():
        figure = picture.draw(judgements, "made up", 0.95)
        figure.set_dpi(100)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    assert figure.get_size_inches()[1] <= MAX_HEIGHT
    (axes,) = figure.axes
    means = [line for line in axes.lines if line.get_gid() == "mean"]
    assert len(means) == sum(len(claim.parts) for claim in CLAIMS) - 1
    signs = [text.get_text() for text in figure.texts if text.get_gid() == "verdict"]
    assert signs.count("✓") == 29 and signs.count("✗") == 1 and signs.count("–") == 1
    boxes = [text.get_window_extent() for text in figure.texts]
    width = figure.get_size_inches()[0] * 100
    assert all(box.x0 >= 0 and box.x1 <= width for box in boxes)
    for box, other in itertools.combinations(boxes, 2):
        across = min(box.x1, other.x1) - max(box.x0, other.x0)
        down = min(box.y1, other.y1) - max(box.y0, other.y0)
        assert min(across, down) < 3, (box, other)


def test_a_mean_lies_on_the_side_its_verdict_says(judgements):
    with styled():
        figure = picture.draw(judgements, "made up", 0.95)
    means = [line for line in figure.axes[0].lines if line.get_gid() == "mean"]
    outcomes = [o for j in judgements for o in j.outcomes if o.verdict != UNTESTABLE]
    for line, o in zip(means, outcomes, strict=True):
        assert (line.get_xdata()[0] > 0) == (o.verdict == REPRODUCED)


def test_all_five_files_are_written_and_the_same_each_time(tmp_path):
    for name, table in mixed().results()._cache.items():
        table.to_parquet(tmp_path / f"{name}.parquet")
    kept = []
    for folder in ("a", "b"):
        paths = [tmp_path / folder / f"scorecard.{s}" for s in ("png", "pdf", "csv", "md", "html")]
        write(tmp_path, "made up", FigureStyle(), paths)
        kept.append([path.read_bytes() for path in paths])
    assert kept[0] == kept[1]
    assert kept[0][1].startswith(b"%PDF")
    with Image.open(tmp_path / "a/scorecard.png") as png:
        assert np.asarray(png.convert("L")).std() > 1


# --- Evidence ------------------------------------------------------------------------------------


def test_sharpness_falls_with_blur_and_not_with_contrast():
    board = np.indices((16, 16)).sum(0) // 4 % 2
    images = np.stack([board, np.zeros((16, 16))])[:, None].astype(float)
    assert relative_sharpness(images, images) == pytest.approx(1)
    assert relative_sharpness(images, 0.1 * images + 3) == pytest.approx(1)
    blurred = sum(np.roll(images, (i, j), (-2, -1)) for i in (-1, 0, 1) for j in (-1, 0, 1)) / 9
    assert 0.2 < relative_sharpness(images, blurred) < 0.9
    assert np.isnan(relative_sharpness(images, np.zeros_like(images)))


def test_a_mixture_of_training_images_correlates_fully_and_what_is_orthogonal_not_at_all():
    images = np.random.default_rng(0).normal(size=(3, 1, 5, 5))
    train, other = images[:2], images[2:]
    assert mixture_correlation(train, 2 * train[:1] - 3 * train[1:]) == pytest.approx(1)
    flat, basis = other.reshape(-1), train.reshape(2, -1)
    free = flat - basis.T @ np.linalg.solve(basis @ basis.T, basis @ flat)
    assert mixture_correlation(train, free.reshape(other.shape)) == pytest.approx(0, abs=1e-12)
    both = free.reshape(other.shape) / np.linalg.norm(free) + train[:1] / np.linalg.norm(train[0])
    assert mixture_correlation(train, both) == pytest.approx(0.5**0.5)


# --- What remakes it ----------------------------------------------------------------------------


def everything() -> dict[str, str]:
    fingerprints.read.cache_clear()
    figures = {name: fingerprints.figure(name) for name in FIGURES}
    return {
        **figures,
        "scorecard": fingerprints.scorecard(),
        "evidence": fingerprints.evidence(),
        "explorer": fingerprints.explorer(),
    }


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("claims/claims.yaml", "value: 0.8,", "value: 0.7,", {"scorecard"}),
        ("claims/claims.yaml", "# The paper's claims", "# A comment. The paper's", set()),
        ("claims/table1.csv", "1,614656", "1,614657", {"scorecard"}),
        ("claims/networks.py", "\nFITS = 0.01\n", "\nFITS = 0.02\n", {"scorecard"}),
        ("claims/cnn.py", "SHALLOW, DEEP = 5, 20", "SHALLOW, DEEP = 7, 20", {"scorecard"}),
        ("claims/picture.py", '"distance beyond', '"how far beyond', {"scorecard"}),
        ("claims/scorecard.html", "Why these thresholds", "Why", {"scorecard"}),
        ("claims/evidence.py", "\nUPPER = 10\n", "\nUPPER = 6\n", {"evidence"}),
        ("claims/evidence.py", '"""The table `evidence`.', '"""It.', set()),
        ("explorer/map.py", "SHADES = 64", "SHADES = 32", {"explorer"}),
        (
            "explorer/page/explorer.css",
            "display: grid; gap: 2px",
            "display: grid; gap: 3px",
            {"explorer"},
        ),
        ("explorer/page/explorer.html", 'aria-live="polite"', 'aria-live="off"', {"explorer"}),
        ("templates.py", "trim_blocks=True", "trim_blocks=False", {"explorer", "scorecard"}),
        ("explorer/map.py", '"""Steps of the colour map."""', '"""Colours."""', set()),
    ],
)
def test_an_edit_remakes_what_it_concerns(file, old, new, changed, tmp_path, monkeypatch):
    shutil.copytree(fingerprints.PACKAGE, tmp_path / "idpipe")
    monkeypatch.setattr(fingerprints, "PACKAGE", tmp_path / "idpipe")
    before, path = everything(), tmp_path / "idpipe" / file
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    after = everything()
    fingerprints.read.cache_clear()
    assert {name for name in before if before[name] != after[name]} == changed

"""The explorer's page, made by a real run and opened in headless Chromium."""

import io
import json
import re
import shutil
from base64 import b64decode
from pathlib import Path
from urllib.parse import parse_qs, urlencode

import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import sync_playwright
from snakemake_runs import jobs, snakemake

from idpipe.config import load
from idpipe.explorer.axes import label, study_axes
from idpipe.explorer.details import POINTS, thinned
from idpipe.explorer.page import page as html
from idpipe.explorer.sprites import sprite
from idpipe.results import interval
from idpipe.workflow.targets import Targets

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ROOT = ["--no-sandbox"]
"""Chromium's sandbox does not start for root, whom containers run as."""
INPUTS = "#predictions canvas[aria-label^='input']"
PREDICTIONS = "#predictions canvas[aria-label^='prediction']"


def settings() -> dict:
    """Nine small cells: depths by rho, three axes at once, a diverging one, one without rho."""
    cnn = {"net": {"arch": "cnn", "width": 3}}
    fcn = {"net": {"arch": "fcn", "depth": 2}}
    two_images = {**fcn, "data": {"examples": [{"label": 7}, {"label": 0}]}}
    three = {"net.depth": [1, 2], "init": ["pytorch", "xavier_normal"], "seed": [1, 2]}
    return {
        "run": "tiny",
        "defaults": {"replicates": 2, "max_steps": 40, "failure": {"policy": "keep"}},
        "studies": {
            "cnn_depth": {"base": cnn, "axes": {"net.depth": [1, 2, 3]}},
            "three": {"base": {"net": {"arch": "fcn", "width": 8}}, "axes": three},
            "wild": {"base": fcn, "axes": {"net.width": [16], "optimizer.lr": [0.01, 1.0e9]}},
            "pair": {"base": two_images, "axes": {"net.width": [8, 16]}},
        },
        "probes": {"rho": [0, 0.5, 1], "n_per_rho": 2},
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder, with a space in its name, in which the target `explorer` was made."""
    path = tmp_path_factory.mktemp("a run") / "my results"
    result = snakemake(path, settings(), "explorer")
    assert result.returncode == 0, result.stdout + result.stderr
    return path


@pytest.fixture(scope="module")
def targets(folder) -> Targets:
    """Where the run's files are."""
    return Targets(load({**settings(), "results": str(folder / "results")}))


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ROOT)
        yield started
        started.close()


class Opened:
    """The page in a window, and what the browser said and asked for."""

    def __init__(self, browser, folder: Path, **view) -> None:
        size = {"width": view.pop("window", 1200), "height": 900}
        self.page = browser.new_page(viewport=size)
        self.said, self.asked = [], []
        self.page.on("console", lambda message: self.said.append((message.type, message.text)))
        self.page.on("pageerror", lambda error: self.said.append(("error", str(error))))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.address = (folder / "results/tiny/explorer.html").as_uri()
        self.page.goto(self.address + (f"#{urlencode(view)}" if view else ""))
        self.settled()

    def settled(self) -> None:
        """Wait until what the address names is shown."""
        self.page.wait_for_selector("body[data-ready]", timeout=10_000)

    @property
    def state(self) -> dict[str, str]:
        """What the address names."""
        return {key: value[0] for key, value in parse_qs(self.page.url.partition("#")[2]).items()}

    @property
    def told(self) -> str:
        return self.page.inner_text("#told")

    def find(self, start: str) -> tuple[float, float]:
        """Where on the screen the pointer is over the field whose text begins so."""
        box = self.page.locator("#map").bounding_box()
        for y in range(int(box["y"]) + 8, int(box["y"] + box["height"]), 28):
            for x in range(int(box["x"]) + 60, int(box["x"] + box["width"]), 50):
                self.page.mouse.move(x, y)
                if self.told.startswith(start):
                    return x, y
        raise AssertionError(f"no field {start}")

    def click(self, start: str) -> None:
        before = self.page.url
        self.page.mouse.click(*self.find(start))
        self.page.wait_for_function("before => location.href !== before", arg=before)
        self.page.wait_for_function(
            "() => document.getElementById('details').dataset.ready ==="
            " new URLSearchParams(location.hash.slice(1)).get('cell')"
        )

    def tiles(self, chosen: str) -> np.ndarray:
        """Red, green and blue of the tiles that a selector of CSS finds, (n, h, w, 3)."""
        found = self.page.locator(chosen).evaluate_all(
            """tiles => tiles.map(tile => [...tile.getContext('2d')
                .getImageData(0, 0, tile.width, tile.height).data])"""
        )
        pixels = np.array(found)
        side = round((pixels.shape[1] / 4) ** 0.5)
        return pixels.reshape(len(pixels), side, side, 4)[..., :3]

    def choose(self, name: str, value: str) -> None:
        """Set a control, and wait until the address and the page follow."""
        self.page.select_option(f"[id='{name}']", value)
        self.page.wait_for_function(f"location.hash.includes('{name}={value}')")
        self.settled()


@pytest.fixture
def opened(browser, folder):
    """Opens the page at a view; afterwards the browser must have complained of nothing."""
    windows = []

    def open_page(**view) -> Opened:
        windows.append(Opened(browser, folder, **view))
        return windows[-1]

    yield open_page
    for window in windows:
        window.page.close()
        assert [line for line in window.said if line[0] in ("error", "warning")] == []
        assert {url.partition("#")[0] for url in window.asked} == {window.address}


def pixels(targets: Targets, cell_id: str, replicate: int) -> tuple[np.ndarray, np.ndarray]:
    """What the page must show of a cell: inputs and predictions in 8 bits, by their own files."""
    with np.load(targets.probes(cell_id)) as probes:
        inputs, mean, std = probes["named"][0], probes["mean"], probes["std"]
    with np.load(targets.evaluation(cell_id) / "predictions.npz") as predictions:
        outputs = predictions["named"][replicate]

    def shown(images: np.ndarray) -> np.ndarray:
        scaled = images.astype(float) * std[:, None, None] + mean[:, None, None]
        gray = np.rint(scaled.clip(0, 1) * 255).transpose(0, 2, 3, 1)
        return np.broadcast_to(gray, (*gray.shape[:3], 3))

    return shown(inputs), shown(outputs)


@pytest.mark.long
class TestPage:
    def test_is_one_file_that_asks_for_nothing(self, folder, opened):
        window = opened()
        assert window.page.title() == "Explorer of run tiny"
        text = (folder / "results/tiny/explorer.html").read_text()
        library = max(re.findall(r"<script>(.*?)</script>", text, re.S), key=len)
        assert not re.findall(r"(?:https?:)?//[a-z]+\.[a-z]", text.replace(library, ""))
        assert "default-src 'none'" in text

    def test_a_click_shows_the_cells_own_images(self, opened, targets):
        window = opened(study="cnn_depth")
        seen = []
        for number, depth in enumerate((1, 3)):
            cell = targets.plan.studies["cnn_depth"][2 * number].cell_id
            window.click(f"net.depth {depth}, ρ 0.5:")
            assert window.state["cell"] == cell
            assert window.page.inner_text("#cell-title") == f"cnn_depth: net.depth {depth}"
            assert cell in window.page.inner_text("#details code")
            inputs, outputs = pixels(targets, cell, 0)
            np.testing.assert_array_equal(window.tiles(INPUTS), inputs)
            np.testing.assert_array_equal(window.tiles(PREDICTIONS), outputs)
            seen.append(outputs)
        assert (seen[0] != seen[1]).any()

    def test_another_replicate_has_its_own_predictions(self, opened, targets):
        cell = targets.plan.studies["cnn_depth"][1].cell_id
        window = opened(cell=cell)
        window.choose("replicate", "1")
        first, second = (pixels(targets, cell, replicate)[1] for replicate in (0, 1))
        assert (first != second).any()
        np.testing.assert_array_equal(window.tiles(PREDICTIONS), second)

    @pytest.mark.parametrize("reference", ["identity", "constant"])
    def test_the_map_has_the_means_of_the_table(self, opened, folder, reference, tmp_path):
        metrics = pd.read_parquet(folder / "results/tiny/tables/metrics.parquet")
        ids = [cell.cell_id for cell in load(settings()).studies["cnn_depth"]]
        chosen = metrics["cell_id"].isin(ids) & (metrics["reference"] == reference)
        rows = metrics[chosen & (metrics["rho"] == 0.5)]
        window = opened(study="cnn_depth", measure=f"correlation.{reference}")
        places = {depth: window.find(f"net.depth {depth}, ρ 0.5:") for depth in (1, 2, 3)}
        assert places[1][1] < places[2][1] < places[3][1]
        for depth, (x, y) in places.items():
            own = rows[rows["cell_id"] == ids[depth - 1]].groupby("replicate")["correlation"]
            mean, half = interval(list(own.mean()), 0.95)
            window.page.mouse.move(x, y)
            found = re.search(r"is (−?[\d.]+) ± ([\d.]+) \(95 % interval, 2 rep", window.told)
            assert float(found[1].replace("−", "-")) == pytest.approx(mean, abs=0.006)
            assert float(found[2]) == pytest.approx(half, rel=0.06, abs=0.006)
            path = tmp_path / "map.png"
            window.page.screenshot(path=path)
            with Image.open(path) as picture:
                colour = np.array(picture.convert("RGB").getpixel((x, y))) / 255
            near = matplotlib.colormaps["viridis"](np.clip(mean + np.array([-0.02, 0.02]), 0, 1))
            assert (colour >= near.min(0)[:3] - 0.03).all()
            assert (colour <= near.max(0)[:3] + 0.03).all()

    def test_each_replicates_end_and_curve_are_told(self, opened, targets):
        cell = targets.plan.studies["cnn_depth"][1].cell_id
        window = opened(cell=cell)
        status = json.loads((targets.layout.cell(cell) / "status.json").read_text())
        rows = window.page.locator("#status tbody tr").all_inner_texts()
        for row, told in zip(rows, status["replicates"], strict=True):
            assert str(told["steps"]) in row and "budget" in row
        words = window.page.locator(".chart").first.get_attribute("aria-label")
        assert "2 replicates" in words and "after 40 steps" in words
        assert window.page.locator(".chart canvas").count() >= 1

    def test_what_is_missing_is_told(self, opened, targets):
        wild = targets.plan.studies["wild"][1]
        window = opened(study="wild", x="none", y="optimizer.lr")
        window.click("optimizer.lr 1e+09: no value: every replicate is dead or diverged")
        assert window.state["cell"] == wild.cell_id
        assert "diverged" in window.page.inner_text("#status")
        names = window.page.locator("#predictions canvas").evaluate_all(
            "tiles => tiles.map(tile => tile.getAttribute('aria-label'))"
        )
        assert sum(name.endswith(": not finite") for name in names) == len(names) / 2
        assert "none are stored" in window.page.inner_text("#details")
        pair = opened(study="pair", measure="correlation.constant")
        assert "it has no constant map" in pair.told
        assert pair.page.locator("#probes option").all_inner_texts() == [
            *("training images", "blends", "unseen images", "out-of-domain images", "patterns")
        ]

    def test_three_axes_two_on_the_map(self, opened, targets):
        window = opened(study="three", y="init", x="net.depth")
        assert window.page.locator("[id='at.seed']").input_value() == "1"
        window.choose("at.seed", "2")
        window.click("init xavier_normal, net.depth 2:")
        cell = targets.plan.cells[window.state["cell"]]
        assert (cell.init, cell.net.depth, cell.seed) == ("xavier_normal", 2, 2)
        window.choose("x", "seed")
        assert window.state["at.net.depth"] == "2"
        assert window.told.startswith("init xavier_normal, seed 2:")


@pytest.mark.long
class TestLink:
    def test_a_link_restores_the_view(self, opened, targets):
        cell = targets.plan.studies["three"][5].cell_id
        first = opened(study="three", y="seed", x="rho", measure="gap", cell=cell, replicate=1)
        first.choose("measure", "mse.constant")
        assert first.state["cell"] == cell and first.state["replicate"] == "1"
        second = opened(**first.state)
        chosen = "() => [...document.querySelectorAll('select')].map(s => [s.id, s.value])"
        assert second.page.evaluate(chosen) == first.page.evaluate(chosen)
        assert second.told == first.told
        assert second.page.inner_text("#details") == first.page.inner_text("#details")

    def test_the_back_button_goes_back(self, opened):
        window = opened(study="cnn_depth")
        window.click("net.depth 1, ρ 0:")
        first = window.state
        window.click("net.depth 2, ρ 0:")
        window.page.go_back()
        window.page.wait_for_function("cell => location.hash.includes(cell)", arg=first["cell"])
        window.page.wait_for_selector(f"#details[data-ready='{first['cell']}']")
        assert window.state == first
        assert window.page.inner_text("#cell-title") == "cnn_depth: net.depth 1"

    def test_a_link_to_what_is_not_there_says_so(self, opened):
        window = opened(study="<b>x</b>", cell="gone", measure="gap")
        notice = window.page.inner_text("#notice")
        assert "study “<b>x</b>”" in notice and "cell “gone”" in notice
        assert window.page.input_value("#study") == "cnn_depth"
        assert window.page.input_value("#measure") == "gap"


@pytest.mark.long
class TestHand:
    def test_the_map_by_keyboard(self, opened, targets):
        window = opened(study="cnn_depth", y="net.depth", x="rho")
        window.page.focus("#measure")
        for _ in range(5):
            window.page.keyboard.press("Tab")
            if window.page.evaluate("document.activeElement.id") == "map":
                break
        assert window.page.evaluate("document.activeElement.id") == "map"
        outline = "getComputedStyle(document.activeElement).outlineWidth"
        assert window.page.evaluate(outline) == "3px"
        assert window.told.startswith("net.depth 1, ρ 0:")
        for key in ("ArrowDown", "ArrowRight", "ArrowDown", "ArrowDown", "ArrowLeft", "ArrowRight"):
            window.page.keyboard.press(key)
        assert window.told.startswith("net.depth 3, ρ 0.5:")
        window.page.keyboard.press("Enter")
        window.page.wait_for_selector("#details[data-ready]")
        assert window.state["cell"] == targets.plan.studies["cnn_depth"][2].cell_id

    def test_every_cell_from_a_list_and_every_control_has_a_name(self, opened, targets):
        window = opened(study="three")
        options = window.page.locator("#cell option").all_inner_texts()
        assert len(options) == 1 + 8
        window.page.select_option("#cell", label="net.depth 2, init xavier_normal, seed 1")
        window.page.wait_for_selector("#details[data-ready]")
        cell = targets.plan.cells[window.state["cell"]]
        assert (cell.init, cell.net.depth, cell.seed) == ("xavier_normal", 2, 1)
        named = "controls => controls.every(one => one.labels.length === 1)"
        assert window.page.locator("select").evaluate_all(named)

    def test_a_phone(self, opened, targets):
        for study, cells in targets.plan.studies.items():
            window = opened(window=375, study=study, cell=cells[-1].cell_id)
            width = "document.documentElement.scrollWidth"
            assert window.page.evaluate(width) == 375, study
            for summary in window.page.locator("summary").all():
                summary.click()
            assert window.page.evaluate(width) == 375, study


class TestParts:
    @pytest.mark.long
    def test_layers_of_cells_that_figures_ask_for(self, opened, targets):
        cell = targets.plan.studies["cnn_depth"][2].cell_id
        window = opened(cell=cell)
        with np.load(targets.evaluation(cell) / "layers.npz") as arrays:
            view = arrays["untrained_singular"][0].astype(float)
        window.choose("layers", "untrained_singular")
        shown = window.tiles("#views canvas")[..., 0].reshape(view.shape)
        np.testing.assert_array_equal(shown, np.rint(view * 255))

    def test_data_cannot_end_its_element(self):
        evil = "</script><script>alert(1)</script>{{ run }}"
        text = html("<run>", iter([("index", {"name": evil})]))
        assert evil not in text and "<run>" not in text
        (block,) = re.findall(r'<script type="application/json" id="index">(.*?)</script>', text)
        assert json.loads(block) == {"name": evil}

    def test_sprites_hold_every_pixel(self):
        images = np.random.default_rng(0).random((2, 3, 5, 5, 3))
        images[1, 0, 2, 2, 0] = np.nan
        made = sprite(images)
        assert made["broken"] == [3] and made["columns"] == 3 and made["size"] == 5
        sheet = np.asarray(Image.open(io.BytesIO(b64decode(made["png"]))))
        tile = sheet[5:10, 10:15]
        np.testing.assert_array_equal(tile, np.rint(images[1, 2] * 255))

    def test_a_thinned_curve_keeps_its_ends(self):
        steps = np.concatenate([np.arange(1000), np.arange(1000, 10_000, 10)])
        kept = steps[thinned(steps)]
        assert len(kept) <= POINTS
        assert kept[0] == 0 and kept[-1] == steps[-1]
        ratios = (kept[11:] + 1) / (kept[10:-1] + 1)
        assert ratios.max() < 1.25
        assert list(thinned(np.arange(5))) == [0, 1, 2, 3, 4]

    def test_values_of_axes_in_words(self):
        assert label({"name": "sgd", "lr": 0.0001}) == "sgd lr 0.0001"
        assert label([{"label": 7, "index": 3}, {"label": 0}]) == "7/3 + 0"
        assert label({"arch": "fcn", "depth": 2}) == "fcn depth 2"
        assert label({}) == "as in base"
        assert label({"net": {"bias": False}}) == "net bias false"
        alike = settings()
        alike["studies"]["wild"]["axes"] = {"optimizer.lr": [0.01, 0.01000000001]}
        assert study_axes(load(alike))["wild"][0].values == ("0.01 (1)", "0.01 (2)")


def test_only_what_changed_remakes_it_and_it_is_no_figure(tmp_path):
    run = settings()
    run["studies"] = {"wild": run["studies"]["wild"]}
    assert snakemake(tmp_path, run, "explorer").returncode == 0
    assert jobs(tmp_path, run, "explorer") == {}
    other = run | {"figures": {"colormap": "magma"}}
    assert jobs(tmp_path, other, "explorer") == {"explorer": 1}
    assert "explorer" not in jobs(tmp_path, run, "all_figures", "--forceall")

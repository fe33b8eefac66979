"""Real Snakemake runs of a tiny configuration, in a folder of their own."""

import base64
import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from documented_tables import assert_types_as_documented, documented, files
from PIL import Image
from snakemake_runs import (
    CLASSIFIER,
    REPOSITORY,
    command,
    counted,
    jobs,
    processes,
    snakemake,
    tiny,
)

from idpipe import costs
from idpipe.config import load
from idpipe.costs import devices
from idpipe.engine.checkpoints import SECONDS
from idpipe.figures import FIGURES
from idpipe.figures.paper import SHOWS, category, subcategory
from idpipe.workflow.session.worker import ADDRESS


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    """A folder, with a space in its name, in which every figure of `tiny()` was made."""
    folder = tmp_path_factory.mktemp("a run") / "my results"
    result = snakemake(folder, tiny(), "all_figures")
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


def test_every_figure_is_there(done):
    figures = done / "results/tiny/figures"
    studies = set(tiny()["studies"])
    names = [name for name, figure in FIGURES.items() if studies.issuperset(figure.studies)]
    assert {"fig02", "fig03", "fig05", "fig19", "fig24", "table1"} <= set(names)
    for name in names:
        assert (figures / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        with Image.open(figures / f"{name}.png") as picture:
            assert np.asarray(picture.convert("L")).std() > 1
    assert (figures / "table1.csv").is_file()
    assert (figures / "table1.md").is_file()
    assert (figures / "scorecard.html").is_file()


def test_the_tables_hold_every_cell(done):
    cells = pd.read_parquet(done / "results/tiny/tables/cells.parquet")
    assert len(cells) == 6 * 2
    assert {path.name for path in (done / "results/cells").iterdir()} == set(cells["cell_id"])


def test_the_tables_are_as_documented(done):
    for path, said in files(done):
        assert_types_as_documented(path, said)
    table1 = pd.read_csv(done / "results/tiny/figures/table1.csv")
    assert list(table1.columns) == list(documented("figures/table1.csv").index)


def in_the_worker(folder: Path) -> set[bool]:
    """Whether jobs ran in the worker, as their logs tell."""
    logs = list((folder / "results/logs").rglob("*.log"))
    assert len(logs) >= 3
    return {log.read_text().rstrip().endswith("in the worker") for log in logs}


def test_jobs_give_the_same_by_themselves_as_by_the_worker(done, tmp_path, monkeypatch):
    folder = shutil.copytree(done, tmp_path / "folder")
    shutil.rmtree(folder / "results/logs")
    (cell,) = folder.glob("results/cells/fcn-d02-h16-relu-*")
    shutil.rmtree(cell)
    monkeypatch.setenv(ADDRESS, "")
    (layers,) = done.glob(f"results/cells/{cell.name}/eval-*/layers.parquet")
    result = snakemake(folder, tiny(), "fig34", str(layers.relative_to(done)))
    assert counted(result) == {"train": 1, "evaluate": 1, "layers": 1, "fig34": 1}
    assert in_the_worker(done) == {True} and in_the_worker(folder) == {False}
    names = ["weights.safetensors", "history.parquet", "eval-*/*.parquet", "eval-*/*.npz"]
    files = [path for name in names for path in cell.glob(name)]
    assert len(files) == 2 + 4
    for path in [*files, folder / "results/tiny/figures/fig34.png"]:
        assert path.read_bytes() == (done / path.relative_to(folder)).read_bytes(), path


def test_a_log_ends_with_what_the_job_took(done):
    (log,) = (done / "results/logs/train").glob("cnn-d02*.log")
    took = r"took [\d.]+ s, [\d.]+ s of processor time, at most \d+ MiB, in the worker"
    assert re.fullmatch(took, log.read_text().splitlines()[-1])


class Interrupted(NamedTuple):
    """What there was to see of a run that got a Ctrl-C in its training."""

    said: str
    log: str
    worker_threads: list[str]


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory) -> Interrupted:
    """A run with a worker of its own."""
    folder = tmp_path_factory.mktemp("interrupted")
    settings = tiny(defaults={"replicates": 2, "max_steps": 10**6, "stop_mse": 0})
    how = command(folder, settings, "fig03", "--cores", "1")
    how["env"][SECONDS] = "0.2"
    process = subprocess.Popen(
        **how, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        while process.poll() is None and not list(folder.glob("results/checkpoints/*/state.*")):
            time.sleep(0.05)
        threads = threads_of_worker(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=30)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail("it left processes behind")
    (log,) = (folder / "results/logs/train").iterdir()
    return Interrupted(said, log.read_text(), threads)


def threads_of_worker(started_by: int) -> list[str]:
    """The names of the threads of the worker that a process has started."""
    (number,) = [
        n
        for n, by, line in processes()
        if by == started_by and "idpipe.workflow.session.worker" in line
    ]
    return [path.read_text() for path in Path(f"/proc/{number}/task").glob("*/comm")]


def test_ctrl_c_ends_a_run_after_its_training_is_saved(interrupted):
    assert "ended by SIGINT, saved at step" in interrupted.said
    assert "saved at step" in interrupted.log and "in the worker" in interrupted.log


def test_the_worker_of_a_run_forks_from_its_only_thread(interrupted):
    """With all that it has imported; Python 3.12 warns of a fork from one of several."""
    assert len(interrupted.worker_threads) == 1, interrupted.worker_threads
    assert "fork" not in interrupted.said


def told(page: str, name: str) -> dict:
    """What a report's page holds under a name."""
    script = rf'<script id="{name}">\s*var \w+ = (.*?);\s*</script>'
    return json.loads(re.search(script, page, re.S)[1])


def captions(page: str) -> dict[str, str]:
    """File name -> its caption as plain text, of a report."""
    return {
        Path(path).name: " ".join(html.unescape(re.sub("<[^>]+>", "", entry["caption"])).split())
        for path, entry in told(page, "results").items()
    }


@pytest.fixture(scope="module")
def page(done, tmp_path_factory) -> str:
    """The report of that folder."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    result = snakemake(done, tiny(), "all_figures", "--report", str(path))
    assert result.returncode == 0, result.stdout + result.stderr
    return path.read_text()


def test_the_report_has_every_figure_in_its_section(done, page):
    found = {Path(path): entry for path, entry in told(page, "results").items()}
    figures = {path.stem: entry for path, entry in found.items() if path.suffix == ".png"}
    drawn = {path.stem for path in (done / "results/tiny/figures").glob("*.png")}
    assert set(figures) == drawn - {"scorecard"} and len(drawn) > 20
    assert not any(path.suffix == ".pdf" for path in found)
    categories = told(page, "categories")
    assert min(categories) == "0 Scorecard"
    (scorecard,) = categories["0 Scorecard"]["Other"]
    assert scorecard == "results/tiny/figures/scorecard.html"
    for name, entry in figures.items():
        figure = FIGURES[name]
        assert entry["labels"] == {"figure": f"{name}: {figure.title}"}
        path = f"results/tiny/figures/{name}.png"
        assert path in categories[category(figure.section)][subcategory(figure.section) or "Other"]
        content = base64.b64decode(entry["data_uri"].partition("base64,")[2])
        assert content == (done / path).read_bytes()


def test_the_reports_captions_are_of_this_run(page):
    found = captions(page)
    for name in (name for name in FIGURES if f"{name}.png" in found):
        assert " ".join(SHOWS[name].split()) in found[f"{name}.png"], name
        assert "Out of date" not in found[f"{name}.png"]
    for part in (
        "3 instead of 128 channels",
        "50 instead of 2,000,000 steps",
        "2 times, with other",
    ):
        assert part in found["fig03.png"]
    assert "fcn_linear_depth: linear FCNs of 1 and 2 layers, 16 hidden units" in found["fig02.png"]
    ended = re.search(r"How it ended: (.*)\.", found["fig03.png"])[1]
    assert sum(map(int, re.findall(r"\d+", ended))) == 2 * 2


def test_the_report_has_run_times_and_provenance(done, page):
    ran = Counter(job["rule"] for job in told(page, "runtimes")["data"]["values"])
    assert ran["train"] == 6 and ran["fig03"] == 1
    entry = told(page, "results")["results/tiny/provenance.html"]
    text = base64.b64decode(entry["data_uri"].partition("base64,")[2]).decode()
    assert text == (done / "results/tiny/provenance.html").read_text()
    for part in ("run: tiny", f"<th>snakemake</th><td>{version('snakemake')}<", "max_steps: 50"):
        assert part in text
    assert told(page, "categories")["Provenance"] == {"Other": ["results/tiny/provenance.html"]}
    assert 'run <tt class=\\"docutils literal\\">tiny</tt>' in page


def test_the_report_needs_no_network(page):
    assert not re.search(r"<script[^>]+src=|<link[ >]|<iframe|@import", page)


def test_the_report_as_an_archive(done, tmp_path):
    result = snakemake(done, tiny(), "all_figures", "--report", str(tmp_path / "report.zip"))
    assert result.returncode == 0, result.stdout + result.stderr
    with zipfile.ZipFile(tmp_path / "report.zip") as archive:
        results = told(archive.read("report/report.html").decode(), "results")
        for path, entry in results.items():
            assert archive.read(f"report/{entry['data_uri']}") == (done / path).read_bytes()


def test_a_report_marks_figures_that_a_change_has_outdated(done, tmp_path):
    path, settings = tmp_path / "report.html", tiny(figures={"dpi": 90})
    before = contents(done)
    result = snakemake(done, settings, "all_figures", "--report", str(path))
    assert result.returncode == 0, result.stdout + result.stderr
    found = captions(path.read_text())
    assert all(text.startswith("Out of date") for name, text in found.items() if name[-3:] == "png")
    assert contents(done) == before


def contents(folder: Path) -> dict[Path, int]:
    """Date of every result."""
    return {path: path.stat().st_mtime_ns for path in (folder / "results").rglob("*.*")}


def test_a_second_run_has_nothing_to_do(done):
    result = snakemake(done, tiny(), "all_figures")
    assert "Nothing to be done" in result.stdout + result.stderr


def test_one_depth_changed_trains_one_cell(done):
    settings = tiny()
    settings["studies"]["cnn_depth"]["axes"]["net.depth"] = [1, 3]
    found = jobs(done, settings, "all_figures")
    assert (found["train"], found["evaluate"], found["collect"]) == (1, 1, 1)
    assert (found["layers"], found["classifier"]) == (1, 2)
    assert found["prepare"] == found["probes"] == 0


def test_a_study_left_out_leaves_out_its_figures(tmp_path):
    settings = tiny()
    del settings["studies"]["cnn_depth"]
    found = jobs(tmp_path, settings, "all_figures")
    assert found["fig02"] == found["table1"] == 1
    assert found["fig03"] == found["fig04"] == 0
    found = jobs(tmp_path, tiny(probes={"rho": [0], "n_per_rho": 1}), "all_figures")
    assert (found["fig03"], found["fig06"]) == (1, 0)
    result = snakemake(tmp_path, settings, "fig03", "--dry-run")
    assert result.returncode != 0
    assert "fig03 needs studies.cnn_depth" in result.stdout + result.stderr


def test_a_study_a_figure_has_no_place_for_is_refused_before_any_job(tmp_path):
    settings = tiny()
    settings["studies"]["cnn_depth"]["axes"]["net.kernel"] = [3, 5]
    message = (
        " cannot be drawn: studies.cnn_depth: depth 1 has 2 cells (",
        "They differ in studies.cnn_depth.axes.net.kernel",
    )
    for target in ("fig04", "all_figures"):
        result = snakemake(tmp_path, settings, target)
        said = result.stdout + result.stderr
        assert result.returncode != 0
        assert "fig04" in said and all(said.count(part) == 1 for part in message)
        assert not (tmp_path / "results").exists()
    assert jobs(tmp_path, settings, "fig02")["fig02"] == 1


def test_a_figure_trains_the_cells_of_its_studies_alone(tmp_path):
    found = jobs(tmp_path, tiny(), "fig03")
    assert (found["train"], found["evaluate"], found["fig03"]) == (2, 2, 1)
    assert found["collect"] == found["fig02"] == found["layers"] == found["classifier"] == 0


def test_figures_of_layers_look_at_the_cells_they_show(tmp_path):
    found = jobs(tmp_path, tiny(), "fig05")
    assert (found["train"], found["classifier"], found["layers"]) == (2, 3, 0)
    found = jobs(tmp_path, tiny(), "fig19")
    assert (found["train"], found["classifier"], found["layers"]) == (6, 0, 6)


def test_a_figure_of_weights_declares_them(tmp_path):
    settings = tiny()
    net = {"arch": "cnn", "depth": 1, "kernel": 3, "bias": False}
    settings["studies"]["theorem2"] = {"base": {"net": net, "data": {"size": 8}}}
    result = snakemake(tmp_path, settings, "theorem2")
    assert result.returncode == 0, result.stdout + result.stderr
    assert (tmp_path / "results/tiny/figures/theorem2.png").is_file()
    told = snakemake(tmp_path, settings, "theorem2", "--detailed-summary").stdout
    (row,) = [row for row in told.splitlines() if "theorem2.png" in row]
    assert "weights.safetensors" in row


def test_another_rho_grid_trains_nothing(done):
    settings = tiny(probes={**CLASSIFIER, "rho": [0, 0.5, 1], "n_per_rho": 2})
    found = jobs(done, settings, "all_figures")
    assert (found["train"], found["evaluate"], found["probes"]) == (0, 6, 1)


def test_another_style_only_draws(done):
    found = jobs(done, tiny(figures={"dpi": 90}), "all_figures")
    assert found["fig04"] == found["fig03"] == 1
    assert found["train"] == found["evaluate"] == found["collect"] == 0


def test_another_training_image_prepares_nothing(done):
    settings = tiny()
    settings["defaults"]["data"] = {"examples": [{"label": 3}]}
    found = jobs(done, settings, "all_figures")
    assert (found["train"], found["prepare"]) == (6, 0)


def test_a_bad_configuration_is_refused_in_one_message_before_any_job(tmp_path):
    settings = tiny()
    settings["studies"]["cnn_depth"]["base"]["net"]["kernle"] = 5
    result = snakemake(tmp_path, settings, "all_figures")
    said = result.stdout + result.stderr
    assert result.returncode != 0
    assert "studies.cnn_depth.base.net.kernle = 5: unknown key; did you mean kernel?" in said
    assert said.count("kernle") == 1
    assert "Traceback" not in said
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("run: tiny\nstudies: [a\n", "line 3, column 1: expected ',' or ']'"),
        ("run:\n\tname: x\n", "line 2, column 1: found a tab, which cannot start any token"),
    ],
)
def test_a_file_that_is_no_yaml_is_named_with_the_line(tmp_path, text, problem):
    (tmp_path / "config.yaml").write_text(text)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    command += ["--directory", str(tmp_path), "--cores", "1", "--dry-run", "table1"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    said = result.stdout + result.stderr
    assert result.returncode != 0
    assert f"config.yaml: must be YAML: {problem}" in said
    assert "Traceback" not in said


def test_two_studies_of_one_name_are_refused(tmp_path):
    (tmp_path / "twice.yaml").write_text("studies:\n  one: {base: {}}\n  one: {base: {}}\n")
    result = snakemake(
        tmp_path, tiny(), "all_figures", "--configfile", str(tmp_path / "twice.yaml")
    )
    said = result.stdout + result.stderr
    assert result.returncode != 0
    assert "studies.one: given twice" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("on_command_line", [False, True])
def test_a_data_set_that_cannot_be_had_says_what_to_do(tmp_path, on_command_line):
    data = {"source": "mnist", "root": "nowhere", "download": False}
    if on_command_line:
        text = "data={source: mnist, root: nowhere, download: false}"
        result = snakemake(tmp_path, tiny(), "all_figures", "--config", text)
    else:
        result = snakemake(tmp_path, tiny(data=data), "all_figures")
    said = result.stdout + result.stderr
    assert result.returncode != 0
    for word in ("data.root", "nowhere", "IDPIPE_DATA", "digits"):
        assert word in said
    assert "Traceback" not in said


def test_ones_own_image(tmp_path):
    pictures = tmp_path / "my pictures"
    pictures.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(pictures / "cat.png")
    settings = tiny(data={"source": "image_folder", "folder": "my pictures"})
    result = snakemake(tmp_path, settings, "fig03")
    assert result.returncode == 0, result.stdout + result.stderr
    assert (tmp_path / "results/tiny/figures/fig03.png").is_file()
    # Another picture is another problem.
    Image.fromarray(255 - pixels).save(pictures / "cat.png")
    assert jobs(tmp_path, settings, "fig03")["train"] == 2


RESOURCES = """
import json, sys
from pathlib import Path
from snakemake.api import OutputSettings, ResourceSettings, SnakemakeApi
from snakemake.settings.enums import Quietness

with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
    run = api.workflow(ResourceSettings(cores=2), snakefile=Path(sys.argv[1]))
    run.dag().execute_workflow(executor="dryrun")
    found = []
    for job in run._workflow.dag.jobs:
        for attempt in (1, 3):
            job.attempt = attempt
            job.reset_params_and_resources()
            asked = {name: job.resources.get(name) for name in ("runtime", "mem_mb", "vram_mb")}
            found.append([job.rule.name, job.wildcards_dict.get("cell"), attempt, asked])
assert "torch" not in sys.modules
print(json.dumps(found))
"""


def resources(folder: Path, settings: dict, **environment: str) -> dict[tuple, dict[str, int]]:
    """(rule, cell, attempt) -> what Snakemake would ask for, of a dry run of all figures."""
    how = command(folder, settings)
    line = [sys.executable, "-c", RESOURCES, str(REPOSITORY / "Snakefile")]
    how |= {"args": line, "cwd": folder, "env": {**how["env"], **environment}}
    done = subprocess.run(**how, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    return {(rule, cell, attempt): asked for rule, cell, attempt, asked in found}


def test_jobs_ask_for_what_the_cost_model_says_times_the_attempt(tmp_path):
    settings = tiny(defaults={"replicates": 2, "max_steps": 2_000_000, "stop_mse": 0})
    cells = load(settings).cells
    here = devices.uncalibrated().prices
    found = resources(tmp_path, settings, XDG_CACHE_HOME=str(tmp_path / "nothing"))
    for cell_id, cell in cells.items():
        once, thrice = (found["train", cell_id, attempt] for attempt in (1, 3))
        assert once == {
            "runtime": costs.training_minutes(cell, here),
            "mem_mb": costs.memory_mib(cell),
            "vram_mb": costs.vram_mib(cell),
        }
        assert thrice == {name: 3 * value for name, value in once.items()}
        for rule in ("evaluate", "layers"):
            once, thrice = (found[rule, cell_id, attempt]["runtime"] for attempt in (1, 3))
            assert thrice == 3 * once >= 3 * costs.SHORTEST_MINUTES
    assert len({found["train", cell_id, 1]["runtime"] for cell_id in cells}) > 2
    assert all(asked["runtime"] for (rule, _, _), asked in found.items() if rule != "all_figures")
    assert not (tmp_path / "nothing/idpipe").exists()


def test_jobs_ask_for_the_time_of_the_device_that_is_named(tmp_path):
    settings = tiny(defaults={"replicates": 2, "max_steps": 2_000_000, "stop_mse": 0})
    found = resources(tmp_path, settings, IDPIPE_DEVICE="h100")
    for cell_id, cell in load(settings).cells.items():
        expected = costs.training_minutes(cell, devices.from_sheet("h100").prices)
        assert found["train", cell_id, 1]["runtime"] == expected
    how = command(tmp_path, settings, "--dry-run")
    how["env"]["IDPIPE_DEVICE"] = "h999"
    refused = subprocess.run(**how, capture_output=True, check=False)
    assert refused.returncode != 0
    assert "IDPIPE_DEVICE" in refused.stderr and "h100" in refused.stderr
    assert "Traceback" not in refused.stderr

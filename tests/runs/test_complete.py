"""A run that ends well has made all that was asked for."""

import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from snakemake_runs import REPOSITORY, command, counted, jobs, snakemake, tiny

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    """A folder with a figure of the tiny configuration, its cells and their tables."""
    folder = tmp_path_factory.mktemp("done") / "run"
    result = snakemake(folder, tiny(), "all_figures")
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


@pytest.fixture
def folder(done, tmp_path) -> Path:
    shutil.copytree(done, tmp_path / "run")
    return tmp_path / "run"


def cells(folder: Path) -> set[str]:
    return {path.parent.name for path in folder.glob("results/cells/*/status.json")}


def assert_done(folder: Path, settings: dict, *arguments: str) -> None:
    """The run does what is due, and then nothing is."""
    counted(snakemake(folder, settings, "all_figures", *arguments))
    assert jobs(folder, settings, "all_figures", *arguments) == Counter()


def test_more_replicates_are_trained_by_the_first_call(folder):
    before = cells(folder)
    more = ["--config", "defaults={replicates: 3}"]
    planned = jobs(folder, tiny(), "all_figures", *more)
    assert planned["train"] == planned["evaluate"] == 6
    assert planned["probes"] == 0
    assert_done(folder, tiny(), *more)
    assert len(cells(folder) - before) == 6


def test_a_forced_rule_hides_nothing(folder):
    lost = sorted(cells(folder))[0]
    shutil.rmtree(folder / "results/cells" / lost)
    for path in (folder / "results/tiny/figures").glob("fig0*"):
        path.unlink()
    forced = ["--forcerun", "prepare", "probes"]
    planned = jobs(folder, tiny(), "all_figures", *forced)
    assert planned["train"] == planned["evaluate"] == 1
    assert planned["prepare"] == 2 and planned["probes"] == 1 and planned["fig03"] == 1
    counted(snakemake(folder, tiny(), "all_figures", *forced))
    assert lost in cells(folder)
    assert jobs(folder, tiny(), "all_figures") == Counter()


def test_one_killed_while_it_prepares_images_is_gone_on_with(tmp_path):
    for attempt in range(6):
        folder = tmp_path / f"{attempt}"
        how = command(folder, tiny(), "all_figures")
        process = subprocess.Popen(**how, start_new_session=True, stderr=subprocess.DEVNULL)
        source = folder / "results/data/digits"
        while process.poll() is None and not (source / "test.npz").exists():
            time.sleep(0.001)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if not (source / "info.json").exists():
            break
    assert (source / "test.npz").exists()
    assert_done(folder, tiny())
    assert len(cells(folder)) == 6


def test_what_snakemake_leaves_out_is_no_success(folder, tmp_path):
    """Where its plan is left as it is, the run is held to what it was asked for."""
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(REPOSITORY / name, tmp_path)
    for name in ("workflow", "profiles"):
        shutil.copytree(REPOSITORY / name, tmp_path / name)
    rules = tmp_path / "workflow/rules/common.smk"
    assert rules.read_text().count("plan.reveal()") == 1
    rules.write_text(rules.read_text().replace("plan.reveal()", ""))
    how = command(folder, tiny(figures={"dpi": 61}), "all_figures", "--forcerun", "prepare")
    how["args"][how["args"].index("--snakefile") + 1] = str(tmp_path / "Snakefile")
    result = subprocess.run(**how, capture_output=True, check=False)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "fig04.png: is of another configuration" in result.stderr


@pytest.mark.parametrize("part", [["--until", "train"], ["--omit-from", "evaluate"]])
def test_a_part_of_a_run_is_held_to_that_part(tmp_path, part):
    result = snakemake(tmp_path, tiny(), "all_figures", *part)
    assert result.returncode == 0, result.stdout + result.stderr
    assert len(cells(tmp_path)) == 6
    assert not (tmp_path / "results/tiny/tables/cells.parquet").exists()


def test_touch_tells_of_no_figure(tmp_path):
    result = snakemake(tmp_path, tiny(), "--touch", "all_figures")
    assert "drawn" not in result.stdout + result.stderr
    assert "goes on" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("run", "results"),
    [("2024", "2024"), ("on", "a: b"), ("2026-11-28", "#1"), ("null", "trail "), ("1e3", "[x]")],
)
def test_a_name_that_yaml_would_take_for_something_else_is_a_name(tmp_path, run, results):
    study = {"fcn_residual": {"base": {"net": {"arch": "fcn", "width": 784, "residual": True}}}}
    study["fcn_residual"]["axes"] = {"net.depth": [2]}
    settings = tiny(run=run, results=results, studies=study)
    settings["defaults"]["max_steps"] = 1
    pages = [f"{results}/{run}/{page}" for page in ("provenance.html", "explorer.html")]
    result = snakemake(tmp_path, settings, *pages)
    assert result.returncode == 0, result.stdout + result.stderr
    assert all((tmp_path / page).is_file() for page in pages)


def test_figures_are_drawn_whatever_backend_a_notebook_has_named(tmp_path):
    how = command(tmp_path / "run", tiny(), "fig03", "fig04")
    how["env"]["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    result = subprocess.run(**how, capture_output=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (tmp_path / "run/results/tiny/figures/fig04.png").is_file()

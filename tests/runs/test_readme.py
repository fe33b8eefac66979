"""Every command of README.md and docs/running.md, run; what trains for minutes is planned only."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from snakemake_runs import REPOSITORY, snakemake, tiny, warmly

from idpipe.config import load, read
from idpipe.figures import FIGURES
from idpipe.workflow.session.overview import Overview

README = (REPOSITORY / "README.md").read_text()
TEXT = README + (REPOSITORY / "docs/running.md").read_text()
RUN = re.compile(r"(make|snakemake|idpipe) \S")


def commands(text: str) -> list[str]:
    return [part.split("  #")[0].strip() for line in text.splitlines() for part in line.split("&&")]


LINES = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.S) for line in commands(block)]
COMMANDS = sorted({c for c in [*LINES, *re.findall(r"`([^`\n]+)`", TEXT)] if RUN.match(c)})
BY_HAND = {
    "git clone URL idpipe",
    "cd idpipe",
    ". .venv/bin/activate",
    "$EDITOR profiles/slurm/profile.yaml",
    "export IDPIPE_DEVICE=a100",
    "mkdir my_images",
    "cp your_image.png my_images/",
}
"""What these tests do in their own way, or a reader alone can do."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A checkout with an image of the user's own."""
    path = tmp_path_factory.mktemp("readme")
    for name in ("Snakefile", "workflow", "config.yaml", "config", "profiles"):
        (path / name).symlink_to(REPOSITORY / name)
    pixels = np.random.default_rng(0).integers(0, 255, (30, 30, 3), dtype=np.uint8)
    (path / "my_images").mkdir()
    Image.fromarray(pixels).save(path / "my_images" / "one.png")
    return path


def surroundings(folder: Path) -> dict:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    return {"cwd": folder, "text": True, "env": environment}


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, **surroundings(folder), capture_output=True, check=False)


def test_the_readme_has_the_commands_we_look_for():
    assert {"make figures", "make test"} <= set(COMMANDS)
    assert len(COMMANDS) >= 10 and REPORTS
    assert {line for line in LINES if not RUN.match(line)} == BY_HAND


def test_what_make_figures_is_said_to_print():
    overview = Overview({}, [], lambda key: True, list)
    said = overview.summary(Path("results/laptop"), Path("results/cells")).splitlines()[0]
    plan = load(read([str(REPOSITORY / "config.yaml")], []))
    cells, figures = len(plan.cells), len({*FIGURES, "scorecard"})
    (line,) = re.findall(r"^In … min: .*$", README, re.M)
    assert re.sub(r"\d+", "0", line) == re.sub("^In [^:]*", "In … min", said)
    assert [int(n) for n in re.findall(r"\d+", line)] == [cells, 0, cells, 0, figures, 0]


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_make(command):
    result = run([*shlex.split(command), "--dry-run"], REPOSITORY)
    assert result.returncode == 0, result.stderr


RUNS = [c for c in COMMANDS if c.startswith("snakemake ") and "--report" not in c]
REPORTS = [c for c in COMMANDS if c.startswith("snakemake ") and "--report" in c]


@pytest.mark.parametrize("command", RUNS)
def test_snakemake_plans_it(command, folder):
    line = [sys.executable, "-m", *shlex.split(command), "--dry-run"]
    result = warmly(line, **surroundings(folder))
    assert result.returncode == 0, result.stdout + result.stderr
    rule = "prepare" if "--until prepare" in command else "train"
    assert re.search(rf"^{rule} +[1-9]", result.stdout, re.M)


@pytest.mark.parametrize("command", REPORTS)
def test_snakemake_reports_what_was_run(command, tmp_path):
    settings = tiny()
    settings["studies"] = {"fcn_relu_depth": settings["studies"]["fcn_relu_depth"]}
    for name in ("Snakefile", "workflow", "profiles"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    assert snakemake(tmp_path, settings, "all_figures").returncode == 0
    result = run(shlex.split(command), tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "fig34: MSE of ReLU FCNs" in (tmp_path / "results/report.html").read_text()


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("idpipe ")])
def test_command_line_runs_it(command, tmp_path):
    # A small plan of its own, but for those that only look at ours.
    if " plan" in command or " doctor" in command:
        (tmp_path / "config.yaml").symlink_to(REPOSITORY / "config.yaml")
        for name in ("Snakefile", "workflow", "config", "profiles"):
            (tmp_path / name).symlink_to(REPOSITORY / name)
    else:
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(tiny()))
    result = run(shlex.split(command), tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout
    if " train " in command:
        assert len(list((tmp_path / "results/cells").glob("cnn-*/eval-*/metrics.parquet"))) == 2
    if " init " in command:
        assert (tmp_path / command.split()[-1] / "Snakefile").is_file()

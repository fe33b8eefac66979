"""Every command that README.md gives, run; what would train for minutes is planned only."""

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
from test_workflow import REPOSITORY, tiny

README = (REPOSITORY / "README.md").read_text()
COMMANDS = sorted(
    {
        line.split("  #")[0].strip()
        for text in re.findall(r"```sh\n(.*?)```|`([^`\n]+)`", README, re.S)
        for line in "".join(text).splitlines()
        if re.match(r"(make|snakemake|python) \S", line)
    }
)


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


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=environment, check=False
    )


def test_the_readme_has_the_commands_we_look_for():
    assert {"make figures", "make test"} <= set(COMMANDS)
    assert len(COMMANDS) >= 10 and REPORTS


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_make(command):
    result = run([*shlex.split(command), "--dry-run"], REPOSITORY)
    assert result.returncode == 0, result.stderr


RUNS = [c for c in COMMANDS if c.startswith("snakemake ") and "--report" not in c]
REPORTS = [c for c in COMMANDS if c.startswith("snakemake ") and "--report" in c]


@pytest.mark.parametrize("command", RUNS)
def test_snakemake_plans_it(command, folder):
    result = run([*shlex.split(command), "--dry-run"], folder)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"^train +[1-9]", result.stdout, re.M)


@pytest.mark.parametrize("command", REPORTS)
def test_snakemake_reports_what_was_run(command, tmp_path):
    settings = tiny()
    settings["studies"] = {"fcn_relu_depth": settings["studies"]["fcn_relu_depth"]}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    for name in ("Snakefile", "workflow", "profiles"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    for line in ("snakemake --cores 2 all_figures", command):
        result = run(shlex.split(line), tmp_path)
        assert result.returncode == 0, result.stdout + result.stderr
    assert "fig34: MSE of ReLU FCNs" in (tmp_path / "results/report.html").read_text()


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("python ")])
def test_command_line_runs_it(command, tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tiny()))
    result = run(shlex.split(command), tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout
    if " train " in command:
        assert len(list((tmp_path / "results/cells").glob("cnn-*/eval-*/metrics.parquet"))) == 2

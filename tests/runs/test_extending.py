"""docs/extending.md, followed to the letter in a copy of the repository."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

REPOSITORY = Path(__file__).parents[2]
GUIDE = (REPOSITORY / "docs/extending.md").read_text()
INSERT = re.compile(r"In `([^`]+)`, (above|below) `([^`]+)`:\n\n```python\n(.*?)```", re.S)
REPLACE = re.compile(r"In `([^`]+)`, replace `([^`]+)` by `([^`]+)`\.")
CREATE = re.compile(r"Create `([^`]+)`:\n\n```\w+\n(.*?)```", re.S)


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> Path:
    """The copy, with every edit of the guide made."""
    copy = tmp_path_factory.mktemp("extended")
    for name in ("src", "workflow", "config", "profiles"):
        shutil.copytree(REPOSITORY / name, copy / name)
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(REPOSITORY / name, copy / name)
    shutil.copytree(REPOSITORY / "docs", copy / "docs", ignore=shutil.ignore_patterns("images"))
    for name, where, anchor, code in INSERT.findall(GUIDE):
        lines = (copy / name).read_text().splitlines(keepends=True)
        (place,) = [n for n, line in enumerate(lines) if line.startswith(anchor)]
        lines.insert(place + (where == "below"), code)
        (copy / name).write_text("".join(lines))
    for name, old, new in REPLACE.findall(GUIDE):
        text = (copy / name).read_text()
        assert text.count(old) == 1, (name, old)
        (copy / name).write_text(text.replace(old, new))
    for name, content in CREATE.findall(GUIDE):
        (copy / name).write_text(content)
    return copy


def run(copy: Path, *command: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(copy / "src")}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    result = subprocess.run(
        command, cwd=copy, capture_output=True, text=True, env=environment, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_guide_has_an_edit_for_each_part():
    assert len(INSERT.findall(GUIDE)) >= 10
    assert len(REPLACE.findall(GUIDE)) == 3
    assert len(CREATE.findall(GUIDE)) == 3


def test_what_the_guide_adds_trains_and_draws(extended):
    run(
        extended,
        *["snakemake", "--cores", "2", "attention", "fig32"],
        *["--configfile", "config/mine.yaml"],
    )
    for name in ("attention", "fig32"):
        (extended / f"results/mine/figures/{name}.png").stat()
    run(
        extended,
        *["snakemake", "attention", "--report", "results/report.html"],
        *["--configfile", "config/mine.yaml"],
    )
    report = (extended / "results/report.html").read_text()
    for part in ("Other figures", "attention networks of 1, 2 and 4 layers", "no such study"):
        assert part in report
    metrics = pd.concat(
        pd.read_parquet(path) for path in extended.glob("results/cells/*/eval-*/metrics.parquet")
    )
    ids = metrics["cell_id"].drop_duplicates()
    assert ids.str.match(r"attention-d0[124]-q16-lecun_normal-adamw-").sum() == 3
    assert ids.str.match(r"cnn-d02-c8-k5-default-(sgd|adamw)-").sum() == 2
    assert "diagonal" in set(metrics["probe"])
    told = [json.loads(path.read_text()) for path in extended.glob("results/cells/*/status.json")]
    ended = [one["status"] for cell in told for one in cell["replicates"]]
    assert len(told) == 5 and ended.count("converged") >= 9


def test_the_generated_documents_know_it(extended):
    run(extended, sys.executable, "docs/pages.py")
    assert "adamw" in (extended / "config/README.md").read_text()


def test_it_is_clean_code(extended):
    shutil.copy(REPOSITORY / "pyproject.toml", extended)
    run(extended, "ruff", "check", "src")
    run(extended, "ruff", "format", "--check", "src")

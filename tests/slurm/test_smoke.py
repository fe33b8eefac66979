"""The smoke preset through the SLURM profile, and the SLURM that conftest.py starts.

Always one figure for each kind of what figures read, which passes through every rule. With
`IDPIPE_SLURM_WHOLE=1` the whole preset runs too, 190 jobs.
"""

import os
import re
from collections import Counter
from pathlib import Path

import pytest
from slurm_runs import Run
from snakemake_runs import REPOSITORY

from idpipe.config import load, read
from idpipe.figures import FIGURES
from idpipe.workflow.targets import Targets

pytestmark = pytest.mark.long

WHOLE = "IDPIPE_SLURM_WHOLE"
SECONDS = 2400


@pytest.fixture
def preset() -> dict:
    """Settings of the smoke preset."""
    return read([REPOSITORY / "config.yaml", REPOSITORY / "config/smoke.yaml"])


def completed(folder: Path, settings: dict, *asked: str) -> Run:
    """A run that ended well: each cell trained once, with one GPU, and no other job had one."""
    run = Run(folder, settings)
    run.start(*asked)
    try:
        assert run.end(SECONDS) == 0, run.said.read_text()[-6000:]
    finally:
        run.kill()
    trained = run.jobs("train")
    cells = [f"rule_train_wildcards_{cell}" for cell in load(settings).cells]
    assert sorted(job["Comment"] for job in trained) == sorted(cells)
    for job in run.jobs():
        assert job["JobState"] == "COMPLETED"
        wanted = ("gres:gpu:1", "gpu") if job in trained else (None, "cpu")
        assert (job.get("TresPerJob"), job["Partition"]) == wanted, job
    return run


def pictures(run: Run) -> Counter[str]:
    """How many files of each kind of picture there are, none of them empty."""
    files = (run.folder / "results/smoke/figures").iterdir()
    return Counter(file.suffix for file in files if file.stat().st_size)


def test_every_rule_and_one_figure_of_every_kind_of_input(preset, tmp_path):
    kinds = {
        (figure.images, figure.analyses, figure.deepest, figure.suffixes, figure.weights): name
        for name, figure in reversed(FIGURES.items())
    }
    shown = {study for name in kinds.values() for study in FIGURES[name].studies}
    preset["studies"] = {
        name: {**study, "axes": {key: values[-1:] for key, values in study["axes"].items()}}
        for name, study in preset["studies"].items()
        if name in shown
    }
    products = ["figures/scorecard.png", "provenance.html", "explorer.html"]
    run = completed(
        tmp_path / "run", preset, *kinds.values(), *[f"results/smoke/{file}" for file in products]
    )
    rules = {re.match(r"rule_([a-z0-9]+)", job["Comment"])[1] for job in run.jobs()}
    written = "".join(file.read_text() for file in (REPOSITORY / "workflow/rules").glob("*.smk"))
    assert rules == {*re.findall(r"^rule (\w+):", written, re.M), *kinds.values()}
    both = sum("png" in FIGURES[name].suffixes for name in kinds.values()) + 1
    assert (pictures(run)[".png"], pictures(run)[".pdf"]) == (both, both)


@pytest.mark.skipif(
    WHOLE not in os.environ, reason=f"takes a quarter of an hour: {WHOLE}=1 runs it"
)
def test_the_whole_preset(preset, tmp_path):
    targets = Targets(load(preset))
    promised = Counter(
        file.suffix
        for name in FIGURES
        if not targets.lacking(name)
        for file in targets.figure_files(name)
    )
    run = completed(tmp_path / "run", preset, "all_figures")
    both = promised[".png"] + 1
    assert promised[".png"] == promised[".pdf"] > 40
    assert (pictures(run)[".png"], pictures(run)[".pdf"]) == (both, both)

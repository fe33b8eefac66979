"""The SLURM profile against a real SLURM with two fake GPUs, which cluster.sh starts.

Real jobs are run, cancelled, orphaned and stopped by their time limit.
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator

import pytest
import yaml
from slurm_runs import ALIVE, PROFILE, SNAKEMAKE, Run, until
from snakemake_runs import tiny

from idpipe import store
from idpipe.workflow import jobs
from idpipe.workflow.session import slurm

pytestmark = pytest.mark.long

BROKEN_SQUEUE = """#!/bin/sh
if [ -e "{flag}" ]; then
    echo "slurm_load_jobs error: Unable to contact slurm controller" >&2
    exit 1
fi
exec {squeue} "$@"
"""


def one_cell(steps: int) -> dict:
    """Settings of one cell that trains for so many steps."""
    cnn = {"base": {"net": {"arch": "cnn", "width": 3}}, "axes": {"net.depth": [2]}}
    return tiny(
        defaults={"replicates": 2, "max_steps": steps, "stop_mse": 0}, studies={"cnn_depth": cnn}
    )


# Started first, and looked at last: most of the time they wait for Snakemake to ask SLURM.


@pytest.fixture(scope="module", autouse=True)
def drawn(cluster, tmp_path_factory) -> Iterator[Run]:
    """A run of two cells from nothing to two figures."""
    settings = tiny(studies={"cnn_depth": tiny()["studies"]["cnn_depth"]})
    run = Run(tmp_path_factory.mktemp("drawn"), settings)
    run.start("fig03", "fig04")
    yield run
    run.kill()


@pytest.fixture(scope="module", autouse=True)
def limited(cluster, drawn, digits, tmp_path_factory) -> Iterator[Run]:
    """A run whose training hits a time limit of a minute."""
    folder = tmp_path_factory.mktemp("limited")
    profile = yaml.safe_load((PROFILE / "profile.yaml").read_text())
    train = profile["set-resources"]["train"]
    assert "--signal=USR1@120" in train["slurm_extra"]
    train["slurm_extra"] = train["slurm_extra"].replace("120", "25")
    train["runtime"] = 1
    (folder / "profile.yaml").write_text(yaml.safe_dump(profile))
    run = Run(folder, one_cell(10**6), digits)
    run.start(str(run.result), profile=folder)
    yield run
    run.kill()


@pytest.fixture(scope="module")
def steps(limited) -> int:
    """Steps that take about 50 seconds here and now, or a quarter of it on a machine left alone."""
    rate = re.search(r"([\d,]+) steps/s", limited.log(limited.training()))
    return 50 * int(rate[1].replace(",", ""))


@pytest.fixture(scope="module", autouse=True)
def cancelled(cluster, limited, digits, steps, tmp_path_factory) -> Iterator[Run]:
    """A run whose training was cancelled."""
    run = Run(tmp_path_factory.mktemp("cancelled"), one_cell(steps), digits)
    run.start(str(run.result))
    subprocess.run(["scancel", run.training()], check=True)
    yield run
    run.kill()


@pytest.fixture
def run(digits, steps, tmp_path) -> Iterator[Run]:
    """One cell that trains for about 50 seconds."""
    made = Run(tmp_path / "run", one_cell(steps), digits)
    yield made
    made.kill()


def is_one_good_result(run: Run) -> bool:
    """The cell is stored as if it had been trained without interruption; nothing else is left."""
    (folder,) = (run.folder / "results/cells").iterdir()
    told = store.read_json(folder / "status.json")["replicates"]
    finite = all(value.isfinite().all() for value in jobs.read_params(folder).values())
    whole = [one["steps"] for one in told] == [store.read_cell(folder).max_steps] * 2
    return finite and whole and not (run.folder / "results/checkpoints" / run.cell).exists()


def logged(run: Run) -> str:
    """The log of the training that ended the cell; SLURM's own is deleted on success."""
    return (run.folder / f"results/logs/train/{run.cell}.log").read_text()


def test_snakemake_killed_and_started_again_while_its_job_still_runs(run):
    run.start(str(run.result))
    first = run.training()
    os.killpg(run.process.pid, signal.SIGKILL)
    run.process.wait()
    assert run.jobs("train")[0]["JobState"] == "RUNNING"
    subprocess.run([*SNAKEMAKE, "--unlock"], cwd=run.folder, check=True, capture_output=True)
    run.start(str(run.result))
    assert run.end() == 0, run.said.read_text()
    assert f"Cancelled jobs of an earlier Snakemake: {first}" in run.said.read_text()
    assert [job["JobState"] for job in run.jobs("train")] == ["CANCELLED", "COMPLETED"]
    assert "goes on from step" in logged(run)
    assert is_one_good_result(run)


def test_a_queue_that_no_longer_answers_ends_snakemake_and_not_its_jobs(run, tmp_path):
    programs, flag = tmp_path / "programs", tmp_path / "no answer"
    programs.mkdir()
    squeue = programs / "squeue"
    squeue.write_text(BROKEN_SQUEUE.format(flag=flag, squeue=shutil.which("squeue")))
    squeue.chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    attempts = ["--slurm-status-attempts", "20"]
    run.start(str(run.result), *attempts, PATH=path, **{slurm.PATIENCE: "8"})
    run.training()
    flag.touch()
    assert run.end(60) == 1
    said = run.said.read_text()
    assert "SLURM has not answered for 8 s (squeue: slurm_load_jobs error" in said
    assert "Traceback" not in said
    assert run.jobs("train")[0]["JobState"] in ("RUNNING", "COMPLETED")
    flag.unlink()
    run.start(str(run.result), PATH=path)
    assert run.end() == 0, run.said.read_text()
    assert is_one_good_result(run)


def test_a_cancelled_job_is_submitted_again_and_goes_on(cancelled):
    assert cancelled.end() == 0, cancelled.said.read_text()
    assert [job["JobState"] for job in cancelled.jobs("train")] == ["CANCELLED", "COMPLETED"]
    assert "goes on from step" in logged(cancelled)
    assert is_one_good_result(cancelled)


def test_a_job_at_its_time_limit_is_submitted_again_and_goes_on(limited):
    def later() -> str:
        return "".join(limited.log(job["JobId"]) for job in limited.jobs("train")[1:])

    until(lambda: "goes on from step" in later(), 120, limited.said)
    limited.process.send_signal(signal.SIGINT)
    limited.end(60)
    first = limited.jobs("train")[0]
    assert (first["JobState"], first["TimeLimit"]) == ("FAILED", "00:01:00")
    saved = re.search(r"ended by SIGUSR1, saved at step ([\d,]+)", limited.log(first["JobId"]))
    assert saved
    assert f"goes on from step {saved[1]} " in later()
    assert not [job for job in limited.jobs() if job["JobState"] in ALIVE]


def test_figures_come_out_and_training_alone_asks_for_a_gpu(drawn):
    assert drawn.end() == 0, drawn.said.read_text()
    assert (drawn.folder / "results/tiny/figures/fig03.png").is_file()
    trained = drawn.jobs("train")
    assert len(trained) == 2
    for job in trained:
        assert (job["TresPerJob"], job["Partition"]) == ("gres:gpu:1", "gpu")
    others = [job for job in drawn.jobs() if job not in trained]
    assert len(others) == 7
    for job in others:
        assert "TresPerJob" not in job and job["Partition"] == "cpu"
    assert {job["TimeLimit"] for job in trained} == {"00:10:00"}
    assert {job["JobState"] for job in drawn.jobs()} == {"COMPLETED"}

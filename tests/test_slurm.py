"""The SLURM profile against a real SLURM with two fake GPUs, which tests/slurm/cluster.sh starts.

Real jobs are run, cancelled, orphaned and stopped by their time limit.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from test_workflow import REPOSITORY, tiny

from idpipe import jobs, slurm, store
from idpipe.config import load

PROGRAMS = ["slurmctld", "slurmd", "munged", "squeue", "scontrol"]
SEARCH = f"{os.environ['PATH']}:/usr/sbin"
MISSING = [name for name in PROGRAMS if not shutil.which(name, path=SEARCH)]
pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(
        bool(MISSING), reason="SLURM is not installed: slurmctld, slurmd, slurm-client and munge"
    ),
    pytest.mark.skipif(os.getuid() != 0, reason="a SLURM of our own needs root"),
]
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
PROFILE = REPOSITORY / "profiles/slurm"
# Seconds between looks at the jobs start small and grow by ten while none has ended.
QUICK = ["--slurm-init-seconds-before-status-checks", "1", "--max-status-checks-per-second", "1"]

BROKEN_SQUEUE = """#!/bin/sh
if [ -e "{flag}" ]; then
    echo "slurm_load_jobs error: Unable to contact slurm controller" >&2
    exit 1
fi
exec {squeue} "$@"
"""


@pytest.fixture(scope="module", autouse=True)
def cluster(tmp_path_factory) -> Iterator[Path]:
    """A running SLURM's folder; commands of this process and its children speak to it."""
    folder = tmp_path_factory.mktemp("cluster")
    script = REPOSITORY / "tests/slurm/cluster.sh"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{folder / 'bin'}:{Path(sys.executable).parent}:{SEARCH}")
        patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        patch.setenv("OMP_NUM_THREADS", "1")
        try:
            subprocess.run([script, "start", folder], check=True)
            yield folder
        finally:
            subprocess.run([script, "stop", folder], check=True)


class Run:
    """Snakemake on SLURM, in a folder of its own with prepared images."""

    def __init__(self, folder: Path, settings: dict, source: Path | None = None) -> None:
        self.folder, self.said = folder, folder / "said.txt"
        folder.mkdir(exist_ok=True)
        (folder / "config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
        if source is not None:
            shutil.copytree(source, folder / "results/data/digits")
        (self.cell, *_) = load(settings).cells
        self.result = store.Layout(Path("results")).cell(self.cell) / "status.json"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str, profile: Path = PROFILE, **environment: str) -> None:
        line = [*SNAKEMAKE, "--workflow-profile", str(profile), *QUICK, *arguments]
        with open(self.said, "ab") as said:
            self.process = subprocess.Popen(
                line,
                cwd=self.folder,
                stdout=said,
                stderr=said,
                start_new_session=True,
                env={**os.environ, **environment},
            )

    def end(self, seconds: float = 240) -> int:
        """Snakemake's exit status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"Snakemake did not end in {seconds} s:\n{self.said.read_text()}")

    def kill(self) -> None:
        """End Snakemake and its jobs, if they still run."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        if unfinished := [job["JobId"] for job in self.jobs() if job["JobState"] in ALIVE]:
            subprocess.run(["scancel", *unfinished], check=True)

    def jobs(self, rule: str = "") -> list[dict[str, str]]:
        """What SLURM knows of this run's jobs, in the order they were submitted."""
        told = subprocess.run(
            ["scontrol", "show", "job", "--oneliner"], capture_output=True, text=True, check=True
        ).stdout
        found = [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in told.splitlines()]
        name = f"rule_{rule}"
        return [
            job
            for job in found
            if job.get("WorkDir") == str(self.folder) and job["Comment"].startswith(name)
        ]

    def training(self) -> str:
        """Id of the job that trains, once it has said how far it is; it is not saved before."""

        def busy() -> str | None:
            running = [job["JobId"] for job in self.jobs("train") if job["JobState"] == "RUNNING"]
            return running[-1] if running and " steps/s " in self.log(running[-1]) else None

        return until(busy, 90, self.said)

    def log(self, job: str) -> str:
        """What a training job wrote, where the profile keeps it."""
        file = self.folder / f"results/logs/slurm/rule_train/{self.cell}/{job}.log"
        return file.read_text() if file.exists() else ""


ALIVE = ("PENDING", "RUNNING", "COMPLETING")


def until(true: Callable[[], object], seconds: float, said: Path):
    """The first true answer, asked for again and again."""
    end = time.monotonic() + seconds
    while not (answer := true()):
        if time.monotonic() > end:
            pytest.fail(f"never in {seconds} s:\n{said.read_text()[-6000:]}")
        time.sleep(0.3)
    return answer


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
    """Steps that take about 80 seconds here and now, or a quarter of it on a machine left alone."""
    rate = re.search(r"([\d,]+) steps/s", limited.log(limited.training()))
    return 80 * int(rate[1].replace(",", ""))


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
    """One cell that trains for about 80 seconds."""
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

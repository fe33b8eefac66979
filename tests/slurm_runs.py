"""Snakemake runs on the SLURM that tests/slurm/conftest.py starts."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from snakemake_runs import REPOSITORY

from idpipe import store
from idpipe.config import load

SNAKEMAKE = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
PROFILE = REPOSITORY / "profiles/slurm"
# Seconds between looks at the jobs start small and grow by ten while none has ended.
QUICK = ["--slurm-init-seconds-before-status-checks", "1", "--max-status-checks-per-second", "1"]


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
            how = {"cwd": self.folder, "stdout": said, "stderr": said, "start_new_session": True}
            self.process = subprocess.Popen(line, env={**os.environ, **environment}, **how)

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
        line = ["scontrol", "show", "job", "--oneliner"]
        told = subprocess.run(line, capture_output=True, text=True, check=True).stdout
        found = [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in told.splitlines()]
        ours = [job for job in found if job.get("WorkDir") == str(self.folder)]
        return [job for job in ours if job["Comment"].startswith(f"rule_{rule}")]

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

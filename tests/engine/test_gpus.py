"""Jobs that share GPUs: real processes, and GPUs that are only numbers."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from idpipe.engine import gpus
from idpipe.errors import IdpipeError

JOB = """
import json, sys, time
from idpipe.engine import gpus
room, need = json.loads(sys.argv[1]), int(sys.argv[2])
with gpus.share(room, need, lambda line: print(line, flush=True)) as name:
    print("on", name, flush=True)
    time.sleep(float(sys.argv[3])) if sys.argv[3:] else sys.stdin.read()
print("left", flush=True)
"""


class Jobs:
    """Processes that hold a share each until they are told to leave."""

    def __init__(self, folder: Path) -> None:
        self.environment = {**os.environ, "TMPDIR": str(folder)}
        self.running: list[subprocess.Popen[str]] = []

    def start(self, room: str, need: int, *seconds: float) -> subprocess.Popen[str]:
        """A job that holds its share for so many seconds, or until its input ends."""
        line = [sys.executable, "-c", JOB, room, str(need), *map(str, seconds)]
        pipe = subprocess.PIPE
        job = subprocess.Popen(line, stdin=pipe, stdout=pipe, text=True, env=self.environment)
        self.running.append(job)
        return job


@pytest.fixture
def jobs(tmp_path) -> Iterator[Jobs]:
    started = Jobs(tmp_path)
    yield started
    for job in started.running:
        job.kill()
        job.stdin.close()
        job.stdout.close()
        job.wait()


def said(job: subprocess.Popen[str]) -> str:
    return job.stdout.readline().strip()


TWO = '{"first": 1000, "second": 1000}'


def test_jobs_spread_over_the_gpus_and_fill_each_to_its_memory(jobs):
    on = [said(jobs.start(TWO, 400)) for _ in range(4)]
    assert sorted(on) == ["on first", "on first", "on second", "on second"]
    assert on[0] != on[1]  # the one with most left
    assert said(jobs.start(TWO, 400)) == "waits for 400 MiB of GPU memory"
    assert said(jobs.start(TWO, 200)).startswith("on ")  # what still fits need not wait


@pytest.mark.parametrize("end", ["by itself", "killed"])
def test_a_job_that_ends_however_gives_its_share_back(jobs, end):
    first = jobs.start('{"only": 1000}', 800)
    assert said(first) == "on only"
    second = jobs.start('{"only": 1000}', 800)
    assert said(second) == "waits for 800 MiB of GPU memory"
    if end == "killed":
        first.send_signal(signal.SIGKILL)
    else:
        first.stdin.close()
    assert said(second) == "on only"


def test_a_job_larger_than_any_gpu_gets_one_for_itself(jobs):
    small = jobs.start('{"only": 1000}', 100)
    assert said(small) == "on only"
    large = jobs.start('{"only": 1000}', 5000)
    assert said(large) == "waits for 1000 MiB of GPU memory"
    small.stdin.close()
    assert said(large) == "on only"


def test_never_more_than_fits_at_any_moment(jobs, tmp_path):
    """15 jobs come and go; a share counts while its file is there."""
    most = {"first": 1000, "second": 600}
    all_jobs = [jobs.start(json.dumps(most), need, 0.5) for need in [300, 500, 150] * 5]
    folder = tmp_path / f"idpipe-gpus-{os.getuid()}"
    highest = dict.fromkeys(most, 0)
    deadline = time.monotonic() + 60
    while any(job.poll() is None for job in all_jobs):
        assert time.monotonic() < deadline
        if (folder / "lock").exists():
            with open(folder / "lock") as turn:
                fcntl.flock(turn, fcntl.LOCK_EX)  # none takes a share meanwhile
                for name in most:
                    held = sum(size(file) for file in (folder / name).glob("*"))
                    highest[name] = max(highest[name], held)
        time.sleep(0.01)
    assert all(job.returncode == 0 for job in all_jobs)
    assert all(0 < highest[name] <= most[name] for name in most)
    assert sum(highest.values()) > 1000  # both at work


def test_jobs_take_their_shares_one_after_the_other(jobs, tmp_path):
    folder = tmp_path / f"idpipe-gpus-{os.getuid()}"
    folder.mkdir()
    with open(folder / "lock", "w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        job = jobs.start(TWO, 400)
        with pytest.raises(subprocess.TimeoutExpired):
            job.wait(1)
        assert not [path for path in folder.rglob("*") if path.name != "lock"]
    assert said(job).startswith("on ")


def size(file: Path) -> int:
    try:
        return int(file.read_text() or 0)
    except FileNotFoundError:
        return 0


def test_gpus_named_by_the_environment(monkeypatch):
    monkeypatch.delenv(gpus.GPUS, raising=False)
    assert gpus.named() is None
    monkeypatch.setenv(gpus.GPUS, "24000, 80000")
    assert gpus.named() == [24000, 80000]


@pytest.mark.parametrize("text", ["", "two", "24000,", "0", "24000,-1"])
def test_a_list_of_gpus_that_is_none_is_refused(monkeypatch, text):
    monkeypatch.setenv(gpus.GPUS, text)
    with pytest.raises(IdpipeError, match=r"IDPIPE_GPUS=.*: must be MiB of each GPU"):
        gpus.named()

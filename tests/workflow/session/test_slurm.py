"""What `session.slurm` does by itself, with programs in place of SLURM's. No SLURM is needed."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from idpipe.errors import IdpipeError
from idpipe.workflow.session import slurm


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Put a shell script on PATH in place of a program."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def put(name: str, script: str) -> None:
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)

    return put


def watched(limit: float, command: str = "squeue") -> tuple[threading.Event, list[str]]:
    stopped, reasons = threading.Event(), []
    slurm.watch(command, lambda reason: (reasons.append(reason), stopped.set()), limit)
    return stopped, reasons


FAILING = "echo 'cannot contact controller' >&2; exit 1"


@pytest.mark.parametrize(
    ("command", "script", "limit", "reason"),
    [
        ("squeue", FAILING, 0.4, "not answered for 0 s (squeue: cannot contact controller)"),
        ("sacct", FAILING, 0.4, "not answered for 0 s (sacct: cannot contact controller)"),
        ("squeue", "exec sleep 60", 0.3, "squeue: no answer in 0.2 s"),
    ],
)
def test_a_command_that_fails_or_hangs_for_long_is_told_with_what_it_said(
    command, script, limit, reason, program, monkeypatch
):
    monkeypatch.setattr(slurm, "ANSWER_SECONDS", 0.2)
    program(command, script)
    start = time.monotonic()
    stopped, reasons = watched(limit, command)
    assert stopped.wait(10)
    assert time.monotonic() - start >= limit
    assert reason in reasons[0]


def test_a_command_that_answers_now_and_then_is_borne_with(program, tmp_path):
    flag = tmp_path / "flag"
    program("squeue", f"if [ -e {flag} ]; then rm {flag}; else touch {flag}; exit 1; fi")
    stopped, _ = watched(0.4)
    assert not stopped.wait(2)


def test_jobs_left_over_are_those_of_the_same_folder_and_name(program, tmp_path):
    program(
        "squeue",
        f"echo '1|rule_train_wildcards_a|{tmp_path}'; echo '2|rule_train_wildcards_b|{tmp_path}'\n"
        f"echo '3|rule_train_wildcards_a|/elsewhere'; echo '4|(null)|{tmp_path}'",
    )
    names = {slurm.comment("train", ["a"]), slurm.comment("collect", [])}
    assert slurm.left_over(tmp_path, names) == ["1"]


def test_jobs_that_do_not_end_are_told(program, tmp_path, monkeypatch):
    monkeypatch.setattr(slurm, "CANCEL_SECONDS", 0.0)
    program("squeue", f"echo '7|rule_collect|{tmp_path}'")
    program("scancel", f"echo $* > {tmp_path}/cancelled")
    with pytest.raises(slurm.SlurmError, match="jobs do not end, though cancelled: 7"):
        slurm.cancel_left_over(tmp_path, {"rule_collect"})
    assert (tmp_path / "cancelled").read_text() == "7\n"


def test_no_job_left_over_cancels_none(program, tmp_path):
    program("squeue", ":")
    program("scancel", f"touch {tmp_path}/cancelled")
    assert slurm.cancel_left_over(tmp_path, {"rule_collect"}) == []
    assert not (tmp_path / "cancelled").exists()


@pytest.mark.parametrize("text", ["soon", "0", "-3", ""])
def test_a_patience_that_is_none_is_refused(monkeypatch, text):
    monkeypatch.setenv(slurm.PATIENCE, text)
    with pytest.raises(IdpipeError, match=r"IDPIPE_SLURM_PATIENCE=.*: must be a number"):
        slurm.patience()


PARENT = """
import signal, subprocess, sys
from idpipe.workflow.session import slurm
slurm.pass_on_signals()
signal.signal(signal.SIGTERM, lambda number, frame: None)  # as Snakemake does, later
child = subprocess.Popen(["/bin/sh", "-c", f'"$0" -c "$1"; exit $?', sys.executable, sys.argv[1]])
print("status", child.wait(), flush=True)
"""
CHILD = """
import signal, sys, time
def end(number, frame):
    time.sleep(0.2)
    sys.exit(40 + number)
signal.signal(signal.SIGUSR1, end)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_a_signal_reaches_the_script_through_its_shell(number):
    line = [sys.executable, "-c", PARENT, CHILD]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as parent:
        try:
            assert parent.stdout.readline() == "ready\n"
            parent.send_signal(number)
            assert parent.communicate(timeout=20)[0] == f"status {40 + number}\n"
            assert parent.returncode == 0
        finally:
            parent.kill()

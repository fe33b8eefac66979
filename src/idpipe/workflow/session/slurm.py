"""What Snakemake's SLURM plugin leaves to others: old jobs, signals, and a queue that is silent.

Only the standard library is imported: every cluster job's Snakemake loads this.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from idpipe.errors import IdpipeError

PATIENCE = "IDPIPE_SLURM_PATIENCE"
"""Environment variable: seconds for which SLURM may not answer before Snakemake is stopped."""
# Below SLURM's default MinJobAge of 300 s, after which squeue no longer knows a job that has ended.
USUAL_PATIENCE = 240.0
ANSWER_SECONDS = 60
"""A command that takes longer than this has failed."""
CHECK_SECONDS = 30.0
CANCEL_SECONDS = 120.0
"""Time in which cancelled jobs must have saved and ended."""

QUESTIONS = {
    "squeue": ["squeue", "--me", "--noheader"],
    "sacct": ["sacct", "--noheader", "--allocations"],
}
"""How to find out whether a status command works."""
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
SHELLS = ("sh", "bash", "dash")


class SlurmError(IdpipeError):
    """SLURM does not answer, or jobs do not end."""


def patience() -> float:
    """Seconds to wait for SLURM, as the environment says. Raises IdpipeError on no number."""
    text = os.environ.get(PATIENCE, str(USUAL_PATIENCE))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if seconds > 0:
        return seconds
    raise IdpipeError(f"{PATIENCE}={text}: must be a number of seconds above 0")


def _ask(command: list[str]) -> str:
    """What a command of SLURM's says. Raises SlurmError where it fails or does not answer."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS)
    except subprocess.TimeoutExpired:
        raise SlurmError(f"{command[0]}: no answer in {ANSWER_SECONDS} s") from None
    except OSError as error:
        raise SlurmError(f"{command[0]}: {error.strerror}") from None
    if done.returncode:
        reason = done.stderr.strip() or f"exit status {done.returncode}"
        raise SlurmError(f"{command[0]}: {reason}")
    return done.stdout


# --- a queue that is silent -------------------------------------------------------------------


def watch(command: str, stop: Callable[[str], object], limit: float) -> None:
    """Start a thread that calls `stop(reason)` once `command` has failed for `limit` seconds.

    The plugin forgets its jobs when its status command fails for some minutes, and then waits for
    ever without a word.
    """
    threading.Thread(target=_watch, args=[command, stop, limit], daemon=True).start()


def _watch(command: str, stop: Callable[[str], object], limit: float) -> None:
    failing_since: float | None = None
    while True:
        start = time.monotonic()
        try:
            _ask(QUESTIONS[command])
            failing_since = None
        except SlurmError as error:
            failing_since = failing_since or start
            if time.monotonic() - failing_since >= limit:
                stop(
                    f"SLURM has not answered for {limit:.0f} s ({error}). Snakemake ends, jobs go "
                    "on. When SLURM answers again, the same command goes on from what is there."
                )
                return
        time.sleep(min(CHECK_SECONDS, limit / 8))


# --- jobs of a Snakemake that was killed ------------------------------------------------------


def comment(rule: str, wildcards: Iterable[str]) -> str:
    """What the plugin calls a job in SLURM."""
    values = "_".join(wildcards).replace("/", "_")
    return f"rule_{rule}_wildcards_{values}" if values else f"rule_{rule}"


def left_over(folder: Path, comments: set[str]) -> list[str]:
    """Ids of this user's unfinished jobs in `folder` that are called one of `comments`."""
    asked = ["squeue", "--me", "--noheader", "--format=%i|%k|%Z"]
    lines = [line.split("|", 2) for line in _ask(asked).splitlines()]
    return [job for job, name, where in lines if name in comments and Path(where) == folder]


def cancel_left_over(folder: Path, comments: set[str]) -> list[str]:
    """Cancel those jobs and wait until they have ended; return their ids.

    One that fails later would delete what its successor has written. A cell in training saves
    itself first. Raises SlurmError.
    """
    jobs = left_over(folder, comments)
    if jobs:
        _ask(["scancel", *jobs])
    end = time.monotonic() + CANCEL_SECONDS
    while running := left_over(folder, comments):
        if time.monotonic() > end:
            raise SlurmError(f"jobs do not end, though cancelled: {', '.join(running)}")
        time.sleep(1)
    return jobs


def begin(
    folder: Path, comments: set[str], command: str, stop: Callable[[str], object]
) -> list[str]:
    """Cancel left over jobs, of which it returns the ids, and start to watch the queue.

    Raises SlurmError, and IdpipeError where the environment's patience is no number.
    """
    limit = patience()
    cancelled = cancel_left_over(folder, comments)
    watch(command, stop, limit)
    return cancelled


# --- signals ----------------------------------------------------------------------------------


def pass_on_signals() -> None:
    """Pass each of `SIGNALS` that this process gets on to the scripts that it runs.

    SLURM with control groups sends a step's signals to its first process alone, which is the job's
    Snakemake: the script would not know that it must save. Only in the main thread. Handlers set
    later, such as Snakemake's own, work as before.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(signal.SIGUSR1, lambda number, frame: None)  # or it would end this process
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_pass_on, args=[reader], daemon=True).start()


def _pass_on(reader: int) -> None:
    while told := os.read(reader, 1):
        if told[0] in SIGNALS:
            for script in _scripts():
                with suppress(ProcessLookupError):
                    os.kill(script, told[0])


def _scripts() -> list[int]:
    """Every process below this one that is no shell; a shell ends with what it waits for."""
    names: dict[int, str] = {}
    children: dict[int, list[int]] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            before, _, after = file.read_text().rpartition(")")
            number, _, name = before.partition(" (")
            names[int(number)] = name
            children.setdefault(int(after.split()[1]), []).append(int(number))
    below, open_ = [], [os.getpid()]
    while open_:
        found = children.get(open_.pop(), [])
        below += found
        open_ += found
    return [number for number in below if names[number] not in SHELLS]

"""Scripts run in children of a warm worker as if Python had been started for each."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from idpipe import worker

# A module that takes long to import, as torch does, and says who imported it.
SLOW = "import os, time\ntime.sleep(0.2)\nIMPORTED_BY = os.getpid()\n"

# Stands for Snakemake: starts a worker, tells its address, waits to be told to end.
STARTER = """
import sys
from idpipe import worker
print(worker.start(["slow"]), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "slow.py").write_text(SLOW)
    return tmp_path


def environment(folder: Path, **more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name != worker.ADDRESS}
    return {**inherited, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path[1:]]), **more}


@pytest.fixture
def started(folder):
    """A process that has started a worker, and the worker's address."""
    process = subprocess.Popen(
        [sys.executable, "-c", STARTER],
        env=environment(folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process, process.stdout.readline().strip()
        process.kill()


def script(folder: Path, text: str, address: str | None, **more: str) -> subprocess.Popen[str]:
    path = folder / "script.py"
    path.write_text(f"from idpipe.worker import hand_over\nhand_over()\n{text}")
    given = {worker.ADDRESS: address} if address is not None else {}
    return subprocess.Popen(
        [sys.executable, str(path)],
        cwd=folder,
        env=environment(folder, **given, **more),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


WHERE = """
import os, slow
print(slow.IMPORTED_BY == os.getppid(), os.getcwd(), os.environ["COLOUR"])
"""


@pytest.mark.parametrize("address", ["worker", None, "/nowhere/socket", ""])
def test_a_script_runs_where_it_was_started(folder, started, address):
    _, real = started
    process = script(folder, WHERE, real if address == "worker" else address, COLOUR="blue")
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert out == f"{address == 'worker'} {folder} blue\n"


@pytest.mark.parametrize(
    ("text", "status", "told"),
    [
        ("pass", 0, ""),
        ("raise SystemExit(3)", 3, ""),
        ("raise SystemExit('no such cell')", 1, "no such cell\n"),
        ("1 / 0", 1, "ZeroDivisionError"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", 1, "killed"),
    ],
)
def test_the_exit_status_is_the_scripts(folder, started, text, status, told):
    process = script(folder, text, started[1])
    _, err = process.communicate(timeout=20)
    assert process.returncode == status
    assert told in err if told else err == ""


def test_scripts_run_side_by_side(folder, started):
    text = (
        "import pathlib, time\npathlib.Path('{}').touch()\nwhile not pathlib.Path('{}').exists():"
    )
    text += "\n    time.sleep(0.01)"
    both = []
    for own, other in ("ab", "ba"):
        both.append(script(folder, text.format(own, other), started[1]))
        while not (folder / own).exists():  # it is read when it starts
            time.sleep(0.01)
    for process in both:
        process.communicate(timeout=20)
        assert process.returncode == 0


SLEEP = """
import pathlib, signal, sys, time
def leave(number, frame):
    pathlib.Path("told").write_text(str(number))
    sys.exit(1)
signal.signal(signal.SIGTERM, leave)
pathlib.Path("ready").touch()
time.sleep(60)
"""


def wait_for(path: Path) -> None:
    for _ in range(1000):
        if path.exists():
            return
        time.sleep(0.01)
    raise AssertionError(f"{path.name} did not come")


def test_a_script_whose_waiting_process_is_killed_is_told_to_end(folder, started):
    process = script(folder, SLEEP, started[1])
    wait_for(folder / "ready")
    process.kill()
    _, err = process.communicate()  # the script holds its end of the pipe until it ends
    assert (folder / "told").read_text() == str(signal.SIGTERM.value)
    assert err == ""
    assert Path(started[1]).exists(), "it took the worker's socket with it"


def test_the_worker_ends_with_the_process_that_started_it(folder, started):
    process, address = started
    script(folder, "pass", address).communicate(timeout=20)  # it serves
    process.kill()
    process.wait()
    for _ in range(1000):
        if not Path(address).parent.exists():
            break
        time.sleep(0.01)
    else:
        pytest.fail("the worker did not leave")
    late = script(folder, "print('by itself')", address)
    assert late.communicate(timeout=20)[0] == "by itself\n"


def test_processor_time_of_the_scripts_counts_for_the_one_that_started_the_worker(folder, started):
    process, address = started
    busy = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass"
    script(folder, busy, address).communicate(timeout=20)
    process.stdin.close()
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    assert usage.ru_utime + usage.ru_stime > 0.5


def test_an_address_in_the_environment_is_kept(monkeypatch):
    monkeypatch.setenv(worker.ADDRESS, "")
    assert worker.start(["no_such_module"]) == ""

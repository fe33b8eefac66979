"""Scripts run in children of a warm worker as if Python had been started for each."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from idpipe.workflow.session import worker

# A module that takes long to import, as torch does, and says who imported it.
SLOW = "import os, time\ntime.sleep(0.2)\nIMPORTED_BY = os.getpid()\n"

# Stands for Snakemake: starts a worker, tells its address, waits to be told to end.
STARTER = """
import sys
from idpipe.workflow.session import worker
print(worker.start(sys.argv[1:]), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "slow.py").write_text(SLOW)
    return tmp_path


def environment(folder: Path, **more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name != worker.ADDRESS}
    return {**inherited, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path[1:]]), **more}


def starter(folder: Path, *modules: str, **given) -> subprocess.Popen[str]:
    how = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": environment(folder)}
    line = [sys.executable, "-c", STARTER, *modules]
    return subprocess.Popen(line, text=True, **{**how, **given})


@pytest.fixture
def started(folder):
    """A process that has started a worker, and the worker's address."""
    with starter(folder, "slow") as process:
        yield process, process.stdout.readline().strip()
        process.kill()


def script(folder: Path, text: str, address: str | None, **more: str) -> subprocess.Popen[str]:
    path = folder / "script.py"
    path.write_text(f"from idpipe.workflow.session.worker import hand_over\nhand_over()\n{text}")
    given = {worker.ADDRESS: address} if address is not None else {}
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    env = environment(folder, **given, **more)
    return subprocess.Popen([sys.executable, str(path)], cwd=folder, env=env, text=True, **pipes)


def ran(*given, seconds: float = 20, **more: str) -> tuple[int, str, str]:
    """Status and output of such a script that ends."""
    process = script(*given, **more)
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err


WHERE = """
import os, slow
print(slow.IMPORTED_BY == os.getppid(), os.getcwd(), os.environ["COLOUR"])
"""


@pytest.mark.parametrize("address", ["worker", None, "/nowhere/socket", ""])
def test_a_script_runs_where_it_was_started(folder, started, address):
    _, real = started
    found = ran(folder, WHERE, real if address == "worker" else address, COLOUR="blue")
    assert found == (0, f"{address == 'worker'} {folder} blue\n", "")


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
    found, _, err = ran(folder, text, started[1])
    assert found == status
    assert told in err if told else err == ""


def wait_for(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError(f"{true} did not come true")


def test_scripts_run_side_by_side(folder, started):
    text = "import pathlib, time\npathlib.Path('{}').touch()\n"
    text += "while not pathlib.Path('{}').exists():\n    time.sleep(0.01)"
    both = []
    for own, other in ("ab", "ba"):
        both.append(script(folder, text.format(own, other), started[1]))
        wait_for((folder / own).exists)  # it is read when it starts
    for process in both:
        process.communicate(timeout=20)
        assert process.returncode == 0


SAVE = """
import pathlib, signal, time
def leave(number, frame):
    time.sleep(0.5)
    pathlib.Path("saved").write_text(str(number))
    raise SystemExit(9)
signal.signal(signal.SIGTERM, leave)
pathlib.Path("ready").touch()
time.sleep(60)
"""


def test_a_script_whose_waiting_process_is_killed_is_told_to_end(folder, started):
    process = script(folder, SAVE, started[1])
    wait_for((folder / "ready").exists)
    process.kill()
    _, err = process.communicate()  # the script holds its end of the pipe until it ends
    assert (folder / "saved").read_text() == str(signal.SIGTERM.value)
    assert err == ""
    assert Path(started[1]).exists(), "it took the worker's socket with it"


def test_the_worker_ends_with_the_process_that_started_it(folder, started):
    process, address = started
    ran(folder, "pass", address)  # it serves
    process.kill()
    process.wait()
    wait_for(lambda: not Path(address).parent.exists())
    assert ran(folder, "print('by itself')", address) == (0, "by itself\n", "")


def test_processor_time_of_the_scripts_counts_for_the_one_that_started_the_worker(folder, started):
    process, address = started
    busy = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass"
    ran(folder, busy, address)
    process.stdin.close()
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    assert usage.ru_utime + usage.ru_stime > 0.5


def test_an_address_in_the_environment_is_kept(monkeypatch):
    monkeypatch.setenv(worker.ADDRESS, "")
    assert worker.start(["no_such_module"]) == ""


@pytest.mark.parametrize("number", worker.SIGNALS)
def test_a_signal_to_the_waiting_process_waits_until_the_script_has_saved(folder, started, number):
    process = script(folder, SAVE, started[1])
    wait_for((folder / "ready").exists)
    process.send_signal(number)
    # Its streams stay open in the script: what counts is when the waiting process ends.
    assert process.wait(timeout=20) == 128 + number
    assert (folder / "saved").exists()
    assert process.communicate() == ("", "")


def test_a_script_that_ends_well_in_spite_of_a_signal_has_ended_well(folder, started):
    process = script(folder, SAVE.replace("(9)", "(0)"), started[1])
    wait_for((folder / "ready").exists)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
    process.communicate()


def test_the_worker_waits_for_a_script_that_saves(folder, started):
    process, address = started
    waiting = script(folder, SAVE, address)
    wait_for((folder / "ready").exists)
    waiting.kill()
    process.stdin.close()
    assert process.wait(timeout=20) == 0
    assert (folder / "saved").exists()
    waiting.communicate()


def answered_by(folder: Path, *answers: bytes) -> tuple[int, str, str]:
    """Status and output of a script whose worker answers so, and then dies."""
    address = str(folder / "fake")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()

        def answer():
            connection, _ = listener.accept()
            with connection:
                for text in answers:
                    connection.recv(2**20)
                    connection.sendall(text)

        thread = threading.Thread(target=answer)
        thread.start()
        found = ran(folder, "print('ran')", address)
        thread.join()
    return found


def test_a_script_runs_by_itself_where_the_worker_dies_before_it_took_it(folder):
    assert answered_by(folder) == (0, "ran\n", "")
    (folder / "fake").unlink()
    status, out, err = answered_by(folder, worker.TAKEN)
    assert (status, out) == (1, "") and "killed" in err


def test_a_module_that_cannot_be_loaded_is_told_and_left_out(folder):
    (folder / "broken.py").write_text("raise ValueError('no\\nuse')")
    with starter(folder, "broken", "slow", stderr=subprocess.PIPE) as process:
        address = process.stdout.readline().strip()
        found = ran(folder, WHERE, address, COLOUR="blue")
        process.stdin.close()
        said = process.stderr.read()
    assert found == (0, f"True {folder} blue\n", "")
    assert said == "broken cannot be loaded beforehand: ValueError('no\\nuse')\n"


def test_a_file_of_the_working_directory_is_no_module_of_the_worker(folder):
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere/slow.py").write_text("IMPORTED_BY = 0")
    with starter(folder, "slow", cwd=folder / "elsewhere") as process:
        address = process.stdout.readline().strip()
        _, out, _ = ran(folder, WHERE, address, COLOUR="blue")
        process.stdin.close()
    assert out == f"True {folder} blue\n"


def test_a_request_cut_short_ends_its_process_alone(folder, started):
    _, address = started
    for request in (b'{"script": ', b"no request\n"):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(address)
            connection.sendall(request)
            if not request.endswith(b"\n"):
                connection.shutdown(socket.SHUT_WR)
            connection.settimeout(20)
            assert connection.recv(1) == b""
    assert Path(address).exists()
    assert ran(folder, WHERE, address, COLOUR="blue")[1] == f"True {folder} blue\n"


@pytest.mark.parametrize("broken", ["long", "missing", "no_process"])
def test_where_no_worker_can_start_the_run_goes_on(tmp_path, monkeypatch, capsys, broken):
    def refuse(*args, **kwargs):
        raise OSError("no process")

    place = tmp_path / ("x" * 100 if broken == "long" else "here")
    if broken != "missing":
        place.mkdir()
    if broken == "no_process":
        monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.delenv(worker.ADDRESS, raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(place))
    assert worker.start([]) == ""
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "no worker could start" in said
    assert not place.exists() or not list(place.iterdir())


def test_where_no_process_can_be_had_the_script_runs_by_itself(folder, monkeypatch):
    def fork():
        raise OSError("Cannot allocate memory")

    reading, writing = os.pipe()
    address = str(folder / "socket")
    monkeypatch.setattr(os, "fork", fork)
    monkeypatch.setattr(worker, "_reap", lambda: os.close(writing))
    before = signal.getsignal(signal.SIGINT)
    with socket.socket(socket.AF_UNIX) as listener, os.fdopen(reading) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        listener.bind(address)
        listener.listen()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(address)
            worker.serve(listener, [])
            connection.settimeout(20)
            assert connection.recv(1) == b""
    signal.signal(signal.SIGINT, before)


def test_the_worker_has_no_other_thread_that_a_child_would_lack(folder):
    """All that a run's worker imports: tests/runs/test_workflow.py."""
    text = "import os\nprint(len(os.listdir(f'/proc/{os.getppid()}/task')))"
    with starter(folder, "pyarrow") as process:
        found = ran(folder, text, process.stdout.readline().strip(), seconds=50)
        process.kill()
    assert found == (0, "1\n", "")

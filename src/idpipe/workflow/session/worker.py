"""A warm process that forks one child per script, so that a script need not import torch again.

`start` listens on a socket of this user alone; `hand_over`, the first call of a script, sends the
script there and waits. Without a worker, or one that does not take it, the script simply goes on by
itself, with the same result. Only the standard library is imported here: the waiting script must
start fast.

On one connection: the request, a line of JSON with the script's standard streams; `TAKEN`, before
the script starts; one byte, its exit status. Where the waiting process shuts its side down, or
ends, the script gets a SIGTERM.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import runpy
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

ADDRESS = "IDPIPE_WORKER"
"""Environment variable that holds the worker's socket; scripts without it run by themselves."""

# Numerical libraries read these once, when loaded. Jobs run side by side, each on one thread; and
# sums must not depend on who started the job.
ONE_THREAD = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
    )
}
ONE_PROCESS = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""For the worker: a child has no thread but the one that forked it, so there must be no other, and
pyarrow's allocator starts one when it is loaded."""
STREAMS = 3
LONGEST_REQUEST = 2**20
TAKEN = b"+"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
"""Signals that a waiting script passes on as a request to end."""


def hand_over() -> None:
    """Let the worker run this script, if there is one, and end with the script's exit status.

    Returns where no worker is to be had, and in the worker's own child.
    """
    os.environ.update(ONE_THREAD)
    address = os.environ.pop(ADDRESS, None)
    if address is None:
        return
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(address)
        except OSError:
            return
        status = _status(connection)
    if status is not None:
        sys.exit(status)


def _status(connection: socket.socket) -> int | str | None:
    """What to exit with after the worker's child has run this script; None where none took it."""
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        with suppress(OSError):
            connection.shutdown(socket.SHUT_WR)

    request = {"script": sys.argv[0], "folder": os.getcwd(), "environment": dict(os.environ)}
    message = json.dumps(request).encode() + b"\n"
    before = {number: signal.getsignal(number) for number in SIGNALS}
    caught = [number for number in SIGNALS if before[number] not in (signal.SIG_IGN, None)]
    taken = status = b""
    with suppress(ConnectionError):  # what it answered before it died can still be read
        sent = socket.send_fds(connection, [message], range(STREAMS))
        if sent < len(message):
            connection.sendall(message[sent:])
    try:
        for number in caught:
            signal.signal(number, ask)
        taken = connection.recv(1)
        status = connection.recv(1)
    except ConnectionError:
        pass
    finally:
        for number in caught:
            signal.signal(number, before[number])
    if asked and status != b"\0":
        return 128 + asked[0]
    if not taken:
        return None
    return status[0] if status else "The process of this job was killed."


def start(preload: Sequence[str]) -> str:
    """Start a worker that has imported the modules `preload`; return its address.

    It ends with the process that calls this, after the scripts that then still run. Where the
    environment names an address already, even an empty one, no worker is started; where none can
    be, the address is empty, and a line says why.
    """
    if ADDRESS in os.environ:
        return os.environ[ADDRESS]
    folder = None
    try:
        folder = tempfile.mkdtemp(prefix="idpipe-worker-")
        return _start(folder, preload)
    except OSError as error:
        print(f"Every job imports torch anew, for no worker could start: {error}", file=sys.stderr)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        return ""


def _start(folder: str, preload: Sequence[str]) -> str:
    address = str(Path(folder) / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(128)
        number = listener.fileno()
        # -P: a file of the working directory is no module of the worker's.
        command = [
            sys.executable,
            "-P",
            "-m",
            "idpipe.workflow.session.worker",
            str(number),
            folder,
            *preload,
        ]
        environment = {**os.environ, **ONE_THREAD, **ONE_PROCESS}
        worker = subprocess.Popen(
            command, stdin=subprocess.PIPE, pass_fds=[number], env=environment
        )
    atexit.register(worker.communicate)  # closes its standard input and waits
    return address


def in_worker() -> bool:
    """Whether this process is the worker or a child of it."""
    return "idpipe.workflow.session.worker" in sys.orig_argv


def serve(listener: socket.socket, preload: Sequence[str]) -> None:
    """Fork a child for each script that asks, until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group
    for module in preload:
        try:
            importlib.import_module(module)
        except Exception as error:  # the scripts that need it will say more
            print(f"{module} cannot be loaded beforehand: {error!r}", file=sys.stderr)
    with selectors.DefaultSelector() as waiting:
        waiting.register(listener, selectors.EVENT_READ)
        waiting.register(sys.stdin.buffer, selectors.EVENT_READ)
        while all(key.fileobj is listener for key, _ in waiting.select()):
            connection, _ = listener.accept()
            with connection, suppress(OSError):  # no process to be had: the script runs by itself
                if os.fork() == 0:
                    _be_child(listener, connection)
            _reap()


def _be_child(listener: socket.socket, connection: socket.socket) -> NoReturn:
    """Never return into the worker's own code, which would take its socket away."""
    try:
        listener.close()
        _child(connection)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _reap(options: int = os.WNOHANG) -> None:
    """Let the children that have ended go, and their processor time count."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, options)[0]:
            pass


def _child(connection: socket.socket) -> None:
    """Be the process of the script that `connection` asks for, then tell its exit status."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    message, streams, _, _ = socket.recv_fds(connection, LONGEST_REQUEST, STREAMS)
    while not message.endswith(b"\n"):
        more = connection.recv(LONGEST_REQUEST)
        if not more:  # the one that asked has ended
            return
        message += more
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    request = json.loads(message)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    connection.sendall(TAKEN)
    threading.Thread(target=_end_with, args=[connection], daemon=True).start()
    sys.argv = [request["script"]]
    status = _run(request["script"])
    sys.stdout.flush()
    sys.stderr.flush()
    with suppress(OSError):  # the process that waits for it may have ended
        connection.send(bytes([status]))
    os._exit(status)


def _end_with(connection: socket.socket) -> None:
    """Ask this process to end when the one that waits for it asks so, or has ended."""
    with suppress(ConnectionError):
        connection.recv(1)  # nothing is sent: it returns at the end
    os.kill(os.getpid(), signal.SIGTERM)


def _run(script: str) -> int:
    """The exit status of a script, as if Python had been started for it."""
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 0xFF
        print(end.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    """The worker process: number of the listening socket, its folder, modules to import."""
    number, folder, *preload = sys.argv[1:]
    try:
        with socket.socket(fileno=int(number)) as listener:
            serve(listener, preload)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        # A script whose waiting process was killed may still save what it trained.
        _reap(options=0)


if __name__ == "__main__":
    main()

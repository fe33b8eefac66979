"""A warm process that forks one child per script, so that a script need not import torch again.

`start` listens on a socket of this user alone; `hand_over`, the first call of a script, sends the
script there. Without a worker the script simply goes on by itself, with the same result. Only the
standard library is imported here: the waiting script must start fast.
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
STREAMS = 3
LONGEST_REQUEST = 2**20


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
        request = {"script": sys.argv[0], "folder": os.getcwd(), "environment": dict(os.environ)}
        message = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(connection, [message], range(STREAMS))
        connection.sendall(message[sent:])
        try:
            status = connection.recv(1)
        except KeyboardInterrupt:
            sys.exit(128 + signal.SIGINT)
        except ConnectionError:
            status = b""
    sys.exit(status[0] if status else "The process of this job was killed.")


def start(preload: Sequence[str]) -> str:
    """Start a worker that has imported the modules `preload`; return its address.

    It ends with the process that calls this; scripts that run then are left to finish. Where the
    environment names an address already, even an empty one, no worker is started.
    """
    if ADDRESS in os.environ:
        return os.environ[ADDRESS]
    folder = Path(tempfile.mkdtemp(prefix="idpipe-worker-"))
    address = str(folder / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(128)
        number = listener.fileno()
        command = [sys.executable, "-m", "idpipe.worker", str(number), str(folder), *preload]
        environment = {**os.environ, **ONE_THREAD}
        worker = subprocess.Popen(
            command, stdin=subprocess.PIPE, pass_fds=[number], env=environment
        )
    atexit.register(worker.communicate)  # closes its standard input and waits
    return address


def serve(listener: socket.socket, preload: Sequence[str]) -> None:
    """Fork a child for each script that asks, until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group
    for module in preload:
        importlib.import_module(module)
    with selectors.DefaultSelector() as waiting:
        waiting.register(listener, selectors.EVENT_READ)
        waiting.register(sys.stdin.buffer, selectors.EVENT_READ)
        while all(key.fileobj is listener for key, _ in waiting.select()):
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    listener.close()
                    _child(connection)
            _reap()


def _reap() -> None:
    """Let the children that have ended go, and their processor time count."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _child(connection: socket.socket) -> None:
    """Be the process of the script that `connection` asks for, then tell its exit status."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    message, streams, _, _ = socket.recv_fds(connection, LONGEST_REQUEST, STREAMS)
    while message and not message.endswith(b"\n"):
        message += connection.recv(LONGEST_REQUEST)
    if not message:
        os._exit(0)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    request = json.loads(message)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    threading.Thread(target=_end_with, args=[connection], daemon=True).start()
    sys.argv = [request["script"]]
    status = _run(request["script"])
    sys.stdout.flush()
    sys.stderr.flush()
    with suppress(OSError):  # the process that waits for it may have ended
        connection.send(bytes([status]))
    os._exit(status)


def _end_with(connection: socket.socket) -> None:
    """Ask this process to end when the one that waits for it has ended."""
    if not connection.recv(1):
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
        _reap()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

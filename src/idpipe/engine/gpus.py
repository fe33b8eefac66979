"""Which GPU a job computes on, where several jobs share several GPUs of one machine.

Every job that trains takes its share of one GPU's memory and waits where none has room. A share is
a locked file in a folder of this user's; the lock ends with its process, however that ends. Jobs of
other users, and programs that know nothing of this, are not seen.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from idpipe.errors import IdpipeError

GPUS = "IDPIPE_GPUS"
"""Environment variable: MiB of each GPU that jobs may fill, such as `24000,24000`."""
WAIT_SECONDS = 0.5


def named() -> list[int] | None:
    """MiB of each GPU, as the environment says. Raises IdpipeError where it is no such list."""
    text = os.environ.get(GPUS)
    if text is None:
        return None
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if found and min(found) > 0:
        return found
    raise IdpipeError(f"{GPUS}={text}: must be MiB of each GPU, as in 24000,24000")


@contextmanager
def share(room: Mapping[str, int], need: int, show: Callable[[str], None]) -> Iterator[str]:
    """Hold `need` MiB of the GPU that has most left, and yield its name; wait until one has enough.

    `room` holds the MiB of each GPU, by a name that is the same in every process. What needs more
    than any GPU has gets one for itself.
    """
    folder = _folder()
    need, waits = min(need, max(room.values())), False
    while (taken := _take(folder, room, need)) is None:
        if not waits:
            show(f"waits for {need} MiB of GPU memory")
        waits = True
        time.sleep(WAIT_SECONDS)
    name, file, number = taken
    try:
        yield name
    finally:
        file.unlink(missing_ok=True)
        os.close(number)


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"idpipe-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise IdpipeError(f"{folder}: is another user's; set TMPDIR to a folder of your own")
    return folder


def _take(folder: Path, room: Mapping[str, int], need: int) -> tuple[str, Path, int] | None:
    """Lock a share of the GPU with most left: its name, the share's file, the file's number."""
    with open(folder / "lock", "w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        left = {name: total - _held(folder / name) for name, total in room.items()}
        name = max(left, key=lambda one: left[one])
        if left[name] < need:
            return None
        number, path = tempfile.mkstemp(dir=folder / name)
        fcntl.flock(number, fcntl.LOCK_EX)
        os.write(number, str(need).encode())
        return name, Path(path), number


def _held(folder: Path) -> int:
    """MiB that living processes hold of a GPU; what dead ones left is deleted."""
    folder.mkdir(exist_ok=True)
    return sum(_living(file) for file in folder.iterdir())


def _living(file: Path) -> int:
    try:
        with open(file) as share:
            try:
                fcntl.flock(share, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(share.read())
            file.unlink()
    except FileNotFoundError:  # given back just now
        pass
    return 0

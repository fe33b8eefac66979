"""What a job tells: its log file, the terminal, and errors as messages."""

from __future__ import annotations

import logging
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from idpipe.errors import IdpipeError
from idpipe.workflow.session import worker


class _Kept(logging.FileHandler):
    """A log file; lines that a full disk does not take are shown all the same."""

    def handleError(self, record: logging.LogRecord) -> None:
        """No traceback of logging itself for each line."""


@contextmanager
def job(name: str, log: Path | str) -> Iterator[Callable[[str], None]]:
    """Yield a function that shows a line on the terminal and keeps it in `log`.

    The last line kept is what the job took, and whether in a child of the worker. An error a user
    can act on ends the process with its message alone; of any other the whole traceback is
    shown and kept.
    """
    start, before = time.monotonic(), time.process_time()
    logger = logging.getLogger(name)
    logger.setLevel(logging.INFO)
    try:
        Path(log).parent.mkdir(parents=True, exist_ok=True)
        kept = _Kept(log, mode="w")
    except OSError as error:
        sys.exit(f"{log}: cannot be written ({error.strerror})")
    logger.addHandler(kept)
    logger.addHandler(logging.StreamHandler(sys.stderr))
    try:
        yield logger.info
    except IdpipeError as error:
        logger.error("%s", error)
        sys.exit(1)
    except Exception:
        logger.error("%s", traceback.format_exc())
        sys.exit(1)
    finally:
        seconds, processor = time.monotonic() - start, time.process_time() - before
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10  # Linux counts KiB
        took = f"took {seconds:.2f} s, {processor:.2f} s of processor time, at most {peak:.0f} MiB"
        took += ", in the worker" if worker.in_worker() else ""
        kept.emit(logger.makeRecord(name, logging.INFO, "", 0, took, (), None))

"""What a job tells: its log file, the terminal, and errors as messages."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from idpipe.errors import IdpipeError


@contextmanager
def job(name: str, log: Path | str) -> Iterator[Callable[[str], None]]:
    """Yield a function that shows a line on the terminal and keeps it in `log`.

    An error a user can act on ends the process with its message alone; of any other the whole
    traceback is shown and kept.
    """
    logger = logging.getLogger(name)
    logger.setLevel(logging.INFO)
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    logger.addHandler(logging.FileHandler(log, mode="w"))
    logger.addHandler(logging.StreamHandler(sys.stderr))
    try:
        yield logger.info
    except IdpipeError as error:
        logger.error("%s", error)
        sys.exit(1)
    except Exception:
        logger.error("%s", traceback.format_exc())
        sys.exit(1)

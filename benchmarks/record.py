"""Where measurements are kept: one file per machine, one key per benchmark."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import torch

from idpipe.store import read_json, write_json
from idpipe.workflow.jobs import COMMIT

RESULTS = Path(__file__).parent / "results"


def record(name: str, content: dict[str, Any], folder: Path = RESULTS) -> Path:
    """Put what one benchmark found into this machine's file, in place of what it found before.

    Date, torch's version, the number of threads and idpipe's commit (with `+` if it was edited) are
    added. The other benchmarks' results stay as they are, also where two record at once.
    """
    path = folder / f"{machine()}.json"
    origin = {
        "date": date.today().isoformat(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "commit": COMMIT,
    }
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        known = read_json(path) if path.exists() else {}
        write_json(path, dict(sorted({**known, name: {**origin, **content}}.items())))
    return path


def machine() -> str:
    """Model of the GPU, or else of the CPU, and the number of cores: `intel-xeon-2-cores`."""
    model = torch.cuda.get_device_name() if torch.cuda.is_available() else _cpu()
    words = re.sub(r"\(\w+\)|@.*|\bCPU\b|\bProcessor\b", " ", model)
    slug = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")
    return f"{slug}-{os.cpu_count()}-cores"


def _cpu() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else os.uname().machine


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)

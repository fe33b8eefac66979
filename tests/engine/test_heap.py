"""The C library keeps what a training frees."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import numpy
from idpipe.engine import heap
assert heap.keep_freed()
for number in range(60):
    if number == 30:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [numpy.ones(50_000) for _ in range(20)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
"""Left alone, more than 50,000 pages are mapped anew."""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_freed_memory_is_used_again():
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 1000

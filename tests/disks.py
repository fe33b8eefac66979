"""Disks of a size and kind that tests ask for, in a mount namespace of their own."""

import subprocess
from pathlib import Path

import pytest


def mounted(tmp_path: Path, script: str) -> str:
    """What a shell script said that may mount what it likes, seen by nobody else."""
    line = ["unshare", "--map-root-user", "--mount"]
    try:
        probe = [*line, "mount", "-t", "tmpfs", "none", str(tmp_path)]
        able = subprocess.run(probe, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("no `unshare` to mount a small disk with")
    if able.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {able.stderr.decode().strip()}")
    line += ["bash", "-c", script]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.run(line, **pipes, text=True, check=False).stdout

"""A SLURM with two fake GPUs, started by cluster.sh for each file of tests beside it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAMS = ["slurmctld", "slurmd", "munged", "squeue", "scontrol"]
SEARCH = f"{os.environ['PATH']}:/usr/sbin"
MISSING = [name for name in PROGRAMS if not shutil.which(name, path=SEARCH)]


@pytest.fixture(scope="module", autouse=True)
def cluster(tmp_path_factory) -> Iterator[Path]:
    """A running SLURM's folder; commands of this process and its children speak to it."""
    if MISSING:
        pytest.skip("SLURM is not installed: slurmctld, slurmd, slurm-client and munge")
    if os.getuid() != 0:
        pytest.skip("a SLURM of our own needs root")
    folder = tmp_path_factory.mktemp("cluster")
    script = Path(__file__).with_name("cluster.sh")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{folder / 'bin'}:{Path(sys.executable).parent}:{SEARCH}")
        patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        patch.setenv("OMP_NUM_THREADS", "1")
        try:
            subprocess.run([script, "start", folder], check=True)
            yield folder
        finally:
            subprocess.run([script, "stop", folder], check=True)

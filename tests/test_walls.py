"""The import contracts of pyproject.toml notice what they forbid."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        (None, "", ""),
        ("cells/nets.py", "from idpipe import config", "never the other way BROKEN"),
        ("config/grid.py", "import numpy", "without numpy, pandas and torch BROKEN"),
        ("images/pixels.py", "import torch", "knows nothing of torch BROKEN"),
        ("figures/upper.py", "from idpipe import nets", "knows nothing of torch BROKEN"),
        ("claims/fcn.py", "from idpipe import workflow", "never the other way BROKEN"),
    ],
)
def test_a_wall_that_is_broken_is_named(file, line, broken, tmp_path):
    shutil.copytree(ROOT / "src", tmp_path / "src")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    if file:
        with (tmp_path / "src/idpipe" / file).open("a") as code:
            code.write(f"\n{line}\n")
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 1) == bool(broken), done.stdout + done.stderr
    assert broken in done.stdout

"""The import contracts of pyproject.toml notice what they forbid."""

import ast
import os
import re
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


BEHIND = {
    "figures.draw": "matplotlib",
    "figures.parts": "matplotlib",
    "figures.table1": "matplotlib",
    "images.sources": "the data sets of torchvision",
    "nets.convolutions": "a package of its own",
    "workflow": "every job starts there, so its face hands on nothing",
}
"""What is imported from behind a face, and what that face would otherwise hand on."""


def test_other_packages_are_imported_by_their_faces():
    package = ROOT / "src/idpipe"
    for path in sorted(package.rglob("*.py")):
        own, *_ = path.relative_to(package).parts
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom) or not node.module:
                continue
            _, *inner = node.module.split(".")
            if not node.module.startswith("idpipe.") or len(inner) < 2 or inner[0] == own:
                continue
            allowed = (".".join(inner[:2]) in BEHIND) or inner[0] in BEHIND
            assert allowed, f"{path.relative_to(ROOT)} imports {node.module}"


def test_a_face_says_what_its_package_is_for_and_hands_on_what_it_names():
    for face in sorted((ROOT / "src/idpipe").glob("*/__init__.py")):
        tree = ast.parse(face.read_text())
        first = (ast.get_docstring(tree) or "").splitlines()[0]
        assert re.match(r"[A-Z].+\.$", first), face
        handed = {alias.name for node in tree.body for alias in getattr(node, "names", [])}
        listed = [node for node in tree.body if isinstance(node, ast.Assign)]
        names = set(ast.literal_eval(listed[0].value)) if listed else set()
        assert handed == names, face

"""docs/tutorial.md, followed to the letter in a folder of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.long

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs/tutorial.md").read_text()
STEP = re.compile(r"(?:Write `([^`]+)`[^`]*?:\n\n)?```(\w+)\n(.*?)```", re.S)
SAID = re.compile(r"(\w+) of (\d+) layers, to the (\w+): (\S+) ± (\S+)")


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> tuple[Path, str]:
    """The project's folder, and all that was said."""
    folder = tmp_path_factory.mktemp("tutorial")
    project = folder / "my_project"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    said = ""
    for name, language, text in STEP.findall(PAGE):
        if language != "sh":
            (project / name).write_text(text)
            continue
        result = subprocess.run(
            ["bash", "-ec", text],
            cwd=project if project.exists() else folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        said += result.stdout + result.stderr
        assert result.returncode == 0, said
    return project, said


def test_every_block_is_a_command_or_has_a_name():
    steps = STEP.findall(PAGE)
    assert len(steps) == PAGE.count("```") / 2
    assert all((language == "sh") != bool(name) for name, language, _ in steps)


def test_it_ends_with_a_figure(done):
    project, _ = done
    with Image.open(project / "answer.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 1
    assert (project / "results/tutorial/figures/fig03.png").is_file()


def test_the_answer_is_what_the_page_says(done):
    found = {
        (arch, int(depth), reference): (float(mean), float(half))
        for arch, depth, reference, mean, half in SAID.findall(done[1])
    }
    assert len(found) == 16
    identity = [found["cnn", depth, "identity"][0] for depth in (1, 2, 4, 8)]
    assert identity[0] > 0.95 and identity == sorted(identity, reverse=True)
    for depth in (1, 2, 4, 8):
        cnn, fcn = (found[arch, depth, "identity"] for arch in ("cnn", "fcn"))
        assert cnn[0] - cnn[1] > fcn[0] + fcn[1]
    for depth in (4, 8):
        assert found["fcn", depth, "constant"][0] > 0.9
    assert sum(half > 0 for _, half in found.values()) >= 12

"""The wheel and the sdist, and what `idpipe init` lays down from an installed package."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from idpipe.cli import main
from idpipe.workflow import project

REPOSITORY = Path(__file__).parents[2]
PLACED = "idpipe/project_files/"
"""Where the wheel has the files that `idpipe init` lays down."""


def tracked(*paths: str) -> set[str]:
    """What git has of these folders and files, or would have: all that it does not ignore."""
    line = ["git", "-C", str(REPOSITORY), "ls-files"]
    line += ["--cached", "--others", "--exclude-standard", *paths]
    return set(subprocess.run(line, check=True, capture_output=True, text=True).stdout.split())


def tool(folder: Path, *line: str) -> str:
    """What a command prints that must not fail, run with nothing of this checkout on its path."""
    keep = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    keep["PATH"] = f"{Path(line[0]).parent}:{keep['PATH']}"
    environment = {**keep, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        line, cwd=folder, capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with the sdist, and the wheel made from it."""
    folder = tmp_path_factory.mktemp("built")
    source, out = folder / "source", folder / "out"
    build = [sys.executable, "-m", "hatchling", "build", "--directory", str(out)]
    said = tool(REPOSITORY, *build, "--target", "sdist")
    source.mkdir()
    with tarfile.open(next(out.glob("*.tar.gz"))) as archive:
        archive.extractall(source, filter="data")
    said += tool(next(source.iterdir()), *build, "--target", "wheel")
    assert "warn" not in said.lower()
    return out


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory) -> Path:
    """The bin folder of an environment with the wheel in it, and our packages but not ourselves."""
    folder = tmp_path_factory.mktemp("installed")
    venv = folder / "venv"
    tool(folder, sys.executable, "-m", "venv", "--without-pip", str(venv))
    (packages,) = venv.glob("lib/python*/site-packages")
    # A path in a .pth file brings the packages there, but not the editable installs.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    pip += ["--python", str(venv / "bin/python"), "install", "--no-deps", "--no-index"]
    tool(folder, *pip, "--ignore-installed", str(next(built.glob("*.whl"))))
    return venv / "bin"


def test_the_wheel_has_the_package_and_what_init_lays_down_and_nothing_else(built):
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    code = {path.removeprefix("src/") for path in tracked("src")}
    assert names == code | {PLACED + path for path in tracked(*project.PARTS)}
    assert {"idpipe/py.typed", "idpipe/claims/claims.yaml", "idpipe/claims/table1.csv"} <= names
    assert {"idpipe/figures/paper.yaml", "idpipe/claims/scorecard.html"} <= names
    assert PLACED + "workflow/report/figure.rst" in names
    assert PLACED + "workflow/schemas/config.schema.json" in names


def test_the_sdist_has_all_that_git_does_not_ignore(built):
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {path.partition("/")[2] for path in archive.getnames()}
    assert names == tracked() | {"PKG-INFO"}


def test_snakemake_runs_where_the_installed_package_laid_its_files_down(installed, tmp_path):
    where = "import idpipe; print(idpipe.__file__)"
    at = tool(tmp_path, str(installed / "python"), "-c", where)
    assert Path(at.strip()).is_relative_to(installed.parent)
    told = tool(tmp_path, str(installed / "idpipe"), "init", "a project")
    assert "cd 'a project'" in told
    folder = tmp_path / "a project"
    snakemake = [str(installed / "python"), "-m", "snakemake", "--cores", "2"]
    smoke = ["--configfile", "config/smoke.yaml"]
    planned = tool(folder, *snakemake, "all_figures", *smoke, "--dry-run")
    assert "all_figures" in planned
    tool(folder, *snakemake, "fig34", *smoke)
    with Image.open(folder / "results/smoke/figures/fig34.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 1
    status = next(folder.glob("results/cells/*/status.json")).read_text()
    assert '"commit": null' in status
    assert "run laptop" in tool(folder, str(installed / "idpipe"), "check")


class TestInit:
    def test_lays_down_the_files_of_the_repository(self, tmp_path, capsys):
        main(["init", str(tmp_path / "new/folder")])
        folder = tmp_path / "new/folder"
        laid = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
        assert laid == tracked(*project.PARTS)
        for path in laid:
            assert (folder / path).read_bytes() == (REPOSITORY / path).read_bytes()
        assert f"cd {folder}" in capsys.readouterr().out

    def test_goes_beside_other_files(self, tmp_path):
        (tmp_path / "notes.txt").touch()
        main(["init", str(tmp_path)])
        assert (tmp_path / "Snakefile").is_file()

    @pytest.mark.parametrize("taken", [["Snakefile"], ["config.yaml", "workflow"]])
    def test_overwrites_nothing(self, tmp_path, taken):
        for name in taken:
            (tmp_path / name).write_text("mine")
        with pytest.raises(SystemExit, match=f"holds {', '.join(taken)} already"):
            main(["init", str(tmp_path)])
        assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
            taken, "mine"
        )

    def test_a_link_that_leads_nowhere_is_kept_too(self, tmp_path):
        (tmp_path / "profiles").symlink_to("nowhere")
        with pytest.raises(SystemExit, match="holds profiles already"):
            main(["init", str(tmp_path)])

    def test_a_file_in_the_way_is_named(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(SystemExit, match=r"file/.*: cannot be written \(Not a directory\)"):
            main(["init", str(tmp_path / "file/below")])

"""CITATION.cff, CHANGELOG.md, CONTRIBUTING.md and LICENSE; and what modules import."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import idpipe
from idpipe.cli import main

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


def test_one_version_everywhere():
    assert PROJECT["version"] == idpipe.__version__ == str(CITATION["version"])
    assert PROJECT["version"] in CHANGELOG
    headings = re.findall(r"^## \[(.+?)\]( - \d{4}-\d\d-\d\d)?$", CHANGELOG, re.M)
    assert headings and headings[0][0] in ("Unreleased", PROJECT["version"])


def test_one_license_and_the_same_authors_everywhere():
    (authors,) = [author["name"] for author in PROJECT["authors"]]
    assert CITATION["license"] == PROJECT["license"]
    assert [author["name"] for author in CITATION["authors"]] == [authors]
    assert re.search(rf"MIT License\n\nCopyright \(c\) \d+ {authors}\n", read("LICENSE"))


def test_the_paper_is_cited():
    (paper,) = CITATION["references"]
    names = [author["family-names"] for author in paper["authors"]]
    assert names == ["Zhang", "Bengio", "Hardt", "Mozer", "Singer"]
    assert paper["title"] in " ".join(CITATION["abstract"].split())
    assert paper["year"] == 2020


def read(name: str) -> str:
    return (ROOT / name).read_text()


PAGES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: Path(page).name)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\((?!http)([^)#]+)[^)]*\)", (ROOT / page).read_text())
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []


def test_contributing_names_what_is_there():
    targets = set(re.findall(r"^([a-z-]+):.*##", read("Makefile"), re.M))
    assert set(re.findall(r"\bmake ([a-z]+)\b", CONTRIBUTING)) <= targets
    named = re.findall(r"`((?:src|tests|workflow|config|profiles|\.ci)/[^`\s]*)`", CONTRIBUTING)
    assert named and [path for path in named if not (ROOT / path).exists()] == []
    assert re.search(r"^ENGINE_VERSION = ", read("src/idpipe/cells/cell.py"), re.M)


def test_the_changelog_lists_every_command(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    commands = re.findall(r"^    (\w+) +\w", capsys.readouterr().out, re.M)
    assert len(commands) >= 8
    assert [name for name in commands if f"`{name}`" not in CHANGELOG] == []


HEAVY = "torch numpy pandas PIL matplotlib scipy jinja2"


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        ("idpipe.cells, idpipe.config", HEAVY),
        ("idpipe.costs", "torch numpy pandas"),
        ("idpipe.images.prepared, idpipe.images.probes", "torch torchvision sklearn"),
        ("idpipe.workflow.session.slurm", "torch"),
    ],
)
def test_nothing_heavy_is_imported(modules, heavy):
    assert imported_by(f"import {modules}", heavy) == "[]"


def test_parsing_the_snakefile_imports_nothing_heavy():
    """Beside what Snakemake imports itself: every job on a cluster reads it again."""
    rules = "".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))
    ours = re.findall(r"^ *from idpipe.*$", rules, re.M)
    assert len(ours) > 10
    assert imported_by("\n".join(line.strip() for line in ours), HEAVY) == "[]"


def imported_by(code: str, heavy: str) -> str:
    """Which of these modules a process has that ran this code."""
    code += f"\nimport sys; print([m for m in {heavy.split()} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()

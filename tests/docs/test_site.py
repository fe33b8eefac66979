"""The documentation's site: built strictly, whole without network; a broken link is refused."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SOURCES = ["mkdocs.yml", "docs", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff"]
SOURCES += ["LICENSE", "config", "config.yaml", "profiles", "workflow", "src"]
LIBRARY = (REPOSITORY / "docs/library.md").read_text()


def build(folder: Path, site: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", site]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    how = {"cwd": folder, "capture_output": True, "text": True, "check": False}
    return subprocess.run(line, env=environment, **how)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    result = build(REPOSITORY, folder)
    assert result.returncode == 0, result.stderr
    return folder


def test_every_page_is_there(site):
    pages = [path.stem for path in (REPOSITORY / "docs").glob("*.md")]
    pages += ["index", "configuration", "contributing", "changelog", "slurm-profile"]
    assert sorted(path.stem for path in site.glob("*.html")) == sorted([*pages, "404"])
    keys = (REPOSITORY / "config/README.md").read_text().count("\n| `")
    assert (site / "configuration.html").read_text().count("<tr>\n<td><code>") >= keys - 10 > 50
    preset = (REPOSITORY / "config/paper.yaml").read_bytes()
    assert (site / "files/config/paper.yaml").read_bytes() == preset


def test_pages_load_nothing_from_elsewhere(site):
    for page in site.glob("*.html"):
        tag = r"<(?:script|img|link|iframe)\b[^>]*?(?:src|href)=\"([^\"]*)"
        loaded = re.findall(tag, page.read_text())
        assert len(loaded) > 3
        assert [path for path in loaded if "//" in path] == []
        # 404.html is shown for paths at any depth, so its own start at the root.
        assert [path for path in loaded if not (site / path.lstrip("/")).is_file()] == []
    for sheet in site.rglob("*.css"):
        assert not re.search(r"@import|url\(['\"]?(https?:)?//", sheet.read_text())


def test_the_library_page_has_what_it_names(site):
    named = re.findall(r"^::: (idpipe\S+)", LIBRARY, re.M)
    page = (site / "library.html").read_text()
    assert len(named) > 15
    assert [name for name in named if f'id="{name}"' not in page] == []


def test_broken_links_are_refused(tmp_path):
    for name in SOURCES:
        source = REPOSITORY / name
        if name in ("docs", "config", "README.md"):
            (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
        else:
            (tmp_path / name).symlink_to(source)
    links = {
        "docs/concepts.md": ["nowhere1.md", "tables.md#nowhere2", "../config/nowhere3.yaml"],
        "README.md": ["docs/nowhere4.md", "#nowhere5"],
        "config/README.md": ["../docs/tables.md#nowhere6"],
    }
    for page, broken in links.items():
        with (tmp_path / page).open("a") as text:
            text.writelines(f"\n[here]({link})\n" for link in broken)
    result = build(tmp_path, tmp_path / "site")
    assert result.returncode != 0
    warned = [line for line in result.stderr.splitlines() if line.startswith("WARNING")]
    assert len(warned) == 6
    assert all(any(f"nowhere{number}" in line for line in warned) for number in range(1, 7))


def test_the_example_of_the_library_page():
    (example,) = re.findall(r"```python\n(.*?)```", LIBRARY, re.S)
    (printed,) = re.findall(r"It prints\n\n```\n(.*?)```", LIBRARY, re.S)
    line = [sys.executable, "-c", example]
    result = subprocess.run(line, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    said, found = (re.findall(r"(\S+): (\S+) ±", text) for text in (printed, result.stdout))
    assert [name for name, _ in said] == [name for name, _ in found]
    for (_, mean), (_, here) in zip(said, found, strict=True):
        assert abs(float(mean) - float(here)) < 0.05

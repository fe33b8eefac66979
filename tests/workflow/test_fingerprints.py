"""Which edits of the code change the digest of which figures."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from idpipe.figures import FIGURES
from idpipe.workflow import fingerprints


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """A copy of the package that digests are taken of."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(fingerprints.PACKAGE, tmp_path / "idpipe", ignore=ignored)
    monkeypatch.setattr(fingerprints, "PACKAGE", tmp_path / "idpipe")
    fingerprints.read.cache_clear()
    yield tmp_path / "idpipe"
    fingerprints.read.cache_clear()


def digests() -> dict[str, str]:
    fingerprints.read.cache_clear()
    return {name: fingerprints.figure(name) for name in FIGURES}


@pytest.fixture(scope="module")
def before() -> dict[str, str]:
    """The digests of the package as it is."""
    return digests()


@pytest.fixture
def changed(package, before) -> Callable[[str, str, str], set[str]]:
    """The figures whose digest an edit of a file of `figures` changes; undone afterwards."""

    def found(name: str, old: str, new: str) -> set[str]:
        path = package / "figures" / name
        text = path.read_text()
        assert text.count(old) == 1, old
        path.write_text(text.replace(old, new))
        after = digests()
        path.write_text(text)
        return {name for name in FIGURES if before[name] != after[name]}

    return found


def edited(package: Path, names: Iterable[str]) -> None:
    """Add a statement to the functions of figures."""
    for name in names:
        path = package / f"figures/{FIGURES[name].module}.py"
        body = rf"(\ndef {name}\([^)]*\) -> Figure:\n)"
        text, count = re.subn(body, r"\1    style = style or None\n", path.read_text())
        assert count == 1, name
        path.write_text(text)


def test_every_figure_has_code_of_its_own(package, before):
    edited(package, FIGURES)
    after = digests()
    assert len({*before.values(), *after.values()}) == 2 * len(FIGURES)


@pytest.mark.parametrize("name", ["fig03", "table1", "theorem2"])
def test_a_figures_function_is_that_figures_alone(package, before, name):
    edited(package, [name])
    after = digests()
    assert {other for other in FIGURES if before[other] != after[other]} == {name}


def test_what_is_shared_is_that_of_all_who_use_it(changed):
    kernels = {"fig09", "fig26"}
    assert changed("grids_cnn.py", '"filter size", found', '"filters", found') == kernels
    assert changed("grids_cnn.py", "KERNELS = (5, 7,", "KERNELS = (5,") == kernels
    written = "table().to_csv(index="
    assert changed("table1.py", f"{written}False", f"{written}True") == {"table1"}
    imports = "\nimport numpy as np"
    theorems = changed("../theory.py", imports, f"{imports}\n\nprint()")
    assert theorems == {"theorem1", "theorem2"}
    # What is taken of a module is followed.
    assert "fig03" in changed("parts/layout.py", 'ALARM = "#B3261E"', 'ALARM = "red"')
    users = changed("../cells/endings.py", "CONVERGED: Ending(True", "CONVERGED: Ending(False")
    assert users == set(FIGURES)


def test_how_files_are_written_and_the_house_style_concern_all(changed):
    date = '".pdf": {"CreationDate": None}'
    assert changed("draw.py", date, '".pdf": {}') == set(FIGURES)
    assert changed("idpipe.mplstyle", "font.size: 7\n", "font.size: 8\n") == set(FIGURES)
    assert changed("idpipe.mplstyle", "# One look", "# A look") == set()


def test_what_cells_say_of_networks_and_sources_is_followed(changed):
    unit = changed("../cells/nets.py", 'width_unit = "hidden units"', 'width_unit = "units"')
    assert {"fig02", "fig14", "assumptions"} <= unit
    assert "fig43" in changed("../cells/data.py", '"temple", "flower"', '"a", "b"')
    assert "fig32" in changed("../cells/optimizers.py", 'title = "Adagrad"', 'title = "A"')
    taken = changed(
        "draw.py", "return taken(demand, networks)", "return taken(demand, networks)[:1]"
    )
    assert {"fig38", "fig39", "fig42", "fig43"} <= taken


def test_comments_docstrings_layout_and_the_registry_concern_none(package, before, changed):
    assert changed("registry.py", '"Predictions of CNNs over depth"', '"Predictions"') == set()
    for path in (package / "figures").rglob("*.py"):
        text = re.sub(r"(?m)^( +)(return )", r"\1# Why.\n\n\1\2", path.read_text())
        path.write_text(f'"""Another docstring."""\n{text}\n\n# The end.\n')
    path = package / "figures/grids_cnn.py"
    docstring = '"""Predictions of CNNs over depth (Fig. 3, Sec. 3.2)."""'
    path.write_text(path.read_text().replace(docstring, '"""Fig. 3."""'))
    assert digests() == before


def test_what_the_explorer_reads_a_run_with_concerns_it(package):
    before = fingerprints.explorer()
    path = package / "results/run.py"
    path.write_text(path.read_text().replace("np.float64)", "np.float32)"))
    fingerprints.read.cache_clear()
    assert fingerprints.explorer() != before


def test_parsing_a_snakefile_imports_nothing_that_draws():
    code = (
        "import sys\n"
        "from idpipe.workflow import fingerprints\n"
        "fingerprints.figure('theorem1')\n"
        "heavy = {'numpy', 'pandas', 'matplotlib', 'scipy', 'torch'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

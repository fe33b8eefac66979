"""The table of docs/reruns.md, each row checked with Snakemake after a run of the smoke preset."""

from __future__ import annotations

import copy
import hashlib
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from snakemake_runs import REPOSITORY, command, counted

from idpipe.figures.registry import FIGURES
from idpipe.settings import read

pytestmark = pytest.mark.long

PAGE = (REPOSITORY / "docs/reruns.md").read_text()
ROWS = {
    row[0]: row[1:]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| what", "| ---"))
    for row in [[part.strip() for part in line.strip("|").split("|")]]
}


@dataclass
class Setup:
    """A folder in which the smoke preset is done, its settings, and a copy of the sources."""

    folder: Path
    settings: dict
    sources: Path
    arguments: list[str] = field(default_factory=list)

    def axis(self, study: str, axis: str, values: list) -> None:
        self.settings["studies"][study]["axes"][axis] = values

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text that a file of the copy has once."""
        text = (self.sources / name).read_text()
        assert text.count(old) == 1, (name, old)
        (self.sources / name).write_text(text.replace(old, new))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        how = command(self.folder, self.settings, *arguments, *self.arguments, "all_figures")
        how["args"][how["args"].index("--snakefile") + 1] = str(self.sources / "Snakefile")
        how["env"]["PYTHONPATH"] = str(self.sources / "src")
        return subprocess.run(**how, capture_output=True, check=False)


def copied(target: Path) -> Path:
    """A copy of all that a run reads of the repository."""
    for name in ("src", "workflow", "profiles", "config"):
        ignored = shutil.ignore_patterns("*.egg-info", "__pycache__")
        shutil.copytree(REPOSITORY / name, target / name, ignore=ignored)
    for name in ("Snakefile", "config.yaml"):
        shutil.copy2(REPOSITORY / name, target / name)
    return target


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    """A folder in which every figure of the smoke preset was made."""
    folder = tmp_path_factory.mktemp("smoke") / "done"
    result = Setup(folder, smoke(), REPOSITORY).run()
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


def taken_over(source: str, target: str) -> None:
    """Copy a file; large ones, which are never written to once they are there, by a link."""
    large = source.endswith((".npz", ".safetensors", ".parquet"))
    (os.link if large else shutil.copy2)(source, target)


@pytest.fixture
def setup(done, tmp_path) -> Setup:
    """A copy of that folder, with what Snakemake remembers of it, to be changed at will."""
    shutil.copytree(done, tmp_path / "folder", copy_function=taken_over)
    return Setup(tmp_path / "folder", smoke(), copied(tmp_path / "sources"))


def smoke() -> dict:
    return read([REPOSITORY / "config.yaml", REPOSITORY / "config/smoke.yaml"])


def nothing(setup: Setup) -> None:
    """The same again."""


def depth(setup: Setup) -> None:
    setup.axis("cnn_narrow_depth", "net.depth", [3, 4])


def greatest_depth(setup: Setup) -> None:
    setup.axis("cnn_depth", "net.depth", [1, 3, 6])


def exchanged(setup: Setup) -> None:
    setup.axis("cnn_channels", "net.depth", [3, 8])
    setup.axis("cnn_channels", "net.width", [3, 5])


def kernels(*values: int) -> Callable[[Setup], None]:
    return lambda setup: setup.axis("cnn_kernel", "net.kernel", list(values))


def replicates(setup: Setup) -> None:
    setup.settings["studies"]["cnn_kernel"]["base"]["replicates"] = 3


def there_and_back(setup: Setup) -> None:
    before = copy.deepcopy(setup.settings)
    setup.axis("fcn_residual", "net.depth", [4])
    assert setup.run().returncode == 0
    setup.settings = before


def another_run(setup: Setup) -> None:
    setup.settings["run"] = "mine"


def shared(setup: Setup) -> None:
    another_run(setup)
    kernels(5, 9, 7)(setup)
    studies = setup.settings["studies"]
    setup.settings["studies"] = {"cnn_kernel": studies["cnn_kernel"]}


def key(path: str, value: object) -> Callable[[Setup], None]:
    section, name = path.split(".")

    def change(setup: Setup) -> None:
        setup.settings.setdefault(section, {})[name] = value

    return change


FIGURE, ENGINE = "src/idpipe/figures/grids_cnn.py", "src/idpipe/engine.py"


def fig03(setup: Setup) -> None:
    setup.edit(FIGURE, '    return _over_depth(results, style, "cnn_depth")', FIG03)


FIG03 = """    figure = _over_depth(results, style, "cnn_depth")
    figure.text(0.5, 0.5, "edited")
    return figure"""


def shared_function(setup: Setup) -> None:
    setup.edit(FIGURE, '"filter size", found.setting', '"size of the filter", found.setting')


def house_style(setup: Setup) -> None:
    setup.edit("src/idpipe/figures/idpipe.mplstyle", "font.size: 7\n", "font.size: 8\n")


def dates(setup: Setup) -> None:
    for path in setup.sources.rglob("*"):
        path.touch()


def comments(setup: Setup) -> None:
    setup.edit(ENGINE, "\ndef train(", "\n# A comment.\ndef train(")
    setup.edit(
        FIGURE,
        "    found = ladder(results, study)\n",
        "    # Why.\n\n    found = ladder(results, study)\n",
    )
    setup.edit(FIGURE, '"""Predictions of CNNs over depth (Fig. 3, Sec. 3.2)."""', '"""Fig. 3."""')
    setup.edit("workflow/rules/train.smk", "    # The longest", "    # A comment. The longest")
    script = setup.sources / "workflow/scripts/train.py"
    script.write_text(f"# A comment.\n{script.read_text()}")


def other_code(setup: Setup) -> None:
    for module in ("engine", "stack", "optim", "evaluate", "metrics", "tables"):
        path = setup.sources / f"src/idpipe/{module}.py"
        path.write_text(f"{path.read_text()}\nADDED = 1\n")


def engine_version(setup: Setup) -> None:
    setup.edit("src/idpipe/cells.py", "\nENGINE_VERSION = 1\n", "\nENGINE_VERSION = 2\n")


def no_memory(setup: Setup) -> None:
    shutil.rmtree(setup.folder / ".snakemake")


def style_without_memory(setup: Setup) -> None:
    no_memory(setup)
    key("figures.dpi", 90)(setup)


def no_cell(setup: Setup) -> None:
    (cell,) = (setup.folder / "results/cells").glob("fcn-d02-h784-res-*")
    shutil.rmtree(cell)


def neither_cell_nor_figure(setup: Setup) -> None:
    no_cell(setup)
    (setup.folder / "results/smoke/figures/fig41.png").unlink()


def no_picture(setup: Setup) -> None:
    (setup.folder / "results/smoke/figures/fig03.png").unlink()


def forced(setup: Setup) -> None:
    setup.arguments = ["--forcerun", "evaluate", "--"]


CHANGES: dict[str, Callable[[Setup], None]] = {
    "nothing": nothing,
    "one depth: `cnn_narrow_depth` has 4 for 5": depth,
    "the greatest depth of `cnn_depth`: 6 for 5": greatest_depth,
    "values of two axes exchanged: `cnn_channels` has depths 3, 8 and widths 3, 5 for 3, 5 and "
    "3, 8": exchanged,
    "two values of an axis in another order: kernels 9, 5": kernels(9, 5),
    "a cell more: kernels 5, 9, 7": kernels(5, 9, 7),
    "a cell less: kernel 5": kernels(5),
    "`replicates` of `cnn_kernel`": replicates,
    "back to an earlier configuration": there_and_back,
    "another run of the same cells (`run: mine`)": another_run,
    "another run that shares 2 of its 3 cells": shared,
    "the grid of rho (`probes.rho`)": key("probes.rho", [0, 0.25, 1]),
    "a probe (`probes.patterns`)": key("probes.patterns", ["flat", "noise"]),
    "how many images are classified (`probes.classifier_test_per_class`)": key(
        "probes.classifier_test_per_class", 6
    ),
    "a plot style (`figures.dpi`)": key("figures.dpi", 90),
    "the function that draws `fig03`": fig03,
    "a function that `fig09` and `fig26` share": shared_function,
    "the house style, `idpipe.mplstyle`": house_style,
    "the date of every source, as by `touch` or `git checkout`": dates,
    "a comment in the engine, in a rule and in a figure's function": comments,
    "other code of training or evaluation": other_code,
    "`ENGINE_VERSION` raised": engine_version,
    "`.snakemake` deleted": no_memory,
    "a plot style, after `.snakemake` was deleted": style_without_memory,
    "the folder of a cell deleted, that of `fcn_residual`": no_cell,
    "the folder of that cell deleted, and a picture of `fig41`": neither_cell_nor_figure,
    "a picture of `fig03` deleted": no_picture,
    "`--forcerun evaluate` asked for": forced,
}


def figures(told: str) -> set[str]:
    """The figures that the last column of a row names."""
    if told.startswith("all"):
        return set(FIGURES) - set(re.findall(r"`(\w+)`", told))
    if study := re.fullmatch(r"of `(\w+)`", told):
        return {name for name, figure in FIGURES.items() if study[1] in figure.studies}
    names = set(re.findall(r"`(\w+)`", told))
    assert bool(names) != (told == "none") and names <= set(FIGURES)
    return names


def ran(counts: Counter[str]) -> list[object]:
    """Jobs as a row of the table tells them: four counts, tables or not, figures."""
    told = [counts[rule] for rule in ("train", "evaluate", "layers", "classifier", "collect")]
    return [*told, set(counts) & set(FIGURES)]


def test_every_row_has_its_change_and_every_change_its_row():
    assert set(ROWS) == set(CHANGES)


@pytest.mark.parametrize("what", ROWS)
def test_a_row_says_what_snakemake_would_run(what, setup):
    CHANGES[what](setup)
    counts = counted(setup.run("--dry-run"))
    *numbers, tables, drawn = ROWS[what]
    expected = [*map(int, numbers), {"yes": 1, "no": 0}[tables], figures(drawn)]
    assert ran(counts) == expected
    assert counts["prepare"] == 0


def test_axes_exchanged_train_the_cells_that_are_not_there(setup):
    exchanged(setup)
    trained = re.findall(r"training (cnn-d\d+-c\d+)-k5", setup.run("--dry-run").stdout)
    assert sorted(trained) == ["cnn-d03-c5", "cnn-d08-c3", "cnn-d08-c5"]


def test_the_preset_itself_has_nothing_to_do_here(setup):
    setup.settings = read([REPOSITORY / "config.yaml"])
    result = setup.run("--configfile", str(REPOSITORY / "config/smoke.yaml"), "--")
    assert "Nothing to be done" in result.stdout + result.stderr


def contents(folder: Path, pattern: str) -> dict[str, tuple[str, int]]:
    """Hash and date of every file that matches."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in folder.glob(pattern)
    }


def differing(before: dict, after: dict) -> set[str]:
    return {name for name, what in after.items() if before.get(name) != what}


def test_a_changed_depth_leaves_all_other_cells_untouched_there_and_back(setup):
    cells, pictures = "results/cells/*/*.*", "results/smoke/figures/fig*.png"
    before, drawn = contents(setup.folder, cells), contents(setup.folder, pictures)
    assert len(before) == 56 * 4
    earlier = copy.deepcopy(setup.settings)
    setup.axis("fcn_residual", "net.depth", [4])
    assert ran(counted(setup.run())) == [1, 1, 0, 0, 1, {"fig41"}]
    after = contents(setup.folder, cells)
    new = differing(before, after)
    assert len(new) == 4 and all(name.startswith("results/cells/fcn-d04-h784-res") for name in new)
    assert set(before) < set(after)
    assert differing(drawn, contents(setup.folder, pictures)) == {"results/smoke/figures/fig41.png"}
    setup.settings = earlier
    assert ran(counted(setup.run())) == [0, 0, 0, 0, 1, {"fig41"}]
    assert contents(setup.folder, cells) == after
    picture = "results/smoke/figures/fig41.png"
    assert contents(setup.folder, pictures)[picture][0] == drawn[picture][0]


def test_an_edited_figure_is_drawn_by_the_new_code_and_no_other_is(setup):
    everything = "results/**/*.*"
    before = contents(setup.folder, everything)
    fig03(setup)
    assert ran(counted(setup.run())) == [0, 0, 0, 0, 0, {"fig03"}]
    new = differing(before, contents(setup.folder, everything))
    pictures = {f"results/smoke/figures/fig03.{suffix}" for suffix in ("png", "pdf")}
    assert new == {*pictures, "results/smoke/logs/fig03.log"}
    hashes = {name: content[0] for name, content in before.items()}
    after = {name: content[0] for name, content in contents(setup.folder, everything).items()}
    assert all(hashes[name] != after[name] for name in pictures)
    assert counted(setup.run("--dry-run")) == Counter()

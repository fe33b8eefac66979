"""The table of docs/reruns.md, each row checked with Snakemake after a run of the smoke preset."""

import copy
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest
from snakemake_runs import REPOSITORY, command, counted

from idpipe.config import read
from idpipe.figures import FIGURES

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

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        how = command(self.folder, self.settings, *arguments, *self.arguments, "all_figures")
        how["args"][how["args"].index("--snakefile") + 1] = str(self.sources / "Snakefile")
        how["env"]["PYTHONPATH"] = str(self.sources / "src")
        return subprocess.run(**how, capture_output=True, check=False)


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    """A folder in which every figure of the smoke preset was made: here, or in $IDPIPE_SMOKE."""
    folder = tmp_path_factory.mktemp("smoke") / "done"
    if made := os.environ.get("IDPIPE_SMOKE"):
        for name in ("results", ".snakemake"):
            shutil.copytree(Path(made) / name, folder / name)
    result = Setup(folder, smoke(), REPOSITORY).run()
    assert result.returncode == 0, result.stdout + result.stderr
    assert not made or "Nothing to be done" in result.stdout + result.stderr
    return folder


def taken_over(source: str, target: str) -> None:
    """Copy a file; large ones, which are never written to once they are there, by a link."""
    large = source.endswith((".npz", ".safetensors", ".parquet"))
    (os.link if large else shutil.copy2)(source, target)


@pytest.fixture
def setup(done, tmp_path) -> Setup:
    """Copies of that folder, with what Snakemake remembers of it, and of all that a run reads."""
    folder, sources = tmp_path / "folder", tmp_path / "sources"
    shutil.copytree(done, folder, copy_function=taken_over)
    for name in ("src", "workflow", "profiles", "config"):
        shutil.copytree(REPOSITORY / name, sources / name)
    for name in ("Snakefile", "config.yaml"):
        shutil.copy2(REPOSITORY / name, sources / name)
    return Setup(folder, smoke(), sources)


def smoke() -> dict:
    return read([REPOSITORY / "config.yaml", REPOSITORY / "config/smoke.yaml"])


FIGURE, ENGINE = "src/idpipe/figures/grids_cnn.py", "src/idpipe/engine/training.py"
FIG03 = """    figure = _over_depth(results, style, "cnn_depth")
    figure.text(0.5, 0.5, "edited")
    return figure"""

Change = Callable[[Setup], None]


def each(*changes: Change) -> Change:
    def change(setup: Setup) -> None:
        for one in changes:
            one(setup)

    return change


def axes(study: str, **values: list) -> Change:
    """Other values of axes of a study's networks."""
    changed = {f"net.{axis}": found for axis, found in values.items()}
    return lambda setup: setup.settings["studies"][study]["axes"].update(changed)


def key(section: str, **values: object) -> Change:
    return lambda setup: setup.settings.setdefault(section, {}).update(values)


def edit(name: str, old: str, new: str) -> Change:
    """Replace a text that a file of the sources has once."""

    def change(setup: Setup) -> None:
        text = (setup.sources / name).read_text()
        assert text.count(old) == 1, (name, old)
        (setup.sources / name).write_text(text.replace(old, new))

    return change


def without(pattern: str) -> Change:
    """The one file or folder that matches is deleted."""

    def change(setup: Setup) -> None:
        (path,) = setup.folder.glob(pattern)
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


residual = axes("fcn_residual", depth=[4])
exchanged = axes("cnn_channels", depth=[3, 8], width=[3, 5])
more_kernels = axes("cnn_kernel", kernel=[5, 9, 7])
fig03 = edit(FIGURE, '    return _over_depth(results, style, "cnn_depth")', FIG03)
comments = each(
    edit(ENGINE, "\ndef train(", "\n# A comment.\ndef train("),
    edit(
        FIGURE,
        "    found = ladder(results, study)\n",
        "    # Why.\n\n    found = ladder(results, study)\n",
    ),
    edit(FIGURE, '"""Predictions of CNNs over depth (Fig. 3, Sec. 3.2)."""', '"""Fig. 3."""'),
    edit("workflow/rules/train.smk", "    # The longest", "    # A comment. The longest"),
    edit("workflow/scripts/train.py", '"""Train one', '# A comment.\n"""Train one'),
)
no_memory, no_cell = without(".snakemake"), without("results/cells/fcn-d02-h784-res-*")


def replicates(setup: Setup) -> None:
    setup.settings["studies"]["cnn_kernel"]["base"]["replicates"] = 3


def there_and_back(setup: Setup) -> None:
    before = copy.deepcopy(setup.settings)
    residual(setup)
    assert setup.run().returncode == 0
    setup.settings = before


def another_run(setup: Setup) -> None:
    setup.settings["run"] = "mine"


def kernels_alone(setup: Setup) -> None:
    setup.settings["studies"] = {"cnn_kernel": setup.settings["studies"]["cnn_kernel"]}


def dates(setup: Setup) -> None:
    for path in setup.sources.rglob("*"):
        path.touch()


def other_code(setup: Setup) -> None:
    for module in (
        "engine/training",
        "engine/optim",
        "evaluate/predictions",
        "images/metrics",
        "results/tables",
    ):
        path = setup.sources / f"src/idpipe/{module}.py"
        path.write_text(f"{path.read_text()}\nADDED = 1\n")


def forced(*rules: str) -> Change:
    """Ask for some rules, whatever is there."""

    def change(setup: Setup) -> None:
        setup.arguments = ["--forcerun", *rules, "--"]

    return change


CHANGES: dict[str, Change] = {
    "nothing": each(),
    "one depth: `cnn_narrow_depth` has 4 for 5": axes("cnn_narrow_depth", depth=[3, 4]),
    "the greatest depth of `cnn_depth`: 6 for 5": axes("cnn_depth", depth=[1, 3, 6]),
    "values of two axes exchanged: `cnn_channels` has depths 3, 8 and widths 3, 5 for 3, 5 and "
    "3, 8": exchanged,
    "two values of an axis in another order: kernels 9, 5": axes("cnn_kernel", kernel=[9, 5]),
    "a cell more: kernels 5, 9, 7": more_kernels,
    "a cell less: kernel 5": axes("cnn_kernel", kernel=[5]),
    "`replicates` of `cnn_kernel`": replicates,
    "`defaults.replicates`, which the cells of most studies here set themselves": key(
        "defaults", replicates=3
    ),
    "back to an earlier configuration": there_and_back,
    "another run of the same cells (`run: mine`)": another_run,
    "another run that shares 2 of its 3 cells": each(another_run, more_kernels, kernels_alone),
    "the grid of rho (`probes.rho`)": key("probes", rho=[0, 0.25, 1]),
    "a probe (`probes.patterns`)": key("probes", patterns=["flat", "noise"]),
    "how many images are classified (`probes.classifier_test_per_class`)": key(
        "probes", classifier_test_per_class=6
    ),
    "a plot style (`figures.dpi`)": key("figures", dpi=90),
    "the function that draws `fig03`": fig03,
    "a function that `fig09` and `fig26` share": edit(
        FIGURE, '"filter size", found.setting', '"size of the filter", found.setting'
    ),
    "the house style, `idpipe.mplstyle`": edit(
        "src/idpipe/figures/idpipe.mplstyle", "font.size: 7\n", "font.size: 8\n"
    ),
    "the date of every source, as by `touch` or `git checkout`": dates,
    "a comment in the engine, in a rule and in a figure's function": comments,
    "the function that gathers the tables": edit(
        "src/idpipe/results/gathering.py",
        "    return {table.name:",
        "    print()\n    return {table.name:",
    ),
    "other code of training or evaluation": other_code,
    "`ENGINE_VERSION` raised": edit(
        "src/idpipe/cells/cell.py", "\nENGINE_VERSION = 1\n", "\nENGINE_VERSION = 2\n"
    ),
    "`.snakemake` deleted": no_memory,
    "a plot style, after `.snakemake` was deleted": each(no_memory, key("figures", dpi=90)),
    "the folder of a cell deleted, that of `fcn_residual`": no_cell,
    "the folder of that cell deleted, and a picture of `fig41`": each(
        no_cell, without("results/smoke/figures/fig41.png")
    ),
    "a picture of `fig03` deleted": without("results/smoke/figures/fig03.png"),
    "`--forcerun evaluate` asked for": forced("evaluate"),
    "`--forcerun prepare probes` asked for": forced("prepare", "probes"),
    "that, with the folder of a cell and a picture of `fig41` deleted": each(
        forced("prepare", "probes"), no_cell, without("results/smoke/figures/fig41.png")
    ),
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
    assert counts["prepare"] == (2 if "prepare" in setup.arguments else 0)


def test_axes_exchanged_train_the_cells_that_are_not_there(setup):
    exchanged(setup)
    trained = re.findall(r"training (cnn-d\d+-c\d+)-k5", setup.run("--dry-run").stdout)
    assert sorted(trained) == ["cnn-d03-c5", "cnn-d08-c3", "cnn-d08-c5"]


def test_the_preset_itself_has_nothing_to_do_here(setup):
    setup.settings = read([REPOSITORY / "config.yaml"])
    result = setup.run("--configfile", str(REPOSITORY / "config/smoke.yaml"), "--")
    assert "Nothing to be done" in result.stdout + result.stderr


def contents(folder: Path, pattern: str) -> dict[str, tuple[bytes, int]]:
    """Hash and date of every file that matches."""
    return {
        str(path.relative_to(folder)): (sha256(path.read_bytes()).digest(), path.stat().st_mtime_ns)
        for path in folder.glob(pattern)
    }


def differing(before: dict, after: dict) -> set[str]:
    return {name for name, what in after.items() if before.get(name) != what}


def test_a_changed_depth_leaves_all_other_cells_untouched_there_and_back(setup):
    cells, pictures = "results/cells/*/*.*", "results/smoke/figures/fig*.png"
    before, drawn = contents(setup.folder, cells), contents(setup.folder, pictures)
    assert len(before) == 56 * 4
    earlier = copy.deepcopy(setup.settings)
    residual(setup)
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

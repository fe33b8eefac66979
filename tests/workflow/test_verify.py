"""Every kind of damage to a stored cell is found, named, and told how to mend."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import runs_in_process
import torch
import yaml
from safetensors.torch import load_file, save_file

from idpipe import cells, formats, store
from idpipe.cli import main
from idpipe.store import Layout
from idpipe.workflow import verify

CLASSIFIER = {"classifier_train_per_class": 2, "classifier_test_per_class": 2}
SETTINGS = {
    "run": "tiny",
    "defaults": {"replicates": 2, "max_steps": 30},
    "studies": {
        "cnn_depth": {"base": {"net": {"arch": "cnn", "width": 3}}, "axes": {"net.depth": [1, 2]}},
    },
    "probes": {"rho": [0], "n_per_rho": 1, "sizes": [7], **CLASSIFIER},
}
DIVERGING = {"optimizer": {"lr": 1e9}, "failure": {"policy": "keep"}}


def made(root: Path, **defaults) -> Path:
    settings = {**SETTINGS, "results": str(root), "defaults": {**SETTINGS["defaults"], **defaults}}
    runs_in_process.made(settings)
    return root


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    """Results of two cells with all analyses."""
    return made(tmp_path_factory.mktemp("done"))


@pytest.fixture
def root(done, tmp_path) -> Path:
    """A copy to damage."""
    return shutil.copytree(done, tmp_path / "results")


def deep(root: Path) -> Path:
    """The folder of the cell of depth 2."""
    (folder,) = root.glob("cells/cnn-d02-*")
    return folder


def evaluation(root: Path) -> Path:
    (folder,) = deep(root).glob("eval-*")
    return folder


def sealed(folder: Path) -> None:
    """Give a cell's files, as they are now, the hashes that its status holds."""
    status = json.loads((folder / "status.json").read_text())
    status["sha256"] = {name: store.digest((folder / name).read_bytes()) for name in store.HASHED}
    store.write_json(folder / "status.json", status)


def edit_json(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def edit_table(path: Path, change) -> None:
    formats.write_parquet(path, change(pd.read_parquet(path)))


def edit_weights(path: Path, change) -> None:
    params = load_file(path)
    save_file({name: change(name, value).contiguous() for name, value in params.items()}, path)


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def one_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)


def not_a_number(name: str, value: torch.Tensor) -> torch.Tensor:
    if name == "weight.1":
        value[1].view(-1)[3] = torch.nan
    return value


def infinite(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[3, "mse"] = np.inf
    return frame


# What is done to a file of the cell of depth 2, and what is said.
DAMAGE = {
    "cell.json": {
        "cut": (half, r"cell\.json cannot be read"),
        "gone": (Path.unlink, r"cell\.json missing"),
        "of another cell": (lambda f: edit_json(f, lambda c: c.update(seed=5)), "cell.json holds"),
    },
    "weights.safetensors": {
        "cut": (half, "not what was written"),
        "gone": (Path.unlink, r"weights\.safetensors missing"),
        "one bit": (one_bit, r"weights\.safetensors not what was"),
        "cut, hash fits": (half, r"weights\.safetensors cannot be read"),
        "not finite, hash fits": (
            lambda f: edit_weights(f, not_a_number),
            r"weight\.1 .* not finite in replicate 1",
        ),
        "other shape, hash fits": (
            lambda f: edit_weights(f, lambda name, value: value[:1]),
            r"float32 \[1, 3.*not .*\[2, 3",
        ),
        "other type, hash fits": (
            lambda f: edit_weights(f, lambda name, value: value.double()),
            r"float64 .*, not torch.float32",
        ),
        "other tensors, hash fits": (
            lambda f: save_file({"a": torch.ones(2)}, f),
            r"\(a, bias\.0",
        ),
    },
    "history.parquet": {
        "one bit": (one_bit, r"history\.parquet not what was written"),
        "not finite, hash fits": (
            lambda f: edit_table(f, infinite),
            "history.parquet is not finite",
        ),
        "lacks a column, hash fits": (
            lambda f: edit_table(f, lambda t: t.drop(columns="lr")),
            r"history\.parquet has missing, other or unknown columns \(lr\)",
        ),
        "of another cell, hash fits": (
            lambda f: edit_table(f, lambda t: t.assign(cell_id="x")),
            r"history\.parquet is of other cells",
        ),
        "lacks a replicate, hash fits": (
            lambda f: edit_table(f, lambda t: t[t["replicate"] == 0]),
            "history.parquet is of other replicates",
        ),
    },
    "status.json": {
        "cut": (half, r"status\.json: cannot be read"),
        "gone": (Path.unlink, r"status\.json missing"),
        "of fewer": (lambda f: edit_json(f, lambda s: s["replicates"].pop()), "of other rep"),
    },
}


def test_whole_cells_pass_and_have_no_line(root):
    lines, damaged = verify.report(Layout(root))
    assert damaged == 0
    assert lines == [f"2 stored cells in {root}/cells: 2 whole"]


@pytest.mark.parametrize(("file", "how"), [(file, how) for file in DAMAGE for how in DAMAGE[file]])
def test_damage_is_named_with_the_command_that_mends_it(root, file, how):
    harm, said = DAMAGE[file][how]
    folder = deep(root)
    harm(folder / file)
    if how.endswith("hash fits"):
        sealed(folder)
    lines, damaged = verify.report(Layout(root))
    assert damaged == 1
    line, total = lines
    assert line.startswith(f"{folder.name}: damaged: ")
    assert re.search(said, line), line
    again = f"rm -r {folder} && snakemake --cores 8 {folder}/status.json"
    assert line.endswith(f"To train it again: {again}")
    assert total.endswith("1 whole, 1 damaged")


@pytest.mark.parametrize(
    ("file", "harm", "said"),
    [
        ("metrics.parquet", half, "cannot be read"),
        ("metrics.parquet", lambda p: edit_table(p, lambda t: t.drop(columns="mse")), "(mse)"),
        ("metrics.parquet", lambda p: edit_table(p, lambda t: t.astype({"size": float})), "(size)"),
        ("predictions.npz", half, "cannot be read"),
        ("predictions.npz", one_bit, "cannot be read"),
        ("predictions.npz", lambda p: formats.write_npz(p, named=np.ones(2)), "has no correlated"),
        ("layers.npz", half, "cannot be read"),
        ("layers.parquet", half, "cannot be read"),
        ("classifier-trained.parquet", half, "cannot be read"),
    ],
)
def test_a_damaged_evaluation_costs_no_training(root, file, harm, said):
    folder = evaluation(root)
    harm(folder / file)
    lines, damaged = verify.report(Layout(root))
    assert damaged == 1
    assert f"{folder.name}/{file}" in lines[0] and said in lines[0]
    names = [f"{folder}/{name}" for name in verify.EVALUATED]
    again = f"rm -r {folder} && snakemake --cores 8 {' '.join(names)}"
    assert lines[0].endswith(f"To evaluate it again: {again}")


def test_a_cell_of_before_hashes_is_checked_by_the_rest_and_said_so(root):
    edit_json(deep(root) / "status.json", lambda status: status.pop("sha256"))
    lines, damaged = verify.report(Layout(root))
    assert (damaged, lines) == (0, [f"2 stored cells in {root}/cells: 1 whole, 1 without hashes"])
    edit_weights(deep(root) / "weights.safetensors", not_a_number)
    assert verify.report(Layout(root))[1] == 1


def test_a_cell_of_another_engine_version_is_not_called_damaged(root):
    folder = deep(root)
    content = {**json.loads((folder / "cell.json").read_text()), "engine_version": 0}
    text = cells.canonical_json(content)
    (folder / "cell.json").write_text(text)
    folder = folder.rename(folder.with_name(f"{folder.name[:-8]}{cells.id_hash(text)}"))
    lines, damaged = verify.report(Layout(root))
    assert damaged == 0
    assert lines[0].startswith(f"{folder.name}: of another engine version: version 0, this is")
    assert lines[1].endswith("1 whole, 1 of another engine version")


def test_cells_begun_or_in_training_are_unfinished(root):
    deep(root).rename(root / "away")
    folder = root / "cells" / json.loads((root / "away/status.json").read_text())["cell_id"]
    folder.mkdir()
    lines, damaged = verify.report(Layout(root))
    assert damaged == 0 and "unfinished" in lines[0]
    shutil.copy(root / "away/cell.json", folder)
    assert verify.report(Layout(root))[1] == 1
    checkpoint = Layout(root).checkpoint(folder.name)
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    assert verify.report(Layout(root))[1] == 0


def test_a_replicate_that_diverged_may_hold_what_is_not_finite(tmp_path):
    root = made(tmp_path, **DIVERGING)
    params = load_file(deep(root) / "weights.safetensors")
    assert not all(torch.isfinite(value).all() for value in params.values())
    assert verify.report(Layout(root)) == ([f"2 stored cells in {root}/cells: 2 whole"], 0)

    def lie(status):
        status["replicates"][1]["status"] = "max_steps"

    edit_json(deep(root) / "status.json", lie)
    lines, damaged = verify.report(Layout(root))
    assert damaged == 1 and "not finite in replicate 1" in lines[0]


def test_the_command_exits_with_1_where_a_cell_is_damaged(done, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(done, "results")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(SETTINGS))
    configured = ["--configured", "--set", "studies.cnn_depth.axes.net.depth=[1]"]
    for harm, arguments, code, said in (
        (None, [], 0, "2 whole"),
        (half, [], 1, "rm -r results/cells/cnn-d02"),
        (None, configured, 0, "1 stored cells"),
    ):
        if harm is not None:
            harm(deep(tmp_path / "results") / "weights.safetensors")
        with pytest.raises(SystemExit) as end:
            main(["verify", *arguments])
        assert end.value.code == code and said in capsys.readouterr().out

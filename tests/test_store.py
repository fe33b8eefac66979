"""Where files land (as the design has it), and that they are written whole and read with care."""

import json
import os
import stat
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

from idpipe import formats, store
from idpipe.cells import Cell
from idpipe.errors import StoreError
from idpipe.store import Layout

CELL = Cell.model_validate({"net": {"arch": "cnn", "depth": 2, "width": 3}})


def test_everything_has_the_place_that_the_documentation_names():
    layout = Layout(Path("results"))
    for path, place in (
        (layout.source("digits"), "data/digits"),
        (layout.probes("digits", "0a1b"), "data/digits/probes-0a1b.npz"),
        (layout.cell("cnn-1"), "cells/cnn-1"),
        (layout.checkpoint("cnn-1"), "checkpoints/cnn-1/state.safetensors"),
        (layout.evaluation("cnn-1", "0a1b"), "cells/cnn-1/eval-0a1b"),
        (layout.tables("laptop"), "laptop/tables"),
        (layout.figures("laptop"), "laptop/figures"),
    ):
        assert str(path) == f"results/{place}"


def test_cells_are_real_folders_that_are_not_hidden(tmp_path):
    layout = Layout(tmp_path)
    assert layout.cells() == []
    for name in ("fcn-2", ".cnn-0.writing", "cnn-1"):
        layout.cell(name).mkdir(parents=True)
    layout.cell("cnn-9").write_text("a file")
    layout.cell("elsewhere").symlink_to(layout.cell("cnn-1"))
    assert layout.cells() == [layout.cell("cnn-1"), layout.cell("fcn-2")]


@pytest.mark.parametrize("named", ["/fast/cache", "", "c", None])
def test_the_cache_is_where_the_xdg_specification_has_it(named, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if named is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", named)
    absolute = named == "/fast/cache"
    assert store.cache_folder() == Path(named if absolute else "/home/me/.cache") / "idpipe"


def test_a_file_is_hidden_while_written_and_then_as_open_as_any_other(tmp_path):
    path = tmp_path / "new/folder/result"
    before = os.umask(0o026)
    try:
        with store.replacing(path) as new:
            assert new.parent == path.parent and new.name.startswith(".result.")
            assert new.suffix == ".tmp"
            new.write_bytes(b"content")
            assert not path.exists()
        assert os.umask(0o026) == 0o026
    finally:
        os.umask(before)
    assert path.read_bytes() == b"content"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "result"
    store.write_bytes(path, b"old")

    def fail(stream):
        stream.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        store.write(path, fail)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_is_read_back_a_line_for_each_key_and_never_holds_nan(tmp_path):
    path, content = tmp_path / "status.json", {"steps": 3, "restarts": [0, 1]}
    store.write_json(path, content)
    assert json.loads(path.read_text()) == content == store.read_json(path)
    lines = path.read_text().split("\n")
    assert lines[1] == ' "steps": 3,' and lines[-1] == ""
    with pytest.raises(ValueError, match="JSON"):
        store.write_json(path, {"mse": float("nan")})
    assert store.read_json(path) == content


def test_a_table_keeps_its_columns_and_loses_its_index(tmp_path):
    path = tmp_path / "history.parquet"
    frame = pd.DataFrame({"step": [1, 2], "mse": [0.5, 0.25]}, index=[7, 9])
    formats.write_parquet(path, frame)
    assert pyarrow.parquet.read_table(path).to_pydict() == {"step": [1, 2], "mse": [0.5, 0.25]}
    pd.testing.assert_frame_equal(formats.read_parquet(path), frame.reset_index(drop=True))


def test_arrays_are_compressed_and_read_back(tmp_path):
    path, zeros = tmp_path / "predictions.npz", np.zeros((40, 40), np.float32)
    formats.write_npz(path, named=zeros, rho=np.arange(3))
    with zipfile.ZipFile(path) as parts:
        assert {part.compress_type for part in parts.infolist()} == {zipfile.ZIP_DEFLATED}
    with formats.arrays(path) as found:
        assert sorted(found) == ["named", "rho"]
        np.testing.assert_array_equal(found["named"], zeros)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("status.json", store.read_json),
        ("history.parquet", formats.read_parquet),
        ("predictions.npz", lambda path: formats.arrays(path).__enter__()),
        ("cell.json", lambda path: store.read_cell(path.parent)),
    ],
)
@pytest.mark.parametrize("content", [None, b"", b"half of {"])
def test_what_is_missing_or_damaged_is_named_with_what_to_delete(name, read, content, tmp_path):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StoreError) as error:
        read(path)
    assert str(error.value).startswith(f"{path}: ") and f"delete {tmp_path} " in str(error.value)


def test_json_that_is_no_object_is_refused(tmp_path):
    (tmp_path / "status.json").write_text("[1, 2]")
    with pytest.raises(StoreError, match=r"status\.json: must hold an object"):
        store.read_json(tmp_path / "status.json")


def test_a_cell_is_read_from_the_folder_of_its_id_only(tmp_path):
    folder = tmp_path / CELL.cell_id
    store.write_bytes(folder / "cell.json", CELL.canonical().encode())
    assert store.read_cell(folder) == CELL
    other = folder.rename(tmp_path / "cnn-other")
    with pytest.raises(StoreError, match=f"cell.json: holds {CELL.cell_id}, not cnn-other"):
        store.read_cell(other)


def test_results_that_changed_or_went_are_found_by_their_sha256(tmp_path):
    # "abc" is the first example of FIPS 180.
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert store.digest(b"abc") == abc
    for name in store.HASHED:
        (tmp_path / name).write_bytes(b"abc")
    known = dict.fromkeys(store.HASHED, abc)
    store.write_json(tmp_path / "status.json", {"sha256": known})
    assert store.digests(tmp_path) == known
    assert store.changed(tmp_path) == []
    (tmp_path / store.HASHED[0]).write_bytes(b"abd")
    assert store.changed(tmp_path) == [store.HASHED[0]]
    (tmp_path / store.HASHED[1]).unlink()
    assert store.changed(tmp_path) == [*store.HASHED]


@pytest.mark.parametrize("status", [{}, {"sha256": "no object"}])
def test_of_older_cells_no_digest_is_known(status, tmp_path):
    store.write_json(tmp_path / "status.json", status)
    assert store.digests(tmp_path) == {} and store.changed(tmp_path) == []

"""What comes from files, the network and the configuration runs no code and stays in its place."""

import ast
import hashlib
import io
import pickle
import shutil
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from image_sets import IDX, pack, prepared, write_idx
from snakemake_runs import REPOSITORY
from torchvision import datasets

from idpipe import formats
from idpipe.config import load
from idpipe.errors import ConfigError, DataError, StoreError
from idpipe.workflow import jobs

CODE = sorted((REPOSITORY / "src").rglob("*.py")) + sorted((REPOSITORY / "workflow").rglob("*.py"))


class Trap:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def trap(tmp_path):
    return tmp_path / "ran"


# --- files -----------------------------------------------------------------------------------


def calls(path: Path) -> set[str]:
    """Dotted names of everything that a module calls, and `name(shell)` where a shell is asked."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            found.add(name)
            found |= {f"{name}({keyword.arg})" for keyword in node.keywords if keyword.arg}
    return found


def test_nothing_that_could_run_stored_code_or_a_shell_is_called():
    forbidden = {"torch.load", "pickle.load", "pickle.loads", "pd.read_pickle", "eval", "exec"}
    forbidden |= {"os.system", "os.popen", "yaml.load", "yaml.unsafe_load", "np.load(allow_pickle)"}
    assert len(CODE) > 60
    for path in CODE:
        found = calls(path)
        assert not found & forbidden, path
        assert not [name for name in found if name.endswith("(shell)")], path


def test_no_rule_has_a_shell_command():
    for path in [REPOSITORY / "Snakefile", *(REPOSITORY / "workflow").rglob("*.smk")]:
        lines = [line.strip() for line in path.read_text().splitlines()]
        assert not [line for line in lines if line.startswith(("shell:", "run:", "shell("))], path


def test_weights_that_are_a_pickle_are_refused_and_run_nothing(trap, tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(pickle.dumps(Trap(trap)))
    with pytest.raises(StoreError, match=r"weights\.safetensors: cannot be read"):
        jobs.read_params(tmp_path)
    assert not trap.exists()
    pickle.loads(path.read_bytes())
    assert trap.exists(), "the trap would not have worked"


def test_arrays_of_objects_are_refused_and_run_nothing(trap, tmp_path):
    np.savez(tmp_path / "predictions.npz", named=np.array([Trap(trap)], dtype=object))
    with (
        pytest.raises(StoreError, match=r"predictions\.npz: cannot be read"),
        formats.arrays(tmp_path / "predictions.npz") as arrays,
    ):
        arrays["named"]
    assert not trap.exists()


def test_a_cifar_batch_that_runs_code_is_refused(trap, cifar, tmp_path, monkeypatch):
    path = cifar / "data_batch_1"
    path.write_bytes(pickle.dumps({"data": Trap(trap), "labels": []}))
    known = [["data_batch_1", hashlib.md5(path.read_bytes()).hexdigest()]]
    monkeypatch.setattr(datasets.CIFAR10, "train_list", known)
    with pytest.raises(DataError, match=r"data_batch_1: .*and not arrays alone"):
        prepared(tmp_path / "out", "cifar10", cifar.parent)
    assert not trap.exists()


# --- the network -----------------------------------------------------------------------------


@pytest.mark.usefixtures("no_proxy")
def test_a_corrupt_archive_is_refused_and_a_sound_one_then_taken(server, tmp_path, monkeypatch):
    served, address = server
    raw = write_idx(tmp_path / "origin")
    packed = [Path(shutil.copy(pack(raw, name), served)) for name in IDX]
    resources = [(path.name, hashlib.md5(path.read_bytes()).hexdigest()) for path in packed]
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [address])
    monkeypatch.setattr(datasets.FashionMNIST, "resources", resources)
    whole = packed[2].read_bytes()
    for damage in (whole[:-5], whole[:50] + b"x" + whole[51:]):
        packed[2].write_bytes(damage)
        with pytest.raises(DataError, match="the download failed"):
            prepared(tmp_path / "out", "fashion_mnist", tmp_path / "root", download=True)
        assert list((tmp_path / "root").iterdir()) == []
    packed[2].write_bytes(whole)
    out = prepared(tmp_path / "out", "fashion_mnist", tmp_path / "root", download=True)
    assert (out / "info.json").is_file()


def archived(cifar: Path, folder: Path, *entries: tarfile.TarInfo) -> Path:
    """The batches, packed as CIFAR-10 is, with entries of one byte or a link beside them."""
    archive = folder / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(cifar, cifar.name)
        for entry in entries:
            packed.addfile(entry, io.BytesIO(b"x"))
    return archive


def entry(text: str) -> tarfile.TarInfo:
    """A file of one byte, or `name -> where` a link leads to."""
    name, _, link = text.partition(" -> ")
    found = tarfile.TarInfo(name)
    if link:
        found.type, found.linkname = tarfile.SYMTYPE, link
    else:
        found.size = 1
    return found


@pytest.fixture(params=["filters", "no filters"])
def filters(request, monkeypatch):
    """Python with and without tarfile's filters, which came with 3.11.4."""
    if request.param == "no filters":
        if sys.version_info >= (3, 12):
            pytest.skip("this Python warns of archives unpacked without a filter")
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    elif not hasattr(tarfile, "data_filter"):
        pytest.skip("this Python has none")


@pytest.mark.parametrize(
    "names",
    [
        ["../../escaped"],
        ["cifar-10-batches-py/../../../escaped"],
        ["/{root}/escaped"],
        ["out -> ../..", "out/escaped"],
    ],
)
@pytest.mark.usefixtures("no_proxy", "filters")
def test_an_archive_cannot_write_outside_its_folder(names, server, cifar, tmp_path, monkeypatch):
    """Even one whose checksum is the one expected."""
    served, address = server
    entries = [entry(name.format(root=tmp_path)) for name in names]
    archive = archived(cifar, served, *entries)
    monkeypatch.setattr(datasets.CIFAR10, "url", f"{address}{archive.name}")
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    root = tmp_path / "a" / "root"
    try:
        prepared(tmp_path / "out", "cifar10", root, download=True)
    except DataError as error:
        assert "the download failed" in str(error)
        assert list(root.iterdir()) == []
    escaped = [path for path in tmp_path.rglob("escaped") if root not in path.parents]
    assert escaped == []


@pytest.mark.usefixtures("no_proxy")
def test_an_archive_of_another_checksum_is_not_unpacked(server, cifar, tmp_path, monkeypatch):
    served, address = server
    archive = archived(cifar, served)
    monkeypatch.setattr(datasets.CIFAR10, "url", f"{address}{archive.name}")
    with pytest.raises(DataError, match="the download failed"):
        prepared(tmp_path / "out", "cifar10", tmp_path / "new", download=True)
    assert list((tmp_path / "new").iterdir()) == []


# --- the configuration -----------------------------------------------------------------------

CNN = {"base": {"net": {"arch": "cnn", "depth": 1, "width": 2}}}
FLAT = {"patterns": ["flat"]}
TINY = {
    "run": "tiny",
    "defaults": {"replicates": 1, "max_steps": 10, "data": {"examples": [{"label": 0}]}},
    "studies": {"cnn_depth": {**CNN, "axes": {}}},
    "probes": {"rho": [0, 1], "n_per_rho": 1, "unseen": 1, "out_of_domain": 0, **FLAT},
}


PATHS = ["../elsewhere", "/tmp/x", "a/b", "a; touch x", ".", "..", "a\n"]
COMMANDS = ["a; touch x", "$(touch x)", "a b", "../a", "a\n", "a'b", "-a", ""]


@pytest.mark.parametrize(
    ("settings", "start", "allowed"),
    [
        *[({"studies": {name: CNN}}, "studies.", "letters, digits and _") for name in COMMANDS],
        *[({"run": name}, "run = ", "letters, digits, - and _") for name in PATHS],
    ],
)
def test_a_study_or_run_named_like_a_path_or_a_command_is_refused_in_a_line(
    settings, start, allowed
):
    with pytest.raises(ConfigError) as error:
        load({**TINY, **settings})
    (problem,) = error.value.problems
    assert problem.startswith(start) and allowed in problem and "\n" not in problem

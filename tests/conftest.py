"""Prepared sources that several test modules read, and where real images are found."""

import functools
import hashlib
import http.server
import os
import pickle
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

# As in every job, and before torch is there: on small networks its threads wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from xdist.scheduler import LoadScopeScheduling

from idpipe.cells import DataSpec
from idpipe.config import DataConfig
from idpipe.images import prepare

REPOSITORY = Path(__file__).parents[1]

# What a script starts in the background ignores SIGINT, which tests send to what they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


WHOLE_RUNS = ("slurm", "runs")
"""Folders of tests that start whole runs; the longest first."""


def folder_of(nodeid: str) -> str:
    """`slurm` of `tests/slurm/test_x.py::test_y`."""
    return nodeid.partition("::")[0].split("/")[-2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole runs come first, and may take their time."""
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.timeout(1800))
        elif folder_of(item.nodeid) in WHOLE_RUNS:
            item.add_marker(pytest.mark.timeout(300))
    items.sort(key=lambda item: [folder_of(item.nodeid) != name for name in WHOLE_RUNS])


class FileByFile(LoadScopeScheduling):
    """A file's tests go to one worker, so it starts one run at a time; so does all of SLURM's."""

    def _split_scope(self, nodeid: str) -> str:
        return "slurm" if folder_of(nodeid) == "slurm" else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log) -> FileByFile:
    """Called where tests are spread over processes."""
    return FileByFile(config, log)


@pytest.fixture(scope="session")
def real_images() -> Path:
    """Folder of torchvision's data sets with real MNIST: $IDPIPE_DATA, else ../shared/data."""
    folder = Path(os.environ.get("IDPIPE_DATA") or REPOSITORY / "../shared/data").resolve()
    if not (folder / "MNIST/raw/t10k-labels-idx1-ubyte").is_file():
        pytest.skip(f"no MNIST in {folder}; set IDPIPE_DATA to a folder that holds MNIST/raw")
    return folder


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _prepared("digits", tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _prepared("photos", tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="session")
def mnist(tmp_path_factory: pytest.TempPathFactory, real_images: Path) -> Path:
    return _prepared("mnist", tmp_path_factory.mktemp("mnist"), real_images)


@pytest.fixture(scope="session")
def fashion(tmp_path_factory: pytest.TempPathFactory, real_images: Path) -> Path:
    """The prepared source `fashion_mnist`; the same 900 images in both splits."""
    if not (real_images / "FashionMNIST/raw").is_dir():
        pytest.skip(f"no FashionMNIST in {real_images}")
    return _prepared("fashion_mnist", tmp_path_factory.mktemp("fashion"), real_images)


def _prepared(source: str, out: Path, root: Path | None = None) -> Path:
    data = DataSpec(source=source)
    prepare(data, DataConfig(source=data.source, download=False), out, root)
    return out


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What listens here is asked itself."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder and the address it is served at."""
    folder = tmp_path_factory.mktemp("served")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        thread = threading.Thread(target=served.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{served.server_port}/"
        served.shutdown()
        thread.join()


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with tiny batches in CIFAR-10's format, known to torchvision by their MD5."""
    from torchvision import datasets

    folder = tmp_path / "root/cifar-10-batches-py"
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    listed: dict[str, str] = {}
    for name in ("data_batch_1", "data_batch_2", "test_batch", "batches.meta"):
        rows = generator.integers(0, 256, (6, 3072), dtype=np.uint8)
        batch = {"data": rows, "labels": [0, 1, 2, 3, 9, 9], "label_names": list("abcdefghij")}
        (folder / name).write_bytes(pickle.dumps(batch))
        listed[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    kind = datasets.CIFAR10
    monkeypatch.setattr(kind, "train_list", [[n, listed[n]] for n in list(listed)[:2]])
    monkeypatch.setattr(kind, "test_list", [["test_batch", listed["test_batch"]]])
    monkeypatch.setitem(kind.meta, "md5", listed["batches.meta"])
    return folder

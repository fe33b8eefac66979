"""MNIST, Fashion-MNIST and CIFAR-10: found in torchvision's layout or downloaded, then checked."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import io
import math
import pickle
import socket
import sys
import tarfile
import tempfile
import warnings
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from idpipe.errors import DataError
from idpipe.images.sources.base import Loaded, Request, Split, damaged

NETWORK_SECONDS = 10.0
"""A server that stays silent for so long counts as unreachable."""

OFFICIAL_MNIST = {
    "train-images-idx3-ubyte": (
        47_040_016,
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    "train-labels-idx1-ubyte": (
        60_008,
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "t10k-images-idx3-ubyte": (
        7_840_016,
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    "t10k-labels-idx1-ubyte": (
        10_008,
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}
"""Length and SHA-256 of each file of MNIST, unpacked."""


# --- MNIST, Fashion-MNIST: idx files ---------------------------------------------------------


def mnist(request: Request) -> Loaded:
    """MNIST. Raises DataError where it cannot be had, or a file is truncated or corrupt."""
    return _idx_source(request, "MNIST")


def fashion_mnist(request: Request) -> Loaded:
    """Fashion-MNIST. Raises DataError where it cannot be had, or a file is truncated or corrupt."""
    return _idx_source(request, "FashionMNIST")


def _idx_source(request: Request, dataset: str) -> Loaded:
    folder = request.root / dataset / "raw"
    if not _idx_there(folder):
        _fetch(request, dataset, folder)
    official = OFFICIAL_MNIST if dataset == "MNIST" else {}
    train, test = (_idx_split(folder, part, official) for part in ("train", "t10k"))
    return Loaded(train, test, str(folder))


def _idx_there(folder: Path) -> bool:
    return all(any(path.is_file() for path in _idx_paths(folder, n)) for n in OFFICIAL_MNIST)


def _idx_paths(folder: Path, name: str) -> tuple[Path, Path]:
    """The unpacked file and, beside it, the packed one that torchvision downloads."""
    return folder / name, folder / f"{name}.gz"


def _idx_split(folder: Path, part: str, official: dict[str, tuple[int, str]]) -> Split:
    """One part of a data set in MNIST's format. Raises DataError that names the damaged file."""
    image_name, label_name = f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"
    images = _idx(folder, image_name, 3, official.get(image_name))
    labels = _idx(folder, label_name, 1, official.get(label_name))
    if images.shape[1:] != (28, 28):
        damaged(folder / image_name, f"holds images of {images.shape[1:]}, not 28 x 28, pixels")
    if len(images) == 0 or len(images) != len(labels):
        reason = f"has {len(labels)} labels, but {image_name} has {len(images)} images"
        damaged(folder / label_name, reason)
    if labels.max() > 9:
        damaged(folder / label_name, f"has the label {labels.max()}; classes are 0 to 9")
    return Split(images[:, None], labels.astype(np.int64))


def _idx(folder: Path, name: str, axes: int, official: tuple[int, str] | None) -> np.ndarray:
    """The bytes of an idx file as an array of `axes` axes, its header and checksum checked."""
    path, content = _content(folder, name)
    start = 4 + 4 * axes
    if len(content) < start or content[:4] != bytes([0, 0, 8, axes]):
        damaged(path, f"has no idx header of {axes} axes of bytes")
    shape = np.frombuffer(content, ">u4", axes, 4).tolist()
    promised = start + math.prod(shape)
    if len(content) != promised:
        damaged(path, f"has {len(content):,} bytes; its header promises {promised:,}")
    if official is not None and official[0] == len(content):
        _check_digest(path, content, official[1])
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _content(folder: Path, name: str) -> tuple[Path, bytes]:
    """The unpacked bytes of an idx file, and the path they came from."""
    plain, packed = _idx_paths(folder, name)
    path = plain if plain.is_file() else packed
    try:
        if path is packed:
            return path, gzip.decompress(path.read_bytes())
        content = path.read_bytes()
        trailer = packed.read_bytes()[-8:-4] if packed.is_file() else None
    except (OSError, EOFError, zlib.error) as error:
        damaged(path, f"cannot be read: {error}")
    if trailer not in (None, zlib.crc32(content).to_bytes(4, "little")):
        damaged(path, f"is not what {packed.name} beside it holds")
    return path, content


def _check_digest(path: Path, content: bytes, expected: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        damaged(path, f"has the length of MNIST's file, but not its SHA-256 ({found[:12]}...)")


# --- CIFAR-10 --------------------------------------------------------------------------------


def cifar10(request: Request) -> Loaded:
    """CIFAR-10. Raises DataError where it cannot be had, or a file is truncated or corrupt."""
    from torchvision.datasets import CIFAR10

    folder = request.root / CIFAR10.base_folder
    if not _batches_there(folder):
        _fetch(request, "CIFAR10", folder)
    for name, md5 in _batches():
        if hashlib.md5((folder / name).read_bytes()).hexdigest() != md5:
            damaged(folder / name, "has not the MD5 that torchvision knows it by")
    train, test = (
        _cifar_split([folder / name for name, _ in batches])
        for batches in (CIFAR10.train_list, CIFAR10.test_list)
    )
    return Loaded(train, test, str(folder))


def _batches() -> list[Sequence[str]]:
    """Name and MD5 of each of CIFAR-10's files."""
    from torchvision.datasets import CIFAR10

    meta = [CIFAR10.meta["filename"], CIFAR10.meta["md5"]]
    return [*CIFAR10.train_list, *CIFAR10.test_list, meta]


def _batches_there(folder: Path) -> bool:
    return all((folder / name).is_file() for name, _ in _batches())


def _cifar_split(batches: Sequence[Path]) -> Split:
    images, labels = [], []
    for path in batches:
        try:
            with path.open("rb") as stream, warnings.catch_warnings():
                # These are older than NumPy's present opinion of how to write a dtype.
                warnings.filterwarnings("ignore", message=".*align should be passed")
                batch = _Plain(stream, encoding="latin1").load()
        except pickle.UnpicklingError as error:
            damaged(path, str(error))
        images.append(batch["data"].reshape(-1, 3, 32, 32))
        labels += batch["labels"]
    return Split(np.concatenate(images), np.asarray(labels, np.int64))


class _Plain(pickle.Unpickler):
    """Reads pickled arrays and plain values; a pickle that names anything else runs nothing."""

    NAMES = frozenset(
        {
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy._core.numeric", "_frombuffer"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        """The object of this name, if it is one that builds arrays."""
        if (module, name) not in self.NAMES:
            raise pickle.UnpicklingError(f"holds {module}.{name}, and not arrays alone")
        return super().find_class(module, name)


# --- before anything is read -------------------------------------------------------------------


DATASETS = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "cifar10": "CIFAR10"}
"""Source -> torchvision's name for it."""


def there(source: str, root: Path) -> bool:
    """Whether a folder of torchvision's data sets has all files of a source."""
    from torchvision.datasets import CIFAR10

    if source == "cifar10":
        return _batches_there(root / CIFAR10.base_folder)
    return _idx_there(root / DATASETS[source] / "raw")


def addresses(source: str) -> list[str]:
    """Where torchvision downloads a source from; any of them will do."""
    from torchvision import datasets

    if source == "cifar10":
        return [datasets.CIFAR10.url]
    kind = getattr(datasets, DATASETS[source])
    return [f"{mirror}{kind.resources[0][0]}" for mirror in kind.mirrors]


# --- download --------------------------------------------------------------------------------


def _fetch(request: Request, dataset: str, folder: Path) -> None:
    """Let torchvision download a data set. Raises DataError where it cannot be had."""
    if not request.where.download:
        raise _unavailable(request, folder, "data.download is false")
    try:
        _download(dataset, request.root)
    except (OSError, RuntimeError, http.client.HTTPException, tarfile.TarError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise _unavailable(request, folder, f"the download failed ({reason})") from None


def _download(dataset: str, root: Path) -> None:
    """Download into a folder of its own, then move into `root`, so that no half file stays there.

    Files that `root` has are left as they are.
    """
    from torchvision import datasets

    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".download-") as name:
        temporary = Path(name)
        for archive in root.glob("cifar-10-python.tar.gz"):
            (temporary / archive.name).symlink_to(archive)
        with _patience(NETWORK_SECONDS), _bar_on_terminals(), _contained():
            getattr(datasets, dataset)(temporary, download=True)
        for path in temporary.rglob("*"):
            target = root / path.relative_to(temporary)
            if path.is_file() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)


@contextlib.contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Sockets opened within give up after `seconds` of silence; urllib would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@contextlib.contextmanager
def _contained() -> Iterator[None]:
    """No member of an archive unpacked within may lie outside its folder, nor link there."""
    # Python has filters from 3.11.4 on; Debian 12 has 3.11.2.
    filters = hasattr(tarfile, "data_filter")
    name = "extraction_filter" if filters else "extractall"
    before = vars(tarfile.TarFile).get(name)
    within = staticmethod(tarfile.data_filter) if filters else _extract_within
    setattr(tarfile.TarFile, name, within)
    try:
        yield
    finally:
        setattr(tarfile.TarFile, name, before)


_extract_all = tarfile.TarFile.extractall


def _extract_within(archive: tarfile.TarFile, path: str | Path = ".") -> None:
    """Unpack an archive of files and folders that all lie in `path`. Raises TarError."""
    folder = Path(path).resolve()
    for member in archive:
        inside = (folder / member.name).resolve().is_relative_to(folder)
        if not inside or not (member.isfile() or member.isdir()):
            raise tarfile.ExtractError(f"{member.name} is no file or folder within the archive")
    _extract_all(archive, path)


def _bar_on_terminals() -> contextlib.AbstractContextManager[Any]:
    """torchvision's progress bar is for terminals; a log would fill with it."""
    if sys.stderr.isatty():
        return contextlib.nullcontext()
    return contextlib.redirect_stderr(io.StringIO())


def _unavailable(request: Request, folder: Path, reason: str) -> DataError:
    source = request.data.source
    key, offline = "data.source", "`data.source: digits`"
    if request.where.source != source:
        key = "probes.out_of_domain_source (or a study's data.source)"
        offline = f"`probes.out_of_domain_source: photos` (or {offline})"
    return DataError(
        f"{key} = {source}: not found in {folder}, and {reason}. Set data.root or the environment "
        f"variable IDPIPE_DATA to the folder that holds {folder.relative_to(request.root)}, or run "
        f"where it can be downloaded (data.download: true), or choose images that need no "
        f"network: {offline}"
    )

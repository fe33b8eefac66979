"""Images: prepared once from their source, checked, then read by every cell.

`prepare` writes `train.npz`, `test.npz` (`images` uint8 [n, c, h, w] at the source's own size,
`labels` int64 [n]) and `info.json`. A source that is missing, truncated or corrupt raises
DataError; nothing is ever put in its place.

`image_folder` takes images directly in the folder (class 0), or one folder per class (classes
0, 1, ... in the order of their names), or `train/` and `test/` with either of these inside. Without
`test/` the test set is the images of the training set, and probes avoid the training images.

Adding a source: its facts in `idpipe.cells.SOURCES`, a loader here, its entry in `LOADERS`.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import io
import math
import os
import re
import socket
import sys
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64, UInt8
from PIL import Image, ImageOps

from idpipe.cells import DataSpec
from idpipe.config import DataConfig, folder_digest, image_files
from idpipe.errors import DataError
from idpipe.store import write, write_json

NETWORK_SECONDS = 10.0
"""A server that stays silent for so long counts as unreachable."""

DIGITS_FOR_TRAINING = 1437
DIGIT_LEVEL, DIGIT_SOFTNESS, DIGIT_FLOOR = 0.7, 0.3, 0.4
"""Share of the darkest nearby ink that is half black; from white to black; the least darkest.

Chosen for strokes as thin as MNIST's: all pixels have mean 0.119 and spread 0.285, where MNIST has
0.1307 and 0.3081.
"""

PHOTO_TILE = 40
"""Pixels of a photograph that become one 32 x 32 image."""
PHOTO_CROPS = 45
"""Crops taken of each photograph; the others are sky and blurred leaves."""
PHOTO_TEST_EVERY = 5

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


class Split(NamedTuple):
    """Images and their classes: uint8 pixels [n, c, h, w] and int64 labels [n]."""

    images: UInt8[np.ndarray, "n c h w"]
    labels: Int64[np.ndarray, " n"]


class Loaded(NamedTuple):
    """What a source holds and where it came from."""

    train: Split
    test: Split
    origin: str


class Request(NamedTuple):
    """What a loader is asked for."""

    data: DataSpec
    where: DataConfig
    root: Path
    """Absolute folder of torchvision's data sets."""


# --- prepare and read back -------------------------------------------------------------------


def prepare(data: DataSpec, where: DataConfig, out: Path, root: Path | None = None) -> None:
    """Write a source's images into `out`: train.npz, test.npz and, last, info.json.

    Args:
        data: names the source; for `image_folder` also the size and channels to prepare.
        where: the config's `data` section.
        out: folder of the prepared source.
        root: folder of torchvision's data sets; None: `data.root`, else `$IDPIPE_DATA`, else
            `data`.

    Raises:
        DataError: the source is missing, truncated or corrupt; the text says what to do.
    """
    root = root or Path(where.root or os.environ.get("IDPIPE_DATA") or "data")
    loaded = LOADERS[data.source](Request(data, where, root.expanduser().absolute()))
    info: dict[str, object] = {"source": data.source, "origin": loaded.origin}
    for name, split in (("train", loaded.train), ("test", loaded.test)):
        _write_split(out / f"{name}.npz", split)
        info[name] = _describe(split)
    write_json(out / "info.json", info)


def _write_split(path: Path, split: Split) -> None:
    # Not compressed: every cell reads it, and MNIST takes six times longer to unpack than to read.
    write(path, lambda stream: np.savez(stream, images=split.images, labels=split.labels))


def _describe(split: Split) -> dict[str, object]:
    return {
        "counts": np.bincount(split.labels).tolist(),
        "shape": list(split.images.shape[1:]),
        "images_sha256": hashlib.sha256(split.images.tobytes()).hexdigest(),
        "labels_sha256": hashlib.sha256(split.labels.tobytes()).hexdigest(),
    }


def load_split(folder: Path, split: str) -> Split:
    """The `train` or `test` images of a prepared source. Raises DataError where it is damaged."""
    path = folder / f"{split}.npz"
    arrays = read_npz(path, ("images", "labels"))
    found = Split(arrays["images"], arrays["labels"])
    if found.images.dtype != np.uint8 or found.images.ndim != 4:
        raise DataError(f"{path}: holds no uint8 images [n, c, h, w]; delete {folder} and rerun")
    if found.labels.shape != found.images.shape[:1]:
        raise DataError(f"{path}: images and labels differ in number; delete {folder} and rerun")
    return found


def read_npz(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """All arrays of a file written by idpipe, `names` among them.

    Raises DataError where the file is missing, truncated, fails its checksum or lacks a name.
    """
    try:
        # Opened here, for NumPy leaves a file open that turns out to be no archive.
        with path.open("rb") as stream, np.load(stream) as arrays:
            lacking = [name for name in names if name not in arrays.files]
            if lacking:
                raise ValueError(f"it has no {', '.join(lacking)}")
            return {name: arrays[name] for name in arrays.files}
    except _UNREADABLE as error:
        raise DataError(
            f"{path}: is missing or damaged ({error}); delete {path.parent} and run again"
        ) from None


_UNREADABLE = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error)


# --- pixels ----------------------------------------------------------------------------------


def standardize(
    images: UInt8[np.ndarray, "*lead c h w"], data: DataSpec
) -> Float32[np.ndarray, "*lead c h w"]:
    """Pixels {0..255} to [0, 1], minus the mean, over the standard deviation (Appendix A)."""
    pixels = images.astype(np.float32)  # then in place: this may be all of CIFAR-10
    pixels /= 255
    pixels -= _per_channel(data.mean)
    pixels /= _per_channel(data.std)
    return pixels


def normalize(
    pixels: Float32[np.ndarray, "*lead c h w"], data: DataSpec
) -> Float32[np.ndarray, "*lead c h w"]:
    """Pixels already in [0, 1] minus the mean, over the standard deviation (Appendix A)."""
    return np.asarray((pixels - _per_channel(data.mean)) / _per_channel(data.std))


def unstandardize(
    images: Float32[np.ndarray, "*lead c h w"], data: DataSpec
) -> Float32[np.ndarray, "*lead c h w"]:
    """Standardized pixels back to the scale where 0 is black and 1 is white; nothing is clipped."""
    return np.asarray(images * _per_channel(data.std) + _per_channel(data.mean))


def _per_channel(values: Sequence[float]) -> Float32[np.ndarray, "c 1 1"]:
    return np.asarray(values, np.float32)[:, None, None]


def resize(
    images: Float32[np.ndarray, "*lead h w"], size: int
) -> Float32[np.ndarray, "*lead {size} {size}"]:
    """Images at `size` x `size` pixels, antialiased, never beyond their own range (Sec. 3.3)."""
    *lead, height, width = images.shape
    if height == width == size:
        return images
    flat = images.reshape(math.prod(lead), height, width)
    small = np.empty((len(flat), size, size), np.float32)
    for place, image in enumerate(flat):
        small[place] = _scaled(image, size, size)
    return small.reshape(*lead, size, size)


def _scaled(
    image: Float[np.ndarray, "h w"],
    height: int,
    width: int,
    method: Image.Resampling = Image.Resampling.BILINEAR,
) -> Float32[np.ndarray, "{height} {width}"]:
    # Pillow averages over the shrunken pixel's area, so that bilinear is antialiased.
    drawn = Image.fromarray(image.astype(np.float32)).resize((width, height), method)
    return np.asarray(drawn)


def in_channels(
    pixels: Float32[np.ndarray, "*lead d h w"], channels: int
) -> Float32[np.ndarray, "*lead {channels} h w"]:
    """Gray pixels repeated for RGB; RGB pixels as luma (ITU-R 601, as Pillow) for gray."""
    if pixels.shape[-3] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=-3)
    luma = np.asarray([0.299, 0.587, 0.114], np.float32)[:, None, None]
    return np.asarray((pixels * luma).sum(axis=-3, keepdims=True))


# --- training images -------------------------------------------------------------------------


def training_images(
    data: DataSpec, folder: Path, replicates: int
) -> Float32[np.ndarray, "t j c h w"]:
    """The images a cell trains on, standardized, at the cell's size.

    Args:
        data: which images.
        folder: the prepared source.
        replicates: of the cell; t is this many where `data.vary`, else 1.

    Returns:
        j images for each of t training sets; all of the source's where `examples` is `all`.

    Raises:
        DataError: the source is damaged, or has no such class or too few images of it.
    """
    train = load_split(folder, "train")
    if data.examples == "all":
        return resize(standardize(train.images, data), data.size)[None]
    chosen = train.images[training_indices(data, train.labels, replicates)]
    return resize(standardize(chosen, data), data.size)


def training_indices(
    data: DataSpec, labels: Int64[np.ndarray, " n"], replicates: int
) -> Int64[np.ndarray, "t j"]:
    """Positions in the training set of the images that each of t replicates trains on.

    Raises DataError with the key path where the class or the image does not exist.
    """
    if data.examples == "all":
        return np.arange(len(labels))[None]
    try:
        data.check_examples(np.bincount(labels).tolist(), replicates)
    except ValueError as error:
        path, _, allowed = str(error).partition(": ")
        raise DataError(
            f"data.{path} = {_setting(data, path)}: {allowed} (as counted in this run's files)"
        ) from None
    members = {e.label: np.flatnonzero(labels == e.label) for e in data.examples}
    shifts = range(replicates if data.vary else 1)
    return np.array([[members[e.label][e.index + r] for e in data.examples] for r in shifts])


def _setting(data: DataSpec, path: str) -> object:
    """The value at a path such as `examples[0].index`."""
    value: Any = data.model_dump()
    for key in re.findall(r"\w+", path):
        value = value[int(key) if key.isdigit() else key]
    return value


# --- scikit-learn's embedded images ----------------------------------------------------------


def _digits(request: Request) -> Loaded:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.stack([_as_mnist(image / 16) for image in bunch.images])[:, None]
    labels = bunch.target.astype(np.int64)
    first = slice(DIGITS_FOR_TRAINING)
    rest = slice(DIGITS_FOR_TRAINING, None)
    return Loaded(
        Split(images[first], labels[first]),
        Split(images[rest], labels[rest]),
        "sklearn.datasets.load_digits",
    )


def _as_mnist(image: Float64[np.ndarray, "8 8"]) -> UInt8[np.ndarray, "28 28"]:
    """A digit of 8 x 8 gray values in [0, 1] as MNIST would show it.

    Its strokes fit a 20 x 20 box, the aspect kept, and their centre of mass is the image's centre.
    """
    ink = _strokes(image)
    rows, columns = (np.flatnonzero((ink > 0.5).any(axis)) for axis in (1, 0))
    inside = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = 20 / max(inside.shape)
    height, width = (max(1, round(scale * side)) for side in inside.shape)
    small = _scaled(inside, height, width)
    canvas = np.zeros((28, 28))
    top, left = _centred(small)
    canvas[top : top + height, left : left + width] = small / small.max()
    return np.rint(255 * canvas).astype(np.uint8)


def _strokes(image: Float64[np.ndarray, "8 8"]) -> Float32[np.ndarray, "120 120"]:
    """Sharp strokes on a fine grid: ink is what comes near the darkest ink around it.

    One threshold for all would fill the loops of bold digits or break the lines of faint ones.
    """
    padded = np.pad(image, 2)
    around = np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).max(axis=(2, 3))
    darkest = _scaled(around, 120, 120).clip(DIGIT_FLOOR)
    fine = _scaled(padded[1:-1, 1:-1], 120, 120, Image.Resampling.BICUBIC)
    return np.asarray(((fine / darkest - DIGIT_LEVEL) / DIGIT_SOFTNESS + 0.5).clip(0, 1))


def _centred(image: Float32[np.ndarray, "h w"]) -> tuple[int, int]:
    """Where in 28 x 28 the top left corner goes, so that the centre of mass is the centre."""
    corner = []
    for axis in (0, 1):
        profile = image.sum(1 - axis)
        centre = np.average(np.arange(len(profile)), weights=profile)
        corner.append(int(np.clip(round(13.5 - centre), 0, 28 - len(profile))))
    return corner[0], corner[1]


def _photos(request: Request) -> Loaded:
    from sklearn.datasets import load_sample_images

    crops = np.stack([_crops(photo) for photo in load_sample_images().images])
    test = np.arange(PHOTO_CROPS) % PHOTO_TEST_EVERY == 1
    splits = []
    for chosen in (~test, test):
        labels = np.repeat(np.arange(len(crops)), chosen.sum())
        splits.append(Split(np.concatenate(crops[:, chosen]), labels))
    return Loaded(splits[0], splits[1], "sklearn.datasets.load_sample_images")


def _crops(photo: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "45 3 32 32"]:
    """Crops of a disjoint grid with detail in three quarters of each, by contrast, most first."""
    rows, columns = (side // PHOTO_TILE for side in photo.shape[:2])
    top, left = ((side % PHOTO_TILE) // 2 for side in photo.shape[:2])
    grid = photo[top : top + rows * PHOTO_TILE, left : left + columns * PHOTO_TILE]
    tiles = grid.reshape(rows, PHOTO_TILE, columns, PHOTO_TILE, 3).swapaxes(1, 2)
    small = [
        np.asarray(Image.fromarray(tile).resize((32, 32), Image.Resampling.BILINEAR))
        for tile in tiles.reshape(-1, PHOTO_TILE, PHOTO_TILE, 3)
    ]
    crops = np.moveaxis(np.stack(small), -1, 1)
    quarters = crops.mean(axis=1).reshape(-1, 2, 16, 2, 16).std(axis=(2, 4))
    detail = np.sort(quarters.reshape(-1, 4))[:, 1]
    kept = crops[np.argsort(-detail, kind="stable")[:PHOTO_CROPS]]
    contrast = kept.std(axis=(2, 3)).mean(axis=1)
    return kept[np.argsort(-contrast, kind="stable")]


# --- MNIST, Fashion-MNIST: idx files ---------------------------------------------------------


def _mnist(request: Request) -> Loaded:
    return _idx_source(request, "MNIST")


def _fashion_mnist(request: Request) -> Loaded:
    return _idx_source(request, "FashionMNIST")


def _idx_source(request: Request, dataset: str) -> Loaded:
    folder = request.root / dataset / "raw"
    missing = [n for n in OFFICIAL_MNIST if not any(p.is_file() for p in _idx_paths(folder, n))]
    if missing:
        _fetch(request, dataset, folder)
    official = OFFICIAL_MNIST if dataset == "MNIST" else {}
    train, test = (_idx_split(folder, part, official) for part in ("train", "t10k"))
    return Loaded(train, test, str(folder))


def _idx_paths(folder: Path, name: str) -> tuple[Path, Path]:
    """The unpacked file and, beside it, the packed one that torchvision downloads."""
    return folder / name, folder / f"{name}.gz"


def _idx_split(folder: Path, part: str, official: dict[str, tuple[int, str]]) -> Split:
    """One part of a data set in MNIST's format. Raises DataError that names the damaged file."""
    image_name, label_name = f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"
    images = _idx(folder, image_name, 3, official.get(image_name))
    labels = _idx(folder, label_name, 1, official.get(label_name))
    if images.shape[1:] != (28, 28):
        _damaged(folder / image_name, f"holds images of {images.shape[1:]}, not 28 x 28, pixels")
    if len(images) == 0 or len(images) != len(labels):
        reason = f"has {len(labels)} labels, but {image_name} has {len(images)} images"
        _damaged(folder / label_name, reason)
    if labels.max() > 9:
        _damaged(folder / label_name, f"has the label {labels.max()}; classes are 0 to 9")
    return Split(images[:, None], labels.astype(np.int64))


def _idx(folder: Path, name: str, axes: int, official: tuple[int, str] | None) -> np.ndarray:
    """The bytes of an idx file as an array of `axes` axes, its header and checksum checked."""
    path, content = _content(folder, name)
    start = 4 + 4 * axes
    if len(content) < start or content[:4] != bytes([0, 0, 8, axes]):
        _damaged(path, f"has no idx header of {axes} axes of bytes")
    shape = np.frombuffer(content, ">u4", axes, 4).tolist()
    promised = start + math.prod(shape)
    if len(content) != promised:
        _damaged(path, f"has {len(content):,} bytes; its header promises {promised:,}")
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
        _damaged(path, f"cannot be read: {error}")
    if trailer not in (None, zlib.crc32(content).to_bytes(4, "little")):
        _damaged(path, f"is not what {packed.name} beside it holds")
    return path, content


def _check_digest(path: Path, content: bytes, expected: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        _damaged(path, f"has the length of MNIST's file, but not its SHA-256 ({found[:12]}...)")


def _damaged(path: Path, reason: str) -> NoReturn:
    raise DataError(
        f"{path}: truncated or corrupt: it {reason}. Delete it (and its packed copy, if any) and "
        "run again with data.download: true, or put an intact copy there"
    )


# --- CIFAR-10 --------------------------------------------------------------------------------


def _cifar10(request: Request) -> Loaded:
    from torchvision.datasets import CIFAR10

    folder = request.root / CIFAR10.base_folder
    files = [
        *CIFAR10.train_list,
        *CIFAR10.test_list,
        [CIFAR10.meta["filename"], CIFAR10.meta["md5"]],
    ]
    if not all((folder / name).is_file() for name, _ in files):
        _fetch(request, "CIFAR10", folder)
    for name, md5 in files:
        if hashlib.md5((folder / name).read_bytes()).hexdigest() != md5:
            _damaged(folder / name, "has not the MD5 that torchvision knows it by")
    return Loaded(_cifar_split(request.root, True), _cifar_split(request.root, False), str(folder))


def _cifar_split(root: Path, train: bool) -> Split:
    from torchvision.datasets import CIFAR10

    with warnings.catch_warnings():
        # The official pickles are older than NumPy's present opinion of how to write a dtype.
        warnings.filterwarnings("ignore", message=".*align should be passed")
        found = CIFAR10(root, train=train)
    images = np.ascontiguousarray(np.moveaxis(found.data, -1, 1))
    return Split(images, np.asarray(found.targets, np.int64))


# --- download --------------------------------------------------------------------------------


def _fetch(request: Request, dataset: str, folder: Path) -> None:
    """Let torchvision download a data set. Raises DataError where it cannot be had."""
    if not request.where.download:
        raise _unavailable(request, folder, "data.download is false")
    try:
        _download(dataset, request.root)
    except (OSError, RuntimeError, http.client.HTTPException) as error:
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
        with _patience(NETWORK_SECONDS), _bar_on_terminals():
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


# --- the user's own images -------------------------------------------------------------------


def _image_folder(request: Request) -> Loaded:
    folder = _own_folder(request)
    nested = (folder / "train").is_dir()
    train = _classes(folder / "train" if nested else folder)
    test = _classes(folder / "test") if nested and (folder / "test").is_dir() else {}
    if not any(train.values()):
        raise DataError(f"data.folder: {folder} holds no training images")
    names = sorted(train) + sorted(set(test) - set(train))
    parts = [_read_classes(part, names, request.data) for part in (train, test or train)]
    return Loaded(parts[0], parts[1], str(folder))


def _own_folder(request: Request) -> Path:
    """The absolute `data.folder`. Raises DataError where it is missing or no longer as hashed."""
    if request.where.folder is None:
        raise DataError("data.folder = null: the source image_folder needs a folder of images")
    folder = Path(request.where.folder).absolute()
    if not folder.is_dir():
        raise DataError(f"data.folder = {request.where.folder}: {folder} is no folder")
    digest = request.data.digest
    if digest is not None and digest != folder_digest(folder):
        raise DataError(
            f"data.folder = {request.where.folder}: the images in {folder} changed since the "
            "configuration was read; start again"
        )
    return folder


def _classes(base: Path) -> dict[str, list[Path]]:
    """Class name -> its images, sorted; the one class of loose images has the name ''.

    Raises DataError where images lie beside the folders of classes.
    """
    folders = sorted(path for path in base.iterdir() if path.is_dir() and image_files(path))
    images = image_files(base)
    if not folders:
        return {"": images} if images else {}
    loose = [path for path in images if path.parent == base]
    if loose:
        raise DataError(
            f"data.folder: {loose[0]} lies beside folders of images ({folders[0].name}, ...); "
            "either all images lie in such folders, one per class, or none"
        )
    return {path.name: image_files(path) for path in folders}


def _read_classes(classes: dict[str, list[Path]], names: Sequence[str], data: DataSpec) -> Split:
    images, labels = [], []
    for label, name in enumerate(names):
        for path in classes.get(name, []):
            images.append(_read_image(path, data.size, data.channels))
            labels.append(label)
    return Split(np.stack(images), np.asarray(labels, np.int64))


def _read_image(
    path: Path, size: int, channels: int
) -> UInt8[np.ndarray, "{channels} {size} {size}"]:
    """The central square of an image at `size` pixels. Raises DataError where it is unreadable."""
    try:
        with Image.open(path) as image:
            upright = _eight_bits(ImageOps.exif_transpose(image))
    except Exception as error:  # Pillow's readers raise whatever their format's parser does.
        raise DataError(
            f"{path}: cannot be read as an image, it may be truncated ({error}); replace or "
            "remove it"
        ) from None
    square = _on_black(_square(upright)).convert("L" if channels == 1 else "RGB")
    pixels = np.asarray(square.resize((size, size), Image.Resampling.BILINEAR))
    return np.moveaxis(np.atleast_3d(pixels), -1, 0)


def _square(image: Image.Image) -> Image.Image:
    side = min(image.size)
    left, top = ((length - side) // 2 for length in image.size)
    return image.crop((left, top, left + side, top + side))


def _eight_bits(image: Image.Image) -> Image.Image:
    """Sixteen-bit gray brought to eight bits; Pillow's own conversion of mode I clips it."""
    if image.mode == "F":
        raise ValueError("its pixels are floating point; save it with 8 or 16 bits")
    if not image.mode.startswith("I"):
        return image
    gray = np.asarray(image).astype(np.float64) / 257
    return Image.fromarray(np.rint(gray.clip(0, 255)).astype(np.uint8))


def _on_black(image: Image.Image) -> Image.Image:
    """Transparent pixels over black, the background of MNIST."""
    colours = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", colours.size, "black"), colours)


LOADERS: dict[str, Callable[[Request], Loaded]] = {
    "digits": _digits,
    "photos": _photos,
    "mnist": _mnist,
    "fashion_mnist": _fashion_mnist,
    "cifar10": _cifar10,
    "image_folder": _image_folder,
}
"""Source -> its loader."""

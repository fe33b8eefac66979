"""Images on disk: prepared once from their source, then read by every cell.

`prepare` writes `train.npz`, `test.npz` (`images` uint8 [n, c, h, w] at the source's own size,
`labels` int64 [n]) and `info.json`. A source that is missing, truncated or corrupt raises
DataError; nothing is ever put in its place.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from idpipe.cells import DataSpec
from idpipe.config import DataConfig
from idpipe.errors import DataError
from idpipe.images.pixels import resize, standardize
from idpipe.images.sources import LOADERS, Request, Split
from idpipe.store import write, write_json


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
    loaded = LOADERS[data.source](Request(data, where, (root or where.root_folder).absolute()))
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

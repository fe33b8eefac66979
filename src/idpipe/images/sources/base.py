"""What loaders are asked for and what they return."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
from jaxtyping import Int64, UInt8

from idpipe.cells import DataSpec
from idpipe.config import DataConfig
from idpipe.errors import DataError


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


def damaged(path: Path, reason: str) -> NoReturn:
    """Raise DataError: a file is not what it should be."""
    raise DataError(
        f"{path}: truncated or corrupt: it {reason}. Delete it (and its packed copy, if any) and "
        "run again with data.download: true, or put an intact copy there"
    )

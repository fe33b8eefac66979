"""Tiny data sets in the format of MNIST, and how such are prepared."""

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np

from idpipe.cells import DataSpec
from idpipe.config import DataConfig
from idpipe.images import prepare

KINDS_OF_IDX = ("images-idx3-ubyte", "labels-idx1-ubyte")
IDX = [f"{part}-{kind}" for part in ("train", "t10k") for kind in KINDS_OF_IDX]


def prepared(out: Path, source: str, root: Path, **settings: Any) -> Path:
    where = DataConfig.model_validate({"source": source, "download": False, **settings})
    prepare(DataSpec.model_validate({"source": source}), where, out, root)
    return out


def write_idx(folder: Path, count: int = 12, seed: int = 0) -> Path:
    """A tiny data set in MNIST's format, random images, labels 0, 1, 2, ..."""
    raw = folder / "MNIST/raw"
    raw.mkdir(parents=True)
    generator = np.random.default_rng(seed)
    for part in ("train", "t10k"):
        pixels = generator.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        header = struct.pack(">IIII", 0x803, count, 28, 28)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
        labels = bytes(n % 10 for n in range(count))
        header = struct.pack(">II", 0x801, count)
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(header + labels)
    return raw


def pack(raw: Path, name: str, keep: bool = False) -> Path:
    packed = raw / f"{name}.gz"
    packed.write_bytes(gzip.compress((raw / name).read_bytes()))
    if not keep:
        (raw / name).unlink()
    return packed

"""Tables as Parquet and arrays as .npz: written whole, and read with an error that names the file.

Apart from `idpipe.store`, which parsing a Snakefile imports, for numpy and pandas take a while.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from idpipe.errors import StoreError
from idpipe.store import write, write_bytes


def write_parquet(path: Path, frame: pd.DataFrame) -> None:
    """Write a table without its index."""
    write_bytes(path, parquet(frame))


def parquet(frame: pd.DataFrame) -> bytes:
    """A table without its index, as the content of a Parquet file."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def write_npz(path: Path, **arrays: np.ndarray) -> None:
    """Write named arrays, compressed."""
    write(path, lambda stream: np.savez_compressed(stream, **arrays))  # type: ignore[arg-type]


def read_parquet(path: Path) -> pd.DataFrame:
    """A table. Raises StoreError where it is missing or damaged."""
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{path}: cannot be read ({error}); delete {path.parent} and run again"
        ) from None


@contextmanager
def arrays(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    """The arrays of an .npz, open. Raises StoreError where it is missing or damaged.

    Arrays of Python objects, which run code when read, are refused by NumPy.
    """
    try:
        with path.open("rb") as stream, np.load(stream) as found:
            yield found
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise StoreError(
            f"{path}: cannot be read ({error}); delete {path.parent} and run again"
        ) from None

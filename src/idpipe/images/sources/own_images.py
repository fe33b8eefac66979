"""The user's own images.

They lie directly in the folder (class 0), or in one folder per class (classes 0, 1, ... in the
order of their names), or in `train/` and `test/` with either of these inside. Without `test/` the
test set is the images of the training set, and probes avoid the training images.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from idpipe.cells import DataSpec
from idpipe.config import folder_digest, image_files
from idpipe.errors import DataError
from idpipe.images.sources.base import Loaded, Request, Split


def image_folder(request: Request) -> Loaded:
    """The images of `data.folder`. Raises DataError where there are none or one is unreadable."""
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

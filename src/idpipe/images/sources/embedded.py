"""scikit-learn's embedded images: handwritten digits as MNIST shows them, crops of photographs."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, UInt8
from PIL import Image

from idpipe.images import scaled
from idpipe.images.sources.base import Loaded, Request, Split

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


def digits(request: Request) -> Loaded:
    """scikit-learn's 1,797 handwritten digits, the last 360 for the test set."""
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
    small = scaled(inside, height, width)
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
    darkest = scaled(around, 120, 120).clip(DIGIT_FLOOR)
    fine = scaled(padded[1:-1, 1:-1], 120, 120, Image.Resampling.BICUBIC)
    return np.asarray(((fine / darkest - DIGIT_LEVEL) / DIGIT_SOFTNESS + 0.5).clip(0, 1))


def _centred(image: Float32[np.ndarray, "h w"]) -> tuple[int, int]:
    """Where in 28 x 28 the top left corner goes, so that the centre of mass is the centre."""
    corner = []
    for axis in (0, 1):
        profile = image.sum(1 - axis)
        centre = np.average(np.arange(len(profile)), weights=profile)
        corner.append(int(np.clip(round(13.5 - centre), 0, 28 - len(profile))))
    return corner[0], corner[1]


def photos(request: Request) -> Loaded:
    """Crops of scikit-learn's two photographs, a class each."""
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

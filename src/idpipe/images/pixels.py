"""Pixels: standardized and back (Appendix A), resized, gray or RGB."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32, UInt8
from PIL import Image

from idpipe.cells import DataSpec


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
        small[place] = scaled(image, size, size)
    return small.reshape(*lead, size, size)


def scaled(
    image: Float[np.ndarray, "h w"],
    height: int,
    width: int,
    method: Image.Resampling = Image.Resampling.BILINEAR,
) -> Float32[np.ndarray, "{height} {width}"]:
    """An image at `height` x `width` pixels, antialiased."""
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

"""Which convolutions go by transform, and how large those are; no torch here.

Other thresholds here change how results round, and nothing else: no new `cells.ENGINE_VERSION`.
"""

from __future__ import annotations

NARROW = 32


def pays(kernel: int, channels: int) -> bool:
    """Whether a layer of so many channels is faster by transform: benchmarks/convolution.py."""
    return kernel >= (15 if channels <= NARROW else 25)


TILE = 8
"""Height and width of the tiles of Winograd's convolution (`idpipe.nets.convolutions.winograd`)."""
TILED_KERNELS = (5, 7)
"""Those whose output tiles, 9 - k wide, divide the tile."""


def tiling_pays(kernel: int, channels: int) -> bool:
    """Whether a layer, of so many channels on its narrow side, is faster by Winograd's tiles."""
    return kernel == 5 and channels >= 96


def tiled_numbers(kernel: int, outputs: int, inputs: int, size: int, images: int) -> int:
    """Numbers in the tiles of a layer's weights and of its input images, kept for the gradients."""
    tiles = (-(-size // (TILE + 1 - kernel))) ** 2
    return TILE**2 * (outputs * inputs + images * inputs * tiles)


def transform_length(size: int, kernel: int) -> int:
    """Even length, no prime factor above 7, at which the convolution of an image does not wrap.

    `size` is the image's, `kernel` the filter's.
    """
    length = size + min(kernel // 2, size - 1)
    while length % 2 or not _smooth(length):
        length += 1
    return length


def _smooth(number: int) -> bool:
    for prime in (2, 3, 5, 7):
        while number % prime == 0:
            number //= prime
    return number == 1

"""Evaluation images: the named probes of the paper's figures and the correlated probes of Sec. 3.2.

Everything is drawn from (`probes.seed`, role, number), so that asking for more of one kind, or for
another rho, leaves the other images as they were. No torch here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64

from idpipe.cells import DataSpec, derived_seed
from idpipe.config import ProbeSpec
from idpipe.errors import DataError
from idpipe.formats import write_npz
from idpipe.images.patterns import PATTERNS
from idpipe.images.pixels import in_channels, normalize, resize, standardize
from idpipe.images.prepared import load_split, read_npz, training_indices
from idpipe.images.sources import Split

Sets = Float32[np.ndarray, "t n c h w"]

SHOWN_OF_ALL = 3
"""Training images among the named probes where a cell trains on `all` (Fig. 1)."""


@dataclass(frozen=True)
class ProbeSet:
    """Evaluation images of one data spec, float32, standardized. `t` is 1 or, with `data.vary`, e.

    Attributes:
        names: of the n named probes, in the paper's order.
        kinds: train | blend | unseen | out_of_domain | pattern, one per named probe.
        named: the named probes at the cell's size.
        resized: size -> the same probes at that size (Sec. 3.3, Appendix H).
        rho: the grid of correlations; empty where a cell trains on several images.
        correlated: k random probes at each rho (Sec. 3.2).
        train: the j training images; the first three of `all`.
        mean: subtracted from pixels in [0, 1], per channel.
        std: then divided by, per channel.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    named: Sets
    resized: Mapping[int, Float32[np.ndarray, "t n c _ _"]]
    rho: Float64[np.ndarray, " m"]
    correlated: Float32[np.ndarray, "t m k c h w"]
    train: Float32[np.ndarray, "t j c h w"]
    mean: Float32[np.ndarray, " c"]
    std: Float32[np.ndarray, " c"]

    def save(self, path: Path) -> None:
        """Write an .npz; it appears whole or not at all."""
        resized = {f"named_{size}": images for size, images in self.resized.items()}
        plain = {name: getattr(self, name) for name in _ARRAYS}
        text = {"names": np.array(self.names, np.str_), "kinds": np.array(self.kinds, np.str_)}
        write_npz(path, **text, **plain, **resized)

    @classmethod
    def load(cls, path: Path) -> ProbeSet:
        """Read what `save` wrote. Raises DataError where the file is missing or damaged."""
        arrays = read_npz(path, ("names", "kinds", *_ARRAYS))
        names, kinds = (tuple(str(text) for text in arrays.pop(key)) for key in ("names", "kinds"))
        sizes = [key for key in arrays if key.startswith("named_")]
        resized = {int(key.removeprefix("named_")): arrays.pop(key) for key in sizes}
        return cls(names=names, kinds=kinds, resized=resized, **arrays)


_ARRAYS = ("named", "rho", "correlated", "train", "mean", "std")


def build(
    data: DataSpec, probes: ProbeSpec, replicates: int, source: Path, out_of_domain: Path
) -> ProbeSet:
    """Draw all probes of a cell.

    Args:
        data: the cell's training images.
        probes: what to draw.
        replicates: of the cell.
        source: the prepared training source.
        out_of_domain: the prepared source of the out-of-domain probes; read only if any is asked.

    Raises:
        DataError: a source is damaged or lacks a training image, or the training image has no
            direction to correlate with (`correlated`).
    """
    examples, pool = _examples(data, replicates, source)
    named = [
        *_train(examples),
        *_blends(data, probes, examples[:, 0], pool),
        *_unseen(data, probes, pool),
        *_out_of_domain(data, probes, out_of_domain),
        *_patterns(data, probes),
    ]
    train = resize(examples, data.size)
    rho = probes.rho if _is_single(data) else ()
    return ProbeSet(
        names=tuple(probe.name for probe in named),
        kinds=tuple(probe.kind for probe in named),
        named=_drawn(named, data.size, len(train)),
        resized={size: _drawn(named, size, len(train)) for size in probes.sizes},
        rho=np.array(rho, np.float64),
        correlated=_correlated_grid(train, rho, probes),
        train=train,
        mean=np.array(data.mean, np.float32),
        std=np.array(data.std, np.float32),
    )


def _is_single(data: DataSpec) -> bool:
    return data.examples != "all" and len(data.examples) == 1


# --- named probes (Figs. 1 to 3) -------------------------------------------------------------


class _Probe(NamedTuple):
    """A named probe; `draw(size)` gives its standardized pixels [t or 1, c, size, size]."""

    name: str
    kind: str
    draw: Callable[[int], Float32[np.ndarray, "t c h w"]]


class _Pool(NamedTuple):
    """Test images to pick from."""

    test: Split
    fresh: set[int]
    """Positions of the images that are none of the training images."""
    shunned: set[int]
    """Classes of the training images; others come first."""


def _still(name: str, kind: str, images: Float32[np.ndarray, "t c h w"]) -> _Probe:
    return _Probe(name, kind, lambda size: resize(images, size))


def _drawn(named: Sequence[_Probe], size: int, sets: int) -> Sets:
    """All named probes at one size, for each of the training sets."""
    columns = [probe.draw(size) for probe in named]
    return np.stack([np.broadcast_to(c, (sets, *c.shape[1:])) for c in columns], axis=1)


def _examples(
    data: DataSpec, replicates: int, source: Path
) -> tuple[Float32[np.ndarray, "t j c h w"], _Pool]:
    """The training images that probes show, at the source's own size, and the test images."""
    train, test = load_split(source, "train"), load_split(source, "test")
    chosen = training_indices(data, train.labels, replicates)
    known = {train.images[place].tobytes() for place in chosen.flat}
    fresh = {n for n, image in enumerate(test.images) if image.tobytes() not in known}
    shown = chosen[:, :SHOWN_OF_ALL] if data.examples == "all" else chosen
    shunned = set(train.labels[shown].ravel().tolist())
    return standardize(train.images[shown], data), _Pool(test, fresh, shunned)


def _train(examples: Float32[np.ndarray, "t j c h w"]) -> list[_Probe]:
    return [_still(f"train{n}", "train", examples[:, n]) for n in range(examples.shape[1])]


def _blends(
    data: DataSpec, probes: ProbeSpec, first: Float32[np.ndarray, "t c h w"], pool: _Pool
) -> list[_Probe]:
    """The first training image with an unseen image of another class; two other unseen images.

    A source whose images are all of one class blends within it.
    """
    other = _picked(data, pool, _picks(pool, probes.seed, "blend_train", 1))
    pair = _picked(data, pool, _picks(pool, probes.seed, "blend_unseen", 2))
    halves = {}
    if len(other) == 1:
        halves["blend_train"] = (first, other)
    if len(pair) == 2:
        halves["blend_unseen"] = (pair[:1], pair[1:])
    weight = np.float32(probes.blend)
    return [
        _still(name, "blend", weight * one + (1 - weight) * two)
        for name, (one, two) in halves.items()
    ]


def _unseen(data: DataSpec, probes: ProbeSpec, pool: _Pool) -> list[_Probe]:
    images = _picked(data, pool, _picks(pool, probes.seed, "test", probes.unseen))
    return [_still(f"unseen{n}", "unseen", images[[n]]) for n in range(len(images))]


def _out_of_domain(data: DataSpec, probes: ProbeSpec, folder: Path) -> list[_Probe]:
    if probes.out_of_domain == 0:
        return []
    test = load_split(folder, "test")
    pool = _Pool(test, set(range(len(test.labels))), set())
    places = _picks(pool, probes.seed, "out_of_domain", probes.out_of_domain)
    pixels = in_channels(test.images[places].astype(np.float32) / 255, data.channels)
    images = normalize(pixels, data)
    return [_still(f"ood{n}", "out_of_domain", images[[n]]) for n in range(len(images))]


def _patterns(data: DataSpec, probes: ProbeSpec) -> list[_Probe]:
    def drawer(name: str) -> Callable[[int], Float32[np.ndarray, "t c h w"]]:
        return lambda size: _pattern(name, size, data)

    return [_Probe(name, "pattern", drawer(name)) for name in probes.patterns]


def _pattern(name: str, size: int, data: DataSpec) -> Float32[np.ndarray, "1 c h w"]:
    """A pattern at `size`, standardized; gray in every channel (Appendix O)."""
    gray = PATTERNS[name](size).astype(np.float32)
    return normalize(in_channels(gray[None, None], data.channels), data)


def _picked(data: DataSpec, pool: _Pool, places: list[int]) -> Float32[np.ndarray, "n c h w"]:
    return standardize(pool.test.images[places], data)


def _picks(pool: _Pool, seed: int, role: str, count: int) -> list[int]:
    """Positions of up to `count` different test images, none of them a training image.

    Classes that were not trained on come first, then classes not yet picked; within these rules
    the image depends on (seed, role, number) alone.
    """
    labels = pool.test.labels.tolist()
    avoid = Counter({label: len(labels) for label in pool.shunned})
    taken: list[int] = []
    for number in range(count):
        generator = np.random.default_rng(derived_seed(seed, role, number))
        left = pool.fresh.difference(taken)
        order = [place for place in generator.permutation(len(labels)).tolist() if place in left]
        if not order:
            break
        taken.append(min(order, key=lambda place: avoid[labels[place]]))
        avoid[labels[taken[-1]]] += 1
    return taken


# --- correlated probes (Sec. 3.2) ------------------------------------------------------------


def correlated(
    image: Float32[np.ndarray, "c h w"],
    rho: float,
    k: int,
    seed: int,
    noise: str = "normal",
    correlation: str = "cosine",
) -> Float32[np.ndarray, "k c h w"]:
    """Random images whose correlation to `image` is `rho` and whose norm is that of `image`.

    Adding alpha times the image to noise and renormalizing, as Sec. 3.2 does, leaves the noise's
    part across the image and sets its share along the image; that is done here directly. Exact to
    1e-6 in float32.

    Args:
        image: the training image, standardized.
        rho: in [0, 1]; 1 gives the image itself, 0 images orthogonal to it.
        k: number of images; the first ones do not depend on it.
        seed: base seed; image number i is drawn from (seed, rho, i).
        noise: distribution of the noise's pixels, `normal` or `uniform`, both about 0.
        correlation: `cosine` of the angle; or `pearson`, the cosine after each image's mean is
            subtracted, and then the mean is kept too.

    Raises:
        DataError: the image is zero (flat, under `pearson`), or has too few pixels to leave any
            direction across it.
    """
    offset, along, length = _direction(image, correlation)
    drawn = np.empty((k, image.size))
    for number in range(k):
        across: Float64[np.ndarray, " p"] | float = 0.0
        if rho < 1:
            generator = np.random.default_rng(derived_seed(seed, "correlated", float(rho), number))
            across = _across(along, _NOISE[noise](generator, image.size), correlation)
        drawn[number] = offset + length * (rho * along + np.sqrt(1 - rho**2) * across)
    return drawn.astype(np.float32).reshape(k, *image.shape)


_NOISE: dict[str, Callable[[np.random.Generator, int], Float64[np.ndarray, " p"]]] = {
    "normal": lambda generator, count: generator.standard_normal(count),
    "uniform": lambda generator, count: generator.uniform(-1, 1, count),
}

_CONTRAST = 1e-3
"""Below this share of the norm, float32 cannot hold a correlation of centred pixels to 1e-6."""


def _direction(
    image: Float32[np.ndarray, "c h w"], correlation: str
) -> tuple[float, Float64[np.ndarray, " p"], float]:
    """The image as offset + length * unit vector; the offset is 0 under `cosine`."""
    pixels = image.astype(np.float64).ravel()
    offset = float(pixels.mean()) if correlation == "pearson" else 0.0
    centred = pixels - offset
    length = float(np.linalg.norm(centred))
    if length <= _CONTRAST * np.linalg.norm(pixels):
        what = "flat" if correlation == "pearson" else "zero everywhere, once standardized"
        raise DataError(
            f"data.examples: the training image is {what}, so nothing can be correlated with it "
            f"(probes.correlation = {correlation}); choose another image"
        )
    return offset, centred / length, length


def _across(
    along: Float64[np.ndarray, " p"], noise: Float64[np.ndarray, " p"], correlation: str
) -> Float64[np.ndarray, " p"]:
    """The unit vector of the noise's part orthogonal to `along` (and, for `pearson`, to ones)."""
    rest = noise
    for _ in range(2):  # the second pass removes what rounding left in the first
        if correlation == "pearson":
            rest = rest - rest.mean()
        rest = rest - (rest @ along) * along
    length = np.linalg.norm(rest)
    if length <= 1e-9 * np.linalg.norm(noise):
        raise DataError(
            f"data.size: an image of {along.size} numbers is too small for probes with a "
            f"correlation below 1 (probes.correlation = {correlation}); use a larger one"
        )
    return np.asarray(rest / length)


def _correlated_grid(
    train: Float32[np.ndarray, "t j c h w"], rho: Sequence[float], probes: ProbeSpec
) -> Float32[np.ndarray, "t m k c h w"]:
    grid = np.empty((len(train), len(rho), probes.n_per_rho, *train.shape[2:]), np.float32)
    for t, images in enumerate(train):
        for m, value in enumerate(rho):
            settings = (probes.n_per_rho, probes.seed, probes.noise, probes.correlation)
            grid[t, m] = correlated(images[0], value, *settings)
    return grid

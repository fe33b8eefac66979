"""How well nearest class means classify what each layer makes of images (Sec. 3.2, Fig. 5)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from idpipe import nets
from idpipe.cells import IMAGES_AT_ONCE, Cell
from idpipe.images import Split, resize, standardize
from idpipe.nets import Params, placed


def first_per_class(split: Split, limit: int | None) -> Split:
    """The first `limit` images of each class, in the split's order; all where it is None."""
    if limit is None:
        return split
    members = [np.flatnonzero(split.labels == label)[:limit] for label in np.unique(split.labels)]
    places = np.sort(np.concatenate(members))
    return Split(split.images[places], split.labels[places])


def chance_error(test: Split) -> float:
    """Error rate of whoever always answers with the largest class of the test images."""
    return 1 - float(np.bincount(test.labels).max()) / len(test.labels)


@torch.no_grad()
def error_rates(
    cell: Cell, params: Params, train: Split, test: Split, device: torch.device | str = "cpu"
) -> Float64[np.ndarray, "e layers"]:
    """Error rate in [0, 1] of the averaging classifier on each layer's output (Sec. 3.2, Fig. 5).

    The label vector of test image x is predicted as the sum of the training images' label vectors,
    each weighted by <phi(x), phi(x_j)>, and its class is the largest entry: no normalization,
    neither of phi nor by the sum of the weights, which the paper does not speak of. Entry c is
    <phi(x), sum of phi(x_j) over class c>, so that class sums suffice: time is linear in the number
    of images, memory independent of it. Sums and products are taken in float64, since in deep
    untrained nets images differ little.

    Args:
        cell: the problem; its data spec scales the pixels.
        params: of e replicates.
        train: images with known classes.
        test: images to classify.
        device: where to compute.

    Returns:
        Column 0 is the input itself, then the layers, bottom first; NaN where a layer is not
        finite.
    """
    params = placed(cell, params, device)
    classes = int(max(train.labels.max(), test.labels.max())) + 1
    sums: list[Tensor] = []
    for labels, features in _representations(cell, params, train):
        for layer, phi in enumerate(features):
            if layer == len(sums):
                sums.append(phi.new_zeros(len(phi), classes, phi.shape[2]))
            sums[layer].index_add_(1, labels, phi)
    wrong = torch.zeros(len(sums[0]), len(sums), dtype=torch.float64, device=device)
    for labels, features in _representations(cell, params, test):
        for layer, phi in enumerate(features):
            scores = phi @ sums[layer].transpose(1, 2)
            wrong[:, layer] += _wrong(scores, labels)
    return (wrong / len(test.labels)).cpu().numpy()


def _wrong(scores: Float[Tensor, "e n k"], labels: Tensor) -> Float[Tensor, " e"]:
    """Number of images whose largest score is not their label's; NaN if a score is not finite."""
    count = (scores.argmax(2) != labels).sum(1).to(torch.float64)
    return torch.where(scores.isfinite().all(2).all(1), count, torch.nan)


def _representations(
    cell: Cell, params: Params, split: Split
) -> Iterator[tuple[Tensor, Iterator[Float[Tensor, "e n f"]]]]:
    """Batches of labels [n] and of every layer's output, the input first, flat and in float64."""
    weight = params["weight.0"]
    for start in range(0, len(split.labels), IMAGES_AT_ONCE):
        part = slice(start, start + IMAGES_AT_ONCE)
        pixels = resize(standardize(split.images[part], cell.data), cell.data.size)
        images = torch.from_numpy(pixels).to(weight)[None]
        images = images.expand(len(weight), -1, -1, -1, -1)
        labels = torch.from_numpy(split.labels[part]).to(weight.device)
        yield labels, _flat(cell, params, images)


def _flat(cell: Cell, params: Params, images: Tensor) -> Iterator[Float[Tensor, "e n f"]]:
    yield images.flatten(2).double()
    for output in nets.layers(cell.net, params, images):
        yield output.flatten(2).double()

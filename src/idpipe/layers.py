"""What single layers do: representations, their pictures, how far weights moved (Figs. 5, 15-24).

Pure functions over stacked parameters; `idpipe.jobs` feeds them one replicate at a time, so that
no more than one untrained copy of a network is held beside the trained one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from idpipe import nets
from idpipe.cells import IMAGES_AT_ONCE, Cell
from idpipe.engine import placed
from idpipe.net_specs import CNN, FCN
from idpipe.nets import Params
from idpipe.pixels import resize, standardize
from idpipe.sources import Split

FLAT = 1e-5
"""A view whose range is below this share of its largest value holds rounding alone: it is flat."""


# --- averaging classifier (Sec. 3.2, Fig. 5) -------------------------------------------------


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


# --- distance from initialization (Appendix G, Fig. 19) ---------------------------------------


def distances(params: Params, initial: Params, depth: int) -> Float64[np.ndarray, "e {depth}"]:
    """||W - W0|| / ||W0|| of each layer's weights, biases left out (Appendix G), bottom first."""
    columns = []
    for layer in range(depth):
        before, after = (p[f"weight.{layer}"].double().flatten(1) for p in (initial, params))
        columns.append((after - before).norm(dim=1) / before.norm(dim=1))
    return torch.stack(columns, 1).cpu().numpy()


# --- upper sub-networks (Appendix H.2, Figs. 22-24) -------------------------------------------


def upper(net: CNN | FCN, params: Params, top: int) -> tuple[CNN | FCN, Params]:
    """The network of the top `top` layers alone, and its parameters."""
    skipped = net.depth - top
    kept = {}
    for name, value in params.items():
        kind, _, layer = name.partition(".")
        if int(layer) >= skipped:
            kept[f"{kind}.{int(layer) - skipped}"] = value
    return net.model_copy(update={"depth": top}), kept


def upper_layers(
    net: CNN, params: Params, images: Float[Tensor, "e n c h w"], top: int
) -> Iterator[Float[Tensor, "e n _ h w"]]:
    """Outputs of the top `top` layers when the images are fed to the lowest of them.

    They are made gray (mean over channels) and repeated over the channels that the layer expects
    (Appendix H.2); the whole network, `top` = depth, sees them as they are.
    """
    part, kept = upper(net, params, top)
    if top < net.depth:
        gray = images.mean(2, keepdim=True)
        images = gray.expand(-1, -1, kept["weight.0"].shape[2], -1, -1)
    return nets.layers(part, kept, images)


# --- views of one layer (Appendix F, Figs. 15-18) ---------------------------------------------


def top_singular(output: Float[Tensor, "*lead c h w"]) -> Float64[Tensor, "*lead h w"]:
    """The top right singular vector of each [c, h w] matrix as an image of norm 1 (Appendix F).

    Of the two signs the one whose pixels sum to 0 or more: after a ReLU no pixel is then below 0.
    A zero matrix gives zeros, one that is not finite NaN.
    """
    matrix = output.flatten(-2).double()
    finite = matrix.isfinite().all(-1).all(-1)[..., None, None]
    matrix = torch.where(finite, matrix, 0.0)
    # Scaled, or the squares of very large or small activations leave the range of float64.
    size = matrix.abs().amax((-2, -1), keepdim=True)
    matrix = matrix / torch.where(size > 0, size, 1.0)
    if matrix.shape[-2] <= matrix.shape[-1]:
        across = torch.linalg.eigh(matrix @ matrix.mT)[1][..., -1:]
        vector = (across.mT @ matrix)[..., 0, :]
    else:
        vector = torch.linalg.eigh(matrix.mT @ matrix)[1][..., -1]
    length = vector.norm(dim=-1, keepdim=True)
    sign = torch.where(vector.sum(-1, keepdim=True) < 0, -1.0, 1.0)
    vector = torch.where(size[..., 0] > 0, sign * vector / length, 0.0)
    return torch.where(finite, vector.view(*vector.shape[:-1], *output.shape[-2:]), torch.nan)


def most_correlated(
    output: Float[Tensor, "*lead c h w"], image: Float[Tensor, "*lead h w"]
) -> Int64[Tensor, "*lead"]:
    """Index of the channel whose Pearson correlation with the image is largest (Appendix F).

    Flat channels have none; where no channel has one, as for a flat image, it is channel 0.
    """
    channels, away = _centred(output)
    pixels, from_image = _centred(image)
    close = (channels @ pixels[..., None])[..., 0] / (away * from_image[..., None])
    return torch.where(close.isfinite(), close, -torch.inf).argmax(-1)


def _centred(
    planes: Float[Tensor, "*lead h w"],
) -> tuple[Float64[Tensor, "*lead p"], Float64[Tensor, "*lead"]]:
    """Pixels less their mean, and their norm; the norm of a flat plane is NaN."""
    pixels = planes.flatten(-2).double()
    rest = pixels - pixels.mean(-1, keepdim=True)
    flat = rest.abs().amax(-1) <= FLAT * pixels.abs().amax(-1)
    return rest, torch.where(flat, torch.nan, rest.norm(dim=-1))


def chosen_channel(
    output: Float[Tensor, "*lead c h w"], index: Int64[Tensor, "*lead"]
) -> Float[Tensor, "*lead h w"]:
    """One channel of each output."""
    spread = index[..., None, None, None].expand(*index.shape, 1, *output.shape[-2:])
    return output.gather(-3, spread)[..., 0, :, :]


def picture(view: Float[Tensor, "*lead h w"]) -> Float[Tensor, "*lead h w"]:
    """A view over its own range: smallest pixel 0, largest 1; a flat one is 0.

    One that is not finite is NaN.
    """
    low, high = view.amin((-2, -1), keepdim=True), view.amax((-2, -1), keepdim=True)
    span = high - low
    wide = span > FLAT * torch.maximum(low.abs(), high.abs())
    scaled = torch.where(wide, (view - low) / torch.where(wide, span, 1.0), 0.0)
    return torch.where(view.isfinite().all(-1).all(-1)[..., None, None], scaled, torch.nan)

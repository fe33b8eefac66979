"""Views of one layer as pictures (Appendix F, Figs. 15-18)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

FLAT = 1e-5
"""A view whose range is below this share of its largest value holds rounding alone: it is flat."""


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

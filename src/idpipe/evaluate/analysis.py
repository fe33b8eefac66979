"""The layer-wise analysis of one cell: its table rows and the pictures of its layers.

`idpipe.workflow.jobs` feeds it one replicate at a time, so that no more than one untrained copy of
a network is held beside the trained one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from idpipe import nets
from idpipe.cells import AnyNet, Cell
from idpipe.evaluate.classifier import chance_error, error_rates
from idpipe.evaluate.views import chosen_channel, most_correlated, picture, top_singular
from idpipe.images import ProbeSet, Split
from idpipe.nets import Params, placed

VIEWS = ("singular", "correlated", "channel0")
"""Views of a hidden layer: top singular vector, channel most correlated with the input, channel 0
(Appendix F)."""
VIEWED = {"train": 1, "blend": 1, "unseen": 2, "out_of_domain": 1, "pattern": 2}
RESIZED = {"train": 1, "unseen": 1, "out_of_domain": 1, "pattern": 1}
"""How many probes of each kind are viewed layer by layer, at the training image's size and at
others: all would be hundreds of megabytes."""
PATTERNS = ("circle", "checkerboard", "stripes", "cross", "rings", "dots", "gradient", "noise")
"""Which patterns are viewed first; `flat` has no direction to correlate with, so comes last."""
UPPER = (1, 2, 3, 6, 10)
"""Top layers that are fed with images (Figs. 22 to 24)."""


def viewed(
    names: Sequence[str], kinds: Sequence[str], counts: Mapping[str, int] = VIEWED
) -> list[int]:
    """Places of the probes that are viewed layer by layer, `counts` of each kind."""
    found = []
    for kind, count in counts.items():
        places = [place for place, other in enumerate(kinds) if other == kind]
        if kind == "pattern":
            rank = {name: number for number, name in enumerate(PATTERNS)}
            places.sort(key=lambda place: rank.get(names[place], len(rank)))
        found += places[:count]
    return found


def distance_rows(cell: Cell, replicate: int, params: Params, initial: Params) -> pd.DataFrame:
    """Table rows of one replicate's distance from its initial weights (Appendix G, Fig. 19)."""
    values = distances(params, initial, cell.net.depth)[0]
    return _rows(cell, replicate, "trained", "distance", values, first=1)


def error_rows(
    cell: Cell,
    replicate: int,
    params: Params,
    state: str,
    splits: tuple[Split, Split],
    device: torch.device,
) -> pd.DataFrame:
    """Table rows of the averaging classifier on one replicate's layers (Sec. 3.2, Fig. 5)."""
    values = error_rates(cell, params, *splits, device)[0]
    return _rows(cell, replicate, state, "error_rate", values, first=0)


def chance_row(cell: Cell, replicate: int, test: Split) -> pd.DataFrame:
    """Table row of the error rate that no knowledge of the image gives."""
    return _rows(cell, replicate, "untrained", "chance", [chance_error(test)], first=0)


def _rows(
    cell: Cell,
    replicate: int,
    state: str,
    quantity: str,
    values: Sequence[float] | np.ndarray,
    first: int,
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "cell_id": cell.cell_id,
            "replicate": replicate,
            "layer": range(first, first + len(values)),
            "state": state,
            "quantity": quantity,
            "value": values,
        }
    )


@torch.no_grad()
def pictures(
    cell: Cell,
    replicate: int,
    params: Params,
    initial: Params,
    probes: ProbeSet,
    device: torch.device,
) -> dict[str, np.ndarray]:
    """Views of layers that have channels, of one replicate, by array name; else none.

    With l the layers, m the probes `viewed`, n all named probes, views [l - 1, m, h, w] of the
    hidden layers in [0, 1] (`idpipe.evaluate.views.picture`, float16) and outputs [m, c, h, w],
    standardized as the predictions:

    - `trained_<view>`, `untrained_<view>` for each of `VIEWS`; `trained_output`,
      `untrained_output`.
    - `trained_singular_<size>`, `trained_output_<size>`: the probes of `RESIZED` at another size
      (Fig. 21).
    - `upper<k>_singular` [k - 1, n, h, w], `upper<k>_output` [n, c, h, w]: all named probes, fed
      to the top k layers (Appendix H.2).

    Args:
        cell: the problem.
        replicate: which of its replicates.
        params: of this replicate, after training.
        initial: of this replicate, before.
        probes: the inputs.
        device: where to compute.
    """
    if not cell.net.convolutional:
        return {}
    after, before = (placed(cell, p, device) for p in (params, initial))
    some = viewed(probes.names, probes.kinds)
    fewer = viewed(probes.names, probes.kinds, RESIZED)
    found: dict[str, np.ndarray] = {}
    inputs = _inputs(probes.named, replicate, after)
    for state, current in (("trained", after), ("untrained", before)):
        outputs = nets.layers(cell.net, current, inputs[:, some])
        found |= _named(state, outputs, inputs[:, some], VIEWS)
    for size, images in probes.resized.items():
        if size != probes.named.shape[-1]:
            other = _inputs(images, replicate, after)[:, fewer]
            outputs = nets.layers(cell.net, after, other)
            sized = _named("trained", outputs, other, VIEWS[:1])
            found |= {f"{name}_{size}": array for name, array in sized.items()}
    for top in UPPER:
        if top <= cell.net.depth:
            outputs = upper_layers(cell.net, after, inputs, top)
            found |= _named(f"upper{top}", outputs, inputs, VIEWS[:1])
    return found


def _inputs(
    images: Float[np.ndarray, "t n c h w"], replicate: int, params: Params
) -> Float[Tensor, "1 n c h w"]:
    """What one replicate is shown, where its parameters are."""
    own = images[[replicate if len(images) > 1 else 0]]
    return torch.from_numpy(own).to(params["weight.0"])


def _named(
    prefix: str,
    outputs: Iterator[Float[Tensor, "1 n _ h w"]],
    inputs: Float[Tensor, "1 n c h w"],
    views: Sequence[str],
) -> dict[str, np.ndarray]:
    """Views of all layers but the last, and the last one's output, by array name."""
    gray = inputs[0].mean(1)
    hidden: dict[str, list[np.ndarray]] = {view: [] for view in views}
    *below, output = (output[0] for output in outputs)
    for layer in below:
        for view in views:
            plane = picture(_view(layer, gray, view))
            hidden[view].append(plane.cpu().numpy().astype(np.float16))
    shape = (len(below), *gray.shape)
    stacked = {view: np.array(planes, np.float16).reshape(shape) for view, planes in hidden.items()}
    return {f"{prefix}_{view}": planes for view, planes in stacked.items()} | {
        f"{prefix}_output": output.float().cpu().numpy()
    }


def _view(
    layer: Float[Tensor, "n c h w"], gray: Float[Tensor, "n h w"], view: str
) -> Float[Tensor, "n h w"]:
    if view == "singular":
        return top_singular(layer)
    if view == "correlated":
        return chosen_channel(layer, most_correlated(layer, gray))
    return layer[:, 0]


# --- distance from initialization (Appendix G, Fig. 19) ---------------------------------------


def distances(params: Params, initial: Params, depth: int) -> Float64[np.ndarray, "e {depth}"]:
    """||W - W0|| / ||W0|| of each layer's weights, biases left out (Appendix G), bottom first."""
    columns = []
    for layer in range(depth):
        before, after = (p[f"weight.{layer}"].double().flatten(1) for p in (initial, params))
        columns.append((after - before).norm(dim=1) / before.norm(dim=1))
    return torch.stack(columns, 1).cpu().numpy()


# --- upper sub-networks (Appendix H.2, Figs. 22-24) -------------------------------------------


def upper(net: AnyNet, params: Params, top: int) -> tuple[AnyNet, Params]:
    """The network of the top `top` layers alone, and its parameters."""
    skipped = net.depth - top
    kept = {}
    for name, value in params.items():
        kind, _, layer = name.partition(".")
        if int(layer) >= skipped:
            kept[f"{kind}.{int(layer) - skipped}"] = value
    return net.model_copy(update={"depth": top}), kept


def upper_layers(
    net: AnyNet, params: Params, images: Float[Tensor, "e n c h w"], top: int
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

"""The numbers that networks are made of: their type, their device, how exactly they multiply."""

from __future__ import annotations

import torch
from torch import Tensor

from idpipe.cells import Cell

Params = dict[str, Tensor]

DTYPES = {"ieee": torch.float32, "tf32": torch.float32, "float64": torch.float64}


def choose_device() -> torch.device:
    """The first CUDA device if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def set_numerics(cell: Cell) -> None:
    """Make this process compute as the cell's precision says, and repeatably.

    `ieee` turns TF32 off in matrix products and in cuDNN's convolutions, where it is on unless
    told otherwise and rounds an identity map.
    """
    precision = "tf32" if cell.precision == "tf32" else "ieee"
    torch.backends.cuda.matmul.fp32_precision = precision
    torch.backends.cudnn.conv.fp32_precision = precision  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def placed(cell: Cell, params: Params, device: torch.device | str) -> Params:
    """The parameters where and in the precision in which the cell computes; sets it."""
    set_numerics(cell)
    dtype = DTYPES[cell.precision]
    return {name: value.to(device=device, dtype=dtype) for name, value in params.items()}

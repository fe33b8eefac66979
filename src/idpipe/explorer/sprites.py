"""Images for the explorer: a row or a grid of them as one PNG, in base64."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image


def sprite(images: Float[np.ndarray, "rows columns h w c"]) -> dict[str, Any]:
    """Pixels in [0, 1] as one PNG of 8 bits a channel, tile by tile.

    `broken` lists the places, row by row, of tiles that are not finite; they are black in the PNG.
    """
    rows, columns, height, width, channels = images.shape
    finite = np.isfinite(images).all(axis=(2, 3, 4))
    shown = np.where(finite[..., None, None, None], images, 0)
    pixels = np.rint(np.clip(shown, 0, 1) * 255).astype(np.uint8)
    sheet = pixels.swapaxes(1, 2).reshape(rows * height, columns * width, channels)
    stream = io.BytesIO()
    picture = Image.fromarray(sheet[..., 0] if channels == 1 else sheet)
    picture.save(stream, "PNG", optimize=True)
    return {
        "png": base64.b64encode(stream.getvalue()).decode(),
        "columns": columns,
        "size": height,
        "broken": [int(place) for place in np.flatnonzero(~finite)],
    }

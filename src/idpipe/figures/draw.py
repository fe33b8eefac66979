"""Draw a figure by name, and write it."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from idpipe.config import FigureStyle, N
from idpipe.errors import FigureError
from idpipe.figures.demands import taken
from idpipe.figures.registry import FIGURES
from idpipe.results import Results, networks
from idpipe.store import replacing

# Metadata per format: no dates, so that the same numbers give the same bytes.
PICTURES: dict[str, dict[str, Any]] = {".png": {}, ".pdf": {"CreationDate": None}}


def styled() -> AbstractContextManager[None]:
    """The house style over matplotlib's defaults; needed for drawing and for writing."""
    return matplotlib.rc_context(fname=Path(__file__).with_name("idpipe.mplstyle"))


def draw(name: str, results: Results, style: FigureStyle) -> Figure:
    """The figure `name` of the registry.

    Raises FigureError where the run lacks what it shows, or has networks that it has no place for.
    """
    demands = FIGURES[name].demands if name in FIGURES else ()
    for demand in demands:
        taken(demand, networks(results, demand.study))
    with styled():
        figure: Figure = _function(name, name)(results, style)
    return figure


def demanded(name: str, networks: Sequence[N]) -> list[N]:
    """The networks of its one study that a figure takes. Raises FigureError as its demand does."""
    (demand,) = FIGURES[name].demands
    return taken(demand, networks)


def write(name: str, results: Results, style: FigureStyle, paths: Iterable[Path | str]) -> None:
    """Draw the figure `name` and write it to each of `paths`, in the format of its suffix.

    Suffixes that are no picture's hold the texts of the function `<name>_texts`.
    """
    targets = [Path(path) for path in paths]
    others = [path for path in targets if path.suffix not in PICTURES]
    texts: dict[str, str] = _function(name, f"{name}_texts")(results) if others else {}
    save(draw(name, results, style), [path for path in targets if path not in others], style)
    for path in others:
        with replacing(path) as part:
            part.write_text(texts[path.suffix])


def save(figure: Figure, paths: Iterable[Path], style: FigureStyle) -> None:
    """Write `figure` to PNG or PDF files: whole or not at all, and the same bytes each time."""
    for path in paths:
        with styled(), replacing(path) as part:
            metadata = PICTURES[path.suffix]
            figure.savefig(part, format=path.suffix[1:], dpi=style.dpi, metadata=metadata)


def _function(name: str, attribute: str) -> Any:
    """A function of the module that draws figure `name`; the module is imported here, when used."""
    if name not in FIGURES:
        raise FigureError(f"{name}: no such figure; allowed: {', '.join(FIGURES)}")
    return getattr(importlib.import_module(f"idpipe.figures.{FIGURES[name].module}"), attribute)

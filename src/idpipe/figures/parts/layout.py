"""Figures measured in inches of the printed page, from the top left corner."""

from __future__ import annotations

from functools import cache
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

WIDTH = 7.0
"""Width of a page's text block; figures are at most this wide."""
MAX_HEIGHT = 9.3
"""Height left for a figure on a page that also holds its caption."""
LABEL_SIZE, SMALL_SIZE = 7.0, 6.0
ALARM = "#B3261E"
"""Dark red, for what must not be overlooked; always with a word, never by colour alone."""

NOTE_LINE = 0.115
NOTE_MARGIN = 0.06


def new_figure(height: float, notes: list[str], width: float = WIDTH) -> Figure:
    """A figure with `height` inches of room above its `notes`, a paragraph each."""
    lines = [line for note in notes for line in wrapped(note, width - 2 * NOTE_MARGIN)]
    total = height + note_height(notes, width)
    figure = Figure(figsize=(width, total))
    figure.text(
        NOTE_MARGIN / width,
        NOTE_MARGIN / total,
        "\n".join(lines),
        fontsize=SMALL_SIZE,
        va="bottom",
        gid="note",
    )
    return figure


def note_height(notes: list[str], width: float = WIDTH) -> float:
    """Inches that `notes` take at the foot of a figure of `width` inches."""
    lines = sum(len(wrapped(note, width - 2 * NOTE_MARGIN)) for note in notes)
    return NOTE_LINE * lines + 2 * NOTE_MARGIN


def add_axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes whose upper left corner lies `left` and `top` inches from the figure's."""
    total_width, total_height = figure.get_size_inches()
    bottom = total_height - top - height
    return figure.add_axes(
        (left / total_width, bottom / total_height, width / total_width, height / total_height)
    )


def add_text(figure: Figure, left: float, top: float, text: str, **style: Any) -> None:
    """Text whose anchor lies `left` and `top` inches from the figure's upper left corner."""
    width, height = figure.get_size_inches()
    figure.text(left / width, 1 - top / height, text, **style)


def sentence(text: str) -> str:
    """`text` with a capital first letter and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


def label_row(axes: Axes, x: float, y: float, label: str, mark: str = "") -> None:
    """A row's label, ending at `x` and centred on `y` of `axes`; `mark` in red below it."""
    place: dict[str, Any] = {"ha": "right", "linespacing": 1.0}
    align = "bottom" if mark else "center"
    axes.text(x, y, label, fontsize=LABEL_SIZE, va=align, gid="row", **place)
    if mark:
        axes.text(x, y, mark, fontsize=SMALL_SIZE, va="top", color=ALARM, gid="mark", **place)


@cache
def text_width(text: str, size: float) -> float:
    """Inches that one line of `text` takes at `size` points."""
    points = text_to_path.get_text_width_height_descent(text, FontProperties(size=size), False)[0]
    return float(points) / 72


def wrapped(text: str, width: float) -> list[str]:
    """Lines of small print, as full as fits into `width` inches."""
    lines: list[str] = []
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, SMALL_SIZE) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines

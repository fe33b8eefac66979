"""Tables of what was measured, on the terminal and in docs/performance.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns are also aligned as plain text."""
    widths = [max(len(row[place]) for row in [head, *rows]) for place in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def ratio(spread: dict[str, float]) -> str:
    """A ratio and its range over repeats."""
    return f"{spread['median']:.2f} ({spread['low']:.2f}–{spread['high']:.2f})"


def network(row: Mapping[str, Any]) -> str:
    """A row's network in words."""
    unit = "channels" if row["arch"] == "cnn" else "units"
    return f"{row['arch'].upper()} {row['depth']} x {row['width']} {unit}"

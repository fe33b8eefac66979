"""Table 1: numbers of weights, biases not counted, of the paper's networks (Appendix M)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from idpipe.cells import CNN, FCN, AnyNet, Cell
from idpipe.config import FigureStyle
from idpipe.figures.parts import layout
from idpipe.results import TABLE1, Results


@dataclass(frozen=True)
class Section:
    """Rows of the table below one line of column heads.

    Attributes:
        heading: what the columns count.
        columns: the column heads.
        rows: label -> a network per column, None where the paper prints nothing.
    """

    heading: str
    columns: tuple[str, ...]
    rows: dict[str, tuple[AnyNet | None, ...]]


WIDE_LAYERS = (5, 7, 12, 14, 20)
"""Depths for which the paper lists 1024 channels."""


def sections() -> list[Section]:
    """The paper's five sections, with the entries it prints and no others."""
    depths = ((1, 3, 5, 6, 7, 8), (9, 10, 11, 12, 13, 14), (15, 16, 17, 19, 20, 24))
    return [_fcn_section((1, 2, 4, 6, 8, 10)), *map(_cnn_section, depths), _filter_section()]


def _fcn_section(depths: tuple[int, ...]) -> Section:
    rows: dict[str, tuple[AnyNet | None, ...]] = {
        "hidden dim = 784": tuple(FCN(depth=depth, width=784) for depth in depths),
        # One layer has no hidden dimension: the paper prints it once.
        "hidden dim = 2048": tuple(
            FCN(depth=depth, width=2048) if depth > 1 else None for depth in depths
        ),
    }
    return Section("FCN num layers", tuple(map(str, depths)), rows)


def _cnn_section(depths: tuple[int, ...]) -> Section:
    rows: dict[str, tuple[AnyNet | None, ...]] = {
        f"{kernel} × {kernel} filter, {width} channels": tuple(
            CNN(depth=depth, width=width, kernel=kernel)
            if width < 1024 or depth in WIDE_LAYERS
            else None
            for depth in depths
        )
        for kernel, width in itertools.product((5, 7), (3, 128, 1024))
    }
    return Section("CNN num layers", tuple(map(str, depths)), rows)


def _filter_section() -> Section:
    kernels = (9, 13, 17, 25, 29, 57)
    nets = tuple(CNN(depth=5, width=128, kernel=kernel) for kernel in kernels)
    columns = tuple(f"{kernel} × {kernel}" for kernel in kernels)
    return Section("CNN filter size", columns, {"5 layers, 128 channels": nets})


def count(net: AnyNet) -> int:
    """Weights of `net` for 28 x 28 gray images."""
    return Cell(net=net).parameters


def table() -> pd.DataFrame:
    """The table in tidy form (`idpipe.results.TABLE1`): a row per printed number."""
    records = [
        {
            "section": section.heading,
            "row": label,
            "column": column,
            "arch": net.arch,
            "layers": net.depth,
            "width": net.width,
            "kernel": net.kernel if isinstance(net, CNN) else pd.NA,
            "parameters": count(net),
        }
        for section in sections()
        for label, nets in section.rows.items()
        for column, net in zip(section.columns, nets, strict=True)
        if net is not None
    ]
    return TABLE1.conform(pd.DataFrame(records))


def table1_texts(results: Results) -> dict[str, str]:
    """The table by file suffix: tidy CSV, and Markdown in the paper's layout."""
    return {".csv": table().to_csv(index=False, lineterminator="\n"), ".md": _markdown()}


def _lines(section: Section) -> list[list[str]]:
    """The section's lines as printed, heads first."""
    body = [
        [label, *("" if net is None else f"{count(net):,}" for net in nets)]
        for label, nets in section.rows.items()
    ]
    return [[section.heading, *section.columns], *body]


def _markdown() -> str:
    parts = []
    for section in sections():
        head, *body = ("| " + " | ".join(line) + " |" for line in _lines(section))
        rule = "| --- |" + " ---: |" * len(section.columns)
        parts.append("\n".join([head, rule, *body]))
    return "\n\n".join(parts) + "\n"


LABELS, LINE, RULE = 1.6, 0.155, 0.05
"""Inches for the row labels, the height of a line, and the room around a rule."""


def table1(results: Results, style: FigureStyle) -> Figure:
    """The table as a picture, in the paper's layout (Table 1); needs no results."""
    blocks = [_lines(section) for section in sections()]
    height = sum(len(block) * LINE + 2 * RULE for block in blocks) + 2 * RULE
    note = "Weights only, biases not counted, for 28 × 28 gray images. Blank: not in the paper."
    figure = layout.new_figure(height + 0.05, [note])
    axes = layout.add_axes(figure, layout.NOTE_MARGIN, 0.05, layout.WIDTH - 0.12, height)
    axes.axis("off")
    axes.set(xlim=(0, layout.WIDTH - 0.12), ylim=(height, 0))
    top = 0.0
    for block in blocks:
        top = _draw_block(axes, block, top)
    _rule(axes, top, 0.8)
    return figure


def _draw_block(axes: Axes, block: list[list[str]], top: float) -> float:
    """Draw a section below `top` inches; returns where it ends."""
    step = (layout.WIDTH - 0.12 - LABELS) / (len(block[0]) - 1)
    _rule(axes, top, 0.8)
    top += RULE
    for number, (label, *entries) in enumerate(block):
        weight = "bold" if number == 0 else "normal"
        y = top + LINE / 2
        axes.text(0.02, y, label, va="center_baseline", fontweight=weight)
        for column, entry in enumerate(entries):
            x = LABELS + (column + 1) * step - 0.02
            axes.text(x, y, entry, va="center_baseline", ha="right", fontweight=weight)
        top += LINE
        if number == 0:
            _rule(axes, top, 0.4)
    return top + RULE


def _rule(axes: Axes, y: float, width: float) -> None:
    axes.plot((0, layout.WIDTH - 0.12), (y, y), color="0.2", linewidth=width, clip_on=False)

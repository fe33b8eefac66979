"""The scorecard as a figure: a band per claim, a line per part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from idpipe.claims.texts import RULE, SYMBOLS, measured, tally, threshold
from idpipe.claims.verdicts import FAILED, REPRODUCED, UNTESTABLE, ClaimPart, Judgement
from idpipe.figures.parts import layout

COLOURS = {REPRODUCED: "#0072B2", FAILED: "#D55E00", UNTESTABLE: "0.45"}
MARKERS = {REPRODUCED: "o", FAILED: "s", UNTESTABLE: "_"}
LINE, PAD, HEAD, AXIS = 0.1, 0.02, 0.2, 0.3
"""Inches of a line of text, around a claim's band, above the first and below the last."""
CLAIM, PARTS, PLOT, NUMBERS = 0.52, 3.36, 4.1, 5.82
"""Inches from the left where columns begin; each ends where the next begins."""
BLANK = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
"""Behind a reason, so that the axis below does not run through its letters."""
REACH = 1.0
"""Distances beyond the threshold that the axis shows; what lies outside is at its end."""


def draw(judgements: Sequence[Judgement], run: str, level: float) -> Figure:
    """Verdicts, and every measure's interval as its distance beyond the threshold."""
    heights = [_lines(judgement) * LINE + 2 * PAD for judgement in judgements]
    figure = layout.new_figure(HEAD + sum(heights) + AXIS, _notes(judgements, run, level))
    axes = layout.add_axes(figure, PLOT, HEAD, NUMBERS - PLOT - 0.1, sum(heights))
    axes.set(xlim=(-REACH * 1.04, REACH * 1.04), ylim=(sum(heights), 0), yticks=[])
    axes.set_xticks([-1, -0.5, 0, 0.5, 1], ["≤ −1", "−0.5", "0", "0.5", "≥ 1"])
    axes.set_xlabel("distance beyond the threshold")
    axes.axvspan(0, REACH * 1.04, color="0.95", zorder=0, linewidth=0)
    axes.axvline(0, color="0.2", linewidth=0.8, zorder=1)
    heads = ("verdict", "the paper says", "part", "against it | for it", "measured, threshold")
    places = (0.04, CLAIM, PARTS, PLOT + (NUMBERS - PLOT - 0.1) / 2, NUMBERS)
    for head, left in zip(heads, places, strict=True):
        centred: dict[str, Any] = {"ha": "center"} if "|" in head else {}
        layout.add_text(figure, left, HEAD - 0.05, head, fontweight="bold", **centred)
    top = 0.0
    for judgement, height in zip(judgements, heights, strict=True):
        _draw_claim(figure, axes, judgement, top)
        top += height
        axes.axhline(top, color="0.8", linewidth=0.4, zorder=1)
    return figure


def _wrapped(judgement: Judgement) -> list[str]:
    return layout.wrapped(judgement.claim.claim, PARTS - CLAIM - 0.08)


def _lines(judgement: Judgement) -> int:
    return max(len(judgement.outcomes), len(_wrapped(judgement)))


def _draw_claim(figure: Figure, axes: Axes, judgement: Judgement, top: float) -> None:
    small: dict[str, Any] = {"fontsize": layout.SMALL_SIZE, "va": "center"}
    first = HEAD + top + PAD + LINE / 2
    colour = COLOURS[judgement.verdict]
    sign = {"color": colour, "fontweight": "bold"}
    layout.add_text(figure, 0.1, first, SYMBOLS[judgement.verdict], gid="verdict", **small, **sign)
    layout.add_text(figure, 0.24, first, judgement.claim.id, **small, **sign)
    for number, line in enumerate(_wrapped(judgement)):
        layout.add_text(figure, CLAIM, first + number * LINE, line, gid="claim", **small)
    told: set[str] = set()
    for number, outcome in enumerate(judgement.outcomes):
        y = first + number * LINE
        layout.add_text(figure, PARTS, y, outcome.part.name.replace("_", " "), gid="part", **small)
        if outcome.verdict == UNTESTABLE:
            text = "as above" if outcome.reason in told else _cut(outcome.reason)
            grey: dict[str, Any] = {"color": "0.35", "style": "italic", "bbox": BLANK}
            layout.add_text(figure, PLOT, y, text, gid="reason", zorder=5, **small, **grey)
            told.add(outcome.reason)
        else:
            layout.add_text(
                figure, NUMBERS, y, f"{measured(outcome)} {threshold(outcome)}", **small
            )
            _draw_interval(axes, outcome, y - HEAD)


def _draw_interval(axes: Axes, outcome: ClaimPart, y: float) -> None:
    low, middle, high = np.clip(outcome.margins, -REACH, REACH)
    look: dict[str, Any] = {"color": COLOURS[outcome.verdict], "clip_on": False, "zorder": 3}
    axes.plot([low, high], [y, y], linewidth=1.2, solid_capstyle="butt", **look)
    marker = MARKERS[outcome.verdict]
    if abs(outcome.margins[1]) > REACH:
        marker = ">" if middle > 0 else "<"
    axes.plot(middle, y, marker, markersize=3, gid="mean", **look)


def _cut(text: str) -> str:
    """As much of a reason as fits beside the part."""
    room = layout.WIDTH - PLOT - 0.05
    if layout.text_width(text, layout.SMALL_SIZE) <= room:
        return text
    while layout.text_width(f"{text} …", layout.SMALL_SIZE) > room:
        text = text.rpartition(" ")[0]
    return f"{text} …"


def _notes(judgements: Sequence[Judgement], run: str, level: float) -> list[str]:
    sources = dict.fromkeys(
        net.rung["source"] for j in judgements for o in j.outcomes for net in o.nets
    )
    images = f" Images: {', '.join(sources)}." if sources else ""
    wide = any(math.isfinite(o.half) and o.count for j in judgements for o in j.outcomes)
    spread = f" Bars and ±: {level:.0%} interval over replicates (Student t)." if wide else ""
    signs = ", ".join(f"{symbol} {verdict}" for verdict, symbol in SYMBOLS.items())
    return [
        f"Run {run}: {tally(judgements)}. {signs}.{images}{spread}",
        f"{RULE} Measures and reasons in full: scorecard.html beside this picture.",
    ]

"""The scorecard as CSV, Markdown and HTML."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from idpipe.claims.catalogue import catalogue
from idpipe.claims.verdicts import FAILED, REPRODUCED, UNTESTABLE, VERDICTS, ClaimPart, Judgement
from idpipe.templates import render

SYMBOLS = {REPRODUCED: "✓", FAILED: "✗", UNTESTABLE: "–"}
COLUMNS = (
    *("claim", "verdict", "says", "place", "words", "figures", "studies"),
    *("part", "part_verdict", "measure", "side", "threshold", "mean", "low", "high"),
    *("replicates", "reason", "left_out", "cells", "why"),
)
RULE = (
    "A part is reproduced if its whole interval lies beyond the threshold, and not reproduced "
    "otherwise, also where the interval includes the threshold. A claim is not reproduced if any "
    "part is not, else not testable if any part cannot be measured, else reproduced."
)

TERMS = (
    "C(identity) and C(constant): mean correlation of outputs to inputs, to the training image. "
    "Far probes: rho at most 0.5. Named probes: unseen, out-of-domain and pattern images. A "
    "replicate counts if it lives and fits its training image (train MSE at most 0.01)."
)


def number(value: float) -> str:
    """Two decimals and a true minus sign."""
    text = f"{value:.2f}"
    return text.replace("-", "−") if float(text) else text.removeprefix("-")


def measured(outcome: ClaimPart) -> str:
    """`0.93 ± 0.02`, or a dash."""
    if math.isnan(outcome.value):
        return "–"
    if not outcome.count:
        return f"{outcome.value:g}"
    return f"{number(outcome.value)} ± {number(outcome.half)}"


def threshold(outcome: ClaimPart) -> str:
    """`> 0.8`."""
    sign = ">" if outcome.part.side == "above" else "<"
    return f"{sign} {outcome.part.threshold:g}".replace("-", "−")


def tally(judgements: Sequence[Judgement]) -> str:
    """`3 reproduced, 2 not reproduced, 26 not testable`."""
    counts = Counter(judgement.verdict for judgement in judgements)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)


def basis(judgement: Judgement) -> str:
    """The networks that a verdict rests on, and those left out."""
    nets: dict[tuple[str, str], dict[str, None]] = {}
    for net in (net for outcome in judgement.outcomes for net in outcome.nets):
        rung = net.rung
        where = (net.study, rung["source"])
        again = f", {rung.restarted} restarted" if rung.restarted else ""
        text = f"{net.told}, {len(net.counted)} of {rung.total} replicates{again}"
        nets.setdefault(where, {})[text] = None
    told = [f"{study} ({source}): {'; '.join(names)}" for (study, source), names in nets.items()]
    left_out = dict.fromkeys(text for o in judgement.outcomes for text in o.left_out)
    return ". ".join([*told, *(f"left out: {text}" for text in left_out)])


def to_csv(judgements: Sequence[Judgement]) -> str:
    """A row per part of a claim."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for judgement in judgements:
        claim = judgement.claim
        for o in judgement.outcomes:
            known = not math.isnan(o.value)
            numbers = [o.value, o.value - o.half, o.value + o.half]
            writer.writerow(
                [
                    *[claim.id, judgement.verdict, claim.claim, claim.place, claim.words],
                    *[" ".join(claim.figures), " ".join(claim.studies)],
                    *[o.part.name, o.verdict, o.part.measure, o.part.side, o.part.threshold],
                    *([f"{value:.6g}" for value in numbers] if known else ["", "", ""]),
                    *[o.count, o.reason, "; ".join(o.left_out), " ".join(o.cells), claim.why],
                ]
            )
    return file.getvalue()


def to_markdown(judgements: Sequence[Judgement], run: str, level: float) -> str:
    """A table with a row per claim."""
    lines = [
        f"# Scorecard of {_cell(run)}",
        "",
        f"{tally(judgements)}. {RULE} ± is half the {level:.0%} Student-t interval over "
        "replicates.",
        "",
        TERMS,
        "",
        "| claim | the paper says | verdict | measured | reason |",
        "| --- | --- | --- | --- | --- |",
    ]
    for judgement in judgements:
        claim = judgement.claim
        parts = "<br>".join(_cell(_line(outcome)) for outcome in judgement.outcomes)
        verdict = f"{SYMBOLS[judgement.verdict]} {judgement.verdict}"
        cells = [claim.id, _cell(f"{claim.claim} ({claim.place})"), verdict]
        lines.append(f"| {' | '.join([*cells, parts, _cell(judgement.reason)])} |")
    return "\n".join(lines) + "\n"


def _line(outcome: ClaimPart) -> str:
    symbol = SYMBOLS[outcome.verdict]
    return f"{symbol} {outcome.part.name}: {measured(outcome)} ({threshold(outcome)})"


def _cell(text: str) -> str:
    """Text that cannot end a table's cell or begin markup."""
    for mark in "\\`*_|<>[]":
        text = text.replace(mark, f"\\{mark}")
    return text.replace("\n", " ")


def to_html(judgements: Sequence[Judgement], run: str, level: float) -> str:
    """One page, nothing loaded from elsewhere; links go to the figures beside it."""
    return render(
        Path(__file__).with_name("scorecard.html"),
        run=run,
        level=f"{level:.0%}",
        judgements=judgements,
        bounds=catalogue().bounds,
        tally=tally(judgements),
        rule=RULE,
        terms=TERMS,
        symbols=SYMBOLS,
        verdicts=VERDICTS,
        measured=measured,
        threshold=threshold,
        basis=basis,
    )

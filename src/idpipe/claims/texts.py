"""The scorecard as CSV, Markdown and HTML."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Sequence
from html import escape

from idpipe.claims.catalogue import Claim, bounds
from idpipe.claims.verdicts import FAILED, REPRODUCED, UNTESTABLE, VERDICTS, Judgement, Outcome

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


def measured(outcome: Outcome) -> str:
    """`0.93 ± 0.02`, or a dash."""
    if math.isnan(outcome.value):
        return "–"
    if not outcome.count:
        return f"{outcome.value:g}"
    return f"{number(outcome.value)} ± {number(outcome.half)}"


def threshold(outcome: Outcome) -> str:
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


def _line(outcome: Outcome) -> str:
    symbol = SYMBOLS[outcome.verdict]
    return f"{symbol} {outcome.part.name}: {measured(outcome)} ({threshold(outcome)})"


def _cell(text: str) -> str:
    """Text that cannot end a table's cell or begin markup."""
    for mark in "\\`*_|<>[]":
        text = text.replace(mark, f"\\{mark}")
    return text.replace("\n", " ")


STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1a1a1a; background: #fff;
  max-width: 68rem; margin: 1.5rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.05rem; margin: 0 0 .3rem }
article { border: 1px solid #ccc; border-left-width: 6px; border-radius: 4px; padding: .7rem 1rem;
  margin: 0 0 .9rem }
.v0 { border-left-color: #0072b2 } .v1 { border-left-color: #d55e00 }
.v2 { border-left-color: #8a8a8a; border-left-style: dashed }
.verdict { font-weight: 600; white-space: nowrap }
.v0 .verdict { color: #005a8c } .v1 .verdict { color: #a84800 } .v2 .verdict { color: #555 }
p { margin: .3rem 0 } .small { font-size: .87rem; color: #444 }
table { border-collapse: collapse; width: 100%; font-size: .9rem; margin: .4rem 0 }
th, td { text-align: left; vertical-align: top; padding: .15rem .6rem .15rem 0 }
th { border-bottom: 1px solid #ccc; font-weight: 600 } td.n { white-space: nowrap }
.scroll { overflow-x: auto } details { font-size: .87rem } code { overflow-wrap: anywhere }
nav a { margin-right: .5rem; white-space: nowrap }
"""


def to_html(judgements: Sequence[Judgement], run: str, level: float) -> str:
    """One page, nothing loaded from elsewhere; links go to the figures beside it."""
    title = f"Scorecard of {escape(run)}"
    links = " ".join(
        f'<a href="#{escape(j.claim.id)}">{SYMBOLS[j.verdict]} {escape(j.claim.id)}</a>'
        for j in judgements
    )
    shared = "".join(
        f"<tr><td>{escape(name)}</td><td class=n>{value:g}</td><td>{escape(why)}</td></tr>"
        for name, (value, why) in bounds().items()
    )
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title><style>{STYLE}</style></head><body>",
            f"<h1>{title}</h1><p><strong>{escape(tally(judgements))}.</strong></p>",
            f"<p>{escape(RULE)} ± is half the {level:.0%} Student-t interval over replicates.</p>",
            f"<p>{escape(TERMS)}</p>",
            f"<nav>{links}</nav><details><summary>Bounds that claims share</summary>",
            f"<table><tr><th>bound</th><th>value</th><th>why</th></tr>{shared}</table></details>",
            *(_article(judgement) for judgement in judgements),
            "</body></html>\n",
        ]
    )


def _article(judgement: Judgement) -> str:
    claim, verdict = judgement.claim, judgement.verdict
    rows = "".join(_row(outcome) for outcome in judgement.outcomes)
    cells = dict.fromkeys(cell for outcome in judgement.outcomes for cell in outcome.cells)
    reason = f"<p>{escape(judgement.reason)}</p>" if judgement.reason else ""
    behind = "".join(f"<br><code>{escape(cell)}</code>" for cell in cells)
    evidence = (
        f"<details><summary>Evidence</summary>{escape(basis(judgement))}{behind}</details>"
        if cells
        else ""
    )
    return "".join(
        [
            f'<article id="{escape(claim.id)}" class="v{VERDICTS.index(verdict)}">',
            f"<h2>{escape(claim.id)}: {escape(claim.claim)}</h2>",
            f"<p><span class=verdict>{SYMBOLS[verdict]} {verdict}</span></p>{reason}",
            f"<p class=small>“{escape(claim.words)}” {escape(claim.place)}</p>",
            "<div class=scroll><table><tr><th>part</th><th>measure</th><th>measured</th>",
            f"<th>threshold</th><th>verdict</th></tr>{rows}</table></div>",
            f"<p class=small>Why these thresholds: {escape(claim.why)} {_links(claim)}</p>",
            f"{evidence}</article>",
        ]
    )


def _row(outcome: Outcome) -> str:
    part = outcome.part
    return (
        f"<tr><td>{escape(part.name)}</td><td>{escape(part.measure)}</td>"
        f"<td class=n>{escape(measured(outcome))}</td><td class=n>{escape(threshold(outcome))}"
        f"</td><td class=n>{SYMBOLS[outcome.verdict]} {outcome.verdict}</td></tr>"
    )


def _links(claim: Claim) -> str:
    names = [escape(name) for name in claim.figures]
    figures = ", ".join(f'<a href="{name}.png">{name}</a>' for name in names)
    studies = ", ".join(escape(name) for name in claim.studies) or "none, no training"
    return f"Figures: {figures}. Studies: {studies}."

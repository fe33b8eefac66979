"""What a run says of each claim."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from idpipe.claims import cnn, datasets, fcn, formulas, training
from idpipe.claims.catalogue import Claim, Part, claims
from idpipe.claims.measures import Measure
from idpipe.claims.networks import JudgedNetwork, Run
from idpipe.claims.samples import Sample, Untestable
from idpipe.results import Results, interval

MEASURES: Mapping[str, Measure] = {
    key: function
    for module in (cnn, fcn, training, datasets, formulas)
    for key, function in module.MEASURES.items()
}

REPRODUCED, FAILED, UNTESTABLE = "reproduced", "not reproduced", "not testable"
VERDICTS = (REPRODUCED, FAILED, UNTESTABLE)


@dataclass(frozen=True)
class ClaimPart:
    """One part of a claim.

    Attributes:
        part: what is measured, and the threshold.
        verdict: one of `VERDICTS`.
        reason: why it is not reproduced or not testable, in a sentence; else empty.
        value: mean over replicates; NaN where it cannot be measured.
        half: half the interval's width; 0 for a number that involves no replicates.
        count: replicates that the mean is over.
        nets: networks it rests on.
        left_out: reasons for which networks of the same study are in no mean.
    """

    part: Part
    verdict: str
    reason: str = ""
    value: float = math.nan
    half: float = math.nan
    count: int = 0
    nets: tuple[JudgedNetwork, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def cells(self) -> tuple[str, ...]:
        """Ids of the cells it rests on."""
        return tuple(net.rung.cell_id for net in self.nets)

    @property
    def margins(self) -> tuple[float, float, float]:
        """Least, middle and greatest distance beyond the threshold, on the side that counts."""
        middle = self.part.margin(self.value)
        return middle - self.half, middle, middle + self.half


@dataclass(frozen=True)
class Judgement:
    """A claim, its parts' outcomes, and the verdict that follows from them."""

    claim: Claim
    outcomes: tuple[ClaimPart, ...]

    @property
    def verdict(self) -> str:
        """`not reproduced` if any part is; else `not testable` if any is; else `reproduced`."""
        found = {outcome.verdict for outcome in self.outcomes}
        return next((v for v in (FAILED, UNTESTABLE) if v in found), REPRODUCED)

    @property
    def cells(self) -> tuple[str, ...]:
        """Ids of the cells it rests on, each once."""
        return tuple(dict.fromkeys(cell for outcome in self.outcomes for cell in outcome.cells))

    @property
    def reason(self) -> str:
        """Why, in sentences, by the parts that decide; empty for a claim that is reproduced."""
        told: dict[str, list[str]] = {}
        for outcome in self.outcomes:
            if outcome.verdict == self.verdict and outcome.reason:
                told.setdefault(outcome.reason, []).append(outcome.part.name)
        if len(self.outcomes) == 1:
            return " ".join(told)
        return " ".join(f"{', '.join(names)}: {reason}" for reason, names in told.items())


def judge(results: Results, asked: Sequence[Claim], level: float) -> list[Judgement]:
    """The verdict on each claim, with intervals at `level`."""
    run = Run(results)
    return [
        Judgement(claim, tuple(_outcome(run, part, level) for part in claim.parts))
        for claim in asked
    ]


def _outcome(run: Run, part: Part, level: float) -> ClaimPart:
    run.begin()
    try:
        number = MEASURES[part.key](run)
        value, half, count = _summary(number, level)
    except Untestable as reason:
        return ClaimPart(part, UNTESTABLE, _sentence(str(reason)))
    nets, left_out = tuple(run.used.values()), tuple(run.left_out.values())
    outcome = ClaimPart(part, REPRODUCED, "", value, half, count, nets, left_out)
    low, middle, _ = outcome.margins
    if low > 0:
        return outcome
    if middle > 0:
        why = "The interval includes the threshold."
    elif outcome.margins[2] >= 0:
        why = "The mean is on the other side, and the interval includes the threshold."
    else:
        why = "The whole interval is on the other side of the threshold."
    return ClaimPart(part, FAILED, why, value, half, count, nets, left_out)


def _summary(number: Sample | float, level: float) -> tuple[float, float, int]:
    """Mean, half-width and count. Raises Untestable where there is no interval."""
    if isinstance(number, float):
        return number, 0.0, 0
    values = [value for value in number.values() if math.isfinite(value)]
    if len(values) < 2:
        told = f"only {len(values)} replicate has" if len(values) == 1 else "no replicate has"
        raise Untestable(f"{told} a number in all networks compared, which gives no interval")
    return *interval(values, level), len(values)


def _sentence(text: str) -> str:
    """A full stop, and a capital letter unless a study's name begins it."""
    studies = {study for claim in claims() for study in claim.studies}
    first, *_ = text.split(" ")
    return f"{text}." if first in studies else f"{text[:1].upper()}{text[1:]}."

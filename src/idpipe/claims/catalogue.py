"""The claims file, read and checked."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field, Strict, ValidationError, model_validator

from idpipe.cells import Says, Spec
from idpipe.config import explain, read_file
from idpipe.errors import ConfigError

FILE = Path(__file__).with_name("claims.yaml")
SIDES = ("above", "below")
Threshold = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Limit = Annotated[Threshold | str, Says("a finite number or the name of a bound")]


class Bound(Spec):
    """A threshold that claims share, and why it is fair."""

    value: Threshold
    why: str


class Passage(Spec):
    """What the paper says and where, what shows it, and why its thresholds are fair."""

    claim: str
    place: str
    words: str
    why: str
    figures: tuple[str, ...]
    studies: tuple[str, ...]


class PartEntry(Spec):
    """One measure of a claim in the file: `{measure: .., above: ..}`, or `below`."""

    measure: str
    above: Limit = ""
    below: Limit = ""

    @model_validator(mode="after")
    def _one_side(self) -> PartEntry:
        if len(self.model_fields_set.intersection(SIDES)) != 1:
            raise ValueError(f"must have measure and one of {', '.join(SIDES)}")
        return self

    @property
    def side(self) -> str:
        """Where the whole interval must lie, `above` or `below` the limit."""
        return "above" if "above" in self.model_fields_set else "below"

    @property
    def limit(self) -> float | str:
        """The threshold, or the name of the bound that it is."""
        return self.above if self.side == "above" else self.below


class ClaimEntry(Passage):
    """A claim in the file."""

    parts: dict[str, PartEntry]


class Catalogue(Spec):
    """The whole file; a part's bound must be one of its bounds."""

    bounds: dict[str, Bound]
    claims: dict[str, ClaimEntry]

    @model_validator(mode="after")
    def _bounds_are_known(self) -> Catalogue:
        for name, entry in self.claims.items():
            for key, part in entry.parts.items():
                if isinstance(part.limit, str) and part.limit not in self.bounds:
                    where = f"claims.{name}.parts.{key}.{part.side}"
                    known = ", ".join(self.bounds)
                    raise ValueError(f"{where}: must be a finite number or one of {known}")
        return self


class Part(Spec):
    """One measure of a claim.

    Attributes:
        key: `c05.identity`, the name its function is registered under.
        measure: what is measured, in words.
        side: where the whole interval must lie, `above` or `below` the threshold.
        threshold: the number.
        bound: name of the bound that the threshold is, or empty for a number of its own.
    """

    key: str
    measure: str
    side: str
    threshold: float
    bound: str = ""

    @property
    def name(self) -> str:
        """What tells it from the claim's other parts."""
        return self.key.split(".")[1]

    def margin(self, value: float) -> float:
        """How far `value` lies beyond the threshold on the side named; negative before it."""
        return value - self.threshold if self.side == "above" else self.threshold - value


class Claim(Passage):
    """A claim of the paper, its thresholds in numbers."""

    id: str
    parts: tuple[Part, ...]


@cache
def catalogue() -> Catalogue:
    """`claims.yaml`."""
    return read(FILE)


@cache
def claims() -> tuple[Claim, ...]:
    """All claims in the order of the file."""
    return claims_of(catalogue())


def read(path: Path) -> Catalogue:
    """A file like `claims.yaml`. Raises ConfigError, whose lines name the keys."""
    content = read_file(path)
    try:
        return Catalogue.model_validate(content)
    except ValidationError as error:
        raise ConfigError(explain(error, Catalogue, content)) from None


def claims_of(file: Catalogue) -> tuple[Claim, ...]:
    """The claims of a file, in its order."""
    return tuple(
        Claim(
            **entry.model_dump(exclude={"parts"}),
            id=name,
            parts=tuple(
                _part(f"{name}.{key}", part, file.bounds) for key, part in entry.parts.items()
            ),
        )
        for name, entry in file.claims.items()
    )


def _part(key: str, entry: PartEntry, bounds: dict[str, Bound]) -> Part:
    if isinstance(entry.limit, str):
        threshold, bound = bounds[entry.limit].value, entry.limit
    else:
        threshold, bound = entry.limit, ""
    return Part(key=key, measure=entry.measure, side=entry.side, threshold=threshold, bound=bound)

"""The claims file, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from idpipe.errors import ConfigError

FILE = Path(__file__).with_name("claims.yaml")
SIDES = ("above", "below")
TEXTS = ("claim", "place", "words", "why")


@dataclass(frozen=True)
class Part:
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


@dataclass(frozen=True)
class Claim:
    """A claim of the paper: what it says and where, and what is measured of it."""

    id: str
    claim: str
    place: str
    words: str
    why: str
    figures: tuple[str, ...]
    studies: tuple[str, ...]
    parts: tuple[Part, ...]


@cache
def claims() -> tuple[Claim, ...]:
    """All claims in the order of the file."""
    return read(FILE.read_text())


def bounds() -> dict[str, tuple[float, str]]:
    """Name of a bound -> its value and why it is fair."""
    found = yaml.safe_load(FILE.read_text())["bounds"]
    return {name: (float(bound["value"]), bound["why"]) for name, bound in found.items()}


def read(text: str) -> tuple[Claim, ...]:
    """The claims of a file like `claims.yaml`. Raises ConfigError that names the key."""
    content = yaml.safe_load(text)
    shared = {name: float(bound["value"]) for name, bound in content["bounds"].items()}
    return tuple(_claim(name, entry, shared) for name, entry in content["claims"].items())


def _claim(name: str, entry: Mapping[str, Any], shared: Mapping[str, float]) -> Claim:
    known = {*TEXTS, "figures", "studies", "parts"}
    if wrong := sorted(known.symmetric_difference(entry)):
        told = f"must have exactly {', '.join(sorted(known))}"
        raise ConfigError([f"claims.{name}: {told}; see {', '.join(wrong)}"])
    parts = tuple(_part(f"{name}.{key}", part, shared) for key, part in entry["parts"].items())
    texts: dict[str, str] = {key: entry[key] for key in TEXTS}
    figures, studies = tuple(entry["figures"]), tuple(entry["studies"])
    return Claim(id=name, figures=figures, studies=studies, parts=parts, **texts)


def _part(key: str, entry: Mapping[str, Any], shared: Mapping[str, float]) -> Part:
    sides = [side for side in SIDES if side in entry]
    if len(sides) != 1 or set(entry) != {"measure", *sides}:
        raise ConfigError([f"claims.{key}: must have measure and one of {', '.join(SIDES)}"])
    value = entry[sides[0]]
    if isinstance(value, str):
        if value not in shared:
            allowed = f"must be a number or one of {', '.join(shared)}"
            raise ConfigError([f"claims.{key}.{sides[0]} = {value}: {allowed}"])
        return Part(key, entry["measure"], sides[0], shared[value], value)
    return Part(key, entry["measure"], sides[0], float(value))

"""The axes of a study as the explorer's map shows them. No torch here: the Snakefile asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from idpipe.config import Plan

NAMED = ("arch", "name", "source")
"""Keys whose values say by themselves what they are."""


@dataclass(frozen=True)
class LabelledAxis:
    """One axis that a study varies: its dotted key, and a label for each of its values."""

    key: str
    values: tuple[str, ...]


def study_axes(plan: Plan) -> dict[str, list[LabelledAxis]]:
    """Study -> its axes of more than one value; its cells are their grid, the last fastest."""
    return {
        name: [
            LabelledAxis(key, _distinct([label(value) for value in values]))
            for key, values in plan.config.studies[name].axes.items()
            if len(values) > 1
        ]
        for name in plan.studies
    }


def label(value: Any) -> str:
    """A value of an axis in a few words: `5`, `sgd lr 0.01`, `fcn depth 2`, `7/3 + 4`."""
    if isinstance(value, Mapping):
        if "label" in value:
            return (
                f"{value['label']}/{value['index']}" if value.get("index") else str(value["label"])
            )
        told = [label(v) if k in NAMED else f"{k} {label(v)}" for k, v in value.items()]
        return " ".join(told) or "as in base"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " + ".join(label(one) for one in value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _distinct(labels: Sequence[str]) -> tuple[str, ...]:
    """The labels, numbered where two are the same: links name values by their labels."""
    alike = len(set(labels)) < len(labels)
    return tuple(f"{text} ({place})" if alike else text for place, text in enumerate(labels, 1))

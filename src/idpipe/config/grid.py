"""Grids of settings: a base, axes, and every combination merged over it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

TAGS = ("arch", "name", "source")
"""Keys that say which kind of thing a mapping describes."""
UNNAMED = {"name": "sgd"}
"""The kind of a mapping that does not say."""
WHOLE = "cell"
"""The axis whose values are settings of the whole cell, of any keys."""


def merge(
    below: Mapping[Any, Any], above: Mapping[Any, Any], tags: Sequence[str] = TAGS
) -> dict[Any, Any]:
    """Deep merge of settings as they were written, keys unchecked; `above` wins.

    A mapping of another kind (another `arch`, optimizer `name` or data `source`) replaces the one
    below it instead of mixing with its settings; `tags` are the keys that tell kinds apart.
    """
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            other = any(
                tag in value and value[tag] != old.get(tag, UNNAMED.get(tag, value[tag]))
                for tag in tags
            )
            merged[key] = dict(value) if other else merge(old, value, tags)
        else:
            merged[key] = value
    return merged


def axis_keys(path: str) -> tuple[str, ...]:
    """The keys of an axis's path; none for the axis of the whole cell."""
    return () if path == WHOLE else tuple(path.split("."))


def nested(path: str, value: Any) -> dict[str, Any]:
    """`nested("a.b", v)` is `{"a": {"b": v}}`."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return value  # type: ignore[no-any-return]


def of_axis(axis: str, value: Any) -> dict[str, Any]:
    """The settings that a value of an axis stands for."""
    return dict(value) if axis == WHOLE else nested(axis, value)


def set_by(axis: str, value: Any) -> list[str]:
    """Dotted keys that a value of an axis sets: the axis itself, but for one of the whole cell."""
    return list(_keys(value, "")) if axis == WHOLE else [axis]


def _keys(settings: Mapping[str, Any], above: str) -> Iterator[str]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _keys(value, f"{above}{key}.")
        else:
            yield f"{above}{key}"


class GridPoint(NamedTuple):
    """One point of a study's grid: the settings it merges to and where on the axes it lies."""

    settings: dict[str, Any]
    position: dict[str, int]
    """Axis path -> index of the value taken."""


def grid_points(
    defaults: Mapping[str, Any], base: Mapping[str, Any], axes: Mapping[str, Sequence[Any]]
) -> Iterator[GridPoint]:
    """Every combination of the axes' values over `defaults` and `base`, last axis fastest."""
    start = merge(defaults, base)
    for indices in itertools.product(*(range(len(values)) for values in axes.values())):
        position = dict(zip(axes, indices, strict=True))
        settings = start
        for path, index in position.items():
            settings = merge(settings, of_axis(path, axes[path][index]))
        yield GridPoint(settings=settings, position=position)

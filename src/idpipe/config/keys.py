"""Keys of a configuration: where they are, what they may hold, how values are shown."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from idpipe.cells import FILLED_IN, Says, Spec

MISSING = object()
"""What `value_at` finds where nothing is set."""


def dotted(loc: Iterable[str | int]) -> str:
    """`("a", "b", 2)` as `a.b[2]`."""
    text = ""
    for key in loc:
        text += f"[{key}]" if isinstance(key, int) else ("." if text else "") + key
    return text


def shown(value: object) -> str:
    """A value about as the user wrote it, shortened."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return _short.repr(value)
    except ValueError:  # Python does not print integers of more than 4,300 digits
        return "(thousands of digits)"


_short = reprlib.Repr()
_short.maxstring = _short.maxother = 80


def value_at(settings: Any, loc: Iterable[str | int]) -> Any:
    """The value at `loc`, or MISSING."""
    for key in loc:
        try:
            settings = settings[key]
        except (KeyError, IndexError, TypeError):
            return MISSING
    return settings


def sets(settings: Any, loc: Iterable[str | int]) -> bool:
    """Whether `settings` decide the value at `loc`: they reach it, or hold a plain value above."""
    for key in loc:
        if not isinstance(settings, Mapping):
            return True
        if key not in settings:
            return False
        settings = settings[key]
    return True


def allowed(annotation: Any) -> str:
    """The values of a type in words, such as `a whole number from 1 to 10`."""
    bare, notes = unpack(annotation)
    says = [note.text for note in notes if isinstance(note, Says)]
    if says:
        return says[-1]
    origin, members = get_origin(bare), get_args(bare)
    if origin is Literal:
        return " or ".join(filter(None, [", ".join(map(str, members[:-1])), str(members[-1])]))
    if origin in (tuple, list):
        return f"a list; each entry: {allowed(members[0])}"
    if models_in(bare):
        keys = dict.fromkeys(key for model in models_in(bare) for key in keys_of(model))
        return f"a mapping with keys among {', '.join(keys)}"
    if is_union(bare):
        return " or ".join(map(allowed, members))
    words = {int: "a whole number", float: "a finite number", bool: "true or false", str: "text"}
    words |= {NoneType: "null", Any: "any value"}
    return words.get(bare, "a mapping (`key: value` lines)") + _range(notes)


def _range(notes: Sequence[Any]) -> str:
    """Bounds among an annotation's notes, in words."""
    names = {"ge": "of at least", "gt": "above", "le": "up to", "lt": "below"}
    bounds = {n: getattr(note, n) for note in notes for n in names if hasattr(note, n)}
    if bounds.keys() == {"ge", "le"}:
        return f" from {bounds['ge']:,} to {bounds['le']:,}"
    return " and".join(f" {names[name]} {bound:,}" for name, bound in bounds.items())


def choices(annotation: Any) -> list[str]:
    """The words among the values of a type."""
    bare, _ = unpack(annotation)
    if get_origin(bare) is Literal:
        return [value for value in get_args(bare) if isinstance(value, str)]
    return [word for member in get_args(bare) if is_union(bare) for word in choices(member)]


def annotation_of(field: FieldInfo) -> Any:
    """A field's type together with its bounds and its `Says`."""
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def keys_of(model: type[Spec]) -> list[str]:
    """The keys of a model that a user may write."""
    return [name for name, field in model.model_fields.items() if FILLED_IN not in field.metadata]


def models_in(annotation: Any) -> list[type[Spec]]:
    """The models among the types that a setting may have; none for plain values and lists."""
    bare, _ = unpack(annotation)
    if is_model(bare):
        return [bare]
    return [model for member in get_args(bare) if is_union(bare) for model in models_in(member)]


def key_paths(model: type[Spec], above: str = "") -> Iterator[str]:
    """Every dotted key of a model, an outer key before those in it; lists are not entered."""
    for name in keys_of(model):
        yield above + name
        inner = models_in(annotation_of(model.model_fields[name]))
        yield from dict.fromkeys(p for m in inner for p in key_paths(m, f"{above}{name}."))


def unpack(annotation: Any) -> tuple[Any, list[Any]]:
    """A type without its Annotated, and the notes that stood there."""
    if get_origin(annotation) is not Annotated:
        return annotation, []
    bare, *notes = get_args(annotation)
    flat = [x for note in notes for x in (note.metadata if isinstance(note, FieldInfo) else [note])]
    return bare, flat


def is_union(annotation: Any) -> bool:
    """Whether several types are allowed."""
    return get_origin(annotation) in (Union, UnionType)


def is_model(annotation: Any) -> bool:
    """Whether a mapping of known keys is."""
    return isinstance(annotation, type) and issubclass(annotation, Spec)

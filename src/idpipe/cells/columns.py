"""The settings of a cell as flat columns, one for every key: those of the table `cells`.

A key of an own net or optimizer is a column without another word. A key whose name is taken, or
that two kinds give different types, is a TypeError when this is imported.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from idpipe.cells.cell import Cell
from idpipe.cells.nets import Net
from idpipe.cells.optimizers import Optimizer
from idpipe.cells.specs import Spec, Unit, kinds


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    type: str
    """pandas dtype."""
    unit: str
    meaning: str
    allowed: str = ""
    """Its values: names in backticks, or a range of numbers."""
    null: str = "never"
    """When there is no value."""


Models = dict[str, type[Spec]]
"""Tag -> the kind of a section that has it; one of no name where there are no kinds."""
TYPES = {bool: "bool", int: "int64", float: "float64"}
UNIONS: dict[str, Any] = {"net": Net, "optimizer": Optimizer}
PREFIXED = ("schedule", "failure")
"""Sections whose keys do not speak for themselves: `schedule_factor`."""
NAMES = {"optimizer.name": "optimizer"}
RESERVED = frozenset(
    (
        *("cell_id", "replicate", "study", "axes", "parameters", "status", "restarts", "restart"),
        *("steps", "step", "mse", "seconds", "device", "probe", "kind", "rho", "reference"),
        *("correlation", "layer", "state", "quantity", "value", "size_train", "mse_train"),
    )
)
"""Names of other columns, with which those of settings are joined."""


SLIP: Any = 10_000
"""Upper bounds from here on are met by a slip of the keyboard alone, and not told."""


def named(values: Iterable[str]) -> str:
    """Names in backticks, as documents list what is allowed."""
    return ", ".join(f"`{value}`" for value in values)


def column_values(cell: Cell) -> dict[str, Any]:
    """A cell's settings by the names of `SETTINGS`, and its `parameters`.

    NaN, None or False where a net or an optimizer of its kind lacks the key.
    """
    absent: dict[str, Any] = {"bool": False, "float64": math.nan}
    found = {column.name: absent.get(column.type) for column in SETTINGS}
    for key, value in cell.model_dump().items():
        if isinstance(value, Mapping):
            found |= {_name(key, inner): _plain(each) for inner, each in value.items()}
        else:
            found[_name("", key)] = _plain(value)
    return {**found, "examples": cell.data.images, "parameters": cell.parameters}


def _plain(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _name(section: str, key: str) -> str:
    dotted = f"{section}.{key}" if section else key
    return NAMES.get(dotted, f"{section}_{key}" if section in PREFIXED else key)


def _sections() -> Iterator[tuple[str, Models]]:
    """The net first, as one thinks of a cell; then the cell's own order, plain keys as one each."""
    for name in sorted(Cell.model_fields, key=lambda name: name != "net"):
        annotation = Cell.model_fields[name].annotation
        if name in UNIONS:
            yield name, kinds(UNIONS[name])
        elif isinstance(annotation, type) and issubclass(annotation, Spec):
            yield name, {"": annotation}
        else:
            yield name, {}


def _settings() -> Iterator[Column]:
    taken = set(RESERVED)
    for section, models in _sections():
        if not models:
            keys = {_name("", section): (section, {"": Cell.model_fields[section]})}
        else:
            keys = {
                _name(section, key): (f"{section}.{key}", _fields(models, key))
                for model in models.values()
                for key in model.model_fields
            }
        for name, (dotted, fields) in keys.items():
            if name in taken:
                raise TypeError(
                    f"{dotted}: its column {name!r} is taken by another; name the key otherwise"
                )
            taken.add(name)
            yield _column(name, dotted, fields, models)


def _fields(models: Models, key: str) -> dict[str, FieldInfo]:
    """The key as each kind that has it declares it."""
    found = ((tag, model.model_fields.get(key)) for tag, model in models.items())
    return {tag: field for tag, field in found if field is not None}


def _column(name: str, dotted: str, fields: dict[str, FieldInfo], models: Models) -> Column:
    try:
        types = {_type(field.annotation) for field in fields.values()}
    except TypeError as error:
        raise TypeError(f"{dotted}: {error}") from None
    if len(types) > 1:
        raise TypeError(f"{dotted}: is {' in one kind and '.join(sorted(types))} in another")
    (kind,) = types
    lacking = [tag for tag in models if tag not in fields]
    nulls = []
    if lacking and kind != "bool":  # what has no such flag is not so
        nulls = [f"`{_name(*_tag(dotted))}` is {named(lacking)}"]
    if any(type(None) in get_args(field.annotation) for field in fields.values()):
        nulls.append("not set")
    if nulls and kind == "int64":
        kind = "float64"
    meanings: dict[str, list[str]] = {}
    for tag, field in fields.items():
        meanings.setdefault(str(field.description), []).append(tag)
    told = [text + f" ({', '.join(t)})" * (len(meanings) > 1) for text, t in meanings.items()]
    units = dict.fromkeys(unit for field in fields.values() for unit in _units(field))
    allowed = dict.fromkeys(text for field in fields.values() if (text := _allowed(field)))
    return Column(
        name,
        kind,
        ", ".join(units),
        "; ".join(told),
        ", ".join(allowed),
        ", or ".join(nulls) or "never",
    )


def _tag(dotted: str) -> tuple[str, str]:
    """The key that tells the kinds of a section apart."""
    section = dotted.partition(".")[0]
    return section, str(get_args(UNIONS[section])[1].discriminator)


def _type(annotation: Any) -> str:
    """The pandas dtype of a key's values."""
    origin, members = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(members[0])
    if origin is Literal:
        return _type(type(members[0]))
    if origin in (list, tuple) or annotation is str:
        return "str"
    if members and origin is not dict:
        types = {_type(member) for member in members if member is not type(None)}
        if types == {"bool"} and type(None) in members:
            raise TypeError("may be left out: a flag needs a default")
        return types.pop() if len(types) == 1 else "str"
    if annotation in TYPES:
        return TYPES[annotation]
    raise TypeError(f"{annotation} has no column; a key holds a text, number, flag or list of them")


def _units(field: FieldInfo) -> Iterator[str]:
    return (note.text for note in field.metadata if isinstance(note, Unit))


def _notes(annotation: Any) -> Iterator[Any]:
    """What the members of a union are annotated with, as `Positive | None` is."""
    for member in get_args(annotation):
        if get_origin(member) is Annotated:
            for note in get_args(member)[1:]:
                yield from getattr(note, "metadata", [note])


def _allowed(field: FieldInfo) -> str:
    """The values of a key: names, or bounds, but for those that only a slip would pass."""
    notes = [*field.metadata, *_notes(field.annotation)]
    if get_origin(field.annotation) in (list, tuple):
        return ""
    if get_origin(field.annotation) is Literal:
        return named(map(str, get_args(field.annotation)))
    if field.annotation is bool:
        return named(("true", "false"))
    bounds = []
    for note in notes:
        if isinstance(note, Ge):
            bounds.append(f"≥ {note.ge}")
        elif isinstance(note, Gt):
            bounds.append(f"> {note.gt}")
        elif isinstance(note, Le) and note.le < SLIP:
            bounds.append(f"≤ {note.le}")
        elif isinstance(note, Lt) and note.lt < SLIP:
            bounds.append(f"< {note.lt}")
    return " and ".join(bounds)


SETTINGS: tuple[Column, ...] = tuple(_settings())
"""A column for every key of a cell."""

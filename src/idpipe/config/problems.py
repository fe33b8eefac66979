"""What is wrong with settings that were refused, a line for each problem.

pydantic finds the problems; here each becomes one line that names the key path, the value, what
is allowed and, for a misspelt key or choice, the nearest one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import NoneType
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic import ValidationError

from idpipe.cells import FILLED_IN, Cell, Net, Optimizer, Spec, kinds
from idpipe.config.grid import WHOLE, merge
from idpipe.config.keys import (
    MISSING,
    allowed,
    annotation_of,
    choices,
    dotted,
    is_model,
    is_union,
    key_paths,
    keys_of,
    models_in,
    shown,
    unpack,
    value_at,
)

Loc = tuple[str | int, ...]
Locate = Callable[[Loc], str]


def explain(
    error: ValidationError, model: type[Spec], settings: Mapping[Any, Any], locate: Locate = dotted
) -> list[str]:
    """One line for each problem that `model` has with `settings`; `locate` spells the paths."""
    return _lines(error.errors(include_url=False), model, settings, locate)


def explain_part(
    part: Mapping[Any, Any], context: Mapping[Any, Any], locate: Locate = dotted
) -> list[str]:
    """Problems that a part of a cell's settings has whatever the cell's other settings are.

    Args:
        part: the defaults, a study's base, or one value of an axis.
        context: settings that name the kind of network and of optimizer where `part` does not.
        locate: spells the path of a cell's key.
    """
    filled_in = value_at(part, ("data", "digest"))
    if filled_in is not MISSING:
        where = locate(("data", "digest"))
        return [f"{where} = {shown(filled_in)}: must be {FILLED_IN.text}"]
    whole = _completed(part, context)
    try:
        Cell.model_validate(whole)
    except ValidationError as error:
        problems = [p for p in error.errors(include_url=False) if _lies_in(part, p)]
        return _lines(problems, Cell, whole, locate)
    return []


def explain_axis(axis: str, values: object, path: str) -> list[str]:
    """The problem with an axis that is no key of a cell, if there is one; `path` is the axis's.

    The axis of the whole cell takes mappings only.
    """
    if axis == WHOLE and isinstance(values, Sequence):
        return [
            f"{path}[{index}] = {shown(value)}: must be a mapping of a cell's keys"
            for index, value in enumerate(values)
            if not isinstance(value, Mapping)
        ]
    known = list(key_paths(Cell))
    if axis in known:
        return []
    above = axis.rpartition(".")[0]
    beside = [path for path in known if path.rpartition(".")[0] == above]
    names = ", ".join(sorted(beside or [*keys_of(Cell), WHOLE]))
    return [
        f"{path} = {shown(values)}: unknown key; {_near(axis, [*beside, *known])}allowed: {names}"
    ]


def explain_message(
    message: str, loc: Loc, value: object, settings: Mapping[Any, Any], locate: Locate = dotted
) -> str:
    """The line for a message of our own models, raised at `loc` for `value`.

    It may start with the path of the key that it is about, as `examples[0].label: must be ...`.
    """
    inner = re.match(r"([a-z_]\w*(?:\[\d+\]|\.[a-z_]\w*)*): (.*)", message, re.DOTALL)
    if inner is not None:
        deeper = (int(key) if key.isdigit() else key for key in re.findall(r"\w+", inner[1]))
        loc, message = (*loc, *deeper), inner[2]
        value = value_at(settings, loc)
    return f"{locate(loc)}{'' if value is MISSING else f' = {shown(value)}'}: {message}"


def _completed(part: Mapping[Any, Any], context: Mapping[Any, Any]) -> dict[str, Any]:
    """`part` with what no cell can lack, of the kind that knows most of its keys."""
    skeleton = {
        key: {tag: _kind(union, tag, part.get(key), value_at(context, (key, tag)))}
        for key, tag, union in (("net", "arch", Net), ("optimizer", "name", Optimizer))
    }
    return merge({"net": {"depth": 1}}, merge(skeleton, part))


def _kind(union: Any, tag: str, settings: Any, usual: Any) -> str:
    """The member of a union that `settings` name, else the one that their keys fit best."""
    known = kinds(union)
    if not isinstance(settings, Mapping):
        settings = {}
    named = settings.get(tag)
    if isinstance(named, str) and named in known:
        return named

    def misfit(name: str) -> tuple[int, int, bool]:
        keys = list(known[name].model_fields)
        unknown = [key for key in map(str, settings) if key not in keys]
        return len(unknown), sum(not _near(key, keys) for key in unknown), name != usual

    return min(known, key=misfit)


def _lies_in(part: Mapping[Any, Any], problem: Any) -> bool:
    """Whether a problem of the completed cell lies in `part`, and not in a combination of keys."""
    loc = _place(Cell, problem).loc
    if problem["type"] == "missing":
        return any(isinstance(key, int) for key in loc)
    value = value_at(part, loc)
    combined = problem["type"] == "value_error" and isinstance(value, Mapping)
    return value is not MISSING and not combined


class _Place(NamedTuple):
    """Where a problem lies: pydantic's location without its tags, and what belongs there."""

    loc: Loc
    annotation: Any
    owner: Any
    """The type whose key the location's last part is."""
    branch: bool
    """Whether one member of a union refused the value itself, not something in it."""
    bad_key: bool
    """Whether the key is refused, whatever it holds."""


def _place(model: type[Spec], problem: Any) -> _Place:
    path: list[str | int] = []
    annotation: Any = model
    owner: Any = None
    union: Any = None
    for key in problem["loc"]:
        if key == "[key]" and get_origin(owner) is dict and problem["type"] != "extra_forbidden":
            return _Place(tuple(path), get_args(owner)[0], owner, False, True)
        bare, _ = unpack(annotation)
        if is_union(bare) and NoneType not in get_args(bare):
            union, annotation = annotation, _member(bare, str(key))
        else:
            union, owner, annotation = None, bare, _below(bare, key)
            path.append(key)
    bad_key = problem["type"] == "invalid_key"
    annotation = str if bad_key else annotation if union is None else union
    return _Place(tuple(path), annotation, owner, union is not None, bad_key)


def _member(union: Any, tag: str) -> Any:
    """The member of a union that pydantic calls `tag` in its locations."""
    for member in get_args(union):
        bare, _ = unpack(member)
        if is_model(bare):
            if any(get_args(f.annotation)[:1] == (tag,) for f in bare.model_fields.values()):
                return member
        elif tag.startswith((get_origin(bare) or bare).__name__.lower()):
            return member
    return Any


def _below(bare: Any, key: str | int) -> Any:
    """The type of the field, entry or value that `key` leads to."""
    if is_model(bare):
        field = bare.model_fields.get(str(key))
        return Any if field is None else annotation_of(field)
    if is_union(bare):
        return _below(next(m for m in get_args(bare) if m is not NoneType), key)
    arguments = get_args(bare) or (Any, Any)
    return arguments[1] if get_origin(bare) is dict else arguments[0]


def _lines(
    problems: Iterable[Any], model: type[Spec], settings: Mapping[Any, Any], locate: Locate
) -> list[str]:
    placed = [(_place(model, problem), problem) for problem in problems]
    # A union refuses a value once per member: what is wrong inside a member says more.
    inside = {p.loc[:n] for p, _ in placed if not p.branch for n in range(len(p.loc))}
    # An entry whose key is refused is not looked into.
    bad = [p.loc for p, _ in placed if p.bad_key]
    kept = [
        _line(problem, p, settings, locate)
        for p, problem in placed
        if not (p.branch and p.loc in inside)
        and (p.bad_key or not any(p.loc[: len(loc)] == loc for loc in bad))
    ]
    return list(dict.fromkeys(kept))


def _line(problem: Any, place: _Place, settings: Mapping[Any, Any], locate: Locate) -> str:
    kind, value, loc = problem["type"], problem["input"], place.loc
    if place.bad_key:
        key = value if isinstance(value, str) and value.isprintable() else shown(value)
        return f"{locate((*loc[:-1], key))}: the key must be {allowed(place.annotation)}"
    if kind == "extra_forbidden":
        return f"{locate(loc)} = {shown(value)}: unknown key; {_known(str(loc[-1]), place.owner)}"
    if kind == "missing":
        return f"{locate(loc)}: missing; must be {allowed(place.annotation)}"
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        return _tag_line(problem, place, locate)
    if kind == "value_error":
        message = problem["msg"].removeprefix("Value error, ")
        return explain_message(message, loc, value, settings, locate)
    words = choices(place.annotation)
    if words and isinstance(value, str):
        return f"{locate(loc)} = {shown(value)}: {_choice(value, words, place.annotation)}"
    return f"{locate(loc)} = {shown(value)}: must be {allowed(place.annotation)}"


def _tag_line(problem: Any, place: _Place, locate: Locate) -> str:
    """A mapping that does not say which kind of thing it describes, or says it wrongly."""
    tag = problem["ctx"]["discriminator"].strip("'")
    names = [get_args(m.model_fields[tag].annotation)[0] for m in models_in(place.annotation)]
    path, kinds_ = locate((*place.loc, tag)), Literal[tuple(names)]
    if problem["type"] == "union_tag_not_found":
        return f"{path}: missing; must be {allowed(kinds_)}"
    value = problem["input"][tag]
    return f"{path} = {shown(value)}: {_choice(str(value), names, kinds_)}"


def _choice(value: str, names: Sequence[str], annotation: Any) -> str:
    return f"{_near(value, names)}allowed: {allowed(annotation)}"


def _known(key: str, owner: type[Spec]) -> str:
    """What to write instead of an unknown key."""
    hint = _near(key, [*keys_of(owner), *key_paths(owner)])
    if "." in key:
        outer, _, inner = key.partition(".")
        hint = f"dots are for axes, write `{outer}: {{{inner}: ..}}`; "
    return f"{hint}allowed: {', '.join(sorted(keys_of(owner)))}"


def _near(word: str, names: Sequence[str]) -> str:
    """A hint at the name that `word` was probably meant to be, by the last part of dotted keys."""
    by_last = {name.rpartition(".")[2]: name for name in reversed(names)}
    close = difflib.get_close_matches(word.rpartition(".")[2], by_last, 1, 0.6)
    return f"did you mean {by_last[close[0]]}? " if close else ""

"""Studies: named sets of cells, checked and expanded.

A study is a base and axes. What is wrong with a part of it is told once, at that part; what only
a combination shows (residual blocks of the wrong width, two equal cells, too much memory) is told
at the key that a user would change.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, ValidationError

from idpipe.cells import Cell, Positive, Rate, Says, Spec
from idpipe.config.grid import WHOLE, GridPoint, axis_keys, grid_points, merge, of_axis
from idpipe.config.keys import MISSING, dotted, sets, shown, value_at
from idpipe.config.problems import Loc, explain, explain_axis, explain_message, explain_part

AxisKey = Annotated[str, Says("a dotted key such as net.depth")]
Values = Annotated[list[Any], Field(min_length=1), Says("a list of at least one value")]
CellSettings = Annotated[dict[str, Any], Says("a mapping of a cell's keys")]


class Limits(Spec):
    """Guards against typing errors."""

    memory_gib: Rate = Field(
        256.0, description="a cell whose training is estimated to need more memory is refused"
    )
    cells: Positive = Field(20_000, description="a study of more combinations is refused")


class Study(Spec):
    """A named set of cells: `base` over `defaults`, times every combination of the axes."""

    base: CellSettings = Field(
        default_factory=dict, description="settings of all cells of the study"
    )
    axes: dict[AxisKey, Values] = Field(
        default_factory=dict,
        description="dotted key -> values; a value may be a mapping, merged like `base`",
    )


class Locator:
    """Says where a config sets a cell's key: in an axis, a study's base, or the defaults."""

    def __init__(
        self, name: str, study: Study, defaults: Mapping[Any, Any], position: Mapping[str, int]
    ) -> None:
        self.study, self.defaults, self.position = name, defaults, position
        self.base, self.axes = study.base, study.axes

    def __call__(self, loc: Loc) -> str:
        """The full path of the cell's key `loc`."""
        for axis, index in reversed(list(self.position.items())):
            path = axis_keys(axis)
            if axis == WHOLE and not sets(self.axes[axis][index], loc):
                continue
            if loc[: len(path)] == path or path[: len(loc)] == loc:
                return dotted(("studies", self.study, "axes", axis, index, *loc[len(path) :]))
        if not sets(self.base, loc):
            if sets(self.defaults, loc):
                return dotted(("defaults", *loc))
            if loc == ("data", "source"):
                return "data.source"
        return dotted(("studies", self.study, "base", *loc))


def check(name: str, study: Study, shared: Mapping[Any, Any], limits: Limits) -> list[str]:
    """Problems of a study that are seen without expanding it.

    Args:
        name: the study's name.
        study: the study.
        shared: the settings that `base` is merged over.
        limits: the guard on its size.
    """
    points = math.prod(map(len, study.axes.values()))
    if points > limits.cells:
        most = f"limits.cells = {limits.cells:,}"
        return [f"studies.{name}.axes: {points:,} combinations; must be at most {most}"]
    start = merge(shared, study.base)
    problems = explain_part(study.base, start, Locator(name, study, {}, {}))
    for axis, values in study.axes.items():
        path = f"studies.{name}.axes.{axis}"
        problems += explain_axis(axis, values, path) or _axis_problems(name, study, axis, start)
    return problems


def _axis_problems(name: str, study: Study, axis: str, start: Mapping[Any, Any]) -> list[str]:
    """Values that no cell can have, and a base that fixes what the axis varies."""
    problems = []
    fixed = value_at(study.base, axis_keys(axis))
    if axis != WHOLE and fixed is not MISSING and not isinstance(fixed, Mapping):
        problems.append(
            f"studies.{name}.base.{axis} = {shown(fixed)}: must be left out, for the study has "
            "an axis of this name"
        )
    for index, value in enumerate(study.axes[axis]):
        locate = Locator(name, study, {}, {axis: index})
        problems += explain_part(of_axis(axis, value), start, locate)
    return problems


def expand(
    name: str,
    study: Study,
    shared: Mapping[Any, Any],
    defaults: Mapping[Any, Any],
    limits: Limits,
    folder: Sequence[int] | None,
) -> tuple[dict[str, Cell], list[str]]:
    """A study's cells by id, in grid order (last axis fastest), and what is wrong with them.

    Args:
        name: the study's name.
        study: a study that `check` found no problem with.
        shared: the settings that `base` is merged over.
        defaults: what of `shared` the user wrote under `defaults`.
        limits: the guard on a cell's memory.
        folder: training images per class of the user's own images, if the run has any.
    """
    cells: dict[str, Cell] = {}
    points: dict[str, GridPoint] = {}
    problems: list[str] = []
    for point in grid_points(shared, study.base, study.axes):
        locate = Locator(name, study, defaults, point.position)
        try:
            cell = Cell.model_validate(point.settings)
        except ValidationError as error:
            problems += explain(error, Cell, point.settings, locate)
            continue
        problems += _impossible(cell, point.settings, locate, limits, folder)
        cell_id = cell.cell_id
        if cell_id in points:
            problems.append(_repeat(name, study, points[cell_id], point))
        points.setdefault(cell_id, point)
        cells.setdefault(cell_id, cell)
    return cells, problems


def _repeat(name: str, study: Study, first: GridPoint, point: GridPoint) -> str:
    """The message for a point whose cell the study has already."""
    axis = [a for a, index in point.position.items() if index != first.position[a]][-1]
    index = point.position[axis]
    before = ", ".join(f"{a}[{i}]" for a, i in first.position.items())
    return (
        f"studies.{name}.axes.{axis}[{index}] = {shown(study.axes[axis][index])}: must give a "
        f"cell that the study does not have yet; it has this one at {before}"
    )


def _impossible(
    cell: Cell,
    settings: Mapping[Any, Any],
    locate: Locator,
    limits: Limits,
    folder: Sequence[int] | None,
) -> list[str]:
    """Problems that need the whole cell or the user's files to be seen."""
    problems = []
    gib = cell.memory_bytes / 2**30
    if gib > limits.memory_gib:
        loc, value = _largest(cell)
        problems.append(
            f"{locate(loc)} = {value}: training this cell needs about {gib:,.0f} GiB of memory; "
            f"must be at most limits.memory_gib = {limits.memory_gib:,g}"
        )
    if cell.data.source == "image_folder" and folder is None:
        problems.append(
            f"{locate(('data', 'source'))} = 'image_folder': must be set as data.source, for the "
            "whole run; a study cannot name it alone"
        )
    if cell.data.source == "image_folder" and folder is not None:
        try:
            cell.data.check_examples(folder, cell.replicates)
        except ValueError as error:
            problems.append(explain_message(f"data.{error}", (), None, settings, locate))
    return problems


def _largest(cell: Cell) -> tuple[Loc, int]:
    """The key that exceeds what the paper uses by the largest factor, and its value."""
    usual = {
        ("net", "kernel"): 57,
        ("net", "width"): 2048,
        ("net", "depth"): 24,
        ("data", "size"): 112,
        ("replicates",): 5,
        ("batch_size",): 128,
    }
    content = cell.model_dump()
    values = {loc: value_at(content, loc) for loc in usual}
    known = {loc: value for loc, value in values.items() if isinstance(value, int)}
    return max(known.items(), key=lambda item: item[1] / usual[item[0]])

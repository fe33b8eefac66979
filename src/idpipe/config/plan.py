"""The configuration's cells, study by study, checked as a whole before any work."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from idpipe.cells import Cell
from idpipe.config.folders import IMAGE_SUFFIXES, folder_counts, folder_digest, image_files
from idpipe.config.grid import merge
from idpipe.config.keys import dotted, shown
from idpipe.config.model import Config, DataConfig
from idpipe.config.problems import explain, explain_part
from idpipe.config.studies import check, expand
from idpipe.errors import ConfigError


@dataclass(frozen=True)
class Plan:
    """A checked configuration and the cells it asks for."""

    config: Config
    studies: dict[str, list[Cell]]
    """Each study's cells in grid order."""
    cells: dict[str, Cell]
    """Every distinct cell by id, in the order in which the studies name them."""


def load(settings: Mapping[Any, Any]) -> Plan:
    """Check `settings` and expand the studies, but those set to null.

    Raises ConfigError that lists every problem.
    """
    if isinstance(studies := settings.get("studies"), Mapping):
        asked = {name: study for name, study in studies.items() if study is not None}
        settings = {**settings, "studies": asked}
    try:
        config = Config.model_validate(settings)
    except ValidationError as error:
        raise ConfigError(explain(error, Config, settings)) from None
    problems = explain_part(config.defaults, {}, lambda loc: f"defaults.{dotted(loc)}")
    data, counts = _image_folder(config.data, problems)
    shared = merge({"data": data}, config.defaults)
    for name, study in config.studies.items():
        problems += check(name, study, shared, config.limits)
    plan = Plan(config, {}, {})
    for name, study in config.studies.items() if not problems else ():
        found, wrong = expand(name, study, shared, config.defaults, config.limits, counts)
        problems += wrong or _misfits(name, found, plan)
        plan.studies[name] = list(found.values())
        plan.cells.update(found)
    if problems:
        # One setting can spoil many cells: it is reported once, at its place.
        raise ConfigError(list({re.split(" = |: ", text)[0]: text for text in problems}.values()))
    return plan


def _image_folder(data: DataConfig, problems: list[str]) -> tuple[dict[str, Any], list[int] | None]:
    """The data settings that all cells start from; images per class of the user's own folder."""
    settings = {"source": data.source}
    if data.source != "image_folder":
        return settings, None
    folder = Path(data.folder or "")
    try:
        if data.folder is not None and folder.is_dir() and image_files(folder):
            return {**settings, "digest": folder_digest(folder)}, folder_counts(folder)
        reason = f"must be a folder of images ({', '.join(sorted(IMAGE_SUFFIXES))})"
    except OSError as error:
        reason = f"must be readable: {error}"
    except ValueError as error:
        reason = f"must hold {error}"
    problems.append(f"data.folder = {shown(data.folder)}: {reason}, as data.source asks for it")
    return settings, []


def _misfits(name: str, found: Mapping[str, Cell], plan: Plan) -> list[str]:
    """What is wrong with a study's cells beside the rest of the configuration."""
    problems = [
        f"studies.{name}: two different cells have the id {cell_id}"
        for cell_id, cell in found.items()
        if plan.cells.get(cell_id, cell) != cell
    ]
    shown_replicate = plan.config.figures.replicate
    fewest = min(cell.replicates for cell in found.values())
    if shown_replicate >= fewest:
        problems.append(
            f"figures.replicate = {shown_replicate}: must be from 0 to {fewest - 1}, for study "
            f"{name} has cells of {fewest} replicates"
        )
    return problems

"""Settings as a user writes them: YAML files and `key=value`, merged into one mapping.

Nothing is known here of what the keys mean; `idpipe.config` checks that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from idpipe.config.grid import merge, nested
from idpipe.errors import ConfigError

LARGEST = 2**20
"""Bytes of a file of settings: YAML of more takes minutes to read."""


def read_file(path: Path | str) -> dict[str, Any]:
    """The settings of one YAML file. Raises ConfigError where it is no mapping or repeats a key."""
    try:
        size = Path(path).stat().st_size
        if size > LARGEST:
            raise ConfigError([f"{path}: must be of at most {LARGEST:,} bytes, and has {size:,}"])
        with Path(path).open(encoding="utf-8") as stream:
            loader = yaml.SafeLoader(stream)
            node = loader.get_single_node()
            repeats = list(_repeats(node))
            content = loader.construct_document(node) if node and not repeats else {}
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError([f"{path}: must be YAML: {_reason(error)}"]) from None
    except (LookupError, AttributeError, TypeError):  # of the values of explicit tags
        raise ConfigError([f"{path}: must be YAML: a value does not fit its !!tag"]) from None
    if repeats:
        raise ConfigError([f"{text} of {path}; allowed: each key once" for text in repeats])
    if not isinstance(content, dict):
        raise ConfigError([f"{path}: must hold `key: value` lines"])
    return content


def _reason(error: Exception) -> str:
    """What is wrong with the text, and where: `line 2, column 1: found a tab ...`."""
    if not isinstance(error, yaml.MarkedYAMLError) or not error.problem or not error.problem_mark:
        return " ".join(str(error).split())
    mark, start = error.problem_mark, error.context_mark or error.problem_mark
    began = f" ({error.context} from line {start.line + 1})" if start.line != mark.line else ""
    what = error.problem.replace("character '\\t' that", "a tab, which")
    return f"line {mark.line + 1}, column {mark.column + 1}: {what}{began}"


def _repeats(node: yaml.Node | None, path: str = "") -> Iterator[str]:
    """Keys that a mapping has twice; plain YAML would silently keep the last one."""
    if isinstance(node, yaml.SequenceNode):
        for index, entry in enumerate(node.value):
            if entry.start_mark.index > node.start_mark.index:  # an alias points back
                yield from _repeats(entry, f"{path}[{index}]")
    if isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            below = f"{path}.{key.value}".lstrip(".")
            line = key.start_mark.line + 1
            if below in first and key.value != "<<":
                yield f"{below}: given twice, in lines {first[below]} and {line}"
            first.setdefault(below, line)
            if value.start_mark.index > key.start_mark.index:
                yield from _repeats(value, below)


def read(
    paths: Iterable[Path | str],
    settings: Iterable[str] = (),
    snakemake_config: Mapping[Any, Any] | None = None,
) -> dict[str, Any]:
    """Merge YAML files as Snakemake does, later ones winning; lists replace lists.

    Args:
        paths: the files, `config.yaml` first.
        settings: `dotted.key=value`, over the files.
        snakemake_config: what Snakemake made of `--config`, over all.
    """
    merged: dict[str, Any] = {}
    for path in paths:
        merged = merge(merged, read_file(path), tags=())
    for setting in settings:
        merged = merge(merged, _setting(setting), tags=())
    given = {
        key: value if isinstance(value, str) else _typed(value)
        for key, value in (snakemake_config or {}).items()
    }
    return merge(merged, given, tags=())


def _setting(text: str) -> dict[str, Any]:
    key, sign, value = text.partition("=")
    if not sign or not all(key.split(".")):
        raise ConfigError([f"{text}: must be dotted.key=value"])
    # The key of an axis is dotted itself: studies.cnn_depth.axes.net.depth=[1, 5].
    outer, axes, axis = key.partition(".axes.")
    if axes and outer.startswith("studies."):
        return nested(f"{outer}.axes", {axis: _typed(value)})
    return nested(key, _typed(value))


def _typed(value: Any) -> Any:
    """What YAML makes of text: Snakemake leaves all that stands in the braces of --config as text.

    Without this, `--config 'defaults={max_steps: 400}'` would give the text 400. What stands in no
    braces has its type already: `--config run=on` is text, and so is `--config 'run=!!str 2024'`.
    """
    if isinstance(value, Mapping):
        return {key: _typed(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_typed(entry) for entry in value]
    try:
        return yaml.safe_load(value) if isinstance(value, str) else value
    except (yaml.YAMLError, ValueError):
        return value

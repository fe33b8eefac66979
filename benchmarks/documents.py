"""The benchmarks by name, and their tables in docs/performance.md."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from benchmarks import (
    agreement,
    classifier,
    convolution,
    engine,
    explorer,
    plan,
    scaling,
    workflow,
)
from benchmarks.record import RESULTS
from benchmarks.timing import Options
from idpipe.errors import IdpipeError
from idpipe.store import read_json, write_bytes


class Recorded(Protocol):
    """A module of this package whose record has a table."""

    def table(self, content: dict[str, Any]) -> str:
        """That as a Markdown table."""

    def note(self, content: dict[str, Any]) -> str:
        """What the table's head does not say, or nothing."""


class Benchmark(Recorded, Protocol):
    """One that measures by itself."""

    def measure(self, options: Options) -> dict[str, Any]:
        """What is recorded: plain JSON."""


BENCHMARKS: dict[str, Benchmark] = {
    "engine": cast(Benchmark, engine),
    "agreement": cast(Benchmark, agreement),
    "scaling": cast(Benchmark, scaling),
    "classifier": cast(Benchmark, classifier),
    "convolution": cast(Benchmark, convolution),
}
TABLES: dict[str, Recorded] = {
    **BENCHMARKS,
    "plan": cast(Recorded, plan),
    "workflow": cast(Recorded, workflow),
    "explorer": cast(Recorded, explorer),
}

PAGE = Path(__file__).parents[1] / "docs/performance.md"
_PLACE = re.compile(r"(<!-- begin:(\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def write(results: Path = RESULTS, page: Path = PAGE) -> None:
    """Put the tables of all machines between the page's markers."""
    write_bytes(page, filled(page.read_text(), results).encode())


def filled(text: str, results: Path = RESULTS) -> str:
    """The text with the tables of all machines between `<!-- begin:name -->` and `<!-- end -->`.

    Raises IdpipeError where a name is no benchmark's.
    """
    machines = {path.stem: read_json(path) for path in sorted(results.glob("*.json"))}

    def fill(place: re.Match[str]) -> str:
        return f"{place[1]}{_tables(place[2], machines)}{place[3]}"

    return _PLACE.sub(fill, text)


def _tables(name: str, machines: Mapping[str, dict[str, Any]]) -> str:
    if name not in TABLES:
        raise IdpipeError(f"begin:{name}: must be one of {', '.join(TABLES)}")
    parts = [
        f"\n{_origin(machine, found[name], TABLES[name])}\n\n{TABLES[name].table(found[name])}\n"
        for machine, found in machines.items()
        if name in found
    ]
    return "".join(parts) + "\n"


def _origin(machine: str, content: dict[str, Any], benchmark: Recorded) -> str:
    threads = "1 thread" if content["threads"] == 1 else f"{content['threads']} threads"
    commit = str(content["commit"])
    short = commit[:8] + ("+" if commit.endswith("+") else "")
    words = [f"`{machine}`", threads, f"torch {content['torch']}", content["date"], f"`{short}`"]
    note = benchmark.note(content)
    return ", ".join(words) + (f"; {note}." if note else ".")

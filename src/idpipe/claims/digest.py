"""Digests of what the scorecard and the table `evidence` are made by, so that edits remake them.

As `idpipe.figures.source`: files are read, not imported, and comments do not count. Parsing the
Snakefile asks for this.
"""

from __future__ import annotations

import hashlib

import yaml

from idpipe.cells import canonical_json
from idpipe.figures import source

JUDGING = ("verdicts", "cnn", "fcn", "other", "measures", "run", "samples", "catalogue")
WRITING = ("scorecard", "texts", "picture")
FILES = ("claims.yaml", "table1.csv")


def scorecard() -> str:
    """12 hex digits of the code that judges and writes, of the claims, and of the house style."""
    claims, paper = ((source.PACKAGE / "claims" / name).read_text() for name in FILES)
    code = _code(*JUDGING, *WRITING)
    return _hash([source.style(), code, yaml.safe_load(claims), paper])


def evidence() -> str:
    """12 hex digits of the code that measures the table `evidence`."""
    return _hash([_code("evidence")])


def _code(*modules: str) -> list[tuple[str, list[str]]]:
    roots = [(f"idpipe.claims.{module}", "") for module in modules]
    return sorted(source.followed(roots).items())


def _hash(content: object) -> str:
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()[:12]

"""Fingerprints of the code that draws, judges and shows, so that an edit remakes what it concerns.

The files are read, not imported: parsing the Snakefile asks for this. A figure's function is
followed name by name into what it uses of `FOLLOWED`; so is every name of the modules that make the
scorecard, the table `evidence` and the explorer. Comments, docstrings and layout do not count.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import yaml

from idpipe.cells import canonical_json
from idpipe.figures import FIGURES

PACKAGE = Path(__file__).parents[1]
FOLLOWED = (
    "idpipe.cells.columns",
    "idpipe.cells.data",
    "idpipe.cells.endings",
    "idpipe.cells.nets",
    "idpipe.cells.optimizers",
    "idpipe.claims",
    "idpipe.config.picks",
    "idpipe.explorer",
    "idpipe.figures",
    "idpipe.results",
    "idpipe.templates",
    "idpipe.theory",
)
NOT_FOLLOWED = ("idpipe.figures.registry", "idpipe.results.tables")
"""A figure's entry decides its files and parameters, not its drawing; a column's entry says what
stands in it."""

Use = tuple[str, str]
"""A module and a name in it; the name is empty for the module itself."""


@dataclass
class Source:
    """The top level of a module, by name."""

    imported: dict[str, Use] = field(default_factory=dict)
    """Name -> module and name there; the latter is empty for the module itself."""
    code: dict[str, list[str]] = field(default_factory=dict)
    """Name -> the statements that bind it; under the empty name those that bind none."""
    uses: dict[str, set[Use]] = field(default_factory=dict)
    """Name -> module and name of what those statements use."""


def figure(name: str) -> str:
    """12 hex digits of the code that draws and writes the figure `name`, and of the house style."""
    module = f"idpipe.figures.{FIGURES[name].module}"
    texts = [(module, f"{name}_texts")] if f"{name}_texts" in read(module).code else []
    return _hash(followed([(module, name), *texts, ("idpipe.figures.draw", "write")]), style())


def scorecard() -> str:
    """12 hex digits of the code that judges and writes, of claims, page and house style."""
    claims = yaml.safe_load((PACKAGE / "claims/claims.yaml").read_text())
    texts = [(PACKAGE / "claims" / name).read_text() for name in ("table1.csv", "scorecard.html")]
    return _hash(_all_of("claims", but=("inputs", "evidence")), style(), claims, texts)


def tables() -> str:
    """12 hex digits of the code that gathers a run's tables."""
    return _hash(followed([("idpipe.results.gathering", "collect")]))


def evidence() -> str:
    """12 hex digits of the code that measures the table `evidence`."""
    return _hash(followed([("idpipe.claims.evidence", "")]))


def explorer() -> str:
    """12 hex digits of the code that makes the explorer, and of its page."""
    page = {path.name: path.read_text() for path in (PACKAGE / "explorer/page").iterdir()}
    return _hash(_all_of("explorer"), page)


def _all_of(package: str, but: Sequence[str] = ()) -> dict[str, list[str]]:
    """The code of every module of a package, and of what they use."""
    names = [path.stem for path in (PACKAGE / package).glob("[!_]*.py")]
    return followed([(f"idpipe.{package}.{name}", "") for name in names if name not in but])


def _hash(*content: object) -> str:
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()[:12]


def followed(roots: list[Use]) -> dict[str, list[str]]:
    """`module.name` -> its code, for names of modules and all that they use in turn.

    What lies outside the followed modules has no code: its name is all.
    """
    found: dict[str, list[str]] = {}
    waiting = list(roots)
    while waiting:
        module, name = waiting.pop()
        key = f"{module}.{name}"
        if key in found:
            continue
        if not _is_followed(module):
            if _is_face(module) and name in read(module).imported:
                waiting.append(read(module).imported[name])
            else:
                found[key] = []
            continue
        source = read(module)
        if name in source.imported:
            waiting.append(source.imported[name])
            continue
        names = [name, ""] if name else list(source.code)
        found[key] = [code for each in names for code in source.code.get(each, [])]
        waiting += [use for each in names for use in source.uses.get(each, ())]
    return found


def _is_followed(module: str) -> bool:
    inside = any(module == top or module.startswith(f"{top}.") for top in FOLLOWED)
    return inside and module not in NOT_FOLLOWED


def _is_ours(module: str) -> bool:
    return module.startswith("idpipe.") and _file(module).exists()


def _is_face(module: str) -> bool:
    return _is_ours(module) and _file(module).name == "__init__.py"


@cache
def read(module: str) -> Source:
    """What a module of idpipe binds and uses, from its file."""
    source = Source()
    tree = ast.parse(_file(module).read_text(), str(_file(module)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            source.imported.update(_imports(node))
    named: dict[str, set[Use]] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Import | ast.ImportFrom) or _is_text(statement):
            continue
        bare = _Bare()
        code = ast.unparse(bare.visit(statement))
        for name in _bound(statement) or [""]:
            source.code.setdefault(name, []).append(code)
            named.setdefault(name, set()).update(bare.named)
    for name, uses in named.items():
        source.uses[name] = set(_resolved(source, module, uses))
    return source


def _resolved(source: Source, module: str, named: Iterable[tuple[str, str]]) -> Iterator[Use]:
    """Where names are bound that are neither built in nor a function's own."""
    for name, attribute in named:
        if name in source.imported:
            origin, there = source.imported[name]
            yield origin, there or attribute
        elif name in source.code:
            yield module, name


def _file(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    face = path / "__init__.py"
    return face if face.exists() else path.with_suffix(".py")


def _imports(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Use]]:
    for alias in node.names:
        name = alias.asname or alias.name
        if isinstance(node, ast.Import):
            # `import a.b` binds `a`
            yield name.split(".")[0], (alias.name, "")
        elif _is_ours(module := f"{node.module}.{alias.name}"):
            yield name, (module, "")
        else:
            yield name, (node.module or "", alias.name)


def _bound(statement: ast.stmt) -> list[str]:
    """Names that a statement of the top level binds."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    stores = (node for node in ast.walk(statement) if isinstance(node, ast.Name))
    return [node.id for node in stores if isinstance(node.ctx, ast.Store)]


def _is_text(statement: ast.AST) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


class _Bare(ast.NodeTransformer):
    """Takes docstrings out, and notes the names that are used."""

    def __init__(self) -> None:
        self.named: set[tuple[str, str]] = set()
        """Each with the attribute that is taken of it, or nothing."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if _is_text(node) else self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if isinstance(node.value, ast.Name):
            self.named.add((node.value.id, node.attr))
            return node
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        self.named.add((node.id, ""))
        return node


def style() -> list[str]:
    """The lines of the house style that say something."""
    lines = (PACKAGE / "figures/idpipe.mplstyle").read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]

"""docs/troubleshooting.md has every message that the program refuses something with, and no other.

Messages are collected from the source, with `0` for whatever is filled in; those of the page are
patterns: `<name>` stands for some text, `...` for any, and backticks are left out.
"""

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from idpipe import errors
from idpipe.workflow.session import slurm

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/troubleshooting.md").read_text()
RULES = "".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))

OURS = {name for name in dir(errors) if name.endswith("Error")} | {slurm.SlurmError.__name__}
REFUSING = {"damaged": 1, "_unavailable": 2, "_need": 1, "exit": 0, "stop": 0, "setdefault": 0}
"""Functions that refuse, and where among their arguments the message is."""
REFUSING |= dict.fromkeys([*OURS, "ArgumentTypeError", "UnpicklingError"], 0)
SETTINGS = ("catalogue", "cells", "config", "own_images")
"""Modules and packages whose ValueErrors become lines about the configuration or elsewhere."""
FILLED_IN = "0"


def texts(node: ast.AST, function: ast.AST, inside: bool = False) -> Iterator[str]:
    """The texts that an expression can be, as far as they are written there or in its function.

    `inside` another text, what is filled in is not looked up again.
    """
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        parts = [list(filled(part, function, inside)) or [FILLED_IN] for part in node.values]
        yield from map("".join, itertools.product(*parts))
    elif isinstance(node, ast.IfExp):
        yield from texts(node.body, function, inside)
        yield from texts(node.orelse, function, inside)
    elif isinstance(node, ast.List) and node.elts:
        yield from texts(node.elts[0], function, inside)
    elif isinstance(node, ast.ListComp):
        yield from texts(node.elt, function, inside)
    elif isinstance(node, ast.Name):
        for found in ast.walk(function):
            if isinstance(found, ast.Assign) and ast.unparse(found.targets[0]) == node.id:
                yield from texts(found.value, function, inside)


def filled(part: ast.AST, function: ast.AST, inside: bool) -> Iterator[str]:
    """The texts that a part of an f-string can be."""
    if isinstance(part, ast.Constant):
        yield str(part.value)
    elif isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Name) and not inside:
        yield from texts(part.value, function, inside=True)


def messages_of(path: Path) -> Iterator[str]:
    """Every message of one module."""
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for function in functions:
        for node in ast.walk(function):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func).rpartition(".")[2]
                place = REFUSING.get(name)
                if name == "append" and ast.unparse(node.func) == "problems.append":
                    place = 0
                if name == "ValueError" and {path.stem, path.parent.name} & {*SETTINGS}:
                    place = 0
                if place is not None and len(node.args) > place:
                    yield from texts(node.args[place], function)
            elif isinstance(node, ast.Return) and path.stem == "problems" and node.value:
                yield from filter(re.compile("0( = 0)?: ").match, texts(node.value, function))
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "problems":
                yield from texts(node.value, function)


def flat(text: str) -> str:
    return " ".join(text.replace("`", "").split())


MESSAGES = sorted(
    {
        (path.stem, flat(text))
        for path in (ROOT / "src").rglob("*.py")
        for text in messages_of(path)
        if re.search(r"[a-z]{2}", text.replace("data.0", "").removeprefix("idpipe: "))
    }
    | {
        ("rules", flat(re.sub(r"\{.+?\}", FILLED_IN, text).replace(r"\n", " ")))
        for text in re.findall(r'sys\.exit\(f"(.+)"\)', RULES)
        if re.search("[a-z]{3}", re.sub(r"\{.+?\}", "", text))
    }
)


def patterns() -> list[str]:
    """The messages in the first column of the page's tables."""
    rows = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    return [flat(text) for row in rows for text in re.findall(r"`+ ?(.+?) ?`+", row)]


def regex(pattern: str) -> re.Pattern[str]:
    escaped = re.escape(pattern).replace(r"\.\.\.", ".*")
    return re.compile(re.sub(r"<[^<>]+>", ".+", escaped))


def test_the_source_has_the_messages_we_look_for():
    found = {text for _, text in MESSAGES}
    assert len(found) > 120
    assert {
        "--study 0: allowed: 0",
        "The configuration was refused: 0",
        "rho: must have at least one value from 0 to 1",
        "does not fit: its replicates are not the cell's",
        "weights.safetensors has other tensors than the cell (0)",
        "the download failed (0)",
        "0: missing; must be 0",
    } <= found


def test_the_page_says_what_to_do_about_every_message():
    told = [regex(pattern) for pattern in patterns()]
    assert [said for said in MESSAGES if not any(known.fullmatch(said[1]) for known in told)] == []


def test_no_message_of_the_page_is_made_up_and_none_would_cover_too_much():
    said = [message for _, message in MESSAGES]
    assert [text for text in patterns() if not any(map(regex(text).fullmatch, said))] == []
    literal = {text: re.sub(r"<[^<>]+>|\.\.\.", " ", text) for text in patterns()}
    assert [text for text, left in literal.items() if len(re.findall(r"\w", left)) < 4] == []


def test_every_row_says_what_to_do():
    rows = [line.split("|") for line in PAGE.splitlines() if line.startswith("| `")]
    assert rows and all(len(row) == 4 and row[2].strip() for row in rows)

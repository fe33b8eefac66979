"""docs/architecture.md: its picture shows the imports there are, in the order of the contracts."""

import re
import tomllib
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text()
(PICTURE,) = re.findall(r"```mermaid\n(.*?)```", PAGE, re.S)
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]
(LAYERS,) = [contract["layers"] for contract in CONTRACTS if contract["type"] == "layers"]
HEIGHT = {name: -row for row, layer in enumerate(LAYERS) for name in layer.split(" | ")}
NODE = r"(\w+)(?:\[.*?\]|\(\[.*?\]\))?"
Arrow = tuple[str, str]


def arrows(kind: str) -> set[Arrow]:
    return set(re.findall(rf"{NODE} {re.escape(kind)} {NODE}", PICTURE))


def imported() -> set[Arrow]:
    """Which package or module of idpipe imports which other."""
    graph = grimp.build_graph("idpipe", exclude_type_checking_imports=True, cache_dir=None)
    pairs = {
        (module.split(".")[1], other.split(".")[1])
        for module in graph.modules - {"idpipe"}
        for other in graph.find_modules_directly_imported_by(module) - {"idpipe"}
    }
    return {(above, below) for above, below in pairs if above != below}


def reached(start: str, pairs: set[Arrow]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        here = waiting.pop()
        new = {below for above, below in pairs if above == here} - found
        found |= new
        waiting += new
    return found


def test_an_arrow_is_an_import_and_leads_down_the_contract():
    drawn = arrows("-->")
    assert len(drawn) > 20
    assert drawn <= imported()
    assert [pair for pair in drawn if HEIGHT[pair[0]] <= HEIGHT[pair[1]]] == []


def test_every_import_is_drawn_or_follows_from_what_is_and_no_arrow_is_too_many():
    drawn, pairs = arrows("-->"), imported()
    for above, below in pairs:
        assert below in reached(above, drawn), (above, below)
    for above, below in drawn:
        assert below not in reached(above, pairs - {(above, below)}), (above, below)


def test_every_package_of_the_contract_is_in_the_picture():
    assert {name for pair in arrows("-->") for name in pair} == HEIGHT.keys()


def test_dotted_arrows_lead_from_packages_to_files_or_back():
    dotted = re.findall(r"(\w+)(?:\[.*?\]|\(\[.*?\]\))?(?= -\.->)", PICTURE)
    assert {"engine", "evaluate", "images", "figures"} <= set(dotted)


def test_twenty_questions_are_answered_by_files_that_are_there():
    questions = re.findall(r"^\| (?!question|---)([^|]+) \| ([^|]+) \|$", PAGE, re.M)
    assert len(questions) == 20
    for question, answer in questions:
        links = re.findall(r"\]\(\.\./([^)]+)\)", answer)
        assert links or "`" in answer, question
        assert all((ROOT / link).exists() for link in links), question
        for name in re.findall(r"`([A-Z]\w+)\.(\w+)`", answer):
            source = (ROOT / links[0]).read_text()
            assert re.search(rf"class {name[0]}\b", source) and f"def {name[1]}(" in source

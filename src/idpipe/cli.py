"""The command line: check a configuration, list its cells, train without Snakemake, write docs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from idpipe.config import Plan, load
from idpipe.errors import IdpipeError
from idpipe.settings import read


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; an error a user can act on is printed alone and exits with 1."""
    parsed = _parser().parse_args(arguments)
    try:
        parsed.run(parsed)
    except IdpipeError as error:
        sys.exit(f"idpipe: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="idpipe", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser("check", help="check a configuration and count what it asks for")
    check.set_defaults(run=_check)
    cells = commands.add_parser("cells", help="list the cells: study, id, parameters")
    cells.set_defaults(run=_cells)
    train = commands.add_parser("train", help="train and evaluate cells, one after the other")
    train.add_argument("cells", nargs="*", metavar="CELL", help="cell ids; all if none is given")
    train.add_argument("--study", help="only the cells of this study")
    train.set_defaults(run=_train)
    for command in (check, cells, train):
        command.add_argument(
            "--configfile", action="append", default=[], help="over config.yaml; may be repeated"
        )
        command.add_argument(
            "--set", action="append", default=[], metavar="KEY=VALUE", help="dotted key, over files"
        )
    docs = commands.add_parser("docs", help="write the generated pages and the JSON schema")
    docs.set_defaults(run=_docs)
    return parser


def _plan(parsed: argparse.Namespace) -> Plan:
    return load(read(["config.yaml", *parsed.configfile], parsed.set))


def _check(parsed: argparse.Namespace) -> None:
    plan = _plan(parsed)
    print(f"run {plan.config.run}: {len(plan.studies)} studies, {len(plan.cells)} cells")


def _cells(parsed: argparse.Namespace) -> None:
    for study, cells in _plan(parsed).studies.items():
        for cell in cells:
            print(f"{study}\t{cell.cell_id}\t{cell.parameters}")


def _train(parsed: argparse.Namespace) -> None:
    from idpipe import jobs  # torch is only imported for the command that needs it
    from idpipe.targets import Targets

    plan = _plan(parsed)
    targets = Targets(plan)
    for cell_id in _chosen(plan, parsed.study, parsed.cells):
        jobs.run_cell(targets, cell_id, _show)


def _chosen(plan: Plan, study: str | None, cells: Sequence[str]) -> Iterator[str]:
    if study is not None and study not in plan.studies:
        raise IdpipeError(f"--study {study}: allowed: {', '.join(plan.studies)}")
    members = list(plan.cells) if study is None else [c.cell_id for c in plan.studies[study]]
    unknown = [cell for cell in cells if cell not in members]
    if unknown:
        where = "" if study is None else f" in study {study}"
        raise IdpipeError(f"no cell {', '.join(unknown)}{where}; `idpipe cells` lists them")
    return (cell for cell in members if not cells or cell in cells)


def _show(line: str) -> None:
    print(line, flush=True)


def _docs(parsed: argparse.Namespace) -> None:
    from idpipe import docs

    docs.write(Path.cwd())

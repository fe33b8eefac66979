"""The command line: begin a project, check and price a configuration, train its cells, and more."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from idpipe.config import Plan, load, read
from idpipe.costs import Device, devices, forecast
from idpipe.errors import IdpipeError
from idpipe.store import Layout
from idpipe.workflow import project


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
    init = commands.add_parser("init", help="lay down what Snakemake runs from, in a folder")
    init.add_argument("folder", metavar="DIR", type=Path, help="made if it is not there")
    init.set_defaults(run=_init)
    doctor = commands.add_parser("doctor", help="say whether this machine is ready for a run")
    doctor.set_defaults(run=_doctor)
    check = commands.add_parser("check", help="check a configuration and count what it asks for")
    check.set_defaults(run=_check)
    cells = commands.add_parser("cells", help="list the cells: study, id, parameters")
    cells.set_defaults(run=_cells)
    plan = commands.add_parser("plan", help="say what training will take: memory, steps, hours")
    plan.add_argument("--device", metavar="NAME", help="a named GPU; this machine by default")
    plan.add_argument(
        "--cores",
        type=_positive,
        metavar="N",
        help="cells at a time on a CPU; by default all cores",
    )
    plan.add_argument("--calibrate", action="store_true", help="measure this machine anew")
    plan.add_argument("--json", action="store_true", help="print JSON")
    plan.set_defaults(run=_forecast)
    train = commands.add_parser("train", help="train and evaluate cells, one after the other")
    train.add_argument("cells", nargs="*", metavar="CELL", help="cell ids; all if none is given")
    train.add_argument("--study", help="only the cells of this study")
    train.set_defaults(run=_train)
    verify = commands.add_parser("verify", help="check every stored cell; say what to rebuild")
    verify.add_argument("--configured", action="store_true", help="only this configuration's")
    verify.set_defaults(run=_verify)
    gc = commands.add_parser("gc", help="list what no configured run refers to, or delete it")
    gc.add_argument("--yes", action="store_true", help="delete it")
    gc.set_defaults(run=_gc)
    for command in (doctor, check, cells, plan, train, verify, gc):
        command.add_argument(
            "--configfile", action="append", default=[], help="over config.yaml; may be repeated"
        )
        command.add_argument(
            "--set", action="append", default=[], metavar="KEY=VALUE", help="dotted key, over files"
        )
    return parser


def _init(parsed: argparse.Namespace) -> None:
    project.lay_down(parsed.folder)
    print(f"{parsed.folder} is ready. Try that all works, in about two minutes:")
    print(f"  cd {shlex.quote(str(parsed.folder))}")
    print("  snakemake --cores 2 all_figures --configfile config/smoke.yaml")


def _doctor(parsed: argparse.Namespace) -> None:
    from idpipe.workflow import doctor

    failed = []
    for finding in doctor.findings(parsed.configfile, parsed.set):
        _show(finding.line())
        failed += [finding.name] if finding.mark == "FAIL" else []
    if failed:
        raise IdpipeError(f"no run works here before this is mended: {', '.join(failed)}")
    _show("All that a run needs is there.")


def _plan(parsed: argparse.Namespace) -> Plan:
    return load(read(["config.yaml", *parsed.configfile], parsed.set))


def _check(parsed: argparse.Namespace) -> None:
    plan = _plan(parsed)
    print(f"run {plan.config.run}: {len(plan.studies)} studies, {len(plan.cells)} cells")


def _cells(parsed: argparse.Namespace) -> None:
    for study, cells in _plan(parsed).studies.items():
        for cell in cells:
            print(f"{study}\t{cell.cell_id}\t{cell.parameters}")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number from 1")
    return int(text)


def _forecast(parsed: argparse.Namespace) -> None:
    plan = _plan(parsed)
    if parsed.device is not None and parsed.calibrate:
        raise IdpipeError("--calibrate: measures this machine; leave out --device")
    named = parsed.device
    device = _device(parsed.calibrate) if named is None else devices.from_sheet(named)
    processors = len(os.sched_getaffinity(0))
    jobs = 1 if device.gpu else min(parsed.cores or processors, processors)
    found = forecast.rows(plan, device, Layout(Path(plan.config.results)), jobs)
    lines, content = forecast.report(found, plan.config.run, device)
    print(json.dumps(content, indent=1) if parsed.json else "\n".join(lines))


def _device(anew: bool) -> Device:
    """This machine, measured now if it never was or if asked."""
    known = None if anew else devices.calibrated()
    if known is not None:
        return known
    from idpipe.engine import calibrate

    print("Measuring this machine, for some seconds.", file=sys.stderr)
    return calibrate.run()


def _train(parsed: argparse.Namespace) -> None:
    from idpipe.workflow import jobs
    from idpipe.workflow.targets import Targets

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


def _verify(parsed: argparse.Namespace) -> None:
    from idpipe.workflow import verify

    plan = _plan(parsed)
    chosen = list(plan.cells) if parsed.configured else None
    options = ["--configfile", *parsed.configfile] if parsed.configfile else []
    lines, damaged = verify.report(Layout(Path(plan.config.results)), chosen, options)
    print("\n".join(lines))
    sys.exit(1 if damaged else 0)


def _gc(parsed: argparse.Namespace) -> None:
    from idpipe.workflow import garbage

    for line in garbage.collect(garbage.configured(parsed.configfile, parsed.set), parsed.yes):
        print(line)

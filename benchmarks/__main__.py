"""Runs the benchmarks, prints their tables, records them, and writes them into the documents."""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import torch

from benchmarks import documents
from benchmarks.record import RESULTS, machine, record
from benchmarks.timing import Options
from idpipe.nets import choose_device

FILTERS = ("archs", "depths", "widths", "replicates", "images")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command `python -m benchmarks`."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    unknown = set(asked.names) - {*documents.BENCHMARKS, "tables"}
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: must be of {_names()}")
    torch.set_num_threads(asked.threads)
    options = _options(asked)
    partial = options.quick or any(getattr(options, name) for name in FILTERS)
    folder = asked.results or (None if partial else RESULTS)
    print(f"{machine()}, {asked.threads} CPU threads, torch {torch.__version__}")
    for name in asked.names or documents.BENCHMARKS:
        if name != "tables":
            _run(name, options, folder)
    if "tables" in asked.names or folder == RESULTS:
        documents.write(RESULTS)


def _names() -> str:
    return ", ".join([*documents.BENCHMARKS, "tables"])


def _run(name: str, options: Options, folder: Path | None) -> None:
    start = time.monotonic()
    print(f"\n== {name}", flush=True)
    content = documents.BENCHMARKS[name].measure(options)
    print("\n" + documents.BENCHMARKS[name].table(content))
    seconds = time.monotonic() - start
    print(f"{seconds:.0f} s", end="")
    if folder is None:
        print(", not recorded")
    else:
        print(f", recorded in {record(name, content, folder)}")
    gc.collect()


def _options(asked: argparse.Namespace) -> Options:
    device = torch.device(asked.device) if asked.device else choose_device()
    options = Options(device)
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory
        options = replace(options, memory_gib=0.9 * memory / 2**30)
    values = {field.name: getattr(asked, field.name) for field in fields(Options)[1:]}
    return replace(options, **{name: value for name, value in values.items() if value is not None})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures idpipe; without names all of it. What is filtered or quick is not "
        "recorded unless --results says where. What is recorded in benchmarks/results is written "
        "into docs/performance.md too; `tables` does that alone.",
    )
    parser.add_argument("names", nargs="*", metavar="name", help=_names())
    parser.add_argument("--quick", action="store_true", help="a few small cases only")
    parser.add_argument("--device", help="cpu, cuda; cuda if there is one")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU; 1")
    parser.add_argument("--seconds", type=float, help=f"of one timing; {Options.seconds}")
    parser.add_argument("--repeats", type=int, help=f"of each timing; {Options.repeats}")
    parser.add_argument(
        "--memory-gib", type=float, help=f"{Options.memory_gib:.0f}, or 90%% of the GPU's"
    )
    parser.add_argument("--results", type=Path, help="folder of the JSON files")
    parser.add_argument("--arch", dest="archs", nargs="+", choices=("cnn", "fcn"))
    for name in ("depth", "width"):
        parser.add_argument(f"--{name}", dest=f"{name}s", type=int, nargs="+")
    parser.add_argument("--replicates", type=int, nargs="+")
    parser.add_argument("--images", type=int, nargs="+", help="training images of `classifier`")
    return parser


if __name__ == "__main__":
    main()

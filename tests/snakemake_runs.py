"""Real Snakemake runs of small configurations, each in a folder of its own."""

import os
import re
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from functools import cache
from pathlib import Path

import yaml

from idpipe.figures import FIGURES
from idpipe.workflow.session import worker
from idpipe.workflow.session.worker import ADDRESS

REPOSITORY = Path(__file__).parents[1]
CLASSIFIER = {"classifier_train_per_class": 4, "classifier_test_per_class": 2}


def tiny(**changes) -> dict:
    """Settings of six small cells with every study that a figure reads."""
    fcn = {"net": {"arch": "fcn", "width": 16}}
    linear = {"net": {"arch": "fcn", "width": 16, "activation": "linear"}}
    cnn = {"net": {"arch": "cnn", "width": 3}}
    return {
        "run": "tiny",
        "defaults": {"replicates": 2, "max_steps": 50},
        "studies": {
            "fcn_relu_depth": {"base": fcn, "axes": {"net.depth": [1, 2]}},
            "fcn_linear_depth": {"base": linear, "axes": {"net.depth": [1, 2]}},
            "cnn_depth": {"base": cnn, "axes": {"net.depth": [1, 2]}},
        },
        "probes": {**CLASSIFIER, "rho": [0, 1], "n_per_rho": 2, "sizes": [7, 35]},
        "figures": {"dpi": 60},
        **changes,
    }


def command(folder: Path, settings: dict, *arguments: str) -> dict:
    """How to run the repository's workflow in `folder` with `settings` as its config.yaml."""
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    line = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    line += ["--directory", str(folder), "--cores", "2", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    return {"args": line, "text": True, "env": environment}


@cache
def warm() -> str:
    """Address of a process that has imported Snakemake and what jobs need, to fork them from."""
    return worker.start(
        [
            *[
                "snakemake.cli",
                "snakemake.workflow",
                "idpipe.workflow.targets",
                "idpipe.workflow.jobs",
            ],
            *sorted({f"idpipe.figures.{figure.module}" for figure in FIGURES.values()}),
            *["idpipe.claims.evidence", "idpipe.claims.scorecard"],
            *["matplotlib.backends.backend_agg", "matplotlib.backends.backend_pdf"],
        ]
    )


def snakemake(folder: Path, settings: dict, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run that command, Snakemake and its jobs by the warm process unless `ADDRESS` is set."""
    return warmly(**command(folder, settings, *arguments))


def warmly(args: list[str], **how) -> subprocess.CompletedProcess[str]:
    """Run a command `python -m snakemake ...` so."""
    script = str(Path(__file__).with_name("warm_snakemake.py"))
    if ADDRESS not in how["env"]:
        how["env"][ADDRESS] = warm()
    return subprocess.run([args[0], script, *args[3:]], **how, capture_output=True, check=False)


def processes() -> list[tuple[int, int, str]]:
    """Number, parent's number and command line of every process that has not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, parent = (path / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                found.append((int(path.name), int(parent), (path / "cmdline").read_text()))
    return found


def jobs(folder: Path, settings: dict, *arguments: str) -> Counter[str]:
    """How often each rule would run."""
    return counted(snakemake(folder, settings, "--dry-run", *arguments))


def counted(result: subprocess.CompletedProcess[str]) -> Counter[str]:
    """How often each rule ran or would run, as Snakemake says before it starts."""
    assert result.returncode == 0, result.stdout + result.stderr
    said = result.stdout + result.stderr + "\n\n"
    table = re.search(r"^job +count\n-+ +-+\n(.*?)\n\n", said, re.M | re.S)
    rows = [line.split() for line in table[1].splitlines()] if table else []
    return Counter({name: int(count) for name, count in rows if name != "total"})

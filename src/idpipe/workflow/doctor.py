"""Is this machine ready for a run? One line for each thing that a run needs or can use.

A line is `ok`, `note` (a run does without) or `FAIL` (it does not), and says what to do. torch and
torchvision are imported by the checks that need them.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import tempfile
import urllib.request
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from idpipe import costs
from idpipe.cells import SOURCES
from idpipe.config import Config, DataConfig, Plan, image_files, load, read
from idpipe.costs import devices
from idpipe.errors import ConfigError
from idpipe.store import Layout
from idpipe.workflow import project
from idpipe.workflow.targets import Targets

NETWORK_SECONDS = 3.0
"""A server that stays silent for so long counts as unreachable."""
GIB = 2**30
ROOM_BYTES = GIB // 2
"""Room on the disk for a run's images, tables and figures, beside its weights."""


@dataclass(frozen=True)
class Finding:
    """What was found of one thing."""

    name: str
    found: str
    advice: str = ""
    """What to do; empty where all is well."""
    essential: bool = True
    """Without it no run works."""

    @property
    def mark(self) -> str:
        """`ok`, `note` or `FAIL`."""
        if not self.advice:
            return "ok"
        return "FAIL" if self.essential else "note"

    def line(self) -> str:
        """One line of the report."""
        told = " ".join(f"{self.found}: {self.advice}".split()) if self.advice else self.found
        return f"{self.mark:4}  {self.name:13}  {told}"


def findings(configfiles: Sequence[str], settings: Sequence[str]) -> Iterator[Finding]:
    """All that is looked at, in the order in which it is told."""
    yield python()
    yield packages()
    yield folder()
    plan, finding = configuration(configfiles, settings)
    yield finding
    yield threads()
    yield gpus()
    yield memory(plan)
    yield disk(plan)
    yield from sources(plan)
    yield slurm()


# --- software --------------------------------------------------------------------------------


def python() -> Finding:
    """The interpreter against `requires-python`."""
    asked = importlib.metadata.metadata("idpipe")["Requires-Python"]
    found = platform.python_version()
    if SpecifierSet(asked).contains(found):
        return Finding("python", found)
    return Finding("python", found, f"idpipe needs {asked}; make PYTHON=... names another")


def packages() -> Finding:
    """The packages installed against the versions that idpipe asks for."""
    needed = [one for one in _asked() if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = [told for one in needed if (told := _misfit(one))]
    if not wrong:
        return Finding("packages", f"{len(needed)}, in the versions asked for")
    advice = "install them anew: make clean-venv and make, or pip install --upgrade idpipe"
    return Finding("packages", "; ".join(wrong), advice)


def _asked() -> list[Requirement]:
    return [Requirement(line) for line in importlib.metadata.requires("idpipe") or []]


def _misfit(asked: Requirement) -> str:
    try:
        found = importlib.metadata.version(asked.name)
    except importlib.metadata.PackageNotFoundError:
        return f"{asked.name} is missing"
    return "" if asked.specifier.contains(found) else f"{asked.name} {found}, not {asked.specifier}"


# --- the project -----------------------------------------------------------------------------


def folder() -> Finding:
    """Whether Snakemake can run from the current folder."""
    here = Path.cwd()
    lacking = [part for part in project.PARTS if not (here / part).exists()]
    if not lacking:
        return Finding("folder", str(here))
    advice = "go to the folder of the Snakefile, or lay one down: idpipe init DIR"
    return Finding("folder", f"{here} has no {', '.join(lacking)}", advice)


def configuration(
    configfiles: Sequence[str], settings: Sequence[str]
) -> tuple[Plan | None, Finding]:
    """The plan, where the configuration is not refused."""
    try:
        plan = load(read(["config.yaml", *configfiles], settings))
    except ConfigError as error:
        first, *others = error.problems
        more = f" (and {len(others)} more: `idpipe check` lists them)" if others else ""
        return None, Finding("configuration", "refused", first + more)
    told = f"run {plan.config.run}: {len(plan.studies)} studies, {len(plan.cells)} cells"
    return plan, Finding("configuration", told)


# --- the machine -----------------------------------------------------------------------------


def threads() -> Finding:
    """Threads of the CPU that this process may use."""
    usable = len(os.sched_getaffinity(0))
    return Finding("CPU", f"{usable} of {os.cpu_count()} threads usable: --cores {usable}")


def gpus() -> Finding:
    """GPUs that torch can compute on."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            import torch

            count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        except (ImportError, OSError, RuntimeError) as error:
            return Finding("GPU", "torch cannot be imported", str(error))
    if count:
        known = [torch.cuda.get_device_properties(number) for number in range(count)]
        names = [f"{one.name} ({one.total_memory / GIB:.0f} GiB)" for one in known]
        return Finding("GPU", ", ".join(names))
    installed = devices.nvidia_gpus()
    if installed:
        why = "; ".join(str(one.message) for one in told) or f"torch is built for {_built_for()}"
        found = f"{', '.join(installed)}, which torch cannot use"
        return Finding("GPU", found, f"{why}; install a driver that fits", essential=False)
    return Finding("GPU", "none; cells train on the CPU, for which the default preset is made")


def _built_for() -> str:
    import torch

    return f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPUs alone"


def memory(plan: Plan | None) -> Finding:
    """Memory that is free, against the job of the plan that needs most."""
    free = free_memory()
    cells = plan.cells.values() if plan else ()
    need = max((costs.memory_mib(cell) for cell in cells), default=costs.PROCESS_MIB) * 2**20
    told = f"{free / GIB:.1f} GiB free; the largest cell takes {need / GIB:.1f}"
    if free >= need:
        return Finding("memory", told)
    return Finding("memory", told, "close programs, or lower replicates, batch_size or net.width")


def free_memory() -> int:
    """Bytes that processes can still take, within the control group's limit where it has one."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    (available,) = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return min([int(available) * 1024, *_group_room()])


def _group_room() -> Iterator[int]:
    group = Path("/sys/fs/cgroup")
    try:
        limit, used = ((group / f"memory.{part}").read_text() for part in ("max", "current"))
    except OSError:
        return
    if limit.strip() != "max":
        yield int(limit) - int(used)


def disk(plan: Plan | None) -> Finding:
    """Whether the results' folder can be written, and has room for the plan."""
    where = Path(plan.config.results if plan else Config.model_fields["results"].default).absolute()
    nearest = next(path for path in (where, *where.parents) if path.exists())
    cells = plan.cells.values() if plan else ()
    todo = [cell for cell in cells if not Layout(where).cell(cell.cell_id).exists()]
    need = ROOM_BYTES + sum(
        cell.parameters * cell.replicates * (8 if cell.precision == "float64" else 4)
        for cell in todo
    )
    try:
        with tempfile.TemporaryFile(dir=nearest):
            free = shutil.disk_usage(nearest).free
    except OSError as error:
        advice = "make it writable, or set `results` to another folder"
        return Finding("disk", f"{nearest} cannot be written ({error.strerror})", advice)
    told = f"{free / GIB:.1f} GiB free at {where}; this plan takes about {need / GIB:.1f}"
    if free >= need:
        return Finding("disk", told)
    advice = "make room (`idpipe gc` lists what can go), or set `results` to another folder"
    return Finding("disk", told, advice)


# --- images ----------------------------------------------------------------------------------


def sources(plan: Plan | None) -> Iterator[Finding]:
    """Every source of images; those that the plan reads are essential."""
    wanted: Mapping[str, str] = {}
    where, results = DataConfig(), Path("results")
    if plan is not None:
        where, results = plan.config.data, Path(plan.config.results)
        wanted = {spec.source: key for key, spec in Targets(plan).sources.items()}
    embedded = [name for name, facts in SOURCES.items() if facts.origin == "installed"]
    yield Finding("images", f"{' and '.join(embedded)} come with what is installed")
    stock = [name for name, facts in SOURCES.items() if facts.origin == "torchvision"]
    with ThreadPoolExecutor() as pool:
        told = list(pool.map(lambda name: _stock(name, where, results), stock))
    for name, (found, advice) in zip(stock, told, strict=True):
        yield Finding(name, found, advice, essential=name in wanted)
    if "image_folder" in wanted and where.folder is not None:
        yield Finding(
            "image_folder", f"{len(image_files(Path(where.folder)))} images in {where.folder}"
        )


def _stock(name: str, where: DataConfig, results: Path) -> tuple[str, str]:
    """What is found of one of torchvision's data sets, and what to do where it cannot be had."""
    from idpipe.images.sources import torchvision_sets as sets

    prepared, root = Layout(results).source(name), where.root_folder
    if (prepared / "info.json").is_file():
        return f"prepared in {prepared}", ""
    if sets.there(name, root):
        return f"found in {root}", ""
    advice = "to use it, set data.root or $IDPIPE_DATA to a folder that has it"
    if not where.download:
        return f"not in {root}, and data.download is false", advice
    reasons = [reason for url in sets.addresses(name) if (reason := _unreachable(url))]
    if len(reasons) < len(sets.addresses(name)):
        return f"not in {root}; can be downloaded", ""
    return f"not in {root}, and cannot be downloaded ({reasons[-1]})", advice


def _unreachable(url: str) -> str:
    """Why a file cannot be downloaded, or nothing; it is asked for, not read."""
    try:
        asked = urllib.request.Request(url, method="HEAD")
        with urllib.request.urlopen(asked, timeout=NETWORK_SECONDS):
            return ""
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return str(getattr(reason, "strerror", None) or reason)


# --- the cluster -----------------------------------------------------------------------------

ELSEWHERE = "for a run on a cluster, start on its login node; other runs need none"


def slurm() -> Finding:
    """Whether SLURM answers here, and Snakemake's plugin for it is installed."""
    if shutil.which("sinfo") is None:
        return Finding("SLURM", "no sinfo on PATH", ELSEWHERE, essential=False)
    try:
        asked = subprocess.run(
            ["sinfo", "--noheader", "--format=%P"], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("SLURM", f"sinfo does not answer ({error})", ELSEWHERE, essential=False)
    if asked.returncode:
        said = asked.stderr.strip().rpartition("\n")[2] or f"exit status {asked.returncode}"
        return Finding("SLURM", f"sinfo fails ({said})", ELSEWHERE, essential=False)
    names = ", ".join(asked.stdout.split())
    if _lacks("snakemake-executor-plugin-slurm"):
        advice = "install Snakemake's plugin: pip install 'idpipe[slurm]'"
        return Finding("SLURM", f"partitions {names}", advice, essential=False)
    return Finding("SLURM", f"partitions {names}")


def _lacks(package: str) -> bool:
    return any(_misfit(one) for one in _asked() if one.name == package)

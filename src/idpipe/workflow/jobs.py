"""The steps of the pipeline on files: prepare, probe, train, evaluate, analyse layers.

Each reads what the step before it wrote and writes its own result; the workflow and the command
line both call these.
"""

from __future__ import annotations

import importlib.metadata
import platform
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from idpipe import __version__, costs, engine, formats, nets, store
from idpipe import evaluate as evaluation
from idpipe.cells import Cell
from idpipe.config import ProbeSpec
from idpipe.engine import Checkpoint, Outcome, Progress, Trained, gpus
from idpipe.errors import ShortageError, StoreError
from idpipe.images import ProbeSet, prepared, probes, training_images
from idpipe.nets import Params
from idpipe.results import tables
from idpipe.store import Analysis, Layout
from idpipe.workflow import project
from idpipe.workflow.targets import Targets


def train(
    cell: Cell,
    source: Path,
    folder: Path,
    show: Callable[[str], None],
    checkpoint_seconds: float | None = None,
    vram_mib: int = 0,
) -> signal.Signals | None:
    """Train a cell on a prepared source; write its result into `folder`, its place in a `Layout`.

    Files: cell.json, weights.safetensors, history.parquet, status.json (written last).
    While it trains it is saved every `checkpoint_seconds` (default: `checkpoints.SECONDS`) below
    `checkpoints/` beside `cells/`, and goes on from there if killed; asked to end by one of
    `checkpoints.SIGNALS` it saves and raises SystemExit, or after the last step ends as usual and
    returns the signal. On GPUs it waits until one has `vram_mib` left, or what the cost model says
    if that is more.
    Raises DataError where the source lacks an image the cell asks for, ShortageError where the
    device lacks memory, StoreError where a result cannot be written.
    """
    with _gpu(max(vram_mib, costs.vram_mib(cell)), show) as device:
        return _train(cell, source, folder, show, checkpoint_seconds, device)


@contextmanager
def _gpu(need: int, show: Callable[[str], None]) -> Iterator[torch.device]:
    """A share of the GPU with most memory left, where there are any; it is then the current one."""
    count = torch.cuda.device_count()
    found = [torch.cuda.get_device_properties(index) for index in range(count)]
    room = gpus.named() or [gpu.total_memory // 2**20 for gpu in found]
    if not room:
        yield nets.choose_device()
        return
    # A number may mean another GPU in a process that sees others.
    names = [str(gpu.uuid) for gpu in found] or [str(index) for index in range(len(room))]
    with gpus.share(dict(zip(names, room, strict=False)), need, show) as name:
        show(f"computes on GPU {names.index(name)}, {need} MiB")
        with torch.cuda.device(names.index(name)) if found else nullcontext():
            yield nets.choose_device()


def _train(
    cell: Cell,
    source: Path,
    folder: Path,
    show: Callable[[str], None],
    checkpoint_seconds: float | None,
    device: torch.device,
) -> signal.Signals | None:
    images = training_images(cell.data, source, cell.replicates)
    torch.set_num_threads(1)
    path = Layout(folder.parent.parent).checkpoint(cell.cell_id)
    checkpoint = Checkpoint(path, cell, _name(device), show, checkpoint_seconds)
    with checkpoint.on_signals():
        state = checkpoint.load()
        step = 0 if state is None else state.step
        progress = Progress(cell.cell_id, cell.max_steps, show, step=step)
        with _in_memory(cell, "training", device):
            trained = engine.train(
                cell, images, None, device, progress, state, at_step=checkpoint.at_step
            )
        results = {
            "weights.safetensors": save(trained.params),
            "history.parquet": formats.parquet(_history(cell, trained.history)),
        }
        store.write_bytes(folder / "cell.json", cell.canonical().encode())
        for name, content in results.items():
            store.write_bytes(folder / name, content)
        digests = {name: store.digest(content) for name, content in results.items()}
        status = {**_status(cell, trained, checkpoint), "sha256": digests}
        store.write_json(folder / "status.json", status)
    checkpoint.remove()
    for outcome in trained.outcomes:
        show(f"{cell.cell_id}: replicate {outcome.replicate} {_told(outcome)}")
    return checkpoint.asked


@contextmanager
def _in_memory(
    cell: Cell, task: str, device: torch.device, keys: str = "replicates, batch_size or net.width"
) -> Iterator[None]:
    """Turn a lack of memory into a message that names the cell and the keys that ask for less."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        reason = str(error).partition(". ")[0] or "no memory left"
        raise ShortageError(
            f"{cell.cell_id}: {_name(device)} has too little memory for {task} it ({reason}). "
            f"Lower its {keys}, in `defaults` or where its study sets them, or let fewer jobs run "
            "side by side; then run again: what is finished stays"
        ) from None


def _told(outcome: Outcome) -> str:
    again = f" after {outcome.restart} restarts" if outcome.restart else ""
    return f"{outcome.status} at step {outcome.steps:,}, MSE {outcome.mse:.2e}{again}"


def _status(cell: Cell, trained: Trained, checkpoint: Checkpoint) -> dict[str, object]:
    return {
        "cell_id": cell.cell_id,
        "replicates": [
            {
                **_summary(outcome),
                "earlier": [
                    _summary(attempt)
                    for attempt in trained.attempts
                    if attempt.replicate == outcome.replicate and attempt is not outcome
                ],
            }
            for outcome in trained.outcomes
        ],
        "formulations": trained.formulations,
        "seconds": checkpoint.seconds,
        "device": ", ".join(checkpoint.devices),
        "machine": platform.machine(),
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "numpy")}
        | {"python": platform.python_version(), "idpipe": __version__},
        "commit": COMMIT,
    }


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def _summary(outcome: Outcome) -> dict[str, object]:
    return {
        "replicate": outcome.replicate,
        "restart": outcome.restart,
        "status": outcome.status,
        "steps": outcome.steps,
        "mse": outcome.mse if np.isfinite(outcome.mse) else None,
    }


def _history(cell: Cell, curves: engine.History) -> pd.DataFrame:
    """The history table of one cell."""
    frame = pd.DataFrame(
        {
            "cell_id": cell.cell_id,
            "replicate": curves.replicate,
            "restart": curves.restart,
            "step": curves.step,
            "mse": curves.mse,
            "lr": curves.lr,
        }
    )
    return tables.HISTORY.conform(frame)


def _commit() -> str | None:
    """The commit of this code where it runs from a git checkout, with `+` if it was edited."""
    if project.PACKAGED.is_dir():  # installed, perhaps inside a checkout of something else
        return None
    folder = Path(__file__).parent
    try:
        ask = ["git", "-C", str(folder), "describe", "--always", "--dirty=+", "--abbrev=40"]
        return subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


# Asked on import: what runs is the code as it was then, whatever has been edited since.
COMMIT = _commit()


def read_params(folder: Path) -> Params:
    """The stacked parameters of a trained cell. Raises StoreError where they are damaged."""
    path = folder / "weights.safetensors"
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        told = f"{path}: cannot be read ({error}); delete {folder} to retrain"
        raise StoreError(told) from error


def evaluate(folder: Path, probe_file: Path, correlation: str, out: Path) -> None:
    """Evaluate a trained cell on a probe file; write metrics.parquet and predictions.npz."""
    torch.set_num_threads(1)
    cell = store.read_cell(folder)
    params = read_params(folder)
    probe_set, device = ProbeSet.load(probe_file), nets.choose_device()
    with _in_memory(cell, "evaluating", device, "replicates or net.width, or probes.sizes"):
        predictions = evaluation.predict(cell, params, probe_set, device)
    metrics = evaluation.measure(cell, probe_set, predictions, correlation)
    formats.write_npz(out / "predictions.npz", **predictions)
    formats.write_parquet(out / "metrics.parquet", tables.METRICS.conform(metrics))


def analyse(folder: Path, probe_file: Path, out: Path) -> None:
    """Write layers.parquet (distances) and layers.npz (views) of a trained cell.

    The untrained network is that of the attempt kept, after `status.json`'s restarts.
    """
    torch.set_num_threads(1)
    probe_set, device = ProbeSet.load(probe_file), nets.choose_device()
    rows: list[pd.DataFrame] = []
    found: list[dict[str, np.ndarray]] = []
    places: dict[str, np.ndarray] = {}
    for cell, replicate, params, restart in _replicates(folder):
        initial = nets.initial_params(cell, [replicate], restart)
        rows.append(evaluation.distance_rows(cell, replicate, params, initial))
        with _in_memory(cell, "looking at the layers of", device, "net.width or probes.sizes"):
            found.append(evaluation.pictures(cell, replicate, params, initial, probe_set, device))
    for name, counts in (("viewed", evaluation.VIEWED), ("viewed_resized", evaluation.RESIZED)):
        places[name] = np.array(evaluation.viewed(probe_set.names, probe_set.kinds, counts), int)
    arrays = {name: np.stack([one[name] for one in found]) for name in found[0]}
    table, views = (out / name for name in store.ANALYSIS_FILES["layers"])
    formats.write_npz(views, **places, **arrays)
    formats.write_parquet(table, tables.LAYERS.conform(pd.concat(rows)))


def classify(folder: Path, source: Path, spec: ProbeSpec, out: Path, state: str) -> None:
    """Write classifier-<state>.parquet: what a cell's layers still tell of an image's class.

    `state` is `trained`, or `untrained` for the networks it started from and the rate of chance.
    """
    torch.set_num_threads(1)
    train, test = prepared.load_split(source, "train"), prepared.load_split(source, "test")
    few = (
        evaluation.first_per_class(train, spec.classifier_train_per_class),
        evaluation.first_per_class(test, spec.classifier_test_per_class),
    )
    device = nets.choose_device()
    rows: list[pd.DataFrame] = []
    for cell, replicate, params, restart in _replicates(folder):
        current = params
        if state == "untrained":
            rows.append(evaluation.chance_row(cell, replicate, few[1]))
            current = nets.initial_params(cell, [replicate], restart)
        with _in_memory(cell, "classifying by the layers of", device, "net.width or data.size"):
            rows.append(evaluation.error_rows(cell, replicate, current, state, few, device))
    path = out / f"classifier-{state}.parquet"
    formats.write_parquet(path, tables.LAYERS.conform(pd.concat(rows)))


def _replicates(folder: Path) -> Iterator[tuple[Cell, int, Params, int]]:
    """Cell, replicate, its parameters and restarts, one replicate at a time."""
    cell, params = store.read_cell(folder), read_params(folder)
    for told in store.read_json(folder / "status.json")["replicates"]:
        replicate, restart = told["replicate"], told["restart"]
        own = {name: value[[replicate]] for name, value in params.items()}
        yield cell, replicate, own, restart


def run_cell(targets: Targets, cell_id: str, show: Callable[[str], None]) -> None:
    """Do what is missing of one cell: its sources, its probes, training, evaluation, analyses."""
    layout, cell = targets.layout, targets.plan.cells[cell_id]
    probe_file, out = targets.probes(cell_id), targets.evaluation(cell_id)
    probe_target = targets.probe_sets[targets.probe_hashes[cell_id]]
    for key in (probe_target.source, probe_target.out_of_domain):
        if not (layout.source(key) / "info.json").is_file():
            prepared.prepare(targets.sources[key], targets.config.data, layout.source(key))
    if not probe_file.is_file():
        probes.build(
            cell.data,
            targets.config.probes,
            cell.replicates,
            layout.source(probe_target.source),
            layout.source(probe_target.out_of_domain),
        ).save(probe_file)
    if not (layout.cell(cell_id) / "status.json").is_file():
        signalled = train(cell, layout.source(probe_target.source), layout.cell(cell_id), show)
        if signalled is not None:
            raise SystemExit(128 + signalled)
    if not (out / "metrics.parquet").is_file():
        evaluate(layout.cell(cell_id), probe_file, targets.config.probes.correlation, out)
    asked = (layout.cell(cell_id), layout.source(probe_target.source), targets.config.probes, out)
    analyses: dict[Analysis, Callable[[], None]] = {
        "layers": lambda: analyse(layout.cell(cell_id), probe_file, out),
        "classifier-trained": lambda: classify(*asked, "trained"),
        "classifier-untrained": lambda: classify(*asked, "untrained"),
    }
    for name, run in analyses.items():
        files = targets.analysis_files(cell_id, name)
        if cell_id in targets.analysed(name) and not all(path.is_file() for path in files):
            run()

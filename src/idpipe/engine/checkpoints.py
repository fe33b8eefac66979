"""Cells in training, saved so that one that was killed goes on where it was.

A checkpoint is one safetensors file (no code runs on loading it): tensors, and JSON beside them
that says which cell of which engine version it is of. It is written now and then, and when a signal
asks the process to end; it lies outside the cell's folder, whose files Snakemake deletes when a job
fails.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from idpipe import nets, store
from idpipe.cells import Cell
from idpipe.config import environment
from idpipe.engine import optim
from idpipe.engine.outcomes import History, Outcome, State
from idpipe.engine.training import Training
from idpipe.errors import StoreError

FORMAT = 2
"""Bump it when checkpoints of before can no longer be read."""
SECONDS = "IDPIPE_CHECKPOINT_SECONDS"
"""Environment variable: seconds between two checkpoints."""
USUAL_SECONDS = 300.0
SHARE = 0.02
"""Writing checkpoints takes at most about this share of the time, however large they are."""
LEFTOVER_SECONDS = 3600.0
"""Age from which a file that was never finished is taken for that of a killed process."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
"""Signals that ask to save and end; the exit status is 128 and the signal's number."""

HISTORY = {
    column.name: torch.float64 if column.name in ("mse", "lr") else torch.int64
    for column in fields(History)
}
"""Columns of learning curves, and the types that hold their numbers exactly."""


def seconds_between() -> float:
    """Seconds between checkpoints, as the environment says. Raises IdpipeError on no number."""
    return environment.seconds(SECONDS, USUAL_SECONDS)


class Checkpoint:
    """The file of one cell in training.

    Attributes:
        devices: what the cell has been trained on, this process's last.
    """

    def __init__(
        self,
        path: Path,
        cell: Cell,
        device: str,
        show: Callable[[str], None],
        seconds: float | None = None,
    ) -> None:
        self.path, self.cell, self.show = path, cell, show
        self.devices = [device]
        self.interval = seconds_between() if seconds is None else seconds
        self.asked: signal.Signals | None = None
        self.start, self.before = time.monotonic(), 0.0
        self.due = self.start + self.interval

    @property
    def seconds(self) -> float:
        """Training time so far, that of earlier processes up to their last checkpoint included."""
        return self.before + time.monotonic() - self.start

    def load(self) -> State | None:
        """Where an earlier process left the cell; None, said aloud, where that cannot be used."""
        self._sweep()
        try:
            facts, tensors = _read(self.path)
            _check(facts, self.cell)
            state = _state(facts["state"], tensors)
            _check_fit(state, self.cell)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, SafetensorError, StoreError) as error:
            self.show(f"{self.path}: refused ({error}); {self.cell.cell_id} starts anew")
            return None
        self.before = facts["seconds"]
        self.devices = list(dict.fromkeys([*facts["devices"], *self.devices]))
        again = f", restart {state.restart}" if state.restart else ""
        self.show(f"{self.cell.cell_id}: goes on from step {state.step:,}{again} ({self.path})")
        if facts["rounding"] != rounding():
            self.show(
                f"{self.cell.cell_id}: the last digits may differ, for it goes on with {rounding()}"
                f" and was saved with {facts['rounding']}"
            )
        return state

    def _sweep(self) -> None:
        """Delete what processes left that were killed while they wrote, long ago."""
        for file in self.path.parent.glob("*"):
            with suppress(OSError):
                old = time.time() - file.stat().st_mtime > LEFTOVER_SECONDS
                if old and file != self.path:
                    file.unlink()

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Let the signals that ask to end wait for the next step; then the training is saved.

        Signals that this process ignores stay ignored. Only in the main thread.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in SIGNALS}
        caught = [n for n, handler in before.items() if handler not in (signal.SIG_IGN, None)]
        try:
            for number in caught:
                signal.signal(number, self._ask)
            yield
        finally:
            for number in caught:
                signal.signal(number, before[number])

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = self.asked or signal.Signals(number)

    def at_step(self, training: Training) -> None:
        """Save where it is time to, or where a signal asks; then SystemExit is raised."""
        if self.asked is None and time.monotonic() < self.due:
            return
        saved = self.save(training)
        if self.asked is None:
            return
        left = f"saved at step {training.stack.step:,}" if saved else "not saved now"
        self.show(
            f"{self.cell.cell_id}: ended by {self.asked.name}, {left}; "
            "the same command goes on from what was saved last"
        )
        raise SystemExit(128 + self.asked)

    def save(self, training: Training) -> bool:
        """Write the file; False, said aloud, where that fails, which harms no training."""
        start = time.monotonic()
        facts, tensors = _packed(training.state())
        told = {
            "format": FORMAT,
            "cell": self.cell.canonical(),
            "seconds": self.seconds,
            "devices": self.devices,
            "rounding": rounding(),
            "state": facts,
        }
        try:
            _write(self.path, told, tensors)
        except (OSError, SafetensorError, StoreError) as error:
            self.show(f"{self.path}: not written ({error})")
            return False
        finally:
            now = time.monotonic()
            self.due = now + max(self.interval, (now - start) / SHARE)
        return True

    def remove(self) -> None:
        """Delete the file, once the cell's result is stored."""
        shutil.rmtree(self.path.parent, ignore_errors=True)


@cache
def rounding() -> str:
    """What decides how this process rounds: the versions of torch and of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = models[0] if models else platform.processor() or platform.machine()
    return f"torch {torch.__version__} on {processor}"


def _check(facts: Mapping[str, Any], cell: Cell) -> None:
    if facts["format"] != FORMAT:
        raise StoreError(f"checkpoint format {facts['format']}, this is format {FORMAT}")
    if facts["cell"] == cell.canonical():
        return
    theirs, ours = json.loads(facts["cell"]), json.loads(cell.canonical())
    if theirs["engine_version"] != ours["engine_version"]:
        raise StoreError(
            f"engine version {theirs['engine_version']}, this is version {ours['engine_version']}"
        )
    raise StoreError("it is of another cell")


def _check_fit(state: State, cell: Cell) -> None:
    """Raise StoreError where a training of `cell` could not go on from `state`."""
    ended = [attempt.replicate for attempt in state.attempts]
    if not state.replicates or {*state.replicates, *ended} != set(range(cell.replicates)):
        raise StoreError("does not fit: its replicates are not the cell's")
    shapes, dtype, count = (
        nets.param_shapes(cell),
        nets.DTYPES[cell.precision],
        len(state.replicates),
    )
    params = {
        name: torch.empty(count, *shape, dtype=dtype, device="meta")
        for name, shape in shapes.items()
    }
    trained = [params[name] for name in nets.trainable(cell, params)]
    memory = optim.StackedOptimizer(cell, trained).tensors()
    expected = {f"params.{name}": value for name, value in params.items()}
    expected |= {f"optimizer.{name}": value for name, value in memory.items()}
    expected["losses"] = torch.empty(len(state.tensors["losses"]), count, dtype=dtype)
    _compare(state.tensors, expected)
    for attempt in state.attempts:
        if attempt.params:
            _compare(attempt.params, {name: value[0] for name, value in params.items()})
    if len({len(getattr(state.history, column)) for column in HISTORY}) > 1:
        raise StoreError("does not fit: the columns of its learning curves differ in length")


def _compare(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    if list(found) != list(expected):
        names = ", ".join(sorted(found.keys() ^ expected.keys()))
        raise StoreError(f"does not fit: other tensors than this version keeps ({names})")
    for name, value in expected.items():
        ours, theirs = (f"{one.dtype} {list(one.shape)}" for one in (value, found[name]))
        if ours != theirs:
            raise StoreError(f"does not fit: {name} is {theirs}, not {ours}")


def _packed(state: State) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """JSON and tensors that hold a state; floats lie in tensors, for JSON has no NaN."""
    facts = {
        "restart": state.restart,
        "step": state.step,
        "replicates": state.replicates,
        "attempts": [[a.replicate, a.restart, a.status, a.steps] for a in state.attempts],
        "formulations": state.formulations,
    }
    tensors = {f"stack.{name}": value for name, value in state.tensors.items()}
    for number, attempt in enumerate(state.attempts):
        tensors |= {f"attempt.{number}.{name}": v for name, v in attempt.params.items()}
    tensors["mse"] = torch.tensor([a.mse for a in state.attempts], dtype=torch.float64)
    for column, dtype in HISTORY.items():
        tensors[f"history.{column}"] = torch.tensor(getattr(state.history, column), dtype=dtype)
    return facts, tensors


def _state(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> State:
    """The state that `_packed` took apart."""

    def below(prefix: str) -> dict[str, Tensor]:
        names = [name for name in tensors if name.startswith(prefix)]
        return {name.removeprefix(prefix): tensors[name] for name in names}

    attempts = [
        Outcome(replicate, restart, status, steps, mse, below(f"attempt.{number}."))
        for number, ((replicate, restart, status, steps), mse) in enumerate(
            zip(facts["attempts"], tensors["mse"].tolist(), strict=True)
        )
    ]
    return State(
        restart=facts["restart"],
        step=facts["step"],
        replicates=facts["replicates"],
        tensors=below("stack."),
        attempts=attempts,
        history=History(**{column: tensors[f"history.{column}"].tolist() for column in HISTORY}),
        formulations=facts["formulations"],
    )


def _write(path: Path, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    held = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    text = json.dumps({**facts, "tensors": list(held)}, allow_nan=False)
    with store.replacing(path) as new:
        save_file(held, new, {"facts": text, "sha256": _digest(text, held)})


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a checkpoint holds. Raises StoreError, SafetensorError or OSError where damaged."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        # Cloned: the file may be gone any moment, and its tensors begin at any address.
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    if metadata.get("sha256") != _digest(metadata.get("facts", ""), tensors):
        raise StoreError("damaged: its checksum does not match")
    facts: dict[str, Any] = json.loads(metadata["facts"])
    return facts, {name: tensors[name] for name in facts["tensors"]}  # a file has its own order


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of everything a checkpoint holds."""
    found = hashlib.sha256(text.encode())
    for name, value in sorted(tensors.items()):
        found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        found.update(value.flatten().numpy().data)
    return found.hexdigest()

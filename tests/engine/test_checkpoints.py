"""A training that was interrupted ends as one that was not, bit for bit."""

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import kill_chain
import numpy as np
import pytest
import torch
import yaml
from plain_loops import ONE_LAYER, OPTIMIZERS, dying_cell, make_cell, picture, sevens
from safetensors import safe_open

from idpipe import cli, engine, store
from idpipe.cells import Cell
from idpipe.engine import Checkpoint, Trained, checkpoints
from idpipe.errors import IdpipeError
from idpipe.workflow import jobs
from idpipe.workflow.session import worker

pytestmark = pytest.mark.numerical

WIDE = {"arch": "cnn", "depth": 3, "width": 96}
VARIED = {"size": 8, "vary": True}
AGAIN = {"policy": "half_rate", "max_restarts": 8}


def short_lived(**failure) -> Cell:
    """Eight replicates of which some are dead from the start, some only at the second attempt."""
    return dying_cell(failure=failure).model_copy(update={"max_steps": 15, "report_every": 4})


RESTARTING = short_lived(policy="fresh_seed", max_restarts=2)
CELLS: dict[str, tuple[Cell, np.ndarray]] = {
    **{f"cnn_{n}": (make_cell(optimizer={"name": n}), picture(number=2)) for n in OPTIMIZERS},
    "fcn_relu_adam": (make_cell("fcn_relu", optimizer={"name": "adam"}), picture()),
    "plain_sgd": (make_cell(optimizer={"momentum": 0}), picture()),
    "rmsprop_momentum": (make_cell(optimizer={"name": "rmsprop", "momentum": 0.5}), picture()),
    "no_bias": (make_cell("cnn_no_bias"), picture()),
    "bottom": (make_cell("fcn_relu", train_layers="bottom"), picture()),
    "by_transform": (make_cell("cnn_large_kernel"), picture()),
    "by_winograd": (make_cell(WIDE, max_steps=20, replicates=2), picture()),
    "minibatch": (make_cell(batch_size=4, max_steps=37, data=sevens(10)), picture(number=10)),
    "diverging_again": (
        make_cell("fcn_linear", optimizer={"lr": 50.0}, report_every=3, failure=AGAIN),
        picture(),
    ),
    "restarts": (RESTARTING.model_copy(update={"precision": "float64"}), picture()),
    "half_rate": (short_lived(policy="half_rate", max_restarts=3), picture()),
    "ends_apart": (
        make_cell("fcn_linear", max_steps=100, stop_mse=0.02, report_every=3, data=VARIED),
        np.concatenate([(1 + seed / 3) * picture(seed=seed) for seed in range(3)]),
    ),
    "thinned": (make_cell(ONE_LAYER, max_steps=1_100, report_every=100, replicates=2), picture()),
    "no_step": (make_cell(max_steps=0), picture()),
}


class Stopped(Exception):
    """What an interrupted training is left by."""


def interrupted(cell: Cell, images: np.ndarray, path: Path, pieces: list[int]) -> Trained:
    """Train in pieces of that many steps, each going on from the file of the one before."""
    for steps in [*pieces, None]:
        checkpoint = Checkpoint(path, cell, "cpu", print, seconds=1e9)
        made = 0

        def at_step(training, steps=steps, checkpoint=checkpoint):
            nonlocal made
            if made == steps:
                assert checkpoint.save(training)
                raise Stopped
            made += 1

        try:
            return engine.train(cell, images, state=checkpoint.load(), at_step=at_step)
        except Stopped:
            pass
    raise AssertionError("unreachable")


def train_to(step: int, checkpoint: Checkpoint, cell: Cell, images: np.ndarray, **how) -> None:
    """Until it is saved before that step, or the first after it that is looked at."""

    def stop(training):
        if training.stack.step >= step:
            checkpoint.save(training)
            raise Stopped

    with pytest.raises(Stopped):
        engine.train(cell, images, at_step=stop, **how)


def bits(trained: Trained) -> dict[str, object]:
    """Everything a training came to; NaN equals NaN of the same bits only."""
    found: dict[str, object] = {"formulations": trained.formulations}
    for number, one in enumerate(trained.attempts):
        mse = np.float64(one.mse).tobytes()
        found[f"attempt {number}"] = (one.replicate, one.restart, one.status, one.steps, mse)
        for name, value in one.params.items():
            found[f"{name} of {number}"] = (value.dtype, value.shape, value.numpy().tobytes())
    for column in dataclasses.fields(trained.history):
        values = getattr(trained.history, column.name)
        found[column.name] = (set(map(type, values)), np.array(values).tobytes())
    found["kept"] = [trained.attempts.index(outcome) for outcome in trained.outcomes]
    return found


def assert_same(one: Trained, other: Trained) -> None:
    ours, theirs = bits(one), bits(other)
    assert [name for name in ours | theirs if ours.get(name) != theirs.get(name)] == []


# --- bit for bit -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole() -> dict[str, Trained]:
    """Every cell, trained in one piece."""
    return {name: engine.train(cell, images) for name, (cell, images) in CELLS.items()}


def test_the_cells_end_in_every_way_and_at_different_steps(whole):
    ways = {outcome.status for trained in whole.values() for outcome in trained.attempts}
    assert ways == {"converged", "max_steps", "dead", "diverged"}
    assert len({outcome.steps for outcome in whole["ends_apart"].outcomes}) > 2
    for name in ("restarts", "half_rate"):
        assert len({outcome.restart for outcome in whole[name].outcomes}) > 2, name
    assert {outcome.restart for outcome in whole["diverging_again"].outcomes} == {8}


@pytest.mark.parametrize("name", CELLS)
def test_interrupted_at_arbitrary_steps(name, whole, tmp_path):
    cell, images = CELLS[name]
    chance = random.Random(name)
    pieces = [chance.randrange(1 + cell.max_steps // 3) for _ in range(4)]
    assert_same(whole[name], interrupted(cell, images, tmp_path / "one/state", pieces))


@pytest.mark.parametrize("name", ["cnn_adam", "minibatch", "diverging_again", "ends_apart"])
def test_interrupted_before_every_single_step(name, whole, tmp_path):
    cell, images = CELLS[name]
    made = interrupted(cell, images, tmp_path / "one/state", [0] + [1] * 1_000)
    assert_same(whole[name], made)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", ["fcn_relu_adam", "cnn_sgd", "minibatch", "ends_apart"])
def test_on_cuda_it_goes_on_from_what_was_saved(name, tmp_path):
    cell, images = CELLS[name]
    checkpoint = Checkpoint(tmp_path / "one/state", cell, "gpu", print)
    train_to(17, checkpoint, cell, images, device="cuda")
    made = engine.train(cell, images, device="cuda", state=checkpoint.load())
    for ours, theirs in zip(made.outcomes, engine.train(cell, images).outcomes, strict=True):
        torch.testing.assert_close(ours.params, theirs.params, rtol=1e-3, atol=1e-4)


# --- files -----------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path) -> tuple[Cell, Path]:
    """A cell and the file it was saved to at step 20."""
    cell, path = CELLS["cnn_adam"][0], tmp_path / "checkpoints/id/state.safetensors"
    train_to(20, Checkpoint(path, cell, "cpu", print), *CELLS["cnn_adam"])
    return cell, path


def load(cell: Cell, path: Path) -> tuple[engine.State | None, list[str]]:
    said: list[str] = []
    return Checkpoint(path, cell, "cpu", said.append).load(), said


def test_a_checkpoint_holds_the_whole_cell_and_loads_without_code(saved):
    cell, path = saved
    with safe_open(path, framework="np") as file:
        facts = json.loads(file.metadata()["facts"])
    assert facts["cell"] == cell.canonical()
    state, said = load(cell, path)
    assert state is not None and state.step == 20
    assert len(said) == 1 and "step 20" in said[0]


def test_damage_at_any_place_and_truncation_are_refused_aloud(saved):
    cell, path = saved
    content, chance = path.read_bytes(), random.Random(0)
    damaged = [content[:kept] for kept in (0, 1, 8, 500, len(content) - 1)]
    for place in (0, 7, 9, 100, len(content) - 1, *chance.sample(range(len(content)), 60)):
        bits = bytes([content[place] ^ 1 << chance.randrange(8)])
        damaged.append(content[:place] + bits + content[place + 1 :])
    for number, changed in enumerate(damaged):
        path.write_bytes(changed)
        state, said = load(cell, path)
        assert state is None, number
        assert len(said) == 1 and "refused" in said[0] and "starts anew" in said[0]
        assert "\n" not in said[0]


@pytest.mark.parametrize(
    ("seed", "changed", "told"),
    [
        (1, {}, "another cell"),
        (0, {"idpipe.cells.cell.ENGINE_VERSION": 2}, "engine version 1, this is version 2"),
        (0, {"idpipe.engine.checkpoints.FORMAT": 99}, "format 2, this is format 99"),
    ],
)
def test_one_of_another_cell_engine_or_format_is_refused_aloud(
    saved, seed, changed, told, monkeypatch
):
    cell, path = saved
    for name, value in changed.items():
        monkeypatch.setattr(name, value)
    state, said = load(cell.model_copy(update={"seed": seed}), path)
    assert state is None
    assert told in said[0]


def test_no_checkpoint_is_no_news(tmp_path):
    assert load(CELLS["cnn_sgd"][0], tmp_path / "none/state") == (None, [])


def test_what_killed_writers_left_is_deleted(saved):
    cell, path = saved
    left, fresh = (path.parent / f".state.safetensors.{name}.tmp" for name in "xy")
    for file, age in ((left, 2 * 3600), (fresh, 1800), (path, 2 * 3600)):
        file.touch()
        os.utime(file, (time.time() - age,) * 2)
    state, _ = load(cell, path)
    assert state is not None
    assert set(path.parent.iterdir()) == {path, fresh}, "another process may still write it"


def change(path: Path, edit) -> None:
    """Write a sound checkpoint with its facts and tensors edited."""
    facts, tensors = checkpoints._read(path)
    facts.pop("tensors")
    edit(facts, tensors)
    checkpoints._write(path, facts, tensors)


def without(name: str):
    return lambda facts, tensors: tensors.pop(name)


def with_tensor(name: str, value):
    return lambda facts, tensors: tensors.update({name: value(tensors[name])})


MISFITS = [
    (without("stack.params.bias.1"), "params.bias.1"),
    (without("stack.optimizer.memory.1.0"), "optimizer.memory.1.0"),
    (without("stack.losses"), "losses"),
    (without("mse"), "mse"),
    (with_tensor("stack.params.weight.0", lambda old: old[:, :-1]), "params.weight.0 is"),
    (with_tensor("stack.params.weight.0", torch.Tensor.double), "float64"),
    (with_tensor("stack.losses", lambda old: old[:, :-1]), "losses is"),
    (with_tensor("history.lr", lambda old: old[:-1]), "learning curves"),
    (lambda facts, tensors: facts["state"].update(replicates=[0, 1, 7]), "replicates"),
    (lambda facts, tensors: facts["state"].update(replicates=[0, 1]), "replicates"),
    (lambda facts, tensors: facts["state"].update(replicates=[]), "replicates"),
]


def test_a_sound_one_that_does_not_fit_is_refused_aloud(saved):
    cell, path = saved
    content = path.read_bytes()
    for edit, told in MISFITS:
        path.write_bytes(content)
        change(path, edit)
        state, said = load(cell, path)
        assert state is None, told
        assert len(said) == 1 and "refused" in said[0] and told in said[0]


def test_it_says_that_it_goes_on_with_other_rounding(saved):
    cell, path = saved
    change(path, lambda facts, tensors: facts.update(rounding="torch 9 on a slide rule"))
    state, said = load(cell, path)
    assert state is not None
    assert len(said) == 2 and "torch 9 on a slide rule" in said[1]
    assert f"torch {torch.__version__}" in said[1]


def test_a_failed_write_is_told_and_costs_nothing(saved, monkeypatch, whole):
    cell, path = saved
    before, said = path.read_bytes(), []

    def full(*args):
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", full)
    checkpoint = Checkpoint(path, cell, "cpu", said.append, seconds=0.0)
    made = engine.train(*CELLS["cnn_adam"], state=checkpoint.load(), at_step=checkpoint.at_step)
    assert any("No space left" in line and str(path) in line for line in said)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
    assert_same(made, whole["cnn_adam"])


def test_two_writers_do_not_harm_each_other(tmp_path, whole):
    cell, images = CELLS["cnn_adam"]
    path, said = tmp_path / "one/state.safetensors", []
    checkpoint_pair = [Checkpoint(path, cell, "cpu", said.append, seconds=0.0) for _ in range(2)]
    kept: list[bool] = []

    def write(checkpoint):
        return engine.train(cell, images, at_step=lambda t: kept.append(checkpoint.save(t)))

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(write, checkpoint_pair))
    assert said == [] and kept == [True] * 2 * 51
    for made in results:
        assert_same(made, whole["cnn_adam"])
    state, _ = load(cell, path)
    assert state is not None
    checkpoint_pair[0].remove()
    assert not path.parent.exists()
    checkpoint_pair[1].remove()


# --- when it is written ----------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "steps"), [(10.0, [10, 20, 30, 40, 50]), (51.0, [])])
def test_it_is_saved_when_the_interval_has_passed(seconds, steps, tmp_path, monkeypatch):
    """Where every step takes a second of an invented clock."""
    now, saves = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    checkpoint = Checkpoint(tmp_path / "a/b", CELLS["cnn_sgd"][0], "cpu", print, seconds)
    save = checkpoint.save
    checkpoint.save = lambda training: saves.append(training.stack.step) or save(training)

    def at_step(training):
        checkpoint.at_step(training)
        now[0] += 1

    engine.train(*CELLS["cnn_sgd"], at_step=at_step)
    assert saves == steps


def test_slow_writing_makes_it_rare(tmp_path, monkeypatch):
    cell, _ = CELLS["no_step"]
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def slow(*args):
        now[0] += 2

    monkeypatch.setattr(checkpoints, "_write", slow)
    checkpoint = Checkpoint(tmp_path / "a/b", cell, "cpu", print, seconds=10.0)
    engine.train(*CELLS["no_step"], at_step=lambda training: checkpoint.save(training))
    assert checkpoint.due == pytest.approx(2 + 2 / checkpoints.SHARE)


def test_the_interval_is_read_from_the_environment(monkeypatch):
    monkeypatch.delenv(checkpoints.SECONDS, raising=False)
    assert checkpoints.seconds_between() == 300
    monkeypatch.setenv(checkpoints.SECONDS, "7.5")
    assert checkpoints.seconds_between() == 7.5
    for wrong in ("", "soon", "-1", "nan"):
        monkeypatch.setenv(checkpoints.SECONDS, wrong)
        with pytest.raises(IdpipeError, match=f"{checkpoints.SECONDS}={wrong}"):
            checkpoints.seconds_between()


# --- signals ---------------------------------------------------------------------------------


@pytest.mark.parametrize("number", checkpoints.SIGNALS)
def test_a_signal_saves_at_the_next_step_and_ends_with_its_status(number, tmp_path, whole):
    cell, images = CELLS["cnn_adam"]
    path, said = tmp_path / "one/state", []
    checkpoint = Checkpoint(path, cell, "cpu", said.append)
    before = signal.getsignal(number)

    def report(step, *rest):
        if step == 20:
            os.kill(os.getpid(), number)

    with pytest.raises(SystemExit) as end, checkpoint.on_signals():
        engine.train(cell, images, report=report, at_step=checkpoint.at_step)
    assert end.value.code == 128 + number
    assert signal.getsignal(number) == before
    assert len(said) == 1
    assert number.name in said[0] and "step 21" in said[0] and "goes on" in said[0]
    state, _ = load(cell, path)
    assert state is not None and state.step == 21
    assert_same(engine.train(cell, images, state=state), whole["cnn_adam"])


def test_a_signal_that_the_process_ignores_stays_ignored(tmp_path):
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        checkpoint = Checkpoint(tmp_path / "a/b", CELLS["cnn_sgd"][0], "cpu", print)
        with checkpoint.on_signals():
            os.kill(os.getpid(), signal.SIGUSR1)
        assert checkpoint.asked is None
    finally:
        signal.signal(signal.SIGUSR1, before)


# --- whole jobs ------------------------------------------------------------------------------

LONG = {
    "restarts": {
        "net": {"arch": "cnn", "depth": 16, "width": 3, "kernel": 3},
        "failure": {"policy": "half_rate", "max_restarts": 2},
        **{"max_steps": 90, "report_every": 10, "replicates": 4},
    },
    "minibatch": {
        "net": {"arch": "fcn", "depth": 3, "width": 90},
        "data": {"examples": [{"label": 7, "index": i} for i in range(9)]},
        "optimizer": {"name": "adam", "lr": 1e-3},
        **{"batch_size": 4, "max_steps": 1_200, "stop_mse": 2e-3},
    },
    "ends_apart": {
        "net": {"arch": "cnn", "depth": 2, "width": 8},
        "data": {"examples": [{"label": 7, "index": 0}], "vary": True},
        **{"max_steps": 700, "stop_mse": 4e-3, "replicates": 3},
    },
}
RESULTS = ("cell.json", "weights.safetensors", "history.parquet")


def status(folder: Path) -> dict[str, object]:
    """status.json without what depends on the clock."""
    found = store.read_json(folder / "status.json")
    assert found.pop("seconds") > 0
    found.pop("commit")  # a developer commits while tests run
    return found


def same_files(one: Path, other: Path) -> bool:
    return status(one) == status(other) and all(
        (one / name).read_bytes() == (other / name).read_bytes() for name in RESULTS
    )


@pytest.mark.long
@pytest.mark.parametrize("name", LONG)
def test_killed_at_random_moments_it_ends_with_the_same_bytes(name, digits, tmp_path):
    cell = Cell.model_validate(LONG[name])
    jobs.train(cell, digits, tmp_path / "whole/cells" / cell.cell_id, print)
    (tmp_path / "cell.json").write_text(cell.canonical())
    kills = trials = 0
    while kills < 7:
        root = tmp_path / f"killed{trials}"
        folder = root / "cells" / cell.cell_id
        folder.mkdir(parents=True)
        command = [sys.executable, kill_chain.__file__, tmp_path / "cell.json", digits, folder]
        how = {"env": {**os.environ, **worker.ONE_THREAD, **worker.ONE_PROCESS}, "text": True}
        end = subprocess.run(
            [*command, str(trials), "0.5"], stdout=subprocess.PIPE, check=True, **how
        )
        said = (root / kill_chain.LOG).read_text()
        assert same_files(folder, tmp_path / "whole/cells" / cell.cell_id)
        assert "refused" not in said
        assert "goes on from step" in said
        assert not list((root / "checkpoints").iterdir())
        kills, trials = kills + int(end.stdout), trials + 1


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The working folder, with a configuration of one cell."""
    monkeypatch.chdir(tmp_path)
    base = {**LONG["ends_apart"], "max_steps": 60, "report_every": 10, "stop_mse": 0}
    probes = {"rho": [0], "n_per_rho": 1, "sizes": []}
    settings = {"run": "long", "studies": {"a": {"base": base}}, "probes": probes}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path


def test_the_command_line_is_ended_by_signals_and_goes_on(folder, digits, monkeypatch, capsys):
    for number, last in zip(checkpoints.SIGNALS, (10, 20, 40), strict=True):

        def report(step, *rest, number=number, last=last):
            if step == last:
                os.kill(os.getpid(), number)

        with monkeypatch.context() as patch, pytest.raises(SystemExit) as end:
            patch.setattr(jobs, "Progress", lambda *rest, report=report, **more: report)
            cli.main(["train"])
        assert end.value.code == 128 + number
        said = capsys.readouterr().out.splitlines()
        assert number.name in said[-1] and "goes on" in said[-1]
        assert ("goes on from step" in said[0]) == (number != checkpoints.SIGNALS[0])
        assert not list(folder.glob("results/cells/*/status.json"))
    (saved,) = folder.glob("results/checkpoints/*/state.safetensors")
    with safe_open(saved, framework="np") as file:
        seconds = json.loads(file.metadata()["facts"])["seconds"]
    cli.main(["train"])
    assert "goes on from step 41" in capsys.readouterr().out
    (made,) = folder.glob("results/cells/*")
    assert store.read_json(made / "status.json")["seconds"] > seconds > 0
    assert list(made.glob("eval-*/metrics.parquet"))
    assert not list(folder.glob("results/checkpoints/*"))
    jobs.train(store.read_cell(made), digits, folder / "w/cells" / made.name, print)
    assert same_files(made, folder / "w/cells" / made.name)


@pytest.fixture
def short(digits, tmp_path) -> tuple[Cell, Path]:
    """A cell that trains at once, and its folder."""
    cell = Cell.model_validate({**LONG["ends_apart"], "max_steps": 30})
    return cell, tmp_path / "results/cells" / cell.cell_id


def test_a_damaged_checkpoint_costs_time_only(short, digits, tmp_path):
    cell, folder = short
    jobs.train(cell, digits, tmp_path / "whole/cells" / cell.cell_id, print)
    path, said = store.Layout(tmp_path / "results").checkpoint(cell.cell_id), []
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * 1_000)
    jobs.train(cell, digits, folder, said.append)
    assert "refused" in said[0] and str(path) in said[0] and cell.cell_id in said[0]
    assert same_files(folder, tmp_path / "whole/cells" / cell.cell_id)
    assert not path.parent.exists()


def test_the_status_names_the_code_that_ran(short, digits, monkeypatch):
    cell, folder = short
    monkeypatch.setattr(jobs, "_commit", lambda: "edited since")
    jobs.train(cell, digits, folder, print)
    assert store.read_json(folder / "status.json")["commit"] == jobs.COMMIT != "edited since"


def test_a_signal_after_the_last_step_costs_no_result(short, digits, monkeypatch):
    cell, folder = short
    write = store.write_json

    def ended(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        write(*arguments)

    monkeypatch.setattr(store, "write_json", ended)
    assert jobs.train(cell, digits, folder, print) == signal.SIGTERM
    assert status(folder)["cell_id"] == cell.cell_id


@pytest.mark.usefixtures("folder")
def test_the_command_line_ends_after_the_cell_that_a_signal_came_too_late_for(monkeypatch):
    monkeypatch.setattr(jobs, "train", lambda *rest: signal.SIGTERM)
    with pytest.raises(SystemExit) as end:
        cli.main(["train"])
    assert end.value.code == 128 + signal.SIGTERM

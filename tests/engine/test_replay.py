"""Steps by replay: on a CPU they run unrecorded, and must do what steps one by one do."""

import copy
import gc
import itertools
import weakref
from typing import ClassVar

import numpy as np
import pytest
import torch
from formulations import OTHERS, differences
from plain_loops import OPTIMIZERS, PAIRS, SIZE, dying_cell, make_cell, picture, sevens

from idpipe.cells import Cell
from idpipe.engine import WARM, Repeated, Trained, Training, replay
from idpipe.engine.replay import Steps
from idpipe.engine.stack import Stack
from idpipe.nets import set_numerics

pytestmark = pytest.mark.numerical

CPU = torch.device("cpu")
DECAYING = {"max_steps": 43, "precision": "float64"}
"""Milestones at steps 13, 26 and 35, looks at every tenth."""
BATCHES = make_cell("fcn_relu", batch_size=4, data=sevens(10), **DECAYING)
DYING = dying_cell(failure={"policy": "half_rate", "max_restarts": 2}, precision="float64")


def trained(cell: Cell, images: np.ndarray, replayed: bool, **settings) -> Trained:
    count = list(range(cell.replicates))
    return Training(cell, images, count, CPU, replayed=replayed, **settings).run()


def assert_same(one: Trained, other: Trained, rtol: float = 1e-9) -> None:
    """The same ends, curves and numbers, up to rounding."""
    assert ends(one) == ends(other)
    for a, b in zip(one.attempts, other.attempts, strict=True):
        torch.testing.assert_close(a.params, b.params, rtol=rtol, atol=1e-12)
    for column in ("replicate", "restart", "step", "lr"):
        assert getattr(one.history, column) == getattr(other.history, column)
    np.testing.assert_allclose(one.history.mse, other.history.mse, rtol=rtol, atol=1e-20)


def ends(made: Trained) -> list[tuple]:
    return [(a.replicate, a.restart, a.status, a.steps) for a in made.attempts]


def assert_replayed(cell: Cell, images: np.ndarray) -> None:
    """Training by replay comes to what training step by step does."""
    assert_same(trained(cell, images, True), trained(cell, images, False))


@pytest.mark.parametrize(("net", "optimizer"), [p for p in PAIRS if p[0] != "cnn_large_kernel"])
def test_replayed_steps_are_steps(net, optimizer):
    cell = make_cell(net, optimizer={"name": optimizer}, **DECAYING)
    assert_replayed(cell, picture(3))


def test_minibatches_come_from_the_device():
    assert_replayed(BATCHES, picture(10))


def converging_cell(**settings) -> Cell:
    """Replicates that end at different steps."""
    usual = {"report_every": 1, "replicates": 5, "max_steps": 3_000, "stop_mse": 1e-6}
    return make_cell("fcn_linear", precision="float64", **{**usual, **settings})


def test_replicates_end_at_the_same_steps_with_the_same_numbers():
    one, other = (trained(converging_cell(), picture(), replayed) for replayed in (True, False))
    assert len({outcome.steps for outcome in one.outcomes}) > 1
    assert_same(one, other)


def test_rows_that_ended_are_frozen_and_compacted_when_most_have(monkeypatch):
    sizes: list[tuple[int, int]] = []
    advance = Stack._replay

    def spied(stack, rate, count):
        sizes.append((len(stack.replicates), len(stack.training)))
        frozen = {o.replicate: copy.deepcopy(o.params) for o in stack.ended}
        advance(stack, rate, count)
        for outcome in stack.ended:
            for name, value in frozen[outcome.replicate].items():
                assert torch.equal(value, outcome.params[name])

    monkeypatch.setattr(Stack, "_replay", spied)
    trained(converging_cell(replicates=8), picture(), True)
    assert any(rows > training for rows, training in sizes), "no row was ever frozen"
    assert all(rows < 2 * training for rows, training in sizes)
    assert len({rows for rows, _ in sizes}) > 1, "the stack was never compacted"


def test_dead_replicates_restart():
    assert_replayed(DYING, picture())


def test_each_replicate_keeps_its_own_image_when_others_leave():
    cell = converging_cell(data={"size": SIZE, "vary": True})
    images = np.concatenate([picture(seed=seed) for seed in range(5)])
    assert_replayed(cell, images)


def test_a_training_with_frozen_rows_goes_on_from_its_state():
    """The state holds the replicates in training alone, as one without frozen rows would."""
    states = []

    def at_step(training: Training) -> None:
        if training.stack.frozen and not states:
            state = training.state()
            assert len(state.replicates) < len(training.stack.replicates)
            params = [v for name, v in state.tensors.items() if name.startswith("params.")]
            assert all(value.shape[0] == len(state.replicates) for value in params)
            states.append(copy.deepcopy(state))

    cell, chosen = converging_cell(), list(range(5))
    whole = Training(cell, picture(), chosen, CPU, replayed=True).run(at_step)
    rest = Training(cell, picture(), chosen, CPU, state=states[0], replayed=True).run()
    assert_same(whole, rest)


def test_a_run_of_steps_takes_its_images_in_order_and_gives_its_losses():
    seen = []

    def step(rate: float, rows: torch.Tensor | None) -> torch.Tensor:
        assert rows is not None
        seen.append((rate, rows.tolist()))
        return torch.full((2,), float(len(seen)))

    steps = Steps(4, torch.zeros(2), batch=1)
    rows = torch.arange(8).reshape(4, 2, 1)
    losses = steps.run(step, 0.1, 4, rows)
    again = steps.run(step, 0.5, 1, rows[3:])
    assert losses.tolist() == [[1, 1], [2, 2], [3, 3], [4, 4]]
    assert again.tolist() == [[5, 5]]
    assert [rate for rate, _ in seen] == [0.1] * 4 + [0.5]
    assert [numbers for _, numbers in seen] == [*rows.tolist(), rows[3].tolist()]


def test_a_function_is_called_as_often_as_asked():
    made = []
    repeated = Repeated(CPU, calls=5)
    repeated.run(lambda: made.append(1), 3)
    repeated.run(lambda: made.append(1), 11)
    assert len(made) == 14


class Recording(Repeated):
    """Records on a CPU: its graphs make the very calls recorded, constants and all."""

    constants: ClassVar[list[float | None]] = []
    """Of all recordings, in order."""

    def __init__(self, device: torch.device, calls: int) -> None:
        super().__init__(device, calls)
        self.records = True

    def _recorded(self, function):
        self.constants.append(self.constant)
        return Recorded(function, self.calls)


class Recorded:
    """In the place of a CUDA graph."""

    def __init__(self, function, calls: int) -> None:
        self.function, self.calls = function, calls

    def replay(self) -> None:
        for _ in range(self.calls):
            self.function()


@pytest.fixture
def constants(monkeypatch) -> list[float | None]:
    """Of the recordings that trainings make in this test."""
    monkeypatch.setattr(Recording, "constants", [])
    monkeypatch.setattr(replay, "Repeated", Recording)
    return Recording.constants


def test_another_constant_is_recorded_again_and_none_is_forgotten(constants):
    """Five calls a graph, after three to warm up, and what is left over one by one."""
    made: list[float] = []
    repeated = Recording(CPU, calls=5)
    for constant, count in ((1.0, 9), (1.0, 6), (2.0, 4), (2.0, 12), (1.0, 5)):
        repeated.run(lambda constant=constant: made.append(constant), count, constant)
    assert made == [1.0] * 15 + [2.0] * 16 + [1.0] * 5
    assert constants == [1.0, 2.0, 1.0]


def test_a_graph_is_let_go_of_before_the_next_is_recorded(constants, monkeypatch):
    """Two would hold the memory of a step twice."""
    repeated, alive = Recording(CPU, calls=1), []
    recorded = Recording._recorded

    def spied(self, function):
        alive.append(old() is not None)
        return recorded(self, function)

    repeated.run(lambda: None, WARM + 1, 1.0)
    old = weakref.ref(repeated.graph)
    monkeypatch.setattr(Recording, "_recorded", spied)
    repeated.run(lambda: None, 1, 2.0)
    assert alive == [False]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("precision", ["ieee", "float64"])
def test_steps_are_recorded_again_at_milestones(optimizer, precision, constants):
    settings = {**DECAYING, "precision": precision}
    cell = make_cell("fcn_relu", optimizer={"name": optimizer}, **settings)
    assert_same(trained(cell, picture(3), True), trained(cell, picture(3), False))
    assert constants == [cell.optimizer.lr * 0.2**passed for passed in range(4)]


def test_recorded_minibatches_are_those_of_each_step(constants):
    assert_replayed(BATCHES, picture(10))
    assert len(constants) == 4


def test_an_attempt_at_half_the_rate_is_recorded_at_it(constants):
    again = {"policy": "half_rate", "max_restarts": 2}
    steady = {"schedule": {"milestones": []}, "failure": again}
    cell = make_cell("fcn_linear", optimizer={"lr": 50.0}, **steady)
    assert ends(trained(cell, picture(), True)) == ends(trained(cell, picture(), False))
    assert constants == [50.0, 25.0, 12.5]


@pytest.mark.parametrize("every", [1, 4, 7, 100])
def test_stretches_end_at_looks_and_milestones(every, monkeypatch):
    """All steps are made, once and at their rate, and a stretch is no shorter than it must be."""
    stretches: list[tuple[int, int, float]] = []
    called: list[int] = []
    replayed = Stack._replay

    def spied(stack, rate, count):
        stretches.append((stack.step, stack.step + count, rate))
        replayed(stack, rate, count)

    monkeypatch.setattr(Stack, "_replay", spied)
    cell = make_cell("fcn_relu", report_every=every, **DECAYING)
    training = Training(cell, picture(), [0, 1, 2], CPU, replayed=True)
    training.run(lambda training: called.append(training.stack.step))
    stops = sorted({*range(0, 43, every), 13, 26, 35, 43})
    expected = [
        (start, end, 0.01 * 0.2 ** sum(start >= milestone for milestone in (13, 26, 35)))
        for start, end in itertools.pairwise(stops)
    ]
    assert stretches == expected
    assert called == stops


def test_what_was_recorded_ends_with_its_use():
    """Without waiting for Python's collector of cycles: a graph holds the memory of a step."""
    training = Training(make_cell(), picture(), [0, 1, 2], CPU, replayed=True)
    training.stack._advance()
    steps = weakref.ref(training.stack.steps)
    gc.disable()
    try:
        training.stack._retire({0: ("converged", 0.0), 2: ("converged", 0.0)})
        assert steps() is None
    finally:
        gc.enable()


def leaving() -> tuple[Cell, np.ndarray]:
    """Replicates that end one after the other, with many steps between, and their images."""
    cell = converging_cell(replicates=8, report_every=5, data={"size": SIZE, "vary": True})
    images = [picture(seed=seed) / (1 + 0.4 * seed) for seed in range(8)]
    return cell, np.concatenate(images)


class Runs:
    """Called before every stretch: the objects that made steps, and how many runs of each."""

    def __init__(self) -> None:
        self.steps: list[Steps] = []
        self.counts: list[int] = []

    def __call__(self, training: Training) -> None:
        if training.stack.steps is None:
            return
        if training.stack.steps not in self.steps:
            self.steps.append(training.stack.steps)
            self.counts.append(0)
        self.counts[-1] += 1


def test_stacks_of_leaving_replicates_last_long_enough_to_be_recorded():
    """A graph is recorded in the second run of 5 steps, the first being for warming up."""
    cell, images = leaving()
    runs = Runs()
    Training(cell, images, list(range(8)), CPU, replayed=True).run(runs)
    assert len(runs.counts) > 2
    assert all(count > 1 for count in runs.counts)


cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def assert_close(one: Trained, other: Trained, rtol: float = 1e-5) -> None:
    """The same ends, and numbers that differ by little of the distance travelled."""
    assert ends(one) == ends(other)
    for a, b in zip(one.attempts, other.attempts, strict=True):
        for name, value in a.params.items():
            assert (value - b.params[name]).norm() <= rtol * b.params[name].norm()


@cuda
def test_recorded_calls_are_calls():
    count = torch.zeros((), device="cuda")
    repeated = Repeated(torch.device("cuda"), calls=5)
    for calls in (2, 3, 13, 25):
        repeated.run(lambda: count.add_(1), calls)
    assert repeated.graph is not None
    assert count.item() == 43


@cuda
@pytest.mark.parametrize(("net", "optimizer"), PAIRS)
def test_recorded_steps_are_steps(net, optimizer):
    """On the GPU, 100 steps: recorded, one by one, and on the CPU."""
    cell = make_cell(
        net, optimizer={"name": optimizer}, precision="float64", max_steps=100, report_every=25
    )
    device, chosen = torch.device("cuda"), [0, 1, 2]
    ours = Training(cell, picture(), chosen, device)
    whole = ours.run()
    assert ours.stack.steps.repeated.graph is not None
    assert_close(whole, Training(cell, picture(), chosen, device, replayed=False).run())
    assert_close(whole, trained(cell, picture(), False))


@cuda
def test_recorded_steps_go_on_when_rows_leave():
    """Frozen rows, compaction, a second recording; and from a state with frozen rows."""
    cell, images = leaving()
    chosen, device = list(range(8)), torch.device("cuda")
    runs, states = Runs(), []

    def at_step(training: Training) -> None:
        runs(training)
        if training.stack.frozen and not states:
            states.append(copy.deepcopy(training.state()))

    whole = Training(cell, images, chosen, device).run(at_step)
    assert sum(steps.repeated.graph is not None for steps in runs.steps) > 1 and states
    assert_close(whole, trained(cell, images, False))
    assert_close(whole, Training(cell, images, chosen, device, state=states[0]).run())


@cuda
def test_recorded_minibatches_and_restarts():
    for cell, images in ((BATCHES, picture(10)), (DYING, picture())):
        ours = Training(cell, images, list(range(cell.replicates)), torch.device("cuda")).run()
        assert_close(ours, trained(cell, images, False))


@cuda
@pytest.mark.parametrize(("name", "kernel"), OTHERS)
def test_formulations_on_the_gpu(name, kernel):
    generator = torch.Generator().manual_seed(kernel)
    shapes = [(1, 4, 64, 28, 28), (4, 64, 64, kernel, kernel), (4, 64)]
    given = [torch.randn(shape, generator=generator).cuda().requires_grad_() for shape in shapes]
    set_numerics(make_cell())
    assert max(differences(name, given)) < (1e-5 if name == "winograd" else 2e-6)


@cuda
@pytest.mark.parametrize("precision, rounded", [("ieee", False), ("tf32", True)])
def test_precision_on_the_gpu(precision, rounded):
    """IEEE products err like single precision, TF32 ones like ten bits."""
    set_numerics(make_cell(precision=precision))
    x = torch.randn(8, 64, 28, 28, device="cuda")
    weight = torch.randn(64, 64, 5, 5, device="cuda")
    matrix = torch.randn(512, 512, device="cuda")
    for product in (
        lambda t: torch.nn.functional.conv2d(x.to(t), weight.to(t), padding=2),
        lambda t: matrix.to(t) @ matrix.to(t),
    ):
        exact = product(torch.float64)
        error = ((product(torch.float32).double() - exact).norm() / exact.norm()).item()
        assert (error > 1e-5) == rounded

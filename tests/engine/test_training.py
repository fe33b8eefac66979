"""Training against plain torch loops and closed forms."""

import math

import numpy as np
import pytest
import torch
from plain_loops import (
    NETS,
    ONE_LAYER,
    OPTIMIZERS,
    PAIRS,
    SIZE,
    assert_only_rounded,
    dying_cell,
    flat,
    make_cell,
    picture,
    plain_loop,
    sevens,
)
from torch import nn

from idpipe import engine, nets, theory
from idpipe.cells import Cell
from idpipe.engine import Progress
from idpipe.engine.optim import stage_factor
from idpipe.engine.stack import Minibatches, Stack

pytestmark = pytest.mark.numerical


SETTINGS = [
    ("sgd", {"momentum": 0}),
    ("sgd", {"nesterov": True, "weight_decay": 0.01}),
    ("rmsprop", {"momentum": 0.5, "alpha": 0.9}),
    ("adam", {"eps": 0.01}),
]


@pytest.mark.parametrize(
    ("net", "optimizer", "more"),
    [(*pair, {}) for pair in PAIRS] + [("cnn", *settings) for settings in SETTINGS],
)
def test_fifty_steps_equal_the_plain_loop(net, optimizer, more):
    cell = make_cell(net, optimizer={"name": optimizer, **more}, precision="float64", replicates=2)
    images = picture(number=2)
    trained = engine.train(cell, images)
    for replicate in range(2):
        plain = plain_loop(cell, images, replicate, **more)
        start = flat(nets.initial_params(cell, [replicate]).values())
        ours = flat(trained.outcomes[replicate].params.values())
        theirs = flat(plain.parameters())
        assert np.linalg.norm(theirs - start) > 1e-4 * np.linalg.norm(start), "nothing trained"
        assert np.linalg.norm(ours - theirs) <= 1e-10 * np.linalg.norm(theirs - start)
        x = torch.tensor(images[0]).double()
        loss = nn.functional.mse_loss(plain(x), x).item()
        assert trained.outcomes[replicate].mse == pytest.approx(loss, rel=1e-10)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("net", [net for net, spec in NETS.items() if "linear" in net])
def test_single_precision_only_rounds(net, optimizer):
    smooth = {} if optimizer == "sgd" else {"eps": 0.01}
    cell = make_cell(net, optimizer={"name": optimizer, **smooth}, replicates=2)
    images = picture(number=2)
    assert_only_rounded(engine.train(cell, images), cell, images, **smooth)


@pytest.mark.parametrize("net", NETS)
def test_an_ensemble_equals_solo_trainings(net):
    cell = make_cell(net, precision="float64")
    images = picture()
    together = engine.train(cell, images)
    for replicate in range(3):
        alone = engine.train(cell, images, replicates=[replicate]).outcomes[0]
        ours = together.outcomes[replicate].params
        torch.testing.assert_close(ours, alone.params, rtol=1e-10, atol=1e-13)


def test_minibatches_are_those_of_a_plain_loop_over_permutations():
    settings = {"batch_size": 4, "max_steps": 7, "precision": "float64", "replicates": 1}
    cell, images = make_cell("fcn_relu", data=sevens(10), **settings), picture(number=10)
    trained = engine.train(cell, images)
    seen: list[int] = []

    def rows(step: int) -> torch.Tensor:
        found = Minibatches(cell, 10, 0).rows([0], step)[0]
        if step % 2 == 0:
            seen.clear()
        assert not set(seen) & set(found.tolist()), "an epoch showed an image twice"
        seen.extend(found.tolist())
        return found

    net, x = plain_loop(cell, images, 0, rows=rows), torch.tensor(images[0]).double()
    ours, theirs = flat(trained.outcomes[0].params.values()), flat(net.parameters())
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    # The MSE reported is that of all ten images, not of the last batch.
    loss = nn.functional.mse_loss(net(x), x).item()
    assert trained.outcomes[0].mse == pytest.approx(loss, rel=1e-9)


def mse_of_all(cell: Cell, outcome: engine.Outcome, images: np.ndarray) -> float:
    stacked = {name: value[None] for name, value in outcome.params.items()}
    shown = torch.tensor(images).double()
    return (nets.forward(cell.net, stacked, shown) - shown).square().mean().item()


def test_many_examples_converge_on_the_mse_of_all_of_them():
    settings = {"batch_size": 4, "max_steps": 2_000, "stop_mse": 1e-5, "precision": "float64"}
    cell = make_cell(ONE_LAYER, replicates=2, data=sevens(10), **settings)
    images = picture(number=10)
    for outcome in engine.train(cell, images).outcomes:
        mse = mse_of_all(cell, outcome, images)
        assert outcome.status == "converged"
        assert mse < 1e-5
        assert outcome.mse == pytest.approx(mse, rel=1e-10)


def test_one_easy_batch_converges_nothing():
    """The last batch before a look is the easy image; the others are far from learnt."""
    images = picture(number=40)
    images[:, ::2] *= 1e-3
    settings = {"batch_size": 1, "report_every": 5, "max_steps": 200, "stop_mse": 1e-2}
    cell = make_cell(ONE_LAYER, precision="float64", data=sevens(40), **settings)
    for outcome in engine.train(cell, images).outcomes:
        mse = mse_of_all(cell, outcome, images)
        assert outcome.mse == pytest.approx(mse, rel=1e-10)
        assert (outcome.status == "converged") == (mse < 1e-2)


def test_half_sum_loss_is_a_larger_rate():
    pixels = SIZE * SIZE
    half = make_cell("fcn_linear", loss="half_sum", optimizer={"lr": 2e-4}, precision="float64")
    mean = make_cell("fcn_linear", optimizer={"lr": 2e-4 * pixels / 2}, precision="float64")
    one, other = (engine.train(cell, picture()).params for cell in (half, mean))
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


# --- closed forms ----------------------------------------------------------------------------


def test_theorem_1_one_layer_fcn_lands_on_equation_4():
    net = {"arch": "fcn", "depth": 1, "bias": False}
    cell = make_cell(net, max_steps=4_000, stop_mse=1e-22, precision="float64")
    image = picture().astype(np.float32)
    trained = engine.train(cell, image)
    for replicate, outcome in enumerate(trained.outcomes):
        start = nets.initial_params(cell, [replicate])["weight.0"][0].numpy()
        closed = theory.theorem1_weights(start, image.reshape(-1))
        np.testing.assert_allclose(outcome.params["weight.0"].numpy(), closed, atol=1e-9)
        assert outcome.status == "converged"


@pytest.mark.parametrize(
    "kernel, channels, lemma", [(3, 1, 2), (9, 1, 1), (3, 3, 2)], ids=["lemma2", "lemma1", "rgb"]
)
def test_one_layer_cnn_lands_on_lemma_1_and_lemma_2(kernel, channels, lemma):
    net = {"arch": "cnn", "depth": 1, "kernel": kernel, "bias": False}
    source = "photos" if channels == 3 else "digits"
    data = {"source": source, "size": SIZE, "examples": [{"label": 0}]}
    settings = {"max_steps": 60_000, "stop_mse": 1e-16, "precision": "float64", "replicates": 2}
    settings |= {"schedule": {"milestones": []}, "optimizer": {"lr": 0.05}}
    cell = make_cell(net, data=data, **settings)
    image = picture(channels=channels)
    trained = engine.train(cell, image)
    x, y = theory.patches(image[0], kernel)[0], theory.pixels(image[0])[0]
    assert theory.row_space(x).shape[1] == min(x.shape)
    assert len(x) <= x.shape[1] if lemma == 1 else len(x) > x.shape[1]
    for replicate, outcome in enumerate(trained.outcomes):
        assert outcome.status == "converged"
        start = theory.as_matrix(nets.initial_params(cell, [replicate])["weight.0"][0].numpy())
        closed = theory.lemma1(start, x, y) if lemma == 1 else theory.lemma2(x, y)
        ours = theory.as_matrix(outcome.params["weight.0"].numpy())
        np.testing.assert_allclose(ours, closed, atol=2e-5)


def test_bottom_layer_only_moves_along_the_training_image():
    """Eq. (16): W^T = W^0 + u x^T, and the upper layer stays as drawn (Appendix E.2)."""
    net = {"arch": "fcn", "depth": 2, "width": 90, "bias": False}
    cell = make_cell(net, train_layers="bottom", precision="float64", replicates=1)
    image = picture()
    outcome = engine.train(cell, image).outcomes[0]
    start = nets.initial_params(cell, [0])
    moved = (outcome.params["weight.0"] - start["weight.0"][0]).numpy()
    x = image.reshape(-1).astype(np.float64)
    assert np.abs(moved).max() > 1e-4
    np.testing.assert_allclose(moved, np.outer(moved @ x / (x @ x), x), atol=1e-12)
    assert torch.equal(outcome.params["weight.1"], start["weight.1"][0])


# --- how replicates end ----------------------------------------------------------------------


def test_a_converged_replicate_is_frozen_while_the_others_go_on():
    cell = make_cell("fcn_linear", max_steps=3_000, stop_mse=1e-6, precision="float64")
    images = picture()
    trained = engine.train(cell, images)
    steps = {outcome.steps for outcome in trained.outcomes}
    assert len(steps) > 1, "the test needs replicates that end at different steps"
    for outcome in trained.outcomes:
        assert outcome.status == "converged"
        assert outcome.steps % cell.report_every == 0
        alone = engine.train(cell, images, replicates=[outcome.replicate]).outcomes[0]
        assert alone.steps == outcome.steps
        torch.testing.assert_close(outcome.params, alone.params, rtol=1e-9, atol=1e-12)


def test_a_replicate_that_would_not_end_is_an_error_and_no_endless_wait(monkeypatch):
    monkeypatch.setattr(Stack, "_retire", lambda stack, ends: None)
    with pytest.raises(AssertionError, match=r"\[0, 1, 2\] go on beyond the last step"):
        engine.train(make_cell(), picture())


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizer_state_survives_the_loss_of_a_row(optimizer):
    """Rows leave a stack of three; the survivor goes on as if it had been alone."""
    cell = make_cell("cnn", optimizer={"name": optimizer}, precision="float64", max_steps=20)
    stack = engine.Training(cell, picture(), [0, 1, 2], torch.device("cpu")).stack
    for _ in range(10):
        stack._advance()
    stack._retire({0: ("converged", 0.0), 2: ("converged", 0.0)})
    for _ in range(10):
        stack._advance()
    alone = engine.train(cell, picture(), replicates=[1]).outcomes[0]
    ours = {name: value[0].detach() for name, value in stack.params.items()}
    torch.testing.assert_close(ours, alone.params, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(("images", "expected"), [(1, (50 - 5, 6)), (10, (50 + 6 + 3, 6))])
def test_a_look_and_the_step_after_it_share_a_forward_pass(images, expected, monkeypatch):
    """Unless the step is of other images, whose losses a look computes too, or there is none."""
    made = {"forward": 0, "forward_and_dead": 0}

    def counted(name):
        function = getattr(nets, name)

        def call(*given):
            made[name] += 1
            return function(*given)

        return call

    for name in made:
        monkeypatch.setattr(nets, name, counted(name))
    cell = make_cell("fcn_relu", batch_size=4, data=sevens(images), max_steps=50, report_every=10)
    engine.train(cell, picture(images))
    assert tuple(made.values()) == expected


def test_gradients_are_written_over_those_of_the_step_before():
    cell = make_cell("fcn_relu", train_layers="bottom")
    stack = engine.Training(cell, picture(), [0, 1, 2], torch.device("cpu")).stack
    (name,) = stack.buffers
    assert name == "weight.0"
    place, last = stack.buffers[name].data_ptr(), stack.buffers[name].clone()
    stack._advance()
    assert stack.buffers[name].data_ptr() == place
    assert not torch.equal(stack.buffers[name], last)
    stack._retire({0: ("converged", 0.0), 2: ("converged", 0.0)})
    assert stack.buffers[name].shape == stack.params[name].shape == (1, 70, SIZE * SIZE)


def has_dead_layer(cell: Cell, replicate: int, image: np.ndarray, restart: int = 0) -> bool:
    """By torch.nn: some ReLU layer is zero everywhere at initialization."""
    params = nets.initial_params(cell, [replicate], restart)
    hidden = torch.tensor(image[0])
    for layer in range(cell.net.depth - 1):
        weight, bias = params[f"weight.{layer}"][0], params[f"bias.{layer}"][0]
        hidden = torch.relu(nn.functional.conv2d(hidden, weight, bias, padding=1))
        if not hidden.any():
            return True
    return False


def test_dead_replicates_are_told_from_their_activations_and_stopped_at_once():
    cell, image = dying_cell(), picture()
    trained = engine.train(cell, image)
    dead = [has_dead_layer(cell, replicate, image) for replicate in range(8)]
    assert 0 < sum(dead) < 8
    for outcome, is_dead in zip(trained.outcomes, dead, strict=True):
        assert (outcome.status == "dead" and outcome.steps == 0) == is_dead


def test_dead_replicates_restart_with_a_fresh_seed_and_say_so():
    image = picture()
    cell = dying_cell(failure={"policy": "fresh_seed", "max_restarts": 2})
    trained = engine.train(cell, image)
    for outcome in trained.outcomes:
        tries = [a for a in trained.attempts if a.replicate == outcome.replicate]
        assert [a.restart for a in tries] == list(range(len(tries)))
        assert all(a.status in ("dead", "diverged") for a in tries[:-1])
        assert outcome is tries[-1]
        assert outcome.restart == 2 or outcome.status not in ("dead", "diverged")
    assert max(outcome.restart for outcome in trained.outcomes) >= 1
    assert len(trained.attempts) > 8


def test_half_rate_halves_the_rate_at_each_restart():
    cell = dying_cell(failure={"policy": "half_rate", "max_restarts": 3})
    trained = engine.train(cell, picture())
    columns = trained.history.restart, trained.history.step, trained.history.lr
    first = {restart: lr for restart, step, lr in zip(*columns, strict=True) if step == 0}
    assert len(first) > 1
    assert first == {restart: 0.01 / 2**restart for restart in first}


def test_a_diverging_replicate_is_reported_and_harms_no_other():
    cell = make_cell("fcn_linear", optimizer={"lr": 50.0}, report_every=5)
    trained = engine.train(cell, picture())
    assert {outcome.status for outcome in trained.outcomes} == {"diverged"}
    assert all(not math.isfinite(outcome.mse) for outcome in trained.outcomes)

    # One replicate starts with a NaN; the others must not notice.
    calm = make_cell("cnn", precision="float64")
    stack = engine.Training(calm, picture(), [0, 1], torch.device("cpu")).stack
    with torch.no_grad():
        stack.params["weight.1"][0, 0, 0, 0, 0] = float("nan")
    ended = {outcome.replicate: outcome for outcome in stack.run()}
    assert ended[0].status == "diverged"
    alone = engine.train(calm, picture(), replicates=[1]).outcomes[0]
    torch.testing.assert_close(ended[1].params, alone.params, rtol=1e-10, atol=1e-13)


def test_no_step_is_taken_where_the_budget_is_zero():
    cell = make_cell("cnn", max_steps=0, replicates=1)
    outcome = engine.train(cell, picture()).outcomes[0]
    start = nets.initial_params(cell, [0])
    assert (outcome.status, outcome.steps) == ("max_steps", 0)
    assert all(torch.equal(outcome.params[name], start[name][0]) for name in start)


def test_training_again_gives_the_same_bits():
    cell = make_cell("cnn")
    first, second = engine.train(cell, picture()), engine.train(cell, picture())
    torch.testing.assert_close(second.params, first.params, rtol=0, atol=0)
    assert first.history == second.history


def test_each_replicate_trains_on_its_own_image_where_they_vary():
    data = {"size": SIZE, "vary": True}
    cell = make_cell("fcn_linear", max_steps=2_000, stop_mse=1e-6, data=data)
    images = np.concatenate([picture(seed=seed) for seed in range(3)])
    params = engine.train(cell, images).params
    output = nets.forward(cell.net, params, torch.tensor(images))
    assert ((output - torch.tensor(images)) ** 2).mean() < 1e-5


# --- schedule, history, numerics -------------------------------------------------------------


def test_the_rate_decays_at_30_60_and_80_percent():
    schedule = make_cell().schedule
    factors = [stage_factor(schedule, 10, step) for step in range(10)]
    np.testing.assert_allclose(factors, [1] * 3 + [0.2] * 3 + [0.04] * 2 + [0.008] * 2)


def test_history_holds_every_early_step_is_thinned_later_and_ends_where_the_replicate_ends():
    net = {"arch": "fcn", "depth": 1}
    cell = make_cell(net, max_steps=1_034, report_every=7, replicates=2)
    history = engine.train(cell, picture()).history
    for replicate in range(2):
        steps = [s for s, r in zip(history.step, history.replicate, strict=True) if r == replicate]
        assert steps == [*range(1_000), 1_000, 1_010, 1_020, 1_030, 1_034]
    losses = [m for m, r in zip(history.mse, history.replicate, strict=True) if r == 0]
    start = nets.initial_params(cell, [0])
    x = torch.tensor(picture())
    first = (nets.forward(cell.net, start, x) - x).square().mean().item()
    assert losses[0] == pytest.approx(first, rel=1e-5)
    assert losses[-1] < 0.01 * losses[0]


@pytest.mark.parametrize(
    "precision, mode", [("ieee", "ieee"), ("float64", "ieee"), ("tf32", "tf32")]
)
def test_precision_switches(precision, mode):
    nets.set_numerics(make_cell(precision=precision))
    assert torch.backends.cuda.matmul.fp32_precision == mode
    assert torch.backends.cudnn.conv.fp32_precision == mode
    assert torch.backends.cudnn.benchmark is False


def test_training_leaves_the_process_with_its_denormals():
    engine.train(make_cell("cnn", max_steps=1), picture())
    assert np.float64(5e-324) * 1 > 0
    assert torch.tensor([1e-40]).mul(1).item() > 0


def test_progress_shows_step_mse_speed_and_time_left():
    lines: list[str] = []
    progress = Progress("a-cell", 1_000, lines.append, seconds=0.0)
    progress(100, 0.5, 3, 0)
    progress(200, 0.25, 2, 1)
    for part in ("step 200/1,000", "2.50e-01", "steps/s", "min left", "restart 1"):
        assert part in lines[1]
    quiet = Progress("a-cell", 1_000, lines.append, seconds=60.0)
    quiet(100, 0.5, 3, 0)
    assert len(lines) == 2

"""Arithmetic against an independent count of what torch runs; memory; the resources of jobs."""

import math

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from idpipe import costs, nets
from idpipe.cells import NETS, SGD, Cell, transform_length
from idpipe.costs import KINDS, Prices, devices
from idpipe.engine import RULES, StackedOptimizer

FREE = Prices(dict.fromkeys(KINDS, 0.0))


def cell(net: dict, **settings) -> Cell:
    return Cell.model_validate({"replicates": 1, **settings, "net": net})


FIRST = {"examples": [{"label": 0}, {"label": 1}]}
TWO = {"examples": [{"label": 7}, {"label": 3}]}
CELLS = [
    cell({"arch": "cnn", "depth": 1}),
    cell({"arch": "cnn", "depth": 4, "width": 6, "kernel": 3, "bias": False}),
    cell({"arch": "cnn", "depth": 3, "width": 5, "kernel": 13}, data={"size": 9}),
    cell({"arch": "cnn", "depth": 3, "width": 5}, train_layers="bottom"),
    cell({"arch": "cnn", "depth": 2, "width": 4}, data={"source": "photos", **FIRST}),
    cell({"arch": "fcn", "depth": 1}, replicates=3),
    cell({"arch": "fcn", "depth": 4, "width": 30}, replicates=2),
    cell({"arch": "fcn", "depth": 3, "width": 30}, replicates=2, train_layers="bottom"),
    cell({"arch": "fcn", "depth": 2, "width": 784, "residual": True}),
    cell({"arch": "fcn", "depth": 2, "width": 9}, data={"examples": "all"}, batch_size=7),
]


def images_of(one: Cell) -> torch.Tensor:
    count = {"all": one.batch_size}.get(one.data.examples) or len(one.data.examples)
    return torch.randn(one.replicates, count, one.data.channels, one.data.size, one.data.size)


@pytest.mark.parametrize("one", CELLS, ids=lambda one: one.cell_id)
def test_products_are_those_that_torch_counts(one):
    params = nets.initial_params(one, range(one.replicates))
    for name in nets.trainable(one, params):
        params[name].requires_grad_(True)
    images = images_of(one)
    with FlopCounterMode(display=False) as forward:
        loss = nets.forward(one.net, params, images).square().sum()
    with FlopCounterMode(display=False) as backward:
        loss.backward()
    found = costs.flops(one)
    assert found.forward == forward.get_total_flops() > 0
    assert found.backward == backward.get_total_flops() > 0
    assert found.total == found.forward + found.backward + found.update


def test_replicates_multiply_and_only_what_trains_is_updated():
    one, three = (costs.flops(cell({"arch": "cnn", "depth": 3}, replicates=e)) for e in (1, 3))
    found = (three.forward, three.backward, three.update)
    assert found == (3 * one.forward, 3 * one.backward, 3 * one.update)
    whole = cell({"arch": "fcn", "depth": 2, "width": 10})
    bottom = cell({"arch": "fcn", "depth": 2, "width": 10}, train_layers="bottom")
    assert whole.parameters == 2 * 784 * 10
    assert costs.flops(whole).update == 4 * (whole.parameters + 10 + 784)
    assert costs.flops(bottom).update == 4 * (784 * 10 + 10)


@pytest.mark.parametrize("name", RULES)
def test_states_are_those_that_the_optimizer_keeps(name):
    one = cell({"arch": "cnn", "depth": 2, "width": 2}, optimizer={"name": name})
    params = list(nets.initial_params(one, [0]).values())
    memory = StackedOptimizer(one, params).memory
    assert one.optimizer.states == len(memory)


def test_gpu_memory_counts_parameters_gradients_and_what_the_optimizer_keeps():
    def held(**settings) -> int:
        return costs.vram_bytes(cell({"arch": "fcn", "depth": 2}, **settings))

    numbers = 2 * 784 * 2048 + 2048 + 784
    adam = {"optimizer": {"name": "adam"}}
    assert held(**adam) - held() == 4 * numbers
    assert held(replicates=4) - held(replicates=3) > 3 * 4 * numbers
    assert held() > costs.CONTEXT_BYTES + 3 * 4 * numbers
    # What does not train has neither gradient nor state.
    assert held() - held(train_layers="bottom") == 4 * 2 * (2048 * 784 + 784)
    assert held(**adam, train_layers="bottom") < held()


@pytest.mark.parametrize(("precision", "size"), [("ieee", 4), ("float64", 8)])
def test_a_gpu_holds_two_copies_for_the_four_of_a_processor_with_sgd(precision, size):
    """Weights, momentum and gradients with their biases; four times the weights there."""
    one = cell({"arch": "fcn", "depth": 2, "width": 9}, replicates=3, precision=precision)
    weights, biases = 2 * 784 * 9, 784 + 9
    copies = size * 3 * (weights + 2 * (weights + biases) - 4 * weights)
    assert costs.vram_bytes(one) == one.memory_bytes + costs.CONTEXT_BYTES + copies
    assert costs.number_bytes(one) == size


def test_memory_in_mib_is_that_in_bytes_none_short():
    one = cell({"arch": "fcn", "depth": 2, "width": 2048}, replicates=5)
    assert costs.vram_mib(one) * costs.MIB >= costs.vram_bytes(one)
    assert (costs.vram_mib(one) - 1) * costs.MIB < costs.vram_bytes(one)
    given = costs.memory_mib(one)
    assert isinstance(given, int)
    assert given - costs.PROCESS_MIB == pytest.approx(one.memory_bytes / 2**20, abs=1)


def test_what_no_pace_is_known_of_is_priced_at_its_whole_budget(monkeypatch):
    one = cell({"arch": "cnn", "depth": 2, "width": 2})
    assert costs.steps_expected(one) < one.max_steps
    with monkeypatch.context() as patch:
        patch.setattr(SGD, "speed", None)
        assert costs.steps_expected(one) == one.max_steps
    monkeypatch.setattr(NETS["cnn"], "pace", None)
    assert costs.steps_expected(one) == one.max_steps


@pytest.mark.parametrize(
    ("data", "batch", "expected"),
    [
        ({"examples": "all"}, 7, 7),
        ({"examples": "all"}, 5000, 1437),
        ({"examples": "all", "source": "image_folder"}, 5000, 5000),
        (TWO, 5000, 2),
        (TWO, 1, 1),
    ],
)
def test_a_step_shows_a_batch_or_all_there_are(data, batch, expected):
    one = cell({"arch": "cnn", "depth": 1}, data=data, batch_size=batch)
    assert costs.images_per_step(one) == expected


def test_bytes_of_the_parameters_are_those_that_a_step_of_sgd_moves():
    """Weights are read forwards and backwards, gradients written, and five passes update them."""
    one = cell({"arch": "fcn", "depth": 2, "width": 2048}, replicates=2)
    weights = 2 * 784 * 2048
    trained = weights + 2048 + 784
    found = costs.amounts(one)
    moved = 4 * 2 * (2 * weights + 6 * trained)
    assert found["byte 16"] + found["byte 128"] == pytest.approx(moved)
    # Parameters, gradients and momentum lie between the two measured sizes.
    held = 4e-6 * 2 * (weights + 2 * trained)
    assert 16 < held < 128
    share = found["byte 128"] / (found["byte 16"] + found["byte 128"])
    assert 16 * 8**share == pytest.approx(held)


def test_time_is_the_sum_of_what_was_asked_for_at_its_price():
    one = cell({"arch": "fcn", "depth": 3, "width": 30}, replicates=2)
    for kind, price, expected in (
        ("step", 2.0, 2.0),
        ("layer", 1.0, 3.0),
        ("dense", 1.0, costs.flops(one).forward + costs.flops(one).backward),
    ):
        at = Prices({**FREE.of, kind: price})
        assert costs.step_seconds(one, at) == pytest.approx(expected)
    double = one.model_copy(update={"precision": "float64"})
    at = Prices({**FREE.of, "step": 1.0, "dense": 1.0}, double=32.0)
    products = costs.step_seconds(one, at) - 1
    assert costs.step_seconds(double, at) == pytest.approx(1 + 32 * products)
    at = Prices({**FREE.of, "step": 2.0, "layer": 1.0})
    assert costs.step_seconds(double, at) == costs.step_seconds(one, at) == 5
    assert costs.training_seconds(one, at) == 5 * costs.steps_expected(one)


def test_a_convolution_between_two_measured_widths_costs_between_the_two():
    prices = {3: 8.0, 8: 6.0, 24: 4.0, 128: 2.0, 1024: 1.0}
    at = Prices({**FREE.of, **{f"convolution {c}": price for c, price in prices.items()}})

    def per_flop(width: int) -> float:
        one = cell({"arch": "cnn", "depth": 40, "width": width})
        return costs.step_seconds(one, at) / (costs.flops(one).forward + costs.flops(one).backward)

    found = [per_flop(width) for width in (2, 3, 10, 24, 60, 128, 400, 1024, 2048)]
    assert found == sorted(found, reverse=True)
    for width, price in ((2, 8), (3, 8), (8, 6), (24, 4), (128, 2), (1024, 1), (2048, 1)):
        assert per_flop(width) == pytest.approx(price, rel=0.05)
    assert 2 < per_flop(60) < 4


def test_large_kernels_of_narrow_nets_are_priced_by_transform_where_training_has_them():
    wide = {"arch": "cnn", "depth": 3, "width": 16, "kernel": 57}
    by_transform = costs.amounts(cell(wide))
    assert by_transform["transform"] > 0 == by_transform["convolution 24"]
    # Optimizers that divide gradients by their size go the direct way.
    direct = costs.amounts(cell(wide, optimizer={"name": "adam"}))
    assert direct["transform"] == 0
    assert by_transform["transform"] < sum(direct[f"convolution {c}"] for c in costs.CHANNELS)


def test_a_transform_is_counted_as_its_products_and_its_fourier_transforms():
    """By numpy's number of frequencies; 5 log2(N) operations for each, 8 in a complex multiply-add.

    Two images and three replicates; the bottom layer needs no gradient of its input.
    """
    net = {"arch": "cnn", "depth": 2, "width": 16, "kernel": 57}
    one = cell(net, replicates=3, data=TWO)
    length = transform_length(28, 57)
    waves, images = np.fft.rfft2(np.zeros((length, length))).size, 2 * 3
    products = 8 * images * 16 * waves
    transforms = (3 * 16 + images * 17) * waves * 5 * math.log2(length * length)
    assert costs.amounts(one)["transform"] == pytest.approx((2 + 3) * (products + transforms))


def test_a_job_is_given_more_time_than_expected_but_not_past_the_cap():
    one = cell({"arch": "cnn", "depth": 5}, max_steps=10**6)
    at = Prices({**FREE.of, "step": 1.0})
    expected = costs.steps_expected(one)
    assert 0 < 3 * expected < one.max_steps
    assert costs.training_minutes(one, at) == pytest.approx(6 * expected / 60, abs=1)
    capped = one.model_copy(update={"max_steps": expected})
    assert costs.training_minutes(capped, at) == pytest.approx(2 * expected / 60, abs=1)
    assert costs.training_minutes(one, FREE) == costs.SHORTEST_MINUTES
    assert costs.memory_mib(one) > one.memory_bytes / 2**20 + 500


def test_steps_expected_are_fewer_at_a_higher_rate_and_never_more_than_the_budget():
    def steps(**changes) -> int:
        net = {"arch": "cnn", "depth": 7, "width": 24}
        return costs.steps_expected(cell(net, **{"max_steps": 10**6, **changes}))

    rates = [steps(optimizer={"lr": lr}) for lr in (0.001, 0.0035, 0.01)]
    assert rates == sorted(set(rates), reverse=True)
    assert steps(stop_mse=1e-4) > 2 * steps(stop_mse=2e-3)
    assert steps(max_steps=100) == 100
    assert steps(stop_mse=0) == steps(data={"examples": "all"}) == 10**6
    assert steps() % 25 == 0


FCN, CNN = ({"arch": arch, "depth": 10, "width": 24} for arch in ("fcn", "cnn"))
HALF_SUM = {"loss": "half_sum", "data": {"source": "photos", "size": 20}}
HALF_SUM["optimizer"] = {"lr": 1e-4}
BY_LOG = 1 + 0.33 * math.log(10)


@pytest.mark.parametrize(
    ("net", "settings", "expected"),
    [
        # At the reference, 10 layers of 24 channels of 5 x 5: a plateau, then a decay.
        (FCN, {}, 400 + 45),
        (CNN, {}, 90 + 450),
        # The plateau grows with depth, shorter for linear networks, none for residual ones.
        ({**CNN, "depth": 20}, {}, 90 * 2**2.2 + 450),
        ({**FCN, "depth": 20}, {}, 400 * 2**2.4 + 45),
        ({**FCN, "activation": "linear"}, {}, 0.3 * 400 + 45),
        ({**FCN, "width": 784, "residual": True}, {"stop_mse": 2e-5}, 45 * (2 * BY_LOG - 1)),
        # The decay grows with the stop: of a ReLU CNN by a power, else by the logarithm.
        (CNN, {"stop_mse": 2e-4}, 90 + 450 * 10**0.45),
        ({**CNN, "activation": "linear"}, {"stop_mse": 2e-4}, 0.3 * 90 + 450 * BY_LOG),
        (FCN, {"stop_mse": 2e-4}, 400 + 45 * BY_LOG),
        (FCN, {"stop_mse": 0.02}, 400 + 45 * (2 - BY_LOG)),
        (FCN, {"stop_mse": 0.2}, 400),
        # That of a CNN with its shape; one layer has no width.
        ({**CNN, "width": 48}, {}, 90 + 450 * 2**-0.4),
        ({**CNN, "kernel": 13}, {}, 90 + 450 * 2.6**-0.5),
        ({**CNN, "depth": 2, "width": 48}, {}, 90 * 0.2**2.2 + 450 * 2**-0.4 * 0.4**0.5),
        ({"arch": "cnn", "depth": 1}, {}, 90 * 0.1**2.2 + 450 * 0.2**0.5),
        (CNN, {"data": {"source": "photos"}}, 90 + 450 * 3),
        # What multiplies all of it.
        (CNN, {"data": TWO}, 540 * 2**0.4),
        (CNN, {"train_layers": "bottom"}, 540 * 15),
        (CNN, {"optimizer": {"lr": 0.02}}, 540 / 2),
        (CNN, {"optimizer": {"momentum": 0.8}}, 540 * 2),
        (CNN, {"optimizer": {"momentum": 0.0}}, 540 * 10),
        (CNN, {"optimizer": {"name": "adam", "lr": 0.001}}, 540 / 50 * 10),
        (CNN, {"optimizer": {"name": "adagrad", "lr": 0.01}}, 540 / 3),
        (CNN, {"init": "kaiming_normal"}, 540 / 2),
        (CNN, {"init": "kaiming_normal", "optimizer": {"lr": 0.005}}, 540),
        (CNN, {"init": "printed"}, 540),
        (FCN, {"init": "kaiming_normal"}, 445),
        # Half the sum of squares is a larger rate: half as many times as an image has numbers.
        (CNN, HALF_SUM, (90 + 450 * 3) * 100 / (3 * 20 * 20 / 2)),
    ],
)
def test_steps_expected_follow_from_the_constants_as_they_are_described(net, settings, expected):
    reference = {"stop_mse": 0.002, "max_steps": 10**6, "report_every": 1}
    one = cell(net, **{**reference, **settings})
    assert costs.steps_expected(one) == pytest.approx(expected, abs=1)


def test_under_momentum_an_error_shrinks_by_no_more_than_that_in_each_step():
    net = {"arch": "fcn", "depth": 1}
    for momentum, stop in ((0.9, 1e-18), (0.98, 1e-14)):
        settings = {"optimizer": {"lr": 10.0, "momentum": momentum}, "stop_mse": stop}
        one = cell(net, **settings, report_every=1)
        steps = costs.steps_expected(one)
        assert momentum**steps <= stop < momentum ** (steps - 1)


def test_showing_more_images_takes_longer():
    one = cell({"arch": "cnn", "depth": 5}, replicates=2)
    at = Prices({**FREE.of, **{f"convolution {c}": 1e-9 for c in costs.CHANNELS}})
    forward = costs.flops(one).forward / one.replicates
    seconds = 2 * costs.LONGER * one.replicates * forward * 1e-9 * 1e4
    assert costs.forward_minutes(one, at, 1e4) == pytest.approx(seconds / 60, rel=0.01)
    assert costs.forward_minutes(one, at, 0.0) == costs.SHORTEST_MINUTES
    # How many a step of training shows does not matter.
    two = cell({"arch": "cnn", "depth": 5}, replicates=2, data=TWO)
    assert costs.forward_minutes(two, at, 1e4) == costs.forward_minutes(one, at, 1e4)


@pytest.mark.parametrize("arch", ["cnn", "fcn"])
@pytest.mark.parametrize(
    "settings",
    [
        {"stop_mse": 5e-324},
        {"optimizer": {"lr": 5e-324}},
        {"optimizer": {"lr": 1.7e308}},
        {"optimizer": {"lr": 5e-324}, "loss": "half_sum"},
        {"optimizer": {"name": "adam", "lr": 5e-324}},
        {"stop_mse": 1.7e308},
    ],
)
def test_numbers_at_the_edge_of_what_floats_hold_are_planned_with(arch, settings):
    one = cell({"arch": arch, "depth": 5, "width": 8}, max_steps=1000, **settings)
    steps = costs.steps_expected(one)
    assert steps == 1000 if 5e-324 in (one.stop_mse, one.optimizer.lr) else 0 < steps <= 1000
    assert costs.training_minutes(one, devices.for_jobs().prices) > 0

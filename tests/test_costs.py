"""Arithmetic against an independent count of what torch runs; memory; the resources of jobs."""

import subprocess
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from idpipe import costs, nets
from idpipe.cells import Cell
from idpipe.costs import KINDS, Prices
from idpipe.optim import RULES, Optimizer

FREE = Prices(dict.fromkeys(KINDS, 0.0))


def cell(net: dict, **settings) -> Cell:
    return Cell.model_validate({"replicates": 1, **settings, "net": net})


CELLS = [
    cell({"arch": "cnn", "depth": 1}),
    cell({"arch": "cnn", "depth": 4, "width": 6, "kernel": 3, "bias": False}),
    cell({"arch": "cnn", "depth": 3, "width": 5, "kernel": 13}, data={"size": 9}),
    cell({"arch": "cnn", "depth": 3, "width": 5}, train_layers="bottom"),
    cell(
        {"arch": "cnn", "depth": 2, "width": 4},
        data={"source": "photos", "examples": [{"label": 0}, {"label": 1}]},
    ),
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
    assert (three.forward, three.backward, three.update) == (
        3 * one.forward,
        3 * one.backward,
        3 * one.update,
    )
    whole = cell({"arch": "fcn", "depth": 2, "width": 10})
    bottom = cell({"arch": "fcn", "depth": 2, "width": 10}, train_layers="bottom")
    assert whole.parameters == 2 * 784 * 10
    assert costs.flops(whole).update == 4 * (whole.parameters + 10 + 784)
    assert costs.flops(bottom).update == 4 * (784 * 10 + 10)


@pytest.mark.parametrize("name", RULES)
def test_states_are_those_that_the_optimizer_keeps(name):
    one = cell({"arch": "cnn", "depth": 2, "width": 2}, optimizer={"name": name})
    params = list(nets.initial_params(one, [0]).values())
    memory = Optimizer(one, params).memory
    assert costs.STATES[name] == len(memory)
    assert name in costs.UPDATE_FLOPS and name in costs.UPDATE_PASSES


def test_gpu_memory_counts_parameters_gradients_and_what_the_optimizer_keeps():
    def held(**settings) -> int:
        return costs.vram_bytes(cell({"arch": "fcn", "depth": 2}, **settings))

    numbers = 2 * 784 * 2048 + 2048 + 784
    adam = {"optimizer": {"name": "adam"}}
    assert held(**adam) - held() == 4 * numbers
    assert held(replicates=4) - held(replicates=3) > 3 * 4 * numbers
    assert held() > costs.CONTEXT_BYTES + 3 * 4 * numbers
    assert held(**adam, train_layers="bottom") < held()


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


def test_a_convolution_between_two_measured_widths_costs_between_the_two():
    prices = {
        f"convolution {c}": p for c, p in ((3, 8.0), (8, 6.0), (24, 4.0), (128, 2.0), (1024, 1.0))
    }
    at = Prices({**FREE.of, **prices})

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


def test_nothing_heavy_is_imported():
    code = (
        "import sys, idpipe.costs;"
        "print([m for m in ('torch', 'numpy', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

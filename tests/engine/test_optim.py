"""Stacked updates against PyTorch's own optimizer objects, one for each replicate."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from idpipe.cells import Cell, Schedule
from idpipe.engine import RULES, StackedOptimizer
from idpipe.engine.optim import stage_factor

pytestmark = pytest.mark.numerical

# Our settings, none of them a default, and the object that PyTorch makes of the same.
THEIRS = {
    "sgd": lambda p: torch.optim.SGD(p, momentum=0.7, weight_decay=0.3),
    "nesterov": lambda p: torch.optim.SGD(p, momentum=0.7, nesterov=True),
    "adagrad": lambda p: torch.optim.Adagrad(p, eps=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, alpha=0.8, eps=0.1, momentum=0.6),
    "adam": lambda p: torch.optim.Adam(p, betas=(0.7, 0.8), eps=0.1),
    "adamax": lambda p: torch.optim.Adamax(p, betas=(0.7, 0.8), eps=0.1),
}
OURS = {
    "sgd": {"name": "sgd", "momentum": 0.7, "weight_decay": 0.3},
    "nesterov": {"name": "sgd", "momentum": 0.7, "nesterov": True},
    "adagrad": {"name": "adagrad", "eps": 0.1},
    "rmsprop": {"name": "rmsprop", "alpha": 0.8, "eps": 0.1, "momentum": 0.6},
    "adam": {"name": "adam", "beta1": 0.7, "beta2": 0.8, "eps": 0.1},
    "adamax": {"name": "adamax", "beta1": 0.7, "beta2": 0.8, "eps": 0.1},
}
RATES = (0.1, 0.05, 0.2, 0.01, 0.3, 0.1)
REPLICATES = 3


def drawn(seed: int) -> list[torch.Tensor]:
    """Numbers of the shape of two stacked parameters."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((REPLICATES, 4, 2), (REPLICATES, 4))
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def ours(name: str, params: list[torch.Tensor]) -> StackedOptimizer:
    net = {"arch": "fcn", "depth": 1}
    return StackedOptimizer(Cell.model_validate({"net": net, "optimizer": OURS[name]}), params)


def theirs(name: str, replicate: int) -> list[torch.Tensor]:
    """What PyTorch's optimizer makes of one replicate."""
    params = [p[replicate].clone().requires_grad_() for p in drawn(0)]
    updater = THEIRS[name](params)
    for step, rate in enumerate(RATES, 1):
        updater.param_groups[0]["lr"] = rate
        for param, grad in zip(params, drawn(step), strict=True):
            param.grad = grad[replicate].clone()
        updater.step()
    return [param.detach() for param in params]


def assert_equal(name: str, params: list[torch.Tensor], replicates: list[int]) -> None:
    for row, replicate in enumerate(replicates):
        moved = [param[row] for param in params]
        torch.testing.assert_close(moved, theirs(name, replicate), rtol=1e-12, atol=1e-13)


def test_every_rule_is_compared():
    assert {settings["name"] for settings in OURS.values()} == set(RULES)


@pytest.mark.parametrize("name", OURS)
def test_each_replicate_moves_as_by_an_optimizer_of_its_own(name):
    optimizer = ours(name, params := drawn(0))
    for step, rate in enumerate(RATES, 1):
        optimizer.step(drawn(step), rate)
    assert_equal(name, params, [*range(REPLICATES)])


@pytest.mark.parametrize("name", OURS)
def test_another_goes_on_from_what_it_remembers(name):
    optimizer = ours(name, params := drawn(0))
    for step, rate in enumerate(RATES, 1):
        optimizer.step(drawn(step), rate)
        held = {place: value.clone() for place, value in optimizer.tensors().items()}
        optimizer = ours(name, params)
        optimizer.load(held)
        assert held.keys() == optimizer.tensors().keys()
    assert_equal(name, params, [*range(REPLICATES)])


@pytest.mark.parametrize("name", OURS)
def test_rows_that_are_kept_go_on_as_if_the_others_had_never_been(name):
    optimizer, kept = ours(name, params := drawn(0)), torch.tensor([2, 0])
    for step, rate in enumerate(RATES, 1):
        if step == 4:
            optimizer.keep_rows(params := [param[kept] for param in params], kept)
        grads = drawn(step) if step < 4 else [grad[kept] for grad in drawn(step)]
        optimizer.step(grads, rate)
    assert_equal(name, params, kept.tolist())


def test_the_memory_is_as_precise_as_the_parameters_and_steps_are_counted_from_zero():
    for name in OURS:
        found = ours(name, drawn(0)).tensors()
        assert not any(value.any() for value in found.values())
        assert {v.dtype for k, v in found.items() if "memory" in k} == {torch.float64}


@pytest.mark.parametrize("name", OURS)
def test_memory_lies_beside_the_parameters_and_steps_where_the_rule_wants_them(name):
    shape, held = (2, 3), ours(name, [torch.zeros(2, 3)]).tensors()
    optimizer = ours(name, [torch.empty(shape, device="meta")])
    steps = "meta" if name in ("adam", "adamax") else "cpu"
    for _ in ("made", "loaded"):
        for place, value in optimizer.tensors().items():
            assert value.device.type == (steps if place.startswith("done") else "meta")
        optimizer.load(held)


def test_no_milestone_is_passed_before_the_first_step_is_made():
    schedule = Schedule()
    assert [stage_factor(schedule, 2, step) for step in (0, 1)] == [1, 0.2]
    assert stage_factor(schedule, 1, 0) == 1


@pytest.mark.parametrize(("name", "one"), [*zip(OURS, (1, 1, 0, 0, 1, 0), strict=True)])
def test_a_rule_that_pytorch_has_one_kernel_for_runs_it(name, one):
    optimizer, ran = ours(name, drawn(0)), []

    class Ran(TorchDispatchMode):
        def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
            ran.append(operation.__name__)
            return operation(*args, **(kwargs or {}))

    with Ran():
        optimizer.step(drawn(1), 0.1)
    assert any("fused" in operation for operation in ran) == bool(one)

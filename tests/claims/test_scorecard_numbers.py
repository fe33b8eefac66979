"""Every part's number in the made-up run, by hand from how its networks were made.

There an identity of quality q correlates by q with its input and by q rho with the training image,
a constant the other way round; a `pull` k by 0.9 rho and k + (1 - k) rho. Replicates lie 0.004
apart, which leaves means as they are; far probes have a mean rho of 0.25.
"""

import math

import pytest
from scorecard_world import World, identity, neither, noise, paper

from idpipe.claims.catalogue import claims
from idpipe.claims.verdicts import judge

FAR = 0.25
LEAN = 0.95 * (1 - FAR)
"""How much closer to what it makes than to the other reference a map of quality 0.95 is."""
JITTER = 0.004 * 2 / 3
"""Mean size of what should be 0."""


def lean_of_pull(k: float) -> float:
    return (k + (1 - k) * FAR) - 0.9 * FAR


def log_ratio(high: float, low: float) -> float:
    """Of errors 2 (1 - close), over replicates."""
    return sum(math.log10((high - 2 * j) / (low - 2 * j)) for j in (-0.004, 0, 0.004)) / 3


BY_CLAIM = {
    "c01": {"cnn": 0.95, "fcn": 0.4},
    "c02": {"deviation": -5},
    "c03": {"relu": 0.96, "linear": lean_of_pull(0.9), "deeper": 0.96 - 0.3},
    "c04": {"constant": JITTER, "identity": JITTER},
    "c05": {"identity": 0.95},
    "c06": {"constant": LEAN},
    "c07": {"identity": 0.5, "constant": 0.5},
    "c08": {
        "loss": 0.5 - 0.2,
        "recovery": 0.5 - 0.25,
        "untrained_first": 0.9 - 0.3,
        "untrained_later": 0.9 - 0.88,
    },
    "c09": {"larger": 0.95, "smaller": 0.5},
    "c10": {"range": 0.95 - 0.95 * 0.3, "smaller": (0 + 0 + 0.95 - 0.3) / 3},
    "c11": {"smaller": 0.9 - 0.4},
    "c12": {"blur": 1.0 - 0.5, "constant": LEAN},
    "c13": {"wide": 0.95, "narrow": 0.5},
    "c14": {"constant": LEAN},
    "c15": {"deep": 1, "shallow": 0},
    "c16": {"example": 0.3 - 0.05, "effect": (0.9 - 0.05) - (0.05 - 0.05)},
    "c17": {"noise": JITTER, "constant": 0.5},
    "c18": {"sooner": ((0.3 - 0.05) + (0.8 - 0.3) + (0.95 - 0.9)) / 3},
    "c19": {"relu": JITTER, "linear": JITTER},
    "c20": {"less": math.log10(0.5 / 0.05), "moves": math.log10(0.05), "still": -3},
    "c21": {"upper": 0.9},
    "c22": {"shallow": 0.8 * (1 - FAR), "artifacts": log_ratio(0.4, 0.1), "xavier": LEAN},
    "c23": {"differ": 2 * LEAN},
    "c24": {"reruns": 0, "shallow": 0.95, "deep": LEAN},
    "c25": {"fcn": 0.95, "cnn": 0.95},
    "c26": {"identity": 0.95},
    "c27": {
        "identity": 0.8 * (1 - FAR),
        "vanilla": sum(
            q * (1 - FAR) + lean_of_pull(k) for q, k in ((0.95, 0.3), (0.9, 0.8), (0.8, 0.95))
        )
        / 3,
        "noisier": log_ratio(0.4, 0.1),
    },
    "c28": {"fcn_shallow": JITTER, "fcn_deep": 0.95, "cnn_shallow": 0.95, "cnn_deep": LEAN},
    "c29": {"ranks": 1},
    "c30": {"counts": 0},
    "c31": {
        "kernel": 0.5 * 1.095,
        "rank": 1,
        "full": math.log10(1e-12 * 1.095),
        "bound": math.log10(0.1 * 1.095 / 50),
    },
}
NUMBERS = {f"{claim}.{part}": v for claim, of in BY_CLAIM.items() for part, v in of.items()}


def numbers(world: World) -> dict[str, float]:
    judgements = judge(world.results(), claims(), 0.95)
    return {o.part.key: o.value for judgement in judgements for o in judgement.outcomes}


def test_every_number_is_what_the_run_was_made_with():
    assert numbers(paper()) == pytest.approx(NUMBERS, abs=2e-5)


def test_a_mixture_is_that_of_the_deepest_network_in_the_range_of_its_architecture():
    world, images = paper(), "7/3 4/0"
    for arch, mixture in (("fcn", 0.9), ("cnn", 0.8)):
        world[f"few_examples {arch} {images}"].evidence["mixture"] = mixture
    for arch, depth, mixture in (("fcn", 12, 0.1), ("cnn", 10, 0.2), ("cnn", 24, 0.7)):
        net = world.add(f"few_examples {depth}", neither, arch, depth, 2048, examples=images)
        net.evidence["mixture"] = mixture
    found = numbers(world)
    assert (found["c25.fcn"], found["c25.cnn"]) == pytest.approx((0.9, 0.7))


def test_about_14_layers_is_the_nearest_to_them():
    world = paper()
    for depth in (13, 15):
        world.add(f"cnn_depth {depth}", identity(), "cnn", depth, 128)
    assert numbers(world)["c07.identity"] == pytest.approx(0.5)


def test_neither_input_nor_output_is_a_hidden_layer():
    world = paper()
    for depth in (7, 14):
        rates = [0.6, 0.5, *[0.3] * (depth - 2), 0.7]
        world[f"cnn_depth {depth}"].layers["error_rate trained"] = rates
    found = numbers(world)
    assert found["c08.loss"] == pytest.approx(0.5 - 0.6)
    assert found["c08.recovery"] == pytest.approx(0.5 - 0.7)


def test_one_layer_counts_among_all_depths():
    world = paper()
    world["fcn_relu_depth 1"].does = lambda rho, size: (0.5 + rho / 3, rho)
    world["cnn_depth 1"].error = lambda close: close
    found = numbers(world)
    assert found["c19.relu"] == pytest.approx(0.5)
    assert found["c29.ranks"] < 0.99


def test_ranks_leave_out_the_training_image_itself_and_need_three_networks():
    world = paper()
    world.drop(*(f"cnn_depth {depth}" for depth in (1, 3, 7)))
    net = world["cnn_depth 5"]
    net.does = lambda rho, size: (0.99, 0.99) if rho == 1 else (0.95, 0.95 * rho)
    net.error = lambda close: 5.0 if close > 0.98 else 2 * (1 - close)
    assert numbers(world)["c29.ranks"] == pytest.approx(1)


def test_colour_networks_are_told_apart_by_architecture():
    world = paper()
    for image in ("5/0", "0/0"):
        about = {"source": "cifar10", "size": 32, "examples": image}
        world.add(f"colour fcn 4 {image}", noise, "fcn", 4, 128, **about)
    assert numbers(world)["c28.cnn_shallow"] == pytest.approx(0.95)


def test_kernels_of_theorem_2_are_compared_on_one_training_image():
    world = paper()
    for kernel, error in ((3, 0.2), (5, 0.25), (9, 0.3)):
        about = {"kernel": float(kernel), "size": 8, "activation": "linear", "examples": "0/0"}
        net = world.add(f"theorem2 0/0 {kernel}", identity(), "cnn", 1, 128, **about)
        net.error = lambda close, error=error: error * (1 + 0.1 * close)
        net.evidence |= {"null_dimension": float(kernel), "bound": 10.0}
    assert numbers(world)["c31.kernel"] == pytest.approx((0.3 - 0.2) * 1.095)

"""Verdicts on a made-up run in which every claim holds, and what turns each of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import pytest
from scorecard_world import (
    World,
    at_sizes,
    constant,
    identity,
    neither,
    noise,
    paper,
    pull,
)

from idpipe.claims import formulas, verdicts
from idpipe.claims.catalogue import Part, claims
from idpipe.claims.networks import Run
from idpipe.claims.samples import Untestable
from idpipe.claims.verdicts import FAILED, REPRODUCED, UNTESTABLE, Judgement, judge

CLAIMS = {claim.id: claim for claim in claims()}
PARTS = [part.key for claim in claims() for part in claim.parts]


def judged(world: World, name: str) -> Judgement:
    (judgement,) = judge(world.results(CLAIMS[name].studies), [CLAIMS[name]], 0.95)
    return judgement


def outcome(world: World, key: str):
    return next(o for o in judged(world, key.split(".")[0]).outcomes if o.part.key == key)


Change = Callable[[World], None]


def attribute(name: str, value: object, *keys: str) -> Change:
    def change(world: World) -> None:
        for key in keys:
            setattr(world[key], name, value)

    return change


does = partial(attribute, "does")
errs = partial(attribute, "error")


def knows(key: str, **evidence: float) -> Change:
    return lambda world: world[key].evidence.update(evidence)


def layers(what: str, values: Iterable[float], *keys: str) -> Change:
    def change(world: World) -> None:
        for key in keys:
            world[key].layers[what] = list(values)

    return change


def ends(status: str, mse: float, *keys: str) -> Change:
    def change(world: World) -> None:
        attribute("statuses", [status] * 3, *keys)(world)
        attribute("train_mse", mse, *keys)(world)

    return change


def apart(world: World) -> None:
    """Three runs of one problem: an identity, something in between, a constant."""
    for depth in (7, 14):
        net = world[f"cnn_depth {depth}"]
        net.does, net.spread, net.tilted = neither, [0.45, 0.0, -0.45], True
    world.drop("cnn_depth 1", "cnn_depth 3")


def unordered(study: str) -> Change:
    """Errors that do not follow from correlations."""

    def change(world: World) -> None:
        for net in world.of(study):
            net.error = lambda close: (close * 1000) % 7

    return change


def optimizers_alike(world: World) -> None:
    for net in world.of("cnn_optimizer"):
        net.does = identity(0.9 + 0.02 * len(net.columns["optimizer"]) / 6)


DEEP = [f"cnn_narrow_depth {depth}" for depth in (9, 12, 20)]

# Part -> a change of the world after which the paper would not have said it.
TURNS: dict[str, Change] = {
    "c01.cnn": does(identity(0.6), "all_examples cnn 20"),
    "c01.fcn": does(identity(0.95), "all_examples fcn 10"),
    "c02.deviation": knows("theorem1", theorem1_deviation=0.3),
    "c03.relu": does(pull(0.6), "fcn_relu_depth 12"),
    "c03.linear": does(identity(), "fcn_linear_depth 10 2048"),
    "c03.deeper": does(pull(0.99), "fcn_relu_depth 2"),
    "c04.constant": does(pull(0.5), "fcn_linear_depth 1 2048"),
    "c04.identity": does(lambda rho, size: (-0.5, 0.0), "fcn_linear_depth 1 2048"),
    "c05.identity": does(lambda rho, size: (0.95 if rho > 0.1 else 0.6, rho), "cnn_depth 3"),
    "c06.constant": does(identity(), "cnn_depth 20"),
    "c07.identity": does(identity(), "cnn_depth 14"),
    "c07.constant": does(constant(), "cnn_depth 14"),
    "c08.loss": layers("error_rate trained", [0.5] + [0.5] * 14, "cnn_depth 7", "cnn_depth 14"),
    "c08.recovery": lambda world: [
        layers("error_rate trained", [0.2 + 0.04 * n for n in range(depth + 1)], key)(world)
        for depth, key in ((7, "cnn_depth 7"), (14, "cnn_depth 14"))
    ],
    "c08.untrained_first": layers("error_rate untrained", [0.2] + [0.88] * 20, "cnn_depth 20"),
    "c08.untrained_later": layers("error_rate untrained", [0.2] + [0.5] * 20, "cnn_depth 20"),
    "c09.larger": does(at_sizes({112: (0.5, 0.1), 7: (0.5, 0.1)}, identity()), "cnn_depth 5"),
    "c09.smaller": does(identity(), "cnn_depth 5"),
    "c10.range": does(at_sizes({14: (0.9, 0.2), 56: (0.9, 0.2)}, constant()), "cnn_depth 20"),
    "c10.smaller": does(constant(0.99), "cnn_depth 20"),
    "c11.smaller": does(constant(0.3), "cnn_image_size 7 3", "cnn_image_size 7 10"),
    "c12.blur": knows("cnn_kernel 29", sharpness=1.0),
    "c12.constant": does(identity(), "cnn_kernel 57"),
    "c13.wide": does(neither, "cnn_channels 5 1024"),
    "c13.narrow": does(identity(), "cnn_channels 5 3"),
    "c14.constant": does(identity(), "cnn_channels 20 1024"),
    "c15.deep": ends("converged", 1e-4, *DEEP),
    "c15.shallow": ends("dead", 0.5, *(f"cnn_narrow_depth {d}" for d in (3, 5, 8))),
    "c16.example": does(pull(0.5), "fcn_linear_depth 2 2048"),
    "c16.effect": does(pull(0.98), "fcn_linear_depth 2 2048"),
    "c17.noise": does(pull(0.4), "fcn_two_layer bottom"),
    "c17.constant": does(noise, "fcn_two_layer all"),
    "c18.sooner": lambda world: [
        does(pull(0.99), f"fcn_linear_depth {depth} 2048")(world) for depth in (2, 4, 10)
    ],
    "c19.relu": does(lambda rho, size: (0.6, 0.3), "fcn_relu_depth 4"),
    "c19.linear": does(lambda rho, size: (-0.6, 0.3), "fcn_linear_depth 4 2048"),
    "c20.less": layers("distance trained", [0.9] * 20, "cnn_depth 20"),
    "c20.moves": layers("distance trained", [0.001] + [0.3] * 19, "cnn_depth 20"),
    "c20.still": layers("distance trained", [0.2] * 12, "fcn_relu_depth 12"),
    "c21.upper": knows("cnn_depth 20", upper10=0.2),
    "c22.shallow": does(constant(), "cnn_init 3 orthogonal"),
    "c22.artifacts": does(identity(), "cnn_init 3 kaiming_normal", "cnn_init 3 kaiming_uniform"),
    "c22.xavier": does(identity(), "cnn_init 20 xavier_uniform"),
    "c23.differ": optimizers_alike,
    "c24.reruns": apart,
    "c24.shallow": does(neither, "cnn_other_image 5 0/0"),
    "c24.deep": does(identity(), "cnn_other_image 20 3/0"),
    "c25.fcn": knows("few_examples fcn 7/3 4/0 0/0", mixture=0.5),
    "c25.cnn": knows("few_examples cnn 7/3 4/0", mixture=0.5),
    "c26.identity": does(identity(0.6), "all_examples cnn 24"),
    "c27.identity": does(constant(), "fcn_residual 10"),
    "c27.vanilla": lambda world: [
        does(identity(), f"fcn_relu_depth {depth}")(world) for depth in (2, 4, 10, 12)
    ],
    "c27.noisier": does(identity(0.6), "fcn_residual 2"),
    "c28.fcn_shallow": does(pull(0.5), "colour fcn 1 0/0"),
    "c28.fcn_deep": does(noise, "colour fcn 10 5/0"),
    "c28.cnn_shallow": does(neither, "colour cnn 5 0/0"),
    "c28.cnn_deep": does(identity(), "colour cnn 20 5/0"),
    "c29.ranks": unordered("cnn_depth"),
    "c31.kernel": errs(lambda close: 1e-14 * (1 + close), "theorem2 9"),
    "c31.rank": knows("theorem2 5", null_dimension=80.0),
    "c31.full": errs(lambda close: 0.01 * close, "theorem2 3"),
    "c31.bound": knows("theorem2 9", bound=0.1),
}


def test_all_claims_hold_in_a_run_that_is_as_the_paper_has_it():
    judgements = judge(paper().results(), claims(), 0.95)
    assert {j.claim.id: (j.verdict, j.reason) for j in judgements} == {
        f"c{number:02d}": (REPRODUCED, "") for number in range(1, 32)
    }


def test_every_part_has_a_change_that_turns_it():
    assert set(TURNS) == set(PARTS) - {"c30.counts"}


@pytest.mark.parametrize("key", TURNS)
def test_a_claim_fails_where_one_of_its_parts_does(key):
    world = paper()
    TURNS[key](world)
    found = outcome(world, key)
    judgement = judged(world, key.split(".")[0])
    assert (found.verdict, judgement.verdict) == (FAILED, FAILED), (found.value, found.half)
    assert "other side" in judgement.reason


def test_table1_fails_where_the_paper_counts_otherwise(monkeypatch, tmp_path):
    lines = Path(formulas.__file__).with_name("table1.csv").read_text().splitlines()
    assert len(lines) == 1 + 99
    lines[5] = lines[5].rpartition(",")[0] + ",12"
    (tmp_path / "table1.csv").write_text("\n".join([*lines, "new section,row,3,7"]))
    monkeypatch.setattr(formulas, "__file__", str(tmp_path / "formulas.py"))
    found = outcome(paper(), "c30.counts")
    assert (found.verdict, found.value, found.half) == (FAILED, 2.0, 0.0)


# --- What cannot be tested ---------------------------------------------------------------------


def drops(*keys: str) -> Change:
    return lambda world: world.drop(*keys)


def without(study: str) -> Change:
    return lambda world: world.drop(*[k for k, net in world.items() if net.study == study])


def sets(study: str, **columns: object) -> Change:
    def change(world: World) -> None:
        for net in world.of(study):
            net.columns |= columns

    return change


def ended(key: str, *statuses: str) -> Change:
    return attribute("statuses", [*statuses], key)


NARROW = "cnn_narrow_depth 9"
REASONS: dict[str, tuple[str, Change, str]] = {
    "study": ("c08", without("cnn_depth"), "The run has no study cnn_depth"),
    "depth": ("c06", drops("cnn_depth 20"), "cnn_depth has no network of 20 layers"),
    "range": ("c07", drops("cnn_depth 14"), "no network of 13 to 15 layers"),
    "width": ("c14", drops("cnn_channels 20 1024"), "20 layers, width 1024"),
    "narrow cnn": ("c06", sets("cnn_depth", width=8), "too narrow: 8 channels, 16 are needed"),
    "narrow fcn": ("c03", sets("fcn_relu_depth", width=256), "256 hidden units, 784 are needed"),
    "one layer alone": ("c29", sets("cnn_depth", width=8), "too narrow: 8 channels, 16"),
    "few depths": (
        "c29",
        drops("fcn_relu_depth 1", "fcn_relu_depth 2", "fcn_relu_depth 4"),
        "Fewer than three networks of fcn_relu_depth count",
    ),
    "no deep fcn": (
        "c19",
        drops("fcn_linear_depth 10 2048", "fcn_linear_depth 10 784"),
        "fcn_linear_depth has no network of 10 or more layers",
    ),
    "no anchor": ("c24", drops("cnn_depth 20"), "cnn_depth has no network of 20 layers"),
    "one seed": ("c06", ended("cnn_depth 20", "converged"), "One replicate gives no interval"),
    "init": (
        "c22",
        drops("cnn_init 3 orthogonal"),
        "cnn_init has no network of init orthogonal, 3 layers",
    ),
    "unfit theorem": (
        "c02",
        ends("max_steps", 0.3, "theorem1"),
        "0 of 3 replicates count (3 not fitting the training image): 1-layer FCN of theorem1.",
    ),
    "unfit pair": (
        "c17",
        ends("max_steps", 0.3, "fcn_two_layer bottom"),
        "2-layer FCN (2048 hidden units) of fcn_two_layer",
    ),
    "one narrow seed": ("c15", ended(NARROW, "dead"), "One replicate gives no interval"),
    "dead": (
        "c06",
        ended("cnn_depth 20", "dead", "dead", "converged"),
        "1 of 3 replicates count (2 dead): 20-layer CNN (128 channels) of cnn_depth.",
    ),
    "most dead": (
        "c06",
        ended("cnn_depth 20", "dead", "dead", "diverged", "converged", "converged"),
        "2 of 5 replicates count (2 dead, 1 diverged): 20-layer CNN",
    ),
    "unfit": (
        "c06",
        ends("max_steps", 0.3, "cnn_depth 20"),
        "0 of 3 replicates count (3 not fitting the training image): 20-layer CNN",
    ),
    "source": ("c26", sets("all_examples", source="digits"), "digits, the claim is of mnist"),
    "colours": ("c28", sets("colour", source="photos"), "photos, the claim is of cifar10"),
    "budget": ("c15", ends("max_steps", 0.3, NARROW), "9 layers of cnn_narrow_depth were"),
    "rho": ("c04", attribute("rho", (0.5, 1.0), "fcn_linear_depth 1 2048"), "rho = 0"),
    "sizes": ("c09", attribute("sizes", (7, 14), "cnn_depth 5"), "not shown probes of 112 x 112"),
    "layers": ("c20", attribute("layers", {}, "cnn_depth 5"), "have no distance"),
    "evidence": ("c21", attribute("evidence", {}, "cnn_depth 20"), "no upper10"),
    "images": ("c25", sets("few_examples", examples="7/3 4/0"), "no network of 3 training images"),
    "two alike": (
        "c06",
        lambda w: w.add("cnn_depth 20 again", constant(), "cnn", 20, 128, lr=0.1),
        "cnn_depth has 2 networks of 20 layers, not one",
    ),
}


@pytest.mark.parametrize("what", REASONS)
def test_what_cannot_be_tested_says_why(what):
    name, change, reason = REASONS[what]
    world = paper()
    change(world)
    judgement = judged(world, name)
    assert judgement.verdict == UNTESTABLE
    assert reason in judgement.reason
    assert judgement.reason.endswith(".")


def test_a_claim_with_a_failing_part_fails_whatever_cannot_be_tested():
    world = paper()
    TURNS["c09.larger"](world)
    assert judged(world, "c09").verdict == FAILED
    world["cnn_depth 5"].sizes = (112,)
    judgement = judged(world, "c09")
    assert [o.verdict for o in judgement.outcomes] == [FAILED, UNTESTABLE]
    assert judgement.verdict == FAILED and judgement.reason.startswith("larger: ")


def test_budgets_of_the_paper_tell_that_a_network_does_not_converge():
    world = paper()
    attribute("statuses", ["max_steps"] * 3, *DEEP)(world)
    attribute("steps", 2_000_000, *DEEP)(world)
    assert judged(world, "c15").verdict == REPRODUCED


def test_an_error_at_the_limit_fits_and_its_network_counts():
    for name, status, keys, verdict in (
        ("c15", "converged", DEEP, FAILED),
        ("c15", "max_steps", DEEP, FAILED),
        ("c06", "converged", ["cnn_depth 20"], REPRODUCED),
    ):
        world = paper()
        ends(status, 0.01, *keys)(world)
        assert judged(world, name).verdict == verdict


def test_of_several_widths_the_largest_that_is_no_single_layers_decides():
    world = World()
    for depth, width in ((1, 9), (1, 5000), (2, 4096), (4, 2048)):
        world.add(f"fcn {depth} {width}", noise, "fcn", depth, width)
    world.add("single 1", noise, "fcn", 1, 9)
    world.add("narrow 2", noise, "fcn", 2, 9)
    run = Run(world.results())
    assert [(rung["depth"], rung["width"]) for rung in run.rungs("fcn")] == [(2, 4096)]
    assert [rung["width"] for rung in run.rungs("single")] == [9]
    with pytest.raises(Untestable, match="narrow is too narrow"):
        run.rungs("narrow")


def test_where_no_network_counts_the_reason_is_told():
    world = paper()
    ends("dead", 0.5, *(f"cnn_kernel {kernel}" for kernel in (5, 29, 57)))(world)
    with pytest.raises(Untestable, match=r"0 of 3 replicates count \(3 dead\)"):
        Run(world.results()).some("cnn_kernel")


def test_two_replicates_are_enough():
    world = paper()
    for net in world.of("cnn_narrow_depth"):
        net.statuses = net.statuses[:2]
    assert judged(world, "c15").verdict == REPRODUCED


def test_a_restart_counts_as_a_first_attempt_that_failed():
    world = paper()
    ends("converged", 1e-4, *DEEP)(world)
    assert judged(world, "c15").verdict == FAILED
    attribute("restarts", 1, *DEEP)(world)
    assert judged(world, "c15").verdict == REPRODUCED


# --- Intervals -----------------------------------------------------------------------------------


def test_the_interval_is_students_over_replicates():
    world = paper()
    net = world["cnn_depth 14"]
    net.does, net.statuses, net.spread = (lambda rho, size: (0.5, 0.5)), ["converged"] * 2, [0, 0.1]
    found = outcome(world, "c07.identity")
    # t of 0.975 at one degree of freedom, times the standard deviation 0.1 / sqrt 2, over sqrt 2.
    assert found.value == pytest.approx(0.55)
    assert found.half == pytest.approx(12.7062 * 0.05, rel=1e-4)
    assert (found.count, found.verdict) == (2, FAILED)
    assert found.reason == "The interval includes the threshold."


@pytest.mark.parametrize(
    ("spread", "verdict", "reason"),
    [([0.0, 0.1] * 4, REPRODUCED, ""), ([0.2, 0.5], FAILED, "The mean is on the other side")],
    ids=["more replicates of the same spread decide", "the wrong side"],
)
def test_a_mean_is_judged_with_its_interval(spread, verdict, reason):
    world = paper()
    attribute("spread", spread, "cnn_depth 14")(world)
    attribute("statuses", ["converged"] * len(spread), "cnn_depth 14")(world)
    found = outcome(world, "c07.identity")
    assert found.verdict == verdict and found.reason.startswith(reason)


def test_dead_and_unfit_replicates_are_in_no_mean():
    world = paper()
    before = outcome(world, "c06.constant").value
    net = world["cnn_depth 20"]
    net.statuses = ["converged"] * 3 + ["dead", "diverged"]
    net.spread, net.tilted = [-0.004, 0.0, 0.004, 5.0, 5.0], True
    found = outcome(world, "c06.constant")
    assert found.value == pytest.approx(before)
    assert (found.count, found.nets[0].counted) == (3, (0, 1, 2))


def test_one_replicate_in_all_networks_compared_gives_no_interval():
    world = paper()
    world["fcn_linear_depth 4 784"].statuses = ["converged", "converged", "dead"]
    world["fcn_linear_depth 2 2048"].statuses = ["dead", "converged", "converged"]
    found = outcome(world, "c16.example")
    assert found.verdict == UNTESTABLE and found.reason.startswith("Only 1 replicate has a number")


def test_networks_that_do_not_count_are_left_out_of_a_mean_over_depths_and_told():
    world = paper()
    ends("dead", 0.5, "cnn_depth 7")(world)
    found = outcome(world, "c24.reruns")
    assert found.verdict == REPRODUCED
    assert sorted(net.rung["depth"] for net in found.nets) == [1, 3, 5, 14, 20]
    assert "7-layer CNN (128 channels)" in found.left_out[0] and "3 dead" in found.left_out[0]


@pytest.mark.parametrize(
    ("number", "verdict", "reason"),
    [
        (1.1, REPRODUCED, ""),
        ({0: 1.1, 1: 1.2, 2: math.nan, 3: 1.15}, REPRODUCED, ""),
        # What touches the threshold is not beyond it.
        (1.0, FAILED, "The mean is on the other side, and the interval includes"),
        ({0: 0.9, 1: 1.0, 2: 1.15}, FAILED, "The interval includes"),
        ({0: 0.9, 1: 1.0, 2: 1.05}, FAILED, "The mean is on the other side, and"),
        ({0: 0.7, 1: 0.71, 2: 0.72}, FAILED, "The whole interval is on the other side"),
        ({0: 1.1, 1: math.nan}, UNTESTABLE, "Only 1 replicate has"),
        ({0: math.nan, 1: math.inf}, UNTESTABLE, "No replicate has"),
    ],
)
def test_the_verdict_follows_from_where_the_interval_lies(number, verdict, reason, monkeypatch):
    part = Part(key="c99.x", measure="what is measured", side="above", threshold=1.0)
    claim = CLAIMS["c06"].model_copy(update={"id": "c99", "parts": (part,)})

    def measured(run: Run):
        run.net("cnn_depth", depth=20)
        run.left_out["another"] = "why it is"
        return number

    monkeypatch.setattr(verdicts, "MEASURES", {"c99.x": measured})
    (judgement,) = judge(paper().results(), [claim], 0.95)
    (found,) = judgement.outcomes
    assert (found.verdict, judgement.verdict) == (verdict, verdict)
    assert found.reason.startswith(reason) and bool(found.reason) == bool(reason)
    if verdict != UNTESTABLE:
        assert [net.rung["depth"] for net in found.nets] == [20]
        assert found.left_out == ("why it is",)
        finite = sum(map(math.isfinite, number.values())) if isinstance(number, dict) else 0
        assert found.count == finite


def test_evidence_names_the_cells():
    found = outcome(paper(), "c18.sooner")
    assert [re.match(r"(\w+)-(\d+)", cell)[0] for cell in found.cells] == [
        *[f"fcn_relu_depth-{depth}" for depth in (2, 4, 10, 12)],
        *[f"fcn_linear_depth-{depth}" for depth in (2, 4, 10)],
    ]
    found = outcome(paper(), "c15.deep")
    assert [cell.split("-")[1] for cell in found.cells] == ["9", "12", "20"]
    assert [net.counted for net in found.nets] == [(0, 1, 2)] * 3

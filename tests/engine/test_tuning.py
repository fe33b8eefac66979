"""Which formulation is taken, and that the choice is kept."""

import json
import time

import numpy as np
import pytest
import torch
from plain_loops import assert_only_rounded, flat, make_cell, picture, plain_loop

from idpipe import engine, nets
from idpipe.engine import Choices, tuning
from idpipe.nets import convolutions
from idpipe.nets.convolutions import Shape, rule

pytestmark = pytest.mark.numerical

SHAPE = Shape(1, 2, 4, 4, 5, 8, 8)


def choices(precision: str = "ieee", exact_zeros: bool = False) -> Choices:
    return Choices(torch.device("cpu"), torch.float32, precision, exact_zeros)


def test_the_fastest_is_taken(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def lasting(seconds):
        def formulation(x, weight, bias):
            now[0] += seconds
            return convolutions.direct(x, weight, bias)

        return formulation

    for name, seconds in (("slow", 2), ("fast", 1)):
        monkeypatch.setitem(convolutions.FORMULATIONS, name, lasting(seconds))
        assert choices().seconds(SHAPE, name) == seconds
    assert choices().fastest(SHAPE, ["slow", "fast"]) == "fast"
    assert choices().fastest(SHAPE, ["fast", "slow"]) == "fast"


def test_one_that_rounds_badly_is_not(monkeypatch):
    def coarse(x, weight, bias):
        return convolutions.direct(x.bfloat16().float(), weight, bias)

    monkeypatch.setitem(convolutions.FORMULATIONS, "coarse", coarse)
    assert choices().error(SHAPE, "coarse") > 1e-4
    assert choices().seconds(SHAPE, "coarse") == float("inf")
    assert choices("tf32").seconds(SHAPE, "coarse") < float("inf")
    for name in convolutions.candidates(SHAPE):
        assert choices().error(SHAPE, name) <= tuning.ERROR


def test_one_that_needs_too_much_memory_is_not(monkeypatch):
    def greedy(x, weight, bias):
        raise torch.OutOfMemoryError

    monkeypatch.setitem(convolutions.FORMULATIONS, "greedy", greedy)
    assert choices().seconds(SHAPE, "greedy") == float("inf")
    assert choices().fastest(SHAPE, ["greedy", "direct"]) == "direct"


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """As if the CPU were to be timed, with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(tuning, "_machine", lambda device: "this one")
    return tmp_path / "idpipe" / tuning.FILE


def test_a_choice_is_kept_for_the_next_run(machine, monkeypatch):
    name = choices()._remembered(SHAPE)
    key = "this one: 4>4 channels 5x5 on 8x8, 2 x 1 images, ieee"
    assert json.loads(machine.read_text()) == {key: name}
    monkeypatch.setattr(Choices, "fastest", lambda *_: pytest.fail("timed again"))
    assert choices()._remembered(SHAPE) == name


def test_other_precisions_and_optimizers_are_timed_anew(machine):
    for settings in ({}, {"precision": "tf32"}, {"exact_zeros": True}):
        choices(**settings)._remembered(SHAPE)
    assert len(json.loads(machine.read_text())) == 3


def test_the_first_to_choose_decides(machine):
    names = ["direct", "columns"]
    tuning._remember("a shape", "columns", names)
    assert tuning._remember("a shape", "direct", names) == "columns"
    assert tuning._remember("another shape", "direct", names) == "direct"


def test_a_name_of_another_version_is_forgotten(machine):
    tuning._remember("a shape", "gone", ["gone"])
    assert tuning._remember("a shape", "direct", ["direct"]) == "direct"
    kept = Choices(torch.device("cpu"), torch.float32, "ieee", False, {str(SHAPE): "gone"})
    assert kept(SHAPE) == rule(SHAPE)


def test_a_damaged_cache_is_written_anew(machine):
    machine.parent.mkdir()
    for content in ("", "{", "[]", '{"this one": 3}', "\x00"):
        machine.write_text(content)
        name = choices()._remembered(SHAPE)
        assert name in json.loads(machine.read_text()).values(), content


def test_a_folder_that_cannot_be_written_is_no_error(machine):
    machine.parent.write_text("a file")
    assert choices()._remembered(SHAPE) in convolutions.candidates(SHAPE)


def test_on_a_cpu_the_rule_decides_and_nothing_is_timed(monkeypatch):
    monkeypatch.setattr(Choices, "fastest", lambda *_: pytest.fail("timed"))
    ours = choices(exact_zeros=True)
    wide = SHAPE._replace(kernel=57)
    assert ours(wide) == rule(wide, exact_zeros=True)
    assert choices()(wide) == "fourier"
    assert choices()(SHAPE._replace(inputs=128, outputs=128)) == "winograd"
    assert ours.names == {str(wide): rule(wide, exact_zeros=True)}


def test_a_training_that_goes_on_keeps_to_what_was_chosen():
    ours = Choices(torch.device("cpu"), torch.float32, "ieee", False, {str(SHAPE): "winograd"})
    assert rule(SHAPE) != "winograd"
    assert ours(SHAPE) == "winograd"


def test_candidates_that_cannot_be_are_left_out():
    large = Shape(128, 5, 128, 128, 5, 28, 28)
    assert "columns" not in choices()._candidates(large)
    assert "columns" in choices()._candidates(SHAPE)
    assert "winograd" in choices()._candidates(SHAPE)
    assert "winograd" not in choices("tf32")._candidates(SHAPE)


@pytest.mark.parametrize("name", ["direct", "padded", "channels_last", "columns", "winograd"])
def test_a_training_by_any_formulation_equals_the_plain_loop(name, monkeypatch):
    monkeypatch.setattr(tuning, "rule", lambda shape, exact_zeros: name)
    net = {"arch": "cnn", "depth": 3, "width": 12, "kernel": 5}
    cell = make_cell(net, precision="float64", replicates=2)
    trained = engine.train(cell, picture())
    assert set(trained.formulations.values()) == {name}
    for replicate, outcome in enumerate(trained.outcomes):
        theirs = flat(plain_loop(cell, picture(), replicate).parameters())
        travelled = np.linalg.norm(theirs - flat(nets.initial_params(cell, [replicate]).values()))
        assert np.linalg.norm(flat(outcome.params.values()) - theirs) < 1e-10 * travelled
    linear = make_cell({**net, "activation": "linear"}, replicates=1)
    assert_only_rounded(engine.train(linear, picture()), linear, picture())

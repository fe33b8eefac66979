"""Prices fitted to times, and times taken of the engine."""

import itertools

import pytest
import torch

from idpipe import costs
from idpipe.costs import KINDS, Prices, devices
from idpipe.engine import calibrate

CONVOLUTION = {3: 1e-10, 8: 5e-11, 24: 2e-11, 128: 8e-12, 1024: 6e-12}
TRUE = Prices(
    {
        **{"step": 4e-4, "layer": 1e-4, "byte 16": 2e-11, "byte 128": 8e-11, "dense": 1e-11},
        **{f"convolution {channels}": price for channels, price in CONVOLUTION.items()},
        "transform": 1e-10,
    }
)


def test_prices_are_recovered_from_the_times_they_make():
    shapes = calibrate.SHAPES + calibrate.WIDE
    found = calibrate.fitted({cell: costs.step_seconds(cell, TRUE) for cell in shapes})
    for cell in shapes:
        expected = costs.step_seconds(cell, TRUE)
        assert costs.step_seconds(cell, found) == pytest.approx(expected, rel=1e-3)
    wide = [f"convolution {channels}" for channels in (8, 24, 128)]
    for kind in ("step", "transform", "byte 128", *wide):
        assert found.of[kind] == pytest.approx(TRUE.of[kind], rel=0.05)


def test_nothing_that_was_not_measured_is_free():
    seconds = {cell: costs.step_seconds(cell, TRUE) for cell in calibrate.SHAPES}
    found = calibrate.fitted(seconds)
    assert found.of["convolution 1024"] == found.of["convolution 128"] > 0
    narrow_to_wide = [found.of[f"convolution {channels}"] for channels in costs.CHANNELS]
    assert narrow_to_wide == sorted(narrow_to_wide, reverse=True)


@pytest.mark.parametrize("cell", calibrate.SHAPES, ids=lambda cell: cell.cell_id)
def test_each_shape_trains_until_its_speed_is_known(cell, monkeypatch):
    monkeypatch.setattr(calibrate, "SECONDS", 0.0)
    monkeypatch.setattr(calibrate, "EVERY", 2)
    quick = cell.model_copy(update={"report_every": 2})
    assert 0 < calibrate.step_seconds(quick, torch.device("cpu")) < 5


def test_the_time_of_a_step_is_the_median_between_looks_by_the_steps_between_them(monkeypatch):
    gaps = itertools.chain([100, 7, 2, 900, 2], itertools.repeat(2))
    clock = itertools.accumulate(gaps)
    monkeypatch.setattr(calibrate.time, "process_time", lambda: float(next(clock)))
    monkeypatch.setattr(calibrate, "SECONDS", 920)
    for cell in calibrate.SHAPES + calibrate.WIDE:
        assert cell.report_every == calibrate.EVERY
    assert calibrate.step_seconds(calibrate.SHAPES[0], torch.device("cpu")) == 2 / calibrate.EVERY


def test_a_run_keeps_what_it_measured(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(
        calibrate, "step_seconds", lambda cell, device: costs.step_seconds(cell, TRUE)
    )
    found = calibrate.run()
    assert devices.calibrated() == found
    assert set(found.prices.of) == set(KINDS)

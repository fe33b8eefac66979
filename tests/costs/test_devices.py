"""Named devices, and what is kept of a measurement."""

import json
import os

import pytest

from idpipe.costs import KINDS, devices
from idpipe.errors import IdpipeError

PRICES = {kind: float(place + 1) for place, kind in enumerate(KINDS)}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(devices.DEVICE, raising=False)
    return tmp_path / "cache"


def keep() -> None:
    devices.keep("GPU of a test", True, PRICES, "2001-02-03")


def test_what_was_measured_is_found_again(cache):
    assert devices.calibrated() is None
    assert devices.for_jobs() == devices.uncalibrated()
    keep()
    found = devices.calibrated()
    assert (found.name, found.gpu, dict(found.prices.of)) == ("GPU of a test", True, PRICES)
    assert "measured here on 2001-02-03" in found.source
    assert devices.for_jobs() == found
    assert devices.cache_file().parent == cache / "idpipe"


@pytest.mark.parametrize(
    ("where", "what"),
    [
        ("idpipe.costs.devices.machine", lambda: "another processor"),
        ("idpipe.costs.devices.ENGINE_VERSION", 10**6),
        ("importlib.metadata.version", lambda name: "0.0"),
    ],
)
def test_it_is_not_that_of_another_machine_engine_or_torch(monkeypatch, where, what):
    keep()
    monkeypatch.setattr(where, what)
    assert devices.calibrated() is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"key": 1}', None])
def test_a_damaged_file_counts_as_none(text):
    keep()
    kept = json.loads(devices.cache_file().read_text())
    kept["prices"]["dense"] = "free"
    devices.cache_file().write_text(json.dumps(kept) if text is None else text)
    assert devices.calibrated() is None


def test_a_cache_that_cannot_be_written_is_no_error(cache):
    cache.write_text("no folder")
    keep()
    assert devices.calibrated() is None
    assert cache.read_text() == "no folder"


def test_jobs_are_priced_for_the_device_that_is_named(monkeypatch):
    keep()
    monkeypatch.setenv(devices.DEVICE, "H100")
    assert devices.for_jobs() == devices.from_sheet("h100")


def test_an_unknown_name_is_refused_with_those_that_are_known():
    with pytest.raises(IdpipeError) as refused:
        devices.from_sheet("h999")
    message = str(refused.value)
    assert "\n" not in message and "h999" in message
    assert all(name in message for name in ("a100", "h100", "h200", "rtx4090", "v100", "l40s"))


@pytest.mark.parametrize("name", devices.SHEETS)
def test_a_data_sheet_prices_every_kind_of_work_and_says_that_it_is_one(name):
    found = devices.from_sheet(name)
    assert set(found.prices.of) == set(KINDS) and min(found.prices.of.values()) > 0
    assert found.gpu and "not measured" in found.source
    # No rate above the sheet's.
    flop = min(price for kind, price in found.prices.of.items() if kind.startswith("conv"))
    assert 1 / flop < devices.SHEETS[name].tflops * 1e12
    assert found.prices.double > 1


def test_the_machine_is_named_by_its_processor_not_by_its_host():
    assert devices.machine()
    assert os.uname().nodename not in devices.machine().split()

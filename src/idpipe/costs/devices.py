"""Prices of training by device: named ones by their data sheets, this machine's as measured here.

What `idpipe.engine.calibrate` measured is kept in the cache folder, once per machine, version of
torch and version of the engine. Torch is not imported here: the workflow reads prices too.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from idpipe import store
from idpipe.cells import ENGINE_VERSION
from idpipe.costs.work import CHANNELS, KINDS, MEMORY_MB, Prices, kind
from idpipe.errors import IdpipeError

DEVICE = "IDPIPE_DEVICE"
"""Environment variable: the named device whose time limits the workflow asks for, where its jobs do
not run on this machine."""


@dataclass(frozen=True)
class Device:
    """Where cells train, as far as their cost goes."""

    name: str
    prices: Prices
    gpu: bool
    source: str
    """How its prices are known."""


@dataclass(frozen=True)
class DataSheet:
    """A GPU's data sheet: its peaks, outside the tensor cores."""

    title: str
    tflops: float
    """In single precision, 10^12 per second."""
    double_tflops: float
    """In double precision."""
    gb_per_second: float
    """Memory bandwidth."""


SHEETS = {
    "v100": DataSheet("NVIDIA V100 SXM2", 15.7, 7.8, 900.0),
    "a100": DataSheet("NVIDIA A100 SXM 80 GB", 19.5, 9.7, 2039.0),
    "h100": DataSheet("NVIDIA H100 SXM", 67.0, 34.0, 3350.0),
    "h200": DataSheet("NVIDIA H200 SXM", 67.0, 34.0, 4800.0),
    "l40s": DataSheet("NVIDIA L40S", 91.6, 1.4, 864.0),
    "rtx4090": DataSheet("NVIDIA GeForce RTX 4090", 82.6, 1.3, 1008.0),
}

# Assumptions of `from_sheet`, stated in docs/performance.md.
CONVOLUTION_SHARE = {3: 0.01, 8: 0.03, 24: 0.1, 128: 0.4, 1024: 0.6}
DENSE_SHARE, TRANSFORM_SHARE, BANDWIDTH_SHARE = 0.5, 0.1, 0.7
STEP_SECONDS, LAYER_SECONDS = 1e-4, 5e-5


def from_sheet(name: str) -> Device:
    """A named GPU: shares of its peaks, assumed. Raises IdpipeError where the name is unknown."""
    key = name.lower().replace(" ", "").replace("-", "").replace("_", "")
    if key not in SHEETS:
        raise IdpipeError(f"device {name}: must be one of {', '.join(SHEETS)}")
    sheet = SHEETS[key]
    flop = 1 / (sheet.tflops * 1e12)
    byte = 1 / (sheet.gb_per_second * 1e9 * BANDWIDTH_SHARE)
    of = {
        "step": STEP_SECONDS,
        "layer": LAYER_SECONDS,
        **{kind("byte", size): byte for size in MEMORY_MB},
        "dense": flop / DENSE_SHARE,
        **{kind("convolution", c): flop / CONVOLUTION_SHARE[c] for c in CHANNELS},
        "transform": flop / TRANSFORM_SHARE,
    }
    double = sheet.tflops / sheet.double_tflops
    source = "an estimate from the data sheet, not measured"
    return Device(sheet.title, Prices(of, double), True, source)


CPU_PRICES = Prices(
    {
        "step": 6e-4,
        "layer": 5e-4,
        kind("byte", 16): 1e-10,
        kind("byte", 128): 2e-10,
        "dense": 2e-11,
        kind("convolution", 3): 2e-10,
        kind("convolution", 8): 6e-11,
        kind("convolution", 24): 4e-11,
        kind("convolution", 128): 2e-11,
        kind("convolution", 1024): 2e-11,
        "transform": 2.5e-10,
    }
)
"""One thread of a CPU, slower than any in use by about two."""


def uncalibrated() -> Device:
    """What is assumed of a machine that was never measured."""
    source = "an assumption, on the slow side; `python -m idpipe plan` measures this machine"
    return Device("one CPU thread", CPU_PRICES, False, source)


# --- this machine's prices -------------------------------------------------------------------


def machine() -> str:
    """Processor and GPUs of this machine, as the operating system names them."""
    gpus = [] if os.environ.get("CUDA_VISIBLE_DEVICES") == "" else nvidia_gpus()
    return ", ".join([_processor(), *gpus])


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def nvidia_gpus() -> list[str]:
    """GPUs that the operating system's NVIDIA driver names."""
    found = []
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        with suppress(OSError):
            text = path.read_text()
            found += [v.strip() for k, _, v in _pairs(text) if k.strip() == "Model"]
    return found


def _pairs(text: str) -> list[tuple[str, str, str]]:
    return [line.partition(":") for line in text.splitlines()]


def _key() -> dict[str, str | int]:
    """What measured prices are of, and so what their file is named after."""
    torch = importlib.metadata.version("torch")
    return {"machine": machine(), "torch": torch, "engine_version": ENGINE_VERSION}


def cache_file() -> Path:
    """The file that holds this machine's prices."""
    digest = hashlib.sha256(json.dumps(_key()).encode()).hexdigest()[:12]
    return store.cache_folder() / f"prices-{digest}.json"


def calibrated() -> Device | None:
    """This machine as it was measured, or None where it was not, or what is kept is damaged."""
    try:
        kept = json.loads(cache_file().read_text())
        prices = Prices({name: float(kept["prices"][name]) for name in KINDS})
        if not all(price >= 0 for price in prices.of.values()):
            return None
        name, gpu = str(kept["device"]), bool(kept["gpu"])
        source = f"measured here on {kept['date']}"
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        return None
    return Device(name, prices, gpu, source)


def keep(name: str, gpu: bool, prices: Mapping[str, float], date: str) -> None:
    """Keep what was measured on this machine; a cache folder that cannot be written to is none."""
    content = {"key": _key(), "device": name, "gpu": gpu, "date": date, "prices": dict(prices)}
    with suppress(OSError, RuntimeError):  # RuntimeError: no home folder
        store.write_json(cache_file(), content)


def for_jobs() -> Device:
    """Where the workflow's jobs run: $IDPIPE_DEVICE, else this machine as measured or assumed."""
    named = os.environ.get(DEVICE)
    return from_sheet(named) if named else calibrated() or uncalibrated()

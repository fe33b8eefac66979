"""Costs: work, memory, steps and time that a cell will take, and what a device charges for them."""

from idpipe.costs.devices import Device
from idpipe.costs.limits import (
    CONTEXT_BYTES,
    JOB_SECONDS,
    LONGER,
    MIB,
    PROCESS_MIB,
    SHORTEST_MINUTES,
    forward_minutes,
    memory_mib,
    training_minutes,
    training_seconds,
    vram_bytes,
    vram_mib,
)
from idpipe.costs.steps import steps_expected
from idpipe.costs.work import (
    CHANNELS,
    KINDS,
    MEMORY_MB,
    Prices,
    amounts,
    flops,
    images_per_step,
    kind,
    number_bytes,
    step_seconds,
)

__all__ = [
    "CHANNELS",
    "CONTEXT_BYTES",
    "JOB_SECONDS",
    "KINDS",
    "LONGER",
    "MEMORY_MB",
    "MIB",
    "PROCESS_MIB",
    "SHORTEST_MINUTES",
    "Device",
    "Prices",
    "amounts",
    "flops",
    "forward_minutes",
    "images_per_step",
    "kind",
    "memory_mib",
    "number_bytes",
    "step_seconds",
    "steps_expected",
    "training_minutes",
    "training_seconds",
    "vram_bytes",
    "vram_mib",
]

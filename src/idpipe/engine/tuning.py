"""Which formulation of a convolution is the fastest here: timed on a GPU, remembered per machine.

The first to time a shape decides for all later runs on such a machine with such a torch: the same
cell then rounds alike each time. Deleting the file costs a second per shape. What rounds worse than
single precision should is not taken however fast it is: for 5 x 5 filters cuDNN has algorithms
whose gradients are off by 5e-4, though TF32 is off.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from idpipe import store
from idpipe.engine.replay import Repeated
from idpipe.nets.convolutions import FORMULATIONS, Shape, candidates, rule

FILE = "formulations.json"
GATHERED = 2**30
"""Numbers that a formulation may gather at once; those that want more are not tried."""
REPEATS = 10
ERROR = 2e-5
"""Relative error of output and gradients at most; TF32 has its own errors, and no limit."""


class Choices:
    """Names the formulation of every shape that a training meets, and keeps what it named.

    Args:
        device: where it trains.
        dtype: in what it trains.
        precision: of the cell.
        exact_zeros: as in `idpipe.nets.convolutions.dispatch.rule`.
        names: what was chosen before, by the shape in words; the training keeps to it.
    """

    def __init__(
        self,
        device: torch.device,
        dtype: torch.dtype,
        precision: str,
        exact_zeros: bool,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self.device, self.dtype, self.precision = device, dtype, precision
        self.exact_zeros = exact_zeros
        self.names = {shape: n for shape, n in (names or {}).items() if n in FORMULATIONS}
        self._by_shape: dict[Shape, str] = {}

    def __call__(self, shape: Shape) -> str:
        """The formulation for a shape."""
        if shape not in self._by_shape:
            name = self.names.get(str(shape)) or self._chosen(shape)
            self._by_shape[shape] = self.names[str(shape)] = name
        return self._by_shape[shape]

    def _chosen(self, shape: Shape) -> str:
        timed = self.device.type == "cuda"
        return self._remembered(shape) if timed else rule(shape, self.exact_zeros)

    def _remembered(self, shape: Shape) -> str:
        names = self._candidates(shape)
        zeros = ", exact zeros" if self.exact_zeros else ""
        key = f"{_machine(self.device)}: {shape}, {self.precision}{zeros}"
        known = _read().get(key)
        return known if known in names else _remember(key, self.fastest(shape, names), names)

    def _candidates(self, shape: Shape) -> list[str]:
        names = candidates(shape, self.exact_zeros)
        gathered = shape.replicates * shape.images * shape.height * shape.width
        gathered *= max(shape.inputs, shape.outputs) * shape.kernel**2
        if gathered > GATHERED:
            names.remove("columns")
        if self.precision == "tf32" and "winograd" in names:
            names.remove("winograd")  # its sums lose too much of ten bits
        return names

    def fastest(self, shape: Shape, names: list[str]) -> str:
        """The fastest exact one of some formulations, timed now; the first where none is."""
        return min(names, key=lambda name: self.seconds(shape, name))

    def seconds(self, shape: Shape, name: str) -> float:
        """One forward and backward pass; infinite where it is inexact, refused, or lacks memory."""
        with suppress(RuntimeError):
            if self.precision == "tf32" or self.error(shape, name) <= ERROR:
                return self._seconds(shape, name)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return math.inf

    @torch.enable_grad()
    def error(self, shape: Shape, name: str) -> float:
        """The largest relative error of output and gradients, against double precision."""
        given, upstream = self._made_up(shape)
        exact = _both_passes("direct", [one.double() for one in given], upstream.double())
        found = _both_passes(name, given, upstream)
        pairs = zip(found, exact, strict=True)
        return max(float((one - other).norm() / other.norm()) for one, other in pairs)

    @torch.enable_grad()
    def _seconds(self, shape: Shape, name: str) -> float:
        given, upstream = self._made_up(shape)
        repeated = Repeated(self.device, 1)
        passes = partial(_both_passes, name, given, upstream)
        repeated.run(passes, 5)
        self._wait()
        start = time.perf_counter()
        repeated.run(passes, REPEATS)
        self._wait()
        return (time.perf_counter() - start) / REPEATS

    def _made_up(self, shape: Shape) -> tuple[list[Tensor], Tensor]:
        """Images, weights and biases, and the gradient of the output."""
        n, e, i, o, k, height, width = shape
        generator = torch.Generator(self.device).manual_seed(0)
        images, weight, bias, upstream = (
            torch.randn(size, generator=generator, device=self.device, dtype=self.dtype)
            for size in (
                (n, e, i, height, width),
                (e, o, i, k, k),
                (e, o),
                (n, e, o, height, width),
            )
        )
        return [images, weight, bias], upstream

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def _both_passes(name: str, given: Sequence[Tensor], upstream: Tensor) -> list[Tensor]:
    """The output of a formulation, and the gradients of images, weights and biases."""
    given = [tensor.detach().requires_grad_() for tensor in given]
    output = FORMULATIONS[name](*given)
    return [output.detach(), *torch.autograd.grad(output, given, upstream)]


def _machine(device: torch.device) -> str:
    return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"


def _read() -> dict[str, str]:
    try:
        return TypeAdapter(dict[str, str]).validate_json((store.cache_folder() / FILE).read_bytes())
    except (OSError, RuntimeError, ValidationError):
        return {}


def _remember(key: str, name: str, names: Collection[str]) -> str:
    """Keep a choice; what another process kept in the meantime wins, if it is one of `names`."""
    found = _read()
    if found.get(key) not in names:
        found[key] = name
    with suppress(OSError, RuntimeError):  # a folder that cannot be written costs the timing again
        store.write_json(store.cache_folder() / FILE, found)
    return found[key]

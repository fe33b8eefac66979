"""Training steps on a GPU, recorded once and replayed: no Python and no waiting between them.

A recorded step reads its learning rate and its image numbers from the device, where a counter says
which are next, and leaves its losses there. Everything but the recording itself works on a CPU too,
as the tests have it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Float, Int64
from torch import Tensor

WARM = 3
"""Calls before a function is recorded: libraries set themselves up in their first ones."""


class Repeated:
    """A function called over and over; on a CUDA device recorded as a graph of some calls.

    It must be the same each time, work in place on tensors that stay, and neither wait for the
    device nor depend on anything that changes on the host. It is not held: what holds a graph and
    is held by its function would outlive its use.
    """

    def __init__(self, device: torch.device, calls: int) -> None:
        self.device, self.calls = device, calls
        self.made = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        # What is to be recorded must have been warmed up on another stream than the default one.
        self.stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def run(self, function: Callable[[], object], count: int) -> None:
        """Call the function so many times."""
        while count > 0:
            if self.stream is not None and self.made >= WARM and count >= self.calls:
                if self.graph is None:
                    self.graph = self._recorded(function)
                self.graph.replay()
                count -= self.calls
            else:
                self._call(function)
                self.made += 1
                count -= 1

    def _call(self, function: Callable[[], object]) -> None:
        if self.stream is None:
            function()
            return
        before = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(before)
        with torch.cuda.stream(self.stream):
            function()
        before.wait_stream(self.stream)

    def _recorded(self, function: Callable[[], object]) -> torch.cuda.CUDAGraph:
        """The graph of `calls` calls; recording runs none of them."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(self.calls):
                function()
        return graph


Step = Callable[[Tensor, Tensor | None], Tensor]
"""Makes one step at a rate (a scalar) with these images (int64 [e, batch], or None for all of
them); returns each replicate's loss [e]."""


class Steps:
    """Steps of a training whose rates, image numbers and losses lie on the device.

    Args:
        most: steps of one `run` at most.
        like: a tensor of the losses' shape, type and device.
        batch: images per step where a step sees only some of them.
    """

    CALLS = 5
    """Steps of one graph."""

    def __init__(self, most: int, like: Float[Tensor, " e"], batch: int | None) -> None:
        device = like.device
        self.rates = torch.zeros(most, dtype=torch.float64, device=device)
        self.losses = torch.zeros(most, len(like), dtype=like.dtype, device=device)
        self.rows: Tensor | None = None
        if batch is not None:
            self.rows = torch.zeros(most, len(like), batch, dtype=torch.int64, device=device)
        self.place = torch.zeros(1, dtype=torch.int64, device=device)
        self.repeated = Repeated(device, self.CALLS)

    def _next(self, step: Step) -> None:
        rate = self.rates.index_select(0, self.place).squeeze(0)
        rows = None if self.rows is None else self.rows.index_select(0, self.place).squeeze(0)
        self.losses.index_copy_(0, self.place, step(rate, rows)[None])
        self.place += 1

    def run(
        self, step: Step, rates: Sequence[float], rows: Int64[Tensor, "steps e batch"] | None
    ) -> Float[Tensor, "steps e"]:
        """Make one step for each rate; return the losses before them, still on the device."""
        count = len(rates)
        self.rates[:count] = torch.tensor(rates, dtype=self.rates.dtype)
        if self.rows is not None and rows is not None:
            self.rows[:count] = rows
        self.place.zero_()
        self.repeated.run(partial(self._next, step), count)
        return self.losses[:count].clone()

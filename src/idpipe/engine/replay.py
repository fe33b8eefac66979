"""Training steps on a GPU, recorded once and replayed: no Python and no waiting between them.

A recorded step reads its image numbers from the device, where a counter says which are next, and
leaves its losses there. Its learning rate is a number in the recording, which is made anew where
the rate changes, at milestones. Everything but the recording itself works on a CPU too, as the
tests have it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float, Int64
from torch import Tensor

WARM = 3
"""Calls before a function is recorded: libraries set themselves up in their first ones."""


class Repeated:
    """A function called over and over; on a CUDA device recorded as a graph of some calls.

    It must be the same each time, but for the constant that `run` is told of, work in place on
    tensors that stay, and neither wait for the device nor depend on anything else that changes on
    the host. It is not held: what holds a graph and is held by its function would outlive its use.
    """

    def __init__(self, device: torch.device, calls: int) -> None:
        self.device, self.calls = device, calls
        self.made = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.constant: float | None = None
        """Of the last `run`, and of the graph."""
        self.records = device.type == "cuda"
        # What is to be recorded must have been warmed up on another stream than the default one.
        self.stream: torch.cuda.Stream | None = None
        if self.records:
            self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def run(
        self, function: Callable[[], object], count: int, constant: float | None = None
    ) -> None:
        """Call the function so many times; with another `constant` it is recorded again."""
        if constant != self.constant:
            # This graph's memory is given back before the next one takes its own.
            self.graph, self.constant = None, constant
        while count > 0:
            if self.records and self.made >= WARM and count >= self.calls:
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


Step = Callable[[float, Tensor | None], Tensor]
"""Makes one step at a rate with these images (int64 [e, batch], or None for all of them); returns
each replicate's loss [e]."""


class Steps:
    """Steps of a training whose image numbers and losses lie on the device.

    Args:
        most: steps of one `run` at most.
        like: a tensor of the losses' shape, type and device.
        batch: images per step where a step sees only some of them.
    """

    CALLS = 5
    """Steps of one graph."""

    def __init__(self, most: int, like: Float[Tensor, " e"], batch: int | None) -> None:
        device = like.device
        self.losses = torch.zeros(most, len(like), dtype=like.dtype, device=device)
        self.rows: Tensor | None = None
        if batch is not None:
            self.rows = torch.zeros(most, len(like), batch, dtype=torch.int64, device=device)
        self.place = torch.zeros(1, dtype=torch.int64, device=device)
        self.repeated = Repeated(device, self.CALLS)

    def _next(self, step: Step, rate: float) -> None:
        rows = None if self.rows is None else self.rows.index_select(0, self.place).squeeze(0)
        self.losses.index_copy_(0, self.place, step(rate, rows)[None])
        self.place += 1

    def run(
        self, step: Step, rate: float, count: int, rows: Int64[Tensor, "steps e batch"] | None
    ) -> Float[Tensor, "steps e"]:
        """Make so many steps; return the losses before them, still on the device."""
        if self.rows is not None and rows is not None:
            self.rows[:count] = rows
        self.place.zero_()
        self.repeated.run(partial(self._next, step, rate), count, rate)
        return self.losses[:count].clone()

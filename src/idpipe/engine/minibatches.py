"""Which images each replicate sees at each step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from idpipe.cells import Cell, derived_seed


class Minibatches:
    """Minibatches without replacement, a fresh order per epoch, from the replicate's own seed."""

    def __init__(self, cell: Cell, images: int, restart: int) -> None:
        self.cell, self.images, self.restart = cell, images, restart
        self.small = images > cell.batch_size
        """Whether a step sees only some of the images."""
        self.per_epoch = images // cell.batch_size
        self.orders: dict[int, tuple[int, Tensor]] = {}

    def rows(self, replicates: Sequence[int], step: int) -> Tensor | None:
        """Image numbers of this step, int64 [e, batch]; None where a step sees all of them."""
        if not self.small:
            return None
        epoch, place = divmod(step, self.per_epoch)
        start = place * self.cell.batch_size
        end = start + self.cell.batch_size
        return torch.stack([self._order(r, epoch)[start:end] for r in replicates])

    def _order(self, replicate: int, epoch: int) -> Tensor:
        known = self.orders.get(replicate)
        if known is None or known[0] != epoch:
            seed = derived_seed(self.cell.seed, "batches", replicate, self.restart, epoch)
            order = torch.randperm(self.images, generator=torch.Generator().manual_seed(seed))
            known = self.orders[replicate] = (epoch, order)
        return known[1]

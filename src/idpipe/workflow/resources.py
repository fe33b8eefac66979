"""What the jobs that evaluate a cell are given: minutes and memory."""

from __future__ import annotations

from idpipe import costs
from idpipe.cells import SOURCES
from idpipe.costs import Prices
from idpipe.workflow.targets import Targets


def evaluation_mb(targets: Targets, cell_id: str) -> int:
    """MiB of a cell's networks, and of what they hold when shown images of every size."""
    cell = targets.plan.cells[cell_id]
    return max(cell.memory_bytes, cell.evaluation_bytes(targets.config.probes.sizes)) // 2**20


def evaluation_minutes(targets: Targets, prices: Prices, cell_id: str) -> int:
    """Minutes to show a cell's networks every probe, at every size."""
    cell, probes = targets.plan.cells[cell_id], targets.config.probes
    named = 10 + probes.unseen + probes.out_of_domain + len(probes.patterns)
    sizes = [1, *((size / cell.data.size) ** 2 for size in probes.sizes)]
    shown = len(probes.rho) * probes.n_per_rho + named * sum(sizes)
    return costs.forward_minutes(cell, prices, float(shown))


def classifier_minutes(targets: Targets, prices: Prices, cell_id: str) -> int:
    """Minutes to show a cell's networks the images that its layers are to classify."""
    cell, probes = targets.plan.cells[cell_id], targets.config.probes
    limits = [probes.classifier_train_per_class, probes.classifier_test_per_class]
    counts = SOURCES[cell.data.source].per_class or ()
    shown = sum(min(count, limit or count) for count in counts for limit in limits)
    return costs.forward_minutes(cell, prices, float(shown))

"""Measures of claims on inits, optimizers, narrow networks, and training again."""

from __future__ import annotations

import numpy as np

from idpipe.cells import LIVE, MAX_STEPS
from idpipe.claims.measures import Measure, entered_in, to_constant, to_identity, worst_rho
from idpipe.claims.networks import FITS, Between, JudgedNetwork, Run
from idpipe.claims.samples import Sample, Untestable, least, minus

MEASURES: dict[str, Measure] = {}
"""`c05.identity`, a part of a claim -> the function that takes its number from a run."""
measure = entered_in(MEASURES)
KAIMING, XAVIER = (
    tuple(f"{name}_{kind}" for kind in ("normal", "uniform")) for name in ("kaiming", "xavier")
)
INITS = ("pytorch", *XAVIER, *KAIMING, "orthogonal")
PAPER_STEPS = 2_000_000


@measure("c15.deep")
def c15_deep(run: Run) -> Sample:
    """Beyond 8 layers."""
    return _failing(run, Between(low=9))


@measure("c15.shallow")
def c15_shallow(run: Run) -> Sample:
    """Up to 8 layers."""
    return _failing(run, Between(3, 8))


def _failing(run: Run, depth: Between) -> Sample:
    """Share of depths at which a replicate's first attempt does not fit its training image."""
    failed: dict[int, list[bool]] = {}
    for rung in run.rungs("cnn_narrow_depth", width=3, depth=depth):
        rows = rung.replicates
        if len(rows) < 2:
            raise Untestable("one replicate gives no interval: cnn_narrow_depth")
        run.used[rung.cell_id] = JudgedNetwork("cnn_narrow_depth", rung, tuple(rows["replicate"]))
        short = (rows["status"] == MAX_STEPS) & (rows["mse"] > FITS)
        if (short & (rows["steps"] < PAPER_STEPS) & (rows["restarts"] == 0)).any():
            raise Untestable(
                f"{rung['depth']} layers of cnn_narrow_depth were still training when the budget "
                f"ended, which is below the paper's {PAPER_STEPS:,} steps"
            )
        fits = rows["status"].isin(LIVE) & (rows["mse"] <= FITS) & (rows["restarts"] == 0)
        for replicate, fit in zip(rows["replicate"], fits, strict=True):
            failed.setdefault(int(replicate), []).append(not fit)
    return {replicate: float(np.mean(values)) for replicate, values in failed.items()}


@measure("c22.shallow")
def c22_shallow(run: Run) -> Sample:
    """Over the inits."""
    nets = [run.net("cnn_init", init=init, depth=3) for init in INITS]
    return least([to_identity(run, net) for net in nets])


@measure("c22.xavier")
def c22_xavier(run: Run) -> Sample:
    """Both variants."""
    nets = [run.net("cnn_init", init=init, depth=20) for init in XAVIER]
    return least([to_constant(run, net) for net in nets])


@measure("c23.differ")
def c23_differ(run: Run) -> Sample:
    """Highest and lowest are chosen by their means."""
    study = "cnn_optimizer"
    spans = []
    for depth in run.values(study, "depth"):
        leans = [to_identity(run, net) for net in run.some(study, depth=depth)]
        if len(leans) >= 3:
            leans.sort(key=lambda sample: float(np.mean(list(sample.values()))))
            spans.append(minus(leans[-1], leans[0]))
    if not spans:
        raise Untestable(f"at no depth of {study} three optimizers count")
    return max(spans, key=lambda sample: float(np.mean(list(sample.values()))))


@measure("c24.reruns")
def c24_reruns(run: Run) -> Sample:
    """Over the depths that count; those of the identity and of the constant must."""
    for depth in (5, 20):
        run.net("cnn_depth", depth=depth)
    found: dict[int, list[float]] = {}
    for net in run.some("cnn_depth", depth=Between(1)):
        lean = to_identity(run, net)
        for replicate, value in lean.items():
            others = [other for r, other in lean.items() if r != replicate]
            found.setdefault(replicate, []).append(abs(value - float(np.mean(others))))
    return {replicate: float(np.mean(values)) for replicate, values in found.items()}


def _others(run: Run, depth: int) -> list[JudgedNetwork]:
    study = "cnn_other_image"
    images = run.values(study, "examples")
    return [run.net(study, depth=depth, examples=image) for image in images]


@measure("c24.shallow")
def c24_shallow(run: Run) -> Sample:
    """The identity at 5 layers."""
    return least([worst_rho(run, net) for net in _others(run, 5)])


@measure("c24.deep")
def c24_deep(run: Run) -> Sample:
    """The constant at 20 layers."""
    return least([to_constant(run, net) for net in _others(run, 20)])

"""Measures of claims that compare training settings, data sets, metrics and formulas."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from idpipe.cells import LIVE, MAX_STEPS
from idpipe.claims.measures import Measure, entered_in, to_constant, to_identity, worst_rho
from idpipe.claims.run import (
    ALL_RHO,
    FITS,
    FOREIGN,
    NAMED,
    ORTHOGONAL,
    Between,
    Net,
    Probes,
    Run,
)
from idpipe.claims.samples import (
    Sample,
    Untestable,
    combined,
    greatest,
    least,
    log10,
    minus,
    rank_correlation,
)
from idpipe.figures.table1 import table

MEASURES: dict[str, Measure] = {}
"""`c05.identity`, a part of a claim -> the function that takes its number from a run."""
measure = entered_in(MEASURES)
KAIMING, XAVIER = (
    tuple(f"{name}_{kind}" for kind in ("normal", "uniform")) for name in ("kaiming", "xavier")
)
INITS = ("pytorch", *XAVIER, *KAIMING, "orthogonal")
PAPER_STEPS = 2_000_000


def _all(run: Run, probes: Probes, **wanted: object) -> Sample:
    """Correlation to the identity of a network trained on the full training set of MNIST.

    Its train MSE is that of a minibatch, so it need not fit one image.
    """
    run.trained_on("all_examples", "mnist")
    return run.close(run.net("all_examples", fits=False, **wanted), "identity", probes)


@measure("c01.cnn")
def c01_cnn(run: Run) -> Sample:
    """The 20-layer CNN of Fig. 1."""
    return _all(run, FOREIGN, arch="cnn", depth=20)


@measure("c01.fcn")
def c01_fcn(run: Run) -> Sample:
    """The FCNs of Fig. 1."""
    deep = _all(run, FOREIGN, arch="fcn", depth=10, activation="relu")
    return greatest([deep, _all(run, FOREIGN, arch="fcn", depth=1)])


@measure("c26.identity")
def c26_identity(run: Run) -> Sample:
    """The deepest CNN that the paper tried."""
    return _all(run, NAMED, arch="cnn", depth=24)


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
        run.used[rung.cell_id] = Net("cnn_narrow_depth", rung, tuple(rows["replicate"]))
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


def _others(run: Run, depth: int) -> list[Net]:
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


def _mixtures(run: Run, arch: str, depth: int | Between) -> Sample:
    """The worse of 2 and 3 training images, each the deepest network in the range."""
    study, found = "few_examples", []
    for count in (2, 3):
        sets = [e for e in run.values(study, "examples") if len(e.split()) == count]
        if not sets:
            raise Untestable(f"{study} has no network of {count} training images")
        for examples in sets:
            nets = run.nets(study, arch=arch, depth=depth, examples=examples)
            found.append(run.evidence(nets[-1], "mixture"))
    return least(found)


@measure("c25.fcn")
def c25_fcn(run: Run) -> Sample:
    """The paper's H9."""
    return _mixtures(run, "fcn", 10)


@measure("c25.cnn")
def c25_cnn(run: Run) -> Sample:
    """The paper's C20 or C24."""
    return _mixtures(run, "cnn", Between(low=20))


def _colour(run: Run, arch: str, depth: Between) -> list[list[Net]]:
    """Per training image of CIFAR-10 the networks in a range of depths, rising."""
    run.trained_on("colour", "cifar10")
    images = run.values("colour", "examples")
    return [run.nets("colour", arch=arch, depth=depth, examples=image) for image in images]


@measure("c28.fcn_shallow")
def c28_fcn_shallow(run: Run) -> Sample:
    """Noise."""
    nets = [found[0] for found in _colour(run, "fcn", Between(high=2))]
    return greatest([run.unsigned(net, "constant", ORTHOGONAL) for net in nets])


@measure("c28.fcn_deep")
def c28_fcn_deep(run: Run) -> Sample:
    """The constant."""
    nets = [found[-1] for found in _colour(run, "fcn", Between(low=10))]
    return least([run.close(net, "constant", ORTHOGONAL) for net in nets])


@measure("c28.cnn_shallow")
def c28_cnn_shallow(run: Run) -> Sample:
    """The identity."""
    nets = [net for found in _colour(run, "cnn", Between(high=5)) for net in found]
    return least([run.close(net, "identity", ALL_RHO) for net in nets])


@measure("c28.cnn_deep")
def c28_cnn_deep(run: Run) -> Sample:
    """The constant."""
    nets = [found[-1] for found in _colour(run, "cnn", Between(low=20))]
    return least([to_constant(run, net) for net in nets])


@measure("c29.ranks")
def c29_ranks(run: Run) -> Sample:
    """Over three studies and two references."""
    studies = ("cnn_depth", "fcn_relu_depth", "fcn_linear_depth")
    return least([_ranks(run, study, to) for study in studies for to in ("identity", "constant")])


def _ranks(run: Run, study: str, reference: str) -> Sample:
    """How alike a replicate's cells of a heatmap are ordered by correlation and by MSE."""
    nets = run.some(study, depth=Between(1))
    if len(nets) < 3:
        raise Untestable(f"fewer than three networks of {study} count")
    found: dict[int, tuple[list[float], list[float]]] = {}
    for net in nets:
        cells = pd.DataFrame(
            {c: run.per_rho(net, reference, c) for c in ("correlation", "mse")}
        ).reset_index()
        cells = cells[(cells["rho"] < 1) & np.isfinite(cells["correlation"])]
        for replicate, rows in cells.groupby("replicate"):
            close, error = found.setdefault(int(str(replicate)), ([], []))
            close += list(rows["correlation"])
            error += list(-rows["mse"])
    return {replicate: rank_correlation(*pair) for replicate, pair in found.items()}


@measure("c30.counts")
def c30_counts(run: Run) -> float:
    """Entries of the paper's Table 1 that are missing from ours or differ."""
    with Path(__file__).with_name("table1.csv").open(newline="") as file:
        paper = {
            (e["section"], e["row"], e["column"]): int(e["parameters"])
            for e in csv.DictReader(file)
        }
    ours = {
        (str(section), str(row), str(column)): int(count)
        for section, row, column, count in table()[
            ["section", "row", "column", "parameters"]
        ].itertuples(index=False)
    }
    return different(paper, ours)


def different(
    paper: Mapping[tuple[str, str, str], int], ours: Mapping[tuple[str, str, str], int]
) -> float:
    """How many entries of `paper` are missing from `ours` or have another number there."""
    return float(sum(ours.get(entry) != count for entry, count in paper.items()))


def _theorem2(run: Run) -> list[list[Net]]:
    """Per training image its networks that count, by their kernels."""
    images: dict[tuple[str, str, int], list[Net]] = {}
    for rung in run.study("theorem2"):
        key = (rung["source"], rung["examples"], rung["size"])
        images.setdefault(key, []).append(run.counted("theorem2", rung))
    return [sorted(nets, key=lambda net: net.rung["kernel"]) for nets in images.values()]


def _errors(run: Run, nets: list[Net]) -> list[Sample]:
    return [run.measured(net, "identity", NAMED, "mse") for net in nets]


@measure("c31.kernel")
def c31_kernel(run: Run) -> Sample:
    """Over training images."""
    differences = []
    for nets in _theorem2(run):
        if len(nets) < 2:
            raise Untestable("theorem2 has one kernel")
        errors = _errors(run, [nets[0], nets[-1]])
        differences.append(minus(errors[1], errors[0]))
    return least(differences)


@measure("c31.rank")
def c31_rank(run: Run) -> Sample:
    """An error below 1e-9 counts as none: the rounding of outputs has no order."""
    found = []
    for nets in _theorem2(run):
        if len(nets) < 3:
            raise Untestable("theorem2 has fewer than three kernels, too few to rank")
        free = [run.evidence(net, "null_dimension") for net in nets]
        both = [*free, *_errors(run, nets)]
        found.append(combined(both, _ranked))
    return least(found)


def _ranked(values: list[float]) -> float:
    half = len(values) // 2
    return rank_correlation(values[:half], [max(error, 1e-9) for error in values[half:]])


@measure("c31.full")
def c31_full(run: Run) -> Sample:
    """Over training images and kernels."""
    nets = [net for nets in _theorem2(run) for net in nets]
    full = [net for net in nets if max(run.evidence(net, "null_dimension").values()) == 0]
    if not full:
        raise Untestable("no network of theorem2 has patches of full rank")
    return log10(greatest(_errors(run, full)))


@measure("c31.bound")
def c31_bound(run: Run) -> Sample:
    """Over training images and kernels; where the bound is 0, c31.full tells."""
    found = []
    for net in (net for nets in _theorem2(run) for net in nets):
        bound = run.evidence(net, "bound")
        if min(bound.values()) > 0:
            (error,) = _errors(run, [net])
            found.append(minus(log10(error), log10(bound)))
    if not found:
        raise Untestable("every bound of theorem2 is 0")
    return greatest(found)

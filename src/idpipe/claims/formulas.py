"""Measures of claims on metrics, parameter counts and Theorem 2."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from idpipe.claims.measures import Measure, entered_in
from idpipe.claims.networks import NAMED, Between, JudgedNetwork, Run
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


def _theorem2(run: Run) -> list[list[JudgedNetwork]]:
    """Per training image its networks that count, by their kernels."""
    images: dict[tuple[str, str, int], list[JudgedNetwork]] = {}
    for rung in run.study("theorem2"):
        key = (rung["source"], rung["examples"], rung["size"])
        images.setdefault(key, []).append(run.counted("theorem2", rung))
    return [sorted(nets, key=lambda net: net.rung["kernel"]) for nets in images.values()]


def _errors(run: Run, nets: list[JudgedNetwork]) -> list[Sample]:
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

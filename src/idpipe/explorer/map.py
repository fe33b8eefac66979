"""What the explorer's map needs of every cell: how its replicates ended, and their measures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex
from scipy.special import stdtrit  # type: ignore[import-untyped]

from idpipe.cells import LIVE
from idpipe.config import FigureStyle, Plan
from idpipe.explorer.axes import study_axes
from idpipe.results import KINDS, REFERENCES, Results

MEASURES = ("correlation", "mse")
ALL_RHO = "correlated"
"""The group of the correlated probes of every rho."""
LABELS = {
    ALL_RHO: "correlated probes of every ρ",
    "train": "training images",
    "blend": "blends",
    "unseen": "unseen images",
    "out_of_domain": "out-of-domain images",
    "pattern": "patterns",
}
SHADES = 64
"""Steps of the colour map."""
KEYS = ["cell_id", "replicate"]


def index(plan: Plan, results: Results) -> dict[str, Any]:
    """All that the map shows, as plain JSON."""
    groups = probe_groups(results.table("metrics"))
    ids = list(plan.cells)
    most = max(cell.replicates for cell in plan.cells.values())
    return {
        "run": plan.config.run,
        "correlation": plan.config.probes.correlation,
        "live": list(LIVE),
        **_style(plan.config.figures, most),
        "groups": groups,
        "studies": [
            {
                "name": name,
                "axes": [{"key": axis.key, "values": axis.values} for axis in found],
                "cells": [ids.index(cell.cell_id) for cell in plan.studies[name]],
            }
            for name, found in study_axes(plan).items()
        ],
        "cells": _cells(ids, [group["key"] for group in groups], results),
    }


def _style(style: FigureStyle, most: int) -> dict[str, Any]:
    colours = matplotlib.colormaps[style.colormap].resampled(SHADES)
    # Half of an interval is this times the standard error, by the number of replicates.
    quantiles = [stdtrit(count - 1, 0.5 + style.interval / 2) for count in range(2, most + 1)]
    return {
        "replicate": style.replicate,
        "level": style.interval,
        "quantiles": [None, None, *(short(float(quantile), 6) for quantile in quantiles)],
        "colours": [to_hex(colours(place)) for place in range(SHADES)],
    }


def probe_groups(metrics: pd.DataFrame) -> list[dict[str, Any]]:
    """Groups of probes that measures are averaged over: each rho, all of them, each kind."""
    kinds = set(metrics["kind"])
    rhos = sorted(metrics["rho"].dropna().unique())
    found: list[dict[str, Any]] = []
    if rhos:
        found.append({"key": ALL_RHO, "label": LABELS[ALL_RHO]})
    found += [{"key": rho_key(rho), "label": f"ρ = {rho:g}", "rho": float(rho)} for rho in rhos]
    named = [kind for kind in KINDS if kind in kinds and kind != "correlated"]
    return found + [{"key": kind, "label": LABELS[kind]} for kind in named]


def rho_key(rho: float) -> str:
    """The group of the probes at one rho: `rho=0.3`."""
    return f"rho={rho:g}"


def means(metrics: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Each replicate's means over groups of probes, where finite, at the training image's size.

    A row per cell and replicate, a column per (measure, group, reference).
    """
    own = metrics.merge(cells[[*KEYS, "size"]], on=[*KEYS, "size"])
    own = own.assign(
        group=own["kind"].where(own["rho"].isna(), own["rho"].map(rho_key)),
        **{name: own[name].where(np.isfinite(own[name])) for name in MEASURES},
    )
    every = own[own["kind"] == ALL_RHO].assign(group=ALL_RHO)
    grouped = pd.concat([own, every]).groupby([*KEYS, "group", "reference"])
    found = grouped[list(MEASURES)].mean().unstack(["group", "reference"])
    return pd.DataFrame(found)


def _cells(ids: Sequence[str], groups: Sequence[str], results: Results) -> list[dict[str, Any]]:
    cells = results.table("cells")
    found = means(results.table("metrics"), cells)
    columns = [(m, group, ref) for group in groups for m in MEASURES for ref in REFERENCES]
    values = found.reindex(columns=pd.MultiIndex.from_tuples(columns))
    values = values.reindex(pd.MultiIndex.from_frame(cells[KEYS]))
    rows: dict[str, list[dict[str, Any]]] = {cell_id: [] for cell_id in ids}
    ends = cells[["cell_id", "status", "restarts", "steps", "mse"]].to_dict("records")
    for end, numbers in zip(ends, values.to_numpy(), strict=True):
        told = {
            **{key: end[key] for key in ("status", "restarts", "steps")},
            "mse": short(end["mse"]),
            "values": [short(number) for number in numbers],
        }
        rows[end["cell_id"]].append(told)
    return [{"id": cell_id, "replicates": rows[cell_id]} for cell_id in ids]


def short(number: float, digits: int = 4) -> float | None:
    """A number in few digits; None where it is not finite, which JSON does not have."""
    return float(f"{number:.{digits}g}") if math.isfinite(number) else None

"""The networks of a study, all of them or one per value of an axis (a ladder's rungs), in order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from idpipe.cells import LIVE, LOST, MAX_STEPS, NETS, NetSpec
from idpipe.config import along, split
from idpipe.results.run import Results


@dataclass(frozen=True)
class Rung:
    """One network: its value on the ladder's axis, its cell, and a table row per replicate."""

    value: Any
    cell_id: str
    replicates: pd.DataFrame

    def __getitem__(self, column: str) -> Any:
        """A column of the table `cells` that is the same for all replicates, such as `width`."""
        value = self.replicates[column].iloc[0]
        return value.item() if isinstance(value, np.generic) else value

    @property
    def total(self) -> int:
        """Number of replicates."""
        return len(self.replicates)

    @property
    def live(self) -> int:
        """Replicates whose numbers count: neither dead nor diverged."""
        return int(self.replicates["status"].isin(LIVE).sum())

    @property
    def unconverged(self) -> int:
        """Replicates that spent their budget before they converged."""
        return self.count(MAX_STEPS)

    @property
    def restarted(self) -> int:
        """Replicates that were restarted, whatever became of them then."""
        return int((self.replicates["restarts"] > 0).sum())

    @property
    def failures(self) -> str:
        """`dead`, `diverged`, `dead or diverged`, or nothing: how replicates failed."""
        return " or ".join(word for word in LOST if self.count(word))

    def count(self, status: str) -> int:
        """Replicates that ended in `status`."""
        return int((self.replicates["status"] == status).sum())


@dataclass(frozen=True)
class Ladder:
    """The networks of a study along one axis, smallest value first.

    `setting` tells what they share, such as `5 × 5 filters, 128 channels`.
    """

    study: str
    setting: str
    rungs: tuple[Rung, ...]


def networks(results: Results, study: str, axis: str = "depth") -> tuple[Rung, ...]:
    """Every network of `study`, in grid order, with its value of `axis`."""
    cells = results.study(study).groupby("cell_id", sort=False)
    rungs = (Rung(None, str(cell_id), rows.sort_values("replicate")) for cell_id, rows in cells)
    return tuple(replace(rung, value=rung[axis]) for rung in rungs)


def ladder(results: Results, study: str, axis: str = "depth") -> Ladder:
    """The cells of `study`, one per value of `axis`, a column of the table `cells`.

    Where the study varies the width beside the axis, its largest width is taken. Raises FigureError
    where a value has more than one cell.
    """
    return _ladder(study, networks(results, study, axis), axis)


def ladders(results: Results, study: str, axis: str, *by: str) -> dict[Any, Ladder]:
    """A ladder per value of the column `by`, or per tuple of values where there are several."""
    groups = split(networks(results, study, axis), by)
    return {
        key if len(by) > 1 else key[0]: _ladder(study, rungs, axis) for key, rungs in groups.items()
    }


def _ladder(study: str, rungs: Sequence[Rung], axis: str) -> Ladder:
    kept = along(study, rungs, axis)
    text = setting(kept, (axis,))
    widths = sorted({int(rung["width"]) for rung in rungs})
    if axis != "width" and len(widths) > 1:
        text += f" (the largest of {', '.join(map(str, widths))})"
    return Ladder(study, text, tuple(kept))


def setting(rungs: Sequence[Rung], told: Sequence[str]) -> str:
    """What networks share beside the columns `told` elsewhere: `5 × 5 filters, 128 channels`."""
    parts = {}
    for arch, net in NETS.items():
        if alike := [rung for rung in rungs if rung["arch"] == arch]:
            parts[net.title] = _shared(alike, net, told)
    if len(parts) == 1:
        return next(iter(parts.values()))
    return "; ".join(f"{name}: {text}" for name, text in parts.items() if text)


def _shared(rungs: Sequence[Rung], net: type[NetSpec], told: Sequence[str]) -> str:
    """The same for networks of one kind; a width means nothing where there is one layer."""
    layers = {int(rung["depth"]) for rung in rungs}
    hidden = [rung for rung in rungs if rung["depth"] > 1] or rungs
    widths = sorted({int(rung["width"]) for rung in hidden})
    parts = []
    if "depth" not in told and len(layers) == 1:
        parts.append(f"{min(layers)} layer{'s' if min(layers) > 1 else ''}")
    if "kernel" not in told:
        sides = {f"{rung['kernel']:.0f}" for rung in rungs if not math.isnan(rung["kernel"])}
        parts += [f"{side} × {side} filters" for side in sides if len(sides) == 1]
    if "width" not in told:
        span = " to ".join(f"{width}" for width in dict.fromkeys((widths[0], widths[-1])))
        parts.append(f"{span} {net.width_unit}")
    return ", ".join(parts)

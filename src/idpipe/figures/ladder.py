"""A study as most figures show it: one network per value of one axis, in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from idpipe.figures.results import LIVE, FigureError, Results


@dataclass(frozen=True)
class Rung:
    """One network: its value on the ladder's axis, its cell, and a table row per replicate."""

    value: Any
    cell_id: str
    replicates: pd.DataFrame

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
        return self.count("max_steps")

    @property
    def restarted(self) -> int:
        """Replicates that were restarted, whatever became of them then."""
        return int((self.replicates["restarts"] > 0).sum())

    @property
    def failures(self) -> str:
        """`dead`, `diverged`, `dead or diverged`, or nothing: how replicates failed."""
        return " or ".join(word for word in ("dead", "diverged") if self.count(word))

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


def ladder(
    results: Results, study: str, axis: str = "depth", where: Mapping[str, Any] | None = None
) -> Ladder:
    """The cells of `study`, one per value of `axis`, a column of the table `cells`.

    `where` names further columns and the value of each that is taken. Where the study varies the
    width beside the axis, its largest width is taken. Raises FigureError where more than one cell
    is left for a value.
    """
    rows = results.study(study)
    for column, wanted in (where or {}).items():
        rows = rows[rows[column] == wanted]
    widths = sorted(int(width) for width in rows["width"].unique())
    if axis != "width":
        rows = rows[rows["width"] == widths[-1]]
    rungs = []
    for value, replicates in rows.groupby(axis, sort=True):
        ids = replicates["cell_id"].unique()
        if len(ids) > 1:
            raise FigureError(
                f"studies.{study}: {axis} {value} has {len(ids)} cells ({', '.join(ids)}); the "
                "figure shows one per value. Give the other axis a study of its own"
            )
        rungs.append(Rung(value, str(ids[0]), replicates.sort_values("replicate")))
    return Ladder(study, _setting(rows, axis, widths), tuple(rungs))


def _setting(rows: pd.DataFrame, axis: str, widths: list[int]) -> str:
    """What the networks share: `hidden width 2048 (the largest of 784, 2048)`."""
    first = rows.iloc[0]
    convolutional = first["arch"] == "cnn"
    parts = []
    if convolutional and axis != "kernel":
        parts.append(f"{first['kernel']:.0f} × {first['kernel']:.0f} filters")
    if axis != "width":
        parts.append(f"{widths[-1]} channels" if convolutional else f"hidden width {widths[-1]}")
        if len(widths) > 1:
            parts[-1] += f" (the largest of {', '.join(map(str, widths))})"
    return ", ".join(parts)

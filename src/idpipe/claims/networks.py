"""A run as measures see it: networks picked by what a claim says of them, numbers per replicate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from idpipe.cells import LIVE, LOST, NETS, SOURCES
from idpipe.claims.samples import Sample, Untestable
from idpipe.errors import FigureError
from idpipe.results import Results, Rung, networks

FITS = 0.01
"""Largest train MSE of a replicate that counts (standardized², where pixels have variance 1)."""
CHANNELS = 16
"""Fewest channels of a CNN that stands for the paper's 128."""


@dataclass(frozen=True)
class Between:
    """A range of a column, ends included; None has no end."""

    low: int | None = None
    high: int | None = None

    def __contains__(self, value: float | int) -> bool:
        above = self.low is None or value >= self.low
        return above and (self.high is None or value <= self.high)

    def __str__(self) -> str:
        if self.low is None:
            return f"at most {self.high}"
        return f"{self.low} or more" if self.high is None else f"{self.low} to {self.high}"


@dataclass(frozen=True)
class Probes:
    """A choice of rows of the table `metrics`, and its name in a sentence."""

    name: str
    rows: Callable[[pd.DataFrame], pd.Series[bool]]


def _named(*kinds: str) -> Callable[[pd.DataFrame], pd.Series[bool]]:
    return lambda m: m["kind"].isin(kinds) & (m["size"] == m["size_train"])


ALL_RHO = Probes("correlated probes", lambda m: m["kind"] == "correlated")
FAR = Probes("probes of rho <= 0.5", lambda m: (m["kind"] == "correlated") & (m["rho"] <= 0.5))
ORTHOGONAL = Probes("probes of rho = 0", lambda m: (m["kind"] == "correlated") & (m["rho"] == 0))
NAMED = Probes("named probes", _named("unseen", "out_of_domain", "pattern"))
FOREIGN = Probes("out-of-domain and pattern probes", _named("out_of_domain", "pattern"))


def sized(size: int) -> Probes:
    """The named probes at another size."""
    kinds = ("unseen", "out_of_domain", "pattern")
    return Probes(
        f"probes of {size} x {size}", lambda m: m["kind"].isin(kinds) & (m["size"] == size)
    )


@dataclass(frozen=True)
class JudgedNetwork:
    """A network, and its replicates that count."""

    study: str
    rung: Rung
    counted: tuple[int, ...]

    @property
    def told(self) -> str:
        """Its settings in short: `5-layer CNN (24 channels)`."""
        return describe(self.rung)


class Run:
    """A run's tables, and which networks were asked of them.

    `used` collects those that count by their cell, `left_out` why others do not.
    """

    def __init__(self, results: Results) -> None:
        self.results = results
        self.used: dict[str, JudgedNetwork] = {}
        self.left_out: dict[str, str] = {}
        self._rungs: dict[str, tuple[Rung, ...]] = {}

    def begin(self) -> None:
        """Forget which networks were asked for."""
        self.used, self.left_out = {}, {}

    def study(self, name: str) -> tuple[Rung, ...]:
        """Every network of a study. Raises Untestable where the run lacks it."""
        if name not in self._rungs:
            try:
                self._rungs[name] = networks(self.results, name)
            except FigureError:
                raise Untestable(f"the run has no study {name}") from None
        return self._rungs[name]

    def values(self, study: str, column: str) -> list[Any]:
        """The values of a setting in a study, in grid order."""
        return list(dict.fromkeys(rung[column] for rung in self.study(study)))

    def trained_on(self, study: str, source: str) -> None:
        """Raise Untestable unless the study trains on that source."""
        for other in self.values(study, "source"):
            if other != source:
                raise Untestable(f"{study} trains on {other}, the claim is of {source}")

    def rungs(self, study: str, **wanted: Any) -> list[Rung]:
        """Networks whose settings are as wanted, a value or `Between`.

        Of several widths the largest, unless one is asked for. Raises Untestable where there is
        none, or none that is wide enough.
        """
        found = [rung for rung in self.study(study) if _is(rung, wanted)]
        if not found:
            raise Untestable(f"{study} has no network of {_told(wanted)}")
        if "width" in wanted:
            return found
        # The width of one layer says nothing, so that of the others decides.
        widest = max([rung for rung in found if rung["depth"] > 1] or found, key=_width)
        if not wide_enough(widest):
            unit, least = _needed(widest)
            told = f"{_width(widest)} {unit}, {least} are needed"
            raise Untestable(f"{study} is too narrow: {told}")
        return [rung for rung in found if _width(rung) == _width(widest)]

    def net(self, study: str, fits: bool = True, **wanted: Any) -> JudgedNetwork:
        """The one network that is as wanted. Raises Untestable unless its replicates count."""
        found = self.rungs(study, **wanted)
        if len(found) > 1:
            raise Untestable(f"{study} has {len(found)} networks of {_told(wanted)}, not one")
        return self.counted(study, found[0], fits)

    def nets(self, study: str, **wanted: Any) -> list[JudgedNetwork]:
        """All networks that are as wanted, from the shallowest; all must count."""
        found = sorted(self.rungs(study, **wanted), key=lambda rung: rung["depth"])
        return [self.counted(study, rung) for rung in found]

    def some(self, study: str, **wanted: Any) -> list[JudgedNetwork]:
        """As `nets`, but networks that do not count are left out, and told of."""
        found = []
        for rung in sorted(self.rungs(study, **wanted), key=lambda rung: rung["depth"]):
            try:
                found.append(self.counted(study, rung))
            except Untestable as reason:
                self.left_out[rung.cell_id] = last = str(reason)
        if not found:
            raise Untestable(last)
        return found

    def counted(self, study: str, rung: Rung, fits: bool = True) -> JudgedNetwork:
        """The network and its replicates that count. Raises Untestable where they are too few."""
        live = rung.replicates[rung.replicates["status"].isin(LIVE)]
        good = live[live["mse"] <= FITS] if fits else live
        name = f"{describe(rung)} of {study}"
        if rung.total < 2:
            raise Untestable(f"one replicate gives no interval: {name}")
        if len(good) < max(2, rung.total / 2):
            lost = {word: rung.count(word) for word in LOST}
            lost["not fitting the training image"] = len(live) - len(good)
            why = ", ".join(f"{count} {word}" for word, count in lost.items() if count)
            raise Untestable(f"{len(good)} of {rung.total} replicates count ({why}): {name}")
        net = JudgedNetwork(study, rung, tuple(int(r) for r in good["replicate"]))
        self.used[rung.cell_id] = net
        return net

    @cached_property
    def _metrics(self) -> dict[str, pd.DataFrame]:
        sizes = self.results.table("cells")[["cell_id", "size"]].drop_duplicates()
        renamed = sizes.rename(columns={"size": "size_train"})
        joined = self.results.table("metrics").merge(renamed, on="cell_id")
        return {str(cell_id): rows for cell_id, rows in joined.groupby("cell_id", sort=False)}

    def rows(self, net: JudgedNetwork, reference: str, probes: Probes) -> pd.DataFrame:
        """Metrics of the replicates that count. Raises Untestable where there is none."""
        rows = self._metrics.get(net.rung.cell_id)
        if rows is not None:
            chosen = (rows["reference"] == reference) & rows["replicate"].isin(net.counted)
            rows = rows[chosen & probes.rows(rows)]
        if rows is None or rows.empty:
            raise Untestable(f"{net.told} of {net.study} was not shown {probes.name}")
        return rows

    def measured(self, net: JudgedNetwork, reference: str, probes: Probes, column: str) -> Sample:
        """Each replicate's mean of a column of `metrics`; undefined values are left out."""
        rows = self.rows(net, reference, probes)
        rows = rows[np.isfinite(rows[column])]
        return _sample(rows.groupby("replicate")[column].mean())

    def close(self, net: JudgedNetwork, reference: str, probes: Probes) -> Sample:
        """Mean correlation to a reference."""
        return self.measured(net, reference, probes, "correlation")

    def unsigned(self, net: JudgedNetwork, reference: str, probes: Probes) -> Sample:
        """Mean of the correlation's absolute value."""
        rows = self.rows(net, reference, probes)
        return _sample(rows["correlation"].abs().groupby(rows["replicate"]).mean())

    def per_rho(self, net: JudgedNetwork, reference: str, column: str) -> pd.Series[float]:
        """Mean over the probes at each rho, by (replicate, rho)."""
        rows = self.rows(net, reference, ALL_RHO)
        return rows.groupby(["replicate", "rho"])[column].mean()

    def layers(
        self, net: JudgedNetwork, quantity: str, state: str = "trained"
    ) -> dict[int, Sample]:
        """Layer -> each replicate's number. Raises Untestable where layers were not looked at."""
        rows = net.rung.replicates
        rows = rows[rows["replicate"].isin(net.counted)]
        try:
            found = self.results.layers(rows, quantity, state)
        except FigureError:
            raise Untestable(f"layers of {net.told} of {net.study} have no {quantity}") from None
        return {
            int(str(layer)): _sample(rows.set_index("replicate")["value"])
            for layer, rows in found.groupby("layer")
        }

    def evidence(self, net: JudgedNetwork, quantity: str) -> Sample:
        """A number of the table `evidence`. Raises Untestable where it has none."""
        table = self.results.table("evidence")
        rows = table[(table["cell_id"] == net.rung.cell_id) & (table["quantity"] == quantity)]
        rows = rows[rows["replicate"].isin(net.counted)]
        if rows.empty:
            raise Untestable(f"{net.told} of {net.study} has no {quantity} in the table evidence")
        return _sample(rows.set_index("replicate")["value"])


def _sample(series: pd.Series[Any]) -> Sample:
    return {int(r): float(value) for r, value in series.items()}  # type: ignore[call-overload]


def _is(rung: Rung, wanted: dict[str, Any]) -> bool:
    return all(
        rung[column] in value if isinstance(value, Between) else rung[column] == value
        for column, value in wanted.items()
    )


def _width(rung: Rung) -> int:
    return int(rung["width"])


def _needed(rung: Rung) -> tuple[str, int]:
    """The unit of a width, and the least that stands for the paper's."""
    net = NETS[rung["arch"]]
    if net.convolutional:
        return net.width_unit, CHANNELS
    return net.width_unit, int(SOURCES[rung["source"]].channels * rung["size"] ** 2)


def wide_enough(rung: Rung) -> bool:
    """Whether a network stands for one of the paper's width; one layer has none."""
    return bool(rung["depth"] == 1 or _width(rung) >= _needed(rung)[1])


SAID = {
    "depth": "{} layers",
    "width": "width {}",
    "kernel": "kernel {}",
    "size": "{} pixels",
    "examples": "image {}",
}


def _told(wanted: dict[str, Any]) -> str:
    """What a network was asked to be, such as `20 layers, width 1024`."""
    return ", ".join(SAID.get(column, f"{column} {{}}").format(v) for column, v in wanted.items())


def describe(rung: Rung) -> str:
    """A network's settings in short, such as `5-layer CNN (24 channels)`."""
    unit, _ = _needed(rung)
    wide = f" ({rung['width']} {unit})" if rung["depth"] > 1 else ""
    return f"{rung['depth']}-layer {NETS[rung['arch']].title}{wide}"

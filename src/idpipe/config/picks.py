"""Networks of a study picked by their settings: along an axis, by name, those a theorem speaks of.

Before any training and after it: `Planned` cells and trained networks are picked by the same
functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeVar, runtime_checkable

from idpipe.cells import NETS, Cell, column_values
from idpipe.errors import FigureError


@runtime_checkable
class Network(Protocol):
    """A network of a study, trained or only planned."""

    @property
    def cell_id(self) -> str:
        """Its cell."""

    def __getitem__(self, column: str) -> Any:
        """One of its settings, a column of the table `cells`."""


@dataclass(frozen=True)
class Planned:
    """A cell before it is trained."""

    cell_id: str
    cell: Cell

    def __getitem__(self, column: str) -> Any:
        """One of its settings, a column of the table `cells`."""
        return self._columns[column]

    @cached_property
    def _columns(self) -> dict[str, Any]:
        return column_values(self.cell)


N = TypeVar("N", bound=Network)


def along(study: str, networks: Sequence[N], axis: str = "depth") -> list[N]:
    """One network per value of `axis`, rising; of several widths the largest.

    Raises FigureError where a value has more than one.
    """
    if axis != "width":
        widest = max(network["width"] for network in networks)
        networks = [network for network in networks if network["width"] == widest]
    found = _single(study, networks, lambda network: network[axis], f"{axis} ")
    return [network for _, network in sorted(found.items(), key=lambda item: item[0])]


DEEPEST = 20
"""The paper's CNN that learns the constant map."""


def deepest(networks: Sequence[N]) -> N:
    """The paper's 20-layer CNN, or else the deepest of networks with rising depths."""
    same = [network for network in networks if network["depth"] == DEEPEST]
    return same[0] if same else networks[-1]


def by_code(study: str, networks: Sequence[N]) -> dict[str, N]:
    """The short name of each network -> the network. Raises FigureError where two share it."""
    return _single(study, networks, code, "")


def code(network: Network) -> str:
    """A network's short name, such as the paper's `H9`, `LinH1` and `C20`."""
    return NETS[network["arch"]].code(network["depth"], network["activation"])


def _single(study: str, networks: Sequence[N], key: Callable[[N], Any], what: str) -> dict[Any, N]:
    """Value of `key` -> the network that has it. Raises FigureError where several have."""
    found: dict[Any, list[N]] = {}
    for network in networks:
        found.setdefault(key(network), []).append(network)
    for value, alike in found.items():
        if len(alike) > 1:
            ids = tuple(network.cell_id for network in alike)
            raise FigureError(
                f"studies.{study}: {what}{value} has {len(ids)} cells ({', '.join(ids)}); the "
                "figure shows one of each. Give the other axis a study of its own",
                ids,
            )
    return {value: alike[0] for value, alike in found.items()}


def split(networks: Sequence[N], by: Sequence[str]) -> dict[tuple[Any, ...], list[N]]:
    """Values of the columns `by` -> the networks that have them, in grid order."""
    found: dict[tuple[Any, ...], list[N]] = {}
    for network in networks:
        found.setdefault(tuple(network[column] for column in by), []).append(network)
    return found


def for_theorem1(study: str, network: Network) -> None:
    """Raise FigureError where Theorem 1 does not speak of the network."""
    _check_layer(study, network, "fcn")
    if not on_one(network):
        raise FigureError(f"studies.{study}: {network.cell_id} must train on one image")


def for_theorem2(study: str, network: Network) -> None:
    """Raise FigureError where Theorem 2 does not speak of the network."""
    _check_layer(study, network, "cnn")
    cell_id = network.cell_id
    if not on_one(network) or network["vary"]:
        raise FigureError(f"studies.{study}: {cell_id} must train on one image, with vary: false")
    if network["init"] not in INDEPENDENT:
        raise FigureError(
            f"studies.{study}: {cell_id}: Theorem 2 needs independent weights of known variance; "
            f"init must be {' or '.join(INDEPENDENT)}"
        )


INDEPENDENT = (
    *("pytorch", "printed", "geometric", "xavier_normal", "xavier_uniform"),
    *("kaiming_normal", "kaiming_uniform"),
)
"""Inits of independent weights, whose variance is known (`idpipe.theory.VARIANCES`)."""


def on_one(network: Network) -> bool:
    """Whether it trains on a single image."""
    return bool(network["examples"] != "all" and len(network["examples"].split()) == 1)


def _check_layer(study: str, network: Network, arch: str) -> None:
    if network["arch"] != arch or network["depth"] != 1 or network["bias"]:
        raise FigureError(
            f"studies.{study}: {network.cell_id} is no one-layer {NETS[arch].title} without "
            f"biases; its net must be {{arch: {arch}, depth: 1, bias: false}}"
        )

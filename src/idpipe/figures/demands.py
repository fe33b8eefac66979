"""Which networks of a study a figure shows; a study it has no place for is refused.

A figure's entry in the registry names its demands. They are asked before any training
(`idpipe.workflow.targets`), and of trained networks when it is drawn (`idpipe.figures.draw`): of
their settings alone, so neither numpy nor pandas is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from idpipe.cells import NETS
from idpipe.config import N, Network, along, by_code, on_one, split
from idpipe.errors import FigureError

Choice = Callable[[str, Sequence[Network]], object]
"""What a figure takes of a study, by its name and its networks. Raises FigureError where it has no
place for them."""


@dataclass(frozen=True)
class Demand:
    """A study of a figure, and what the figure asks of its networks."""

    study: str
    choices: tuple[Choice, ...] = ()


def over(axis: str = "depth", *by: str) -> Choice:
    """One network per value of `axis`, in a group per combination of the columns `by`."""

    def choose(study: str, networks: Sequence[Network]) -> list[Network]:
        groups = split(networks, by).values()
        return [network for group in groups for network in along(study, group, axis)]

    return choose


def with_hidden(study: str, networks: Sequence[N]) -> list[N]:
    """The networks of more than one layer. Raises FigureError where there is none."""
    found = [network for network in networks if network["depth"] > 1]
    if not found:
        raise FigureError(
            f"studies.{study}: must have a net.depth of at least 2, for the figure shows networks "
            "of several layers"
        )
    return found


def on_one_image(study: str, networks: Sequence[N]) -> Sequence[N]:
    """The networks, if each has a training image to correlate probes with; else FigureError."""
    for network in networks:
        if not on_one(network):
            raise FigureError(
                f"studies.{study}: no correlated probes; its cells must train on one image, and "
                f"{network.cell_id} trains on {network['examples']}"
            )
    return networks


def convolutional(study: str, networks: Sequence[N]) -> Sequence[N]:
    """The networks, if they take images of any size and have channels to view; else FigureError."""
    for network in networks:
        if not NETS[network["arch"]].convolutional:
            allowed = " or ".join(arch for arch, net in NETS.items() if net.convolutional)
            raise FigureError(
                f"studies.{study}: net.arch must be {allowed} in this figure; {network.cell_id} is "
                f"{network['arch']}"
            )
    return networks


def of_images(study: str, networks: Sequence[N], count: int) -> list[N]:
    """The networks trained on the first set of `count` images; FigureError where there is none."""
    for (examples,), alike in split(networks, ("examples",)).items():
        if examples != "all" and len(examples.split()) == count:
            return alike
    raise FigureError(
        f"studies.{study}.axes.data.examples: no value has {count} images; the figure shows "
        "networks trained on as many"
    )


def of_image(study: str, networks: Sequence[N], number: int) -> list[N]:
    """The networks trained on image `number` of the study, from 0; FigureError without one."""
    groups = list(split(networks, ("examples",)).values())
    if number >= len(groups):
        raise FigureError(
            f"studies.{study}.axes.data.examples: {len(groups)} training images; the figure shows "
            f"networks trained on number {number + 1}"
        )
    return groups[number]


def each(check: Callable[[str, Network], None]) -> Choice:
    """All networks, if `check` raises for none of them."""

    def choose(study: str, networks: Sequence[Network]) -> None:
        for network in networks:
            check(study, network)

    return choose


def coded(choose: Callable[..., list[Network]], number: int) -> Choice:
    """One network per code among those of `of_images` or `of_image` for a number."""
    return lambda study, networks: by_code(study, choose(study, networks, number))


def taken(demand: Demand, networks: Sequence[N]) -> list[N]:
    """The networks that all choices of a figure take of a study's, in the study's order.

    Raises FigureError where the figure has no place for them.
    """
    kept = list(networks)
    for choose in demand.choices:
        found = choose(demand.study, networks)
        if isinstance(found, Mapping):
            found = list(found.values())
        if isinstance(found, Sequence):
            ids = {network.cell_id for network in found}
            kept = [network for network in kept if network.cell_id in ids]
    return kept


def problems(
    demands: Sequence[Demand], studies: Mapping[str, Sequence[Network]]
) -> list[tuple[str, FigureError]]:
    """Why a figure cannot show its studies: a study's name and its first problem, or none."""
    found = []
    for demand in demands:
        try:
            taken(demand, studies[demand.study])
        except FigureError as error:
            found.append((demand.study, error))
    return found

"""What measures are, and those that several claims share."""

from __future__ import annotations

from collections.abc import Callable

from idpipe.claims.networks import FAR, JudgedNetwork, Run
from idpipe.claims.samples import Sample, minus

Measure = Callable[[Run], "Sample | float"]
"""A number per replicate; a plain number where no replicates are involved."""


def entered_in(table: dict[str, Measure]) -> Callable[[str], Callable[[Measure], Measure]]:
    """A decorator that enters a function in `table` under the key of the part it measures."""

    def measure(key: str) -> Callable[[Measure], Measure]:
        def enter(function: Measure) -> Measure:
            table[key] = function
            return function

        return enter

    return measure


def to_constant(run: Run, net: JudgedNetwork) -> Sample:
    """How much closer far from the training image the outputs are to it than to the inputs."""
    return minus(run.close(net, "constant", FAR), run.close(net, "identity", FAR))


def to_identity(run: Run, net: JudgedNetwork) -> Sample:
    """The same the other way round."""
    return minus(run.close(net, "identity", FAR), run.close(net, "constant", FAR))


def worst_rho(run: Run, net: JudgedNetwork) -> Sample:
    """Each replicate's least mean correlation to the identity over rho."""
    low = run.per_rho(net, "identity", "correlation").groupby("replicate").min()
    return {int(r): float(low.loc[r]) for r in low.index}

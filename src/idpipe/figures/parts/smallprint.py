"""Sentences below quantitative figures: what the numbers rest on, and what is not in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from idpipe.config import FigureStyle
from idpipe.figures.parts import layout
from idpipe.results import Ladder, Rung


def basis(networks: Sequence[Ladder], text: str) -> str:
    """What the networks share, then `text` with its {sources} and {replicates} filled in."""
    setting = "; ".join(dict.fromkeys(one.setting for one in networks))
    rungs = [rung for one in networks for rung in one.rungs]
    sources = ", ".join(dict.fromkeys(str(rung["source"]) for rung in rungs))
    totals = sorted({rung.total for rung in rungs})
    replicates = " to ".join(f"{total}" for total in dict.fromkeys((totals[0], totals[-1])))
    return f"{layout.sentence(setting)} {text.format(sources=sources, replicates=replicates)}"


def spread(style: FigureStyle, look: str, drawn: bool = True) -> str:
    """`bars: 95% interval (Student t)`; `look` says how an interval looks, if any is drawn."""
    interval = f"{style.interval:.0%} interval (Student t)"
    return f"{look} {interval}" if drawn else "no interval, for want of a second one"


def exceptions(networks: Mapping[str, Rung], some: str, none: str, late: str) -> list[str]:
    """Sentences on replicates that died, ran out of budget or were restarted, if any did.

    Args:
        networks: where a network stands in the figure -> the network.
        some: what is said where some of a network's replicates live; the networks and how many of
            them live follow it, unless it is empty or ends with a full stop.
        none: the same where none lives.
        late: the same where some had not converged.
    """
    told = {
        some: {at: f"{r.live} of {r.total}" for at, r in networks.items() if 0 < r.live < r.total},
        none: {at: r.failures for at, r in networks.items() if r.live == 0},
        late: {at: f"{r.unconverged}" for at, r in networks.items() if r.unconverged},
        "Restarted after they died or diverged": {
            at: f"{r.restarted}" for at, r in networks.items() if r.restarted
        },
    }
    listed = {
        what: "; ".join(f"{count} at {at}" for at, count in where.items())
        for what, where in told.items()
        if what and where
    }
    return [what if what.endswith(".") else f"{what}: {text}." for what, text in listed.items()]

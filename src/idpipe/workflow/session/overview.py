"""What a user sees of a run: a line now and then while it goes on, and a summary when it ends."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from idpipe import costs, store
from idpipe.cells import ENDINGS, LOST, MAX_STEPS, Cell
from idpipe.config import environment
from idpipe.costs import Prices
from idpipe.errors import IdpipeError
from idpipe.figures import FIGURES

PROGRESS = "IDPIPE_PROGRESS"
"""Variable of the environment: seconds between two lines of progress, 0 for none."""
USUAL_SECONDS = 30.0
SHOWN = 6
"""Cells that the summary names of each kind."""
SHORT_OF = (*LOST, MAX_STEPS)
"""Endings that the summary tells of."""


class Work(NamedTuple):
    """A job of a run: its rule, the cell it is about, and how long it is expected to take."""

    rule: str
    cell: str | None
    seconds: float


def work(rule: str, cell_id: str | None, cells: Mapping[str, Cell], prices: Prices) -> Work:
    """What is told of a job of a rule; a training takes what it is expected to."""
    seconds = costs.JOB_SECONDS
    if rule == "train" and cell_id is not None:
        seconds += costs.training_seconds(cells[cell_id], prices)
    return Work(rule, cell_id, seconds)


def interval() -> float:
    """Seconds between two lines, as the environment says. Raises IdpipeError on no number."""
    return environment.seconds(PROGRESS, USUAL_SECONDS)


class Overview:
    """Of one run of Snakemake, whose jobs are known to it by any keys.

    Args:
        to_do: the jobs that this run is to make.
        there: jobs of the targets that were made before.
        finished: whether a job of the run is finished.
        running: the keys of those that run now.
    """

    def __init__(
        self,
        to_do: Mapping[Any, Work],
        there: Iterable[Work],
        finished: Callable[[Any], bool],
        running: Callable[[], Collection[Any]],
    ) -> None:
        self.to_do, self.there = dict(to_do), list(there)
        self.finished, self.running = finished, running
        self.start = time.monotonic()

    def watch(self, say: Callable[[str], object], seconds: float) -> None:
        """Say a line every so many seconds, from a thread that ends with the process."""
        if 0 < seconds < math.inf and any(work.rule == "train" for work in self.to_do.values()):
            threading.Thread(target=self._watch, args=[say, seconds], daemon=True).start()

    def _watch(self, say: Callable[[str], object], seconds: float) -> None:
        while True:
            time.sleep(seconds)
            done = self._done()
            if len(done) == len(self.to_do):
                return
            say(self.line(done, list(self.running()), time.monotonic() - self.start))

    def _done(self) -> set[Any]:
        return {key for key in self.to_do if self.finished(key)}

    def line(self, done: Collection[Any], running: Collection[Any], elapsed: float) -> str:
        """Cells trained, in training and left; their rate; and the time left.

        The time left is that of the work left, by the cost model, at the pace so far.
        """
        training = [key for key, work in self.to_do.items() if work.rule == "train"]
        trained = sum(key in done for key in training)
        now = sum(key in running for key in training)
        left = len(training) - trained - now
        parts = [f"{trained} of {len(training)} cells trained, {now} in training, {left} waiting"]
        if trained:
            parts.append(f"{60 * trained / elapsed:.2g} cells a minute")
        made = sum(work.seconds for key, work in self.to_do.items() if key in done)
        whole = sum(work.seconds for work in self.to_do.values())
        if made:
            parts.append(f"about {duration(elapsed * (whole - made) / made)} left")
        return "; ".join(parts)

    def summary(self, run: Path, cells: Path, failed: Collection[Any] = ()) -> str:
        """What was made and what was there, which replicates were lost, and where results are.

        Args:
            run: the run's folder, of its figures and tables.
            cells: the folder of all cells.
            failed: keys of jobs that failed.
        """
        done = self._done()
        made = Counter(self.to_do[key].rule for key in done)
        there = Counter(work.rule for work in self.there)
        took = duration(time.monotonic() - self.start)
        figures = sum(count for rule, count in made.items() if _draws(rule))
        lines = [
            f"In {took}: {made['train']} cells trained ({there['train']} were there), "
            f"{made['evaluate']} evaluated ({there['evaluate']} were there), {figures} figures "
            f"drawn ({sum(count for rule, count in there.items() if _draws(rule))} were there)."
        ]
        lines += _lost(cells, [w.cell for w in [*self.there, *self.to_do.values()] if w.cell])
        if failed:
            names = sorted(f"{self.to_do[key].rule} {self.to_do[key].cell or ''}" for key in failed)
            lines.append(f"Failed: {_some(names)}. The same command goes on from what is there.")
        places = [run / part for part in ("figures", "tables") if (run / part).is_dir()]
        if places:
            lines.append(f"Results: {', '.join(map(str, places))}")
        return "\n".join(lines)


def _draws(rule: str) -> bool:
    return rule in FIGURES or rule == "scorecard"


def _lost(cells: Path, names: Sequence[str]) -> list[str]:
    """A line for each way in which replicates of these cells ended without convergence."""
    found: dict[str, list[str]] = {status: [] for status in SHORT_OF}
    for name in dict.fromkeys(names):
        try:
            told = store.read_json(cells / name / "status.json")["replicates"]
        except IdpipeError:
            continue  # not trained yet, or damaged: `idpipe verify` says which
        count = Counter(one["status"] for one in told)
        for status, lost in found.items():
            if count[status]:
                lost.append(f"{name} ({count[status]} of {count.total()})")
    return [
        f"Replicates that {ENDINGS[status].told}, in {len(lost)} cells: {_some(lost)}."
        for status, lost in found.items()
        if lost
    ]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(name.strip() for name in names[:SHOWN]) + more


def duration(seconds: float) -> str:
    """Seconds in words that are short."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"

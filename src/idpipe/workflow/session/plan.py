"""Snakemake's plan of a run: no job that is due is hidden, no file that was asked for is missing.

Where a job must run, Snakemake asks none of the jobs that come after it whether they must run
themselves: it expects to reach them from that job, by the files in between. But it does not go on
by files that are `ancient` and there. Jobs behind those were never asked, so a run that drew probes
anew, say, ended well without training what was missing (Snakemake 9.27).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Files = Mapping[Any, set[Any]]
"""Job that depends on another -> the files between the two."""


def reveal() -> None:
    """Have Snakemake ask the jobs behind `ancient` files for themselves, in this process."""
    from snakemake.dag import DAG  # Snakemake's own imports are heavy, and loaded by now

    if hasattr(DAG, "hides"):
        return
    DAG.hides, DAG.searched, DAG.updated = False, DAG.bfs, DAG.update_needrun

    async def update_needrun(self: Any, create_inventory: bool = False) -> None:
        self.hides = True
        try:
            await self.updated(create_inventory)
        finally:
            self.hides = False

    def bfs(
        self: Any, direction: Any, *jobs: Any, stop: Callable[[Any], bool] = lambda job: False
    ) -> Iterator[Any]:
        if self.hides and direction is self.depending:
            return reached(direction, *jobs)
        return self.searched(direction, *jobs, stop=stop)  # type: ignore[no-any-return]

    DAG.bfs, DAG.update_needrun = bfs, update_needrun


def reached(depending: Mapping[Any, Files], *jobs: Any) -> Iterator[Any]:
    """The jobs, and those that Snakemake gets to from them when they must run."""
    queue, seen = deque(jobs), set(jobs)
    while queue:
        job = queue.popleft()
        yield job
        for later, files in depending[job].items():
            if later not in seen and not all(f.is_ancient and os.path.exists(f) for f in files):
                seen.add(later)
                queue.append(later)


SHOWN = 20
"""Lines of what is wrong."""


def hold_to(dag: Any) -> None:
    """Raise WorkflowError where a run that succeeded has not made all that it was asked for."""
    from snakemake.exceptions import WorkflowError

    lines = unkept(dag)
    if len(lines) > SHOWN:
        lines = [*lines[:SHOWN], f"and {len(lines) - SHOWN} more"]
    if lines:
        raise WorkflowError("Not all that was asked for is there, run again:", *lines)


def unkept(dag: Any) -> list[str]:
    """What was asked for and is not there, or not of this configuration, a line each."""
    wanted = {path for job in dag.targetjobs for path in (*job.output, *job.input)}
    lines = [f"{path}: is missing" for path in sorted(wanted) if not os.path.exists(path)]
    return lines + [
        f"{job.output[0]}: is of another configuration"
        for job in dag.jobs
        if not wanted.isdisjoint(job.output) and not dag.finished(job) and _changed(dag, job)
    ]


def _changed(dag: Any, job: Any) -> bool:
    """Whether a job that did not run would be given other parameters or files than it was."""
    triggers = {trigger.name for trigger in dag.workflow.rerun_triggers}
    persistence = dag.workflow.persistence
    if not persistence.has_metadata(job):
        return False
    return bool(
        ("PARAMS" in triggers and bool(persistence.params_changed(job)))
        or ("INPUT" in triggers and any(persistence.input_changed(job)))
    )

"""One call of Snakemake: what happens when it starts, and what it says when it ends."""

import os
import sys
from functools import partial
from pathlib import Path

from snakemake.exceptions import WorkflowError

from idpipe.errors import IdpipeError
from idpipe.figures import FIGURES
from idpipe.workflow.session import overview, plan, runs, slurm, worker

# What every script would import anew; a job then starts in tenths of a second.
PRELOAD = [
    "idpipe.workflow.jobs",
    *sorted({f"idpipe.figures.{figure.module}" for figure in FIGURES.values()}),
    *["idpipe.claims.evidence", "idpipe.claims.scorecard"],
    *["matplotlib.backends.backend_agg", "matplotlib.backends.backend_pdf"],
    *["snakemake.iocontainers", "snakemake.logging"],
]
OVERVIEW = []
try:
    PROGRESS_SECONDS = overview.interval()
except IdpipeError as error:
    sys.exit(f"${error}")


def job_work(job):
    """What the overview is told of a job."""
    cell = getattr(job.wildcards, "cell", None)
    return overview.work(job.rule.name, cell, PLAN.cells, PRICES)


def start_overview():
    """Say now and then how far this run is."""
    dag = workflow.dag
    to_do = {job: job_work(job) for job in dag.needrun_jobs()}
    there = [job_work(job) for job in dag.jobs if job not in to_do]
    running = lambda: list(workflow.scheduler.running)
    found = overview.Overview(to_do, there, dag.finished, running)
    found.watch(partial(print, file=sys.stderr, flush=True), PROGRESS_SECONDS)
    return found


def summarize(failed=()):
    """Say what this run came to, where it was begun."""
    if OVERVIEW:
        run = RESULTS / PLAN.config.run
        print(OVERVIEW[0].summary(run, RESULTS / "cells", failed), file=sys.stderr)


def start_slurm():
    """End jobs of a Snakemake that was killed, and watch whether SLURM answers."""
    jobs = workflow.dag.needrun_jobs()
    comments = {slurm.comment(job.rule.name, job.wildcards) for job in jobs}
    status = workflow.executor_settings.status_command or "squeue"
    stop = lambda reason: workflow.scheduler.executor_error_callback(WorkflowError(reason))
    try:
        cancelled = slurm.begin(Path.cwd(), comments, status, stop)
    except IdpipeError as error:
        raise WorkflowError(str(error))
    if cancelled:
        print(f"Cancelled jobs of an earlier Snakemake: {', '.join(cancelled)}", file=sys.stderr)


if workflow.remote_exec and workflow.local_exec:
    slurm.pass_on_signals()


onsuccess:
    if workflow.is_main_process and not workflow.touch:
        plan.hold_to(workflow.dag)
    summarize()


onerror:
    summarize(workflow.scheduler.failed)


onstart:
    if workflow.is_main_process and not workflow.touch:
        OVERVIEW.append(start_overview())
    if workflow.is_main_process and (count := runs.redate(RESULTS)):
        print(f"{count} files dated in the future are dated as of now", file=sys.stderr)
    if workflow.is_main_process and workflow.local_exec and sys.platform == "linux":
        os.environ[worker.ADDRESS] = worker.start(PRELOAD)
    elif workflow.is_main_process and workflow.executor_plugin.name == "slurm":
        start_slurm()

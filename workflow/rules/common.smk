"""Loads and checks the configuration; no torch here, for every cluster job reads this again."""

import gc
import os
import sys
from functools import partial
from pathlib import Path

from snakemake.exceptions import WorkflowError

from idpipe import costs
from idpipe.cells import SOURCES, canonical_json
from idpipe.claims.inputs import CELLS_OF
from idpipe.config import load, read, source_key
from idpipe.costs import devices
from idpipe.errors import ConfigError, IdpipeError
from idpipe.explorer.axes import axes
from idpipe.figures.paper import category, subcategory
from idpipe.figures.registry import FIGURES
from idpipe.workflow import fingerprints
from idpipe.workflow.session import overview, runs, slurm, worker
from idpipe.workflow.targets import ANALYSIS_FILES, Targets


def checked_plan():
    """The plan of config.yaml, then every --configfile, then --config."""
    given = workflow.config_settings
    files = ["config.yaml", *given.configfiles]
    try:
        return load(read(files, snakemake_config=given.config))
    except ConfigError as error:
        # Not a WorkflowError, under which Snakemake would list lines of this file.
        sys.exit(f"The configuration was refused:\n{error}")


def job_prices():
    """Seconds that each kind of work takes where jobs run; nothing is measured here."""
    try:
        return devices.for_jobs().prices
    except IdpipeError as error:
        sys.exit(f"${devices.DEVICE} was refused:\n{error}")


def seconds_between_lines():
    """Seconds between two lines of progress."""
    try:
        return overview.interval()
    except IdpipeError as error:
        sys.exit(f"${error}")


PLAN = checked_plan()
PRICES = job_prices()
PROGRESS_SECONDS = seconds_between_lines()

if workflow.is_main_process and (cleared := runs.begin()):
    print(cleared, file=sys.stderr)


# Read by Snakemake only now: what is wrong in it was said above, with the line.
configfile: "config.yaml"


# Scripts read where images are from here: checked, and no text where --config left some.
config["data"] = PLAN.config.data.model_dump(mode="json")
TARGETS = Targets(PLAN)
RESULTS = TARGETS.layout.root
# `--cores 8` on two processors: a job counts as four, so that two run at a time, the longest first,
# and none waits for its turn on a processor. On a cluster a job is one thread.
JOB_THREADS = max(1, (workflow.resource_settings.cores or 1) // len(os.sched_getaffinity(0)))
TABLES = TARGETS.layout.tables(PLAN.config.run)
# What is loaded by now stays: not looking through it for garbage saves a seventh of a dry run.
gc.freeze()


wildcard_constraints:
    source=r"[a-z0-9_-]+",
    probes=r"[0-9a-f]{12}",
    cell=r"[A-Za-z0-9_-]+",
    state="trained|untrained",


def probe_params(key):
    """What a probe set is built from, as JSON."""
    target = TARGETS.probe_sets[key]
    return canonical_json(
        {
            "data": target.data.model_dump(mode="json"),
            "probes": PLAN.config.probes.model_dump(mode="json"),
            "replicates": target.replicates,
        }
    )


def source_folder(cell):
    """Where the images that a cell trains on are prepared."""
    return TARGETS.layout.source(source_key(PLAN.cells[cell].data))


def evaluation_mb(cell_id):
    """MiB of a cell's networks, and of what they hold when shown images of every size."""
    cell = PLAN.cells[cell_id]
    return max(cell.memory_bytes, cell.evaluation_bytes(PLAN.config.probes.sizes)) // 2**20


def training_minutes(cell_id):
    """Minutes that a cell's training is given."""
    return costs.training_minutes(PLAN.cells[cell_id], PRICES)


def evaluation_minutes(cell_id):
    """Minutes to show a cell's networks every probe, at every size."""
    cell, probes = PLAN.cells[cell_id], PLAN.config.probes
    named = 10 + probes.unseen + probes.out_of_domain + len(probes.patterns)
    sizes = [1, *((size / cell.data.size) ** 2 for size in probes.sizes)]
    shown = len(probes.rho) * probes.n_per_rho + named * sum(sizes)
    return costs.forward_minutes(cell, PRICES, shown)


def classifier_minutes(cell_id):
    """Minutes to show a cell's networks the images that its layers are to classify."""
    cell, probes = PLAN.cells[cell_id], PLAN.config.probes
    limits = [probes.classifier_train_per_class, probes.classifier_test_per_class]
    counts = SOURCES[cell.data.source].per_class or ()
    shown = sum(min(count, limit or count) for count in counts for limit in limits)
    return costs.forward_minutes(cell, PRICES, shown)


def analysis_tables(analysis):
    """The files of a layer-wise analysis that the run's table reads."""
    cells = TARGETS.analysed(analysis)
    return [TARGETS.evaluation(cell) / f"{analysis}.parquet" for cell in cells]


def figure_inputs(name):
    """What its cells came to, and where it shows them what they predicted and their weights."""
    if wrong := TARGETS.refusals([name]):
        return refusal(wrong)
    figure = FIGURES[name]
    evaluated = ["metrics.parquet", "predictions.npz"] if figure.images else ["metrics.parquet"]
    trained = ["cell.json", "status.json"] + ["weights.safetensors"] * figure.weights
    return [
        path
        for cell in TARGETS.figure_cells(name)
        for path in [
            *[TARGETS.layout.cell(cell) / file for file in trained],
            *[TARGETS.evaluation(cell) / file for file in evaluated],
        ]
    ] + [
        path
        for analysis, cells in TARGETS.figure_analyses(name).items()
        for cell in cells
        for path in TARGETS.analysis_files(cell, analysis)
    ]


def all_figure_files():
    """The figures of all studies; none is left out because it cannot show what its study varies."""
    names = [name for name in FIGURES if not TARGETS.lacking(name)]
    if wrong := TARGETS.refusals(names):
        return refusal([*wrong, "Change the studies, or ask for the other figures by their names."])
    return [TARGETS.figure_files(name) for name in names]


def reported(paths, name):
    """A figure's files; its PNG goes into the report."""
    figure = FIGURES[name]
    how = {
        "caption": "../report/figure.rst",
        "category": category(figure.section),
        "subcategory": subcategory(figure.section),
        # One label: the report takes a second with two values for a switch between files.
        "labels": {"figure": f"{name}: {figure.title}"},
    }
    return [report(str(path), **how) if path.suffix == ".png" else str(path) for path in paths]


def caption(name):
    """A figure's caption; workflow/report/figure.rst asks for it where a report is made."""
    from idpipe.figures import captions

    stale = any(job.rule.name == name for job in workflow.dag.needrun_jobs())
    return captions.caption(name, PLAN, stale)


def refusal(reasons):
    """An input function for what cannot be drawn; it is only called if one asks for it."""

    def refuse(wildcards):
        raise WorkflowError("\n".join(reasons))

    return refuse


def figure_params(name):
    """What a figure is drawn from and how, as JSON; an edit of its code is a change too."""
    cells = TARGETS.figure_cells(name)
    studies = [study for study in FIGURES[name].studies if study in PLAN.studies]
    return canonical_json(
        {
            "name": name,
            "style": PLAN.config.figures.model_dump(mode="json"),
            "studies": {s: [cell.cell_id for cell in PLAN.studies[s]] for s in studies},
            "cells": str(RESULTS / "cells"),
            "evaluations": {cell: TARGETS.evaluation(cell).name for cell in cells},
            "probes": {cell: str(TARGETS.probes(cell)) for cell in cells},
            "analysed": TARGETS.figure_analyses(name),
            "code": fingerprints.figure(name),
        }
    )


def evidence_cells():
    """Study -> ids of its cells that the table `evidence` measures; none that its figure refuses."""
    found = {}
    for study, asked in CELLS_OF.items():
        cells = PLAN.studies.get(study, [])
        chosen = [cell.cell_id for cell in cells if asked.depth in (None, cell.net.depth)]
        if chosen and TARGETS.drawable(asked.figure):
            found[study] = chosen
    return found


def evidence_inputs(wildcards):
    """Files of those cells that are measured."""
    return [
        path
        for study, cells in evidence_cells().items()
        for cell in cells
        for path in [
            *[
                TARGETS.layout.cell(cell) / file
                for file in ("cell.json", "status.json", *CELLS_OF[study].cell_files)
            ],
            *[
                TARGETS.evaluation(cell) / file
                for file in ("metrics.parquet", *CELLS_OF[study].evaluation_files)
            ],
        ]
    ]


def evidence_params(wildcards):
    """What is measured, and by which code, as JSON."""
    studies = evidence_cells()
    cells = [cell for members in studies.values() for cell in members]
    return canonical_json(
        {
            "studies": studies,
            "cells": str(RESULTS / "cells"),
            "evaluations": {cell: TARGETS.evaluation(cell).name for cell in cells},
            "probes": {cell: str(TARGETS.probes(cell)) for cell in cells},
            "correlation": PLAN.config.probes.correlation,
            "code": fingerprints.evidence(),
        }
    )


def scorecard_params(wildcards):
    """How claims are judged and told, as JSON; an edit of a claim or of that code is a change."""
    return canonical_json(
        {
            "run": PLAN.config.run,
            "style": PLAN.config.figures.model_dump(mode="json"),
            "code": fingerprints.scorecard(),
        }
    )


def explorer_inputs(wildcards):
    """What the explorer shows of every cell."""
    found = [
        path
        for cell in PLAN.cells
        for path in [
            TARGETS.layout.cell(cell) / "cell.json",
            TARGETS.layout.cell(cell) / "status.json",
            TARGETS.evaluation(cell) / "predictions.npz",
        ]
    ]
    return found + [TARGETS.evaluation(cell) / "layers.npz" for cell in TARGETS.analysed("layers")]


def explorer_params(wildcards):
    """How the explorer is drawn, and by which code, as JSON."""
    return canonical_json(
        {
            "run": PLAN.config.run,
            "style": PLAN.config.figures.model_dump(mode="json"),
            "axes": {
                study: [[a.key, a.values] for a in found] for study, found in axes(PLAN).items()
            },
            "code": fingerprints.explorer(),
        }
    )


PROVENANCE = str(RESULTS / PLAN.config.run / "provenance.html")

# What every script would import anew; a job then starts in tenths of a second.
PRELOAD = [
    "idpipe.workflow.jobs",
    *sorted({f"idpipe.figures.{figure.module}" for figure in FIGURES.values()}),
    *["idpipe.claims.evidence", "idpipe.claims.scorecard"],
    *["matplotlib.backends.backend_agg", "matplotlib.backends.backend_pdf"],
    *["snakemake.iocontainers", "snakemake.logging"],
]


def job_work(job):
    """What the overview is told of a job: a training takes what it is expected to."""
    cell = getattr(job.wildcards, "cell", None)
    seconds = costs.JOB_SECONDS
    if job.rule.name == "train":
        seconds += costs.training_seconds(PLAN.cells[cell], PRICES)
    return overview.Work(job.rule.name, cell, seconds)


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


OVERVIEW = []


def start_slurm():
    """End jobs of a Snakemake that was killed, and watch whether SLURM answers."""
    jobs = workflow.dag.needrun_jobs()
    comments = {slurm.comment(job.rule.name, job.wildcards) for job in jobs}
    try:
        cancelled = slurm.cancel_left_over(Path.cwd(), comments)
        limit = slurm.patience()
    except IdpipeError as error:
        raise WorkflowError(str(error))
    if cancelled:
        print(f"Cancelled jobs of an earlier Snakemake: {', '.join(cancelled)}", file=sys.stderr)
    status = workflow.executor_settings.status_command or "squeue"

    def stop(reason):
        workflow.scheduler.executor_error_callback(WorkflowError(reason))

    slurm.watch(status, stop, limit)


if workflow.remote_exec and workflow.local_exec:
    slurm.pass_on_signals()


onsuccess:
    summarize()


onerror:
    summarize(workflow.scheduler.failed)


onstart:
    if workflow.is_main_process:
        OVERVIEW.append(start_overview())
    if workflow.is_main_process and (count := runs.redate(RESULTS)):
        print(f"{count} files dated in the future are dated as of now", file=sys.stderr)
    if workflow.is_main_process and workflow.local_exec and sys.platform == "linux":
        os.environ[worker.ADDRESS] = worker.start(PRELOAD)
    elif workflow.is_main_process and workflow.executor_plugin.name == "slurm":
        start_slurm()

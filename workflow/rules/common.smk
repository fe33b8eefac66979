"""Loads and checks the configuration; no torch here, for every cluster job reads this again."""

import gc
import os
import sys

from snakemake.exceptions import WorkflowError

from idpipe import costs
from idpipe.config import load, read
from idpipe.costs import devices
from idpipe.errors import ConfigError, IdpipeError
from idpipe.figures import FIGURES
from idpipe.workflow import params, resources
from idpipe.workflow.session import plan, runs
from idpipe.workflow.targets import Targets


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


# Figures are written to files, also where a notebook has named a backend of its own.
os.environ.update(MPLBACKEND="agg")
plan.reveal()
PLAN = checked_plan()
PRICES = job_prices()

if workflow.is_main_process and (cleared := runs.begin()):
    print(cleared, file=sys.stderr)


# Read by Snakemake only now: what is wrong in it was said above, with the line.
configfile: "config.yaml"


# What scripts read of the configuration: as it was checked, and not once more from its text.
config["plan"] = PLAN.config.model_dump(mode="json")
TARGETS = Targets(PLAN)
RESULTS = TARGETS.layout.root
TABLES = TARGETS.layout.tables(PLAN.config.run)
PROVENANCE = str(RESULTS / PLAN.config.run / "provenance.html")
# `--cores 8` on two processors: a job counts as four, so that two run at a time, the longest first,
# and none waits for its turn on a processor. On a cluster a job is one thread.
JOB_THREADS = max(1, (workflow.resource_settings.cores or 1) // len(os.sched_getaffinity(0)))
# What is loaded by now stays: not looking through it for garbage saves a seventh of a dry run.
gc.freeze()


wildcard_constraints:
    source=r"[a-z0-9_-]+",
    probes=r"[0-9a-f]{12}",
    cell=r"[A-Za-z0-9_-]+",
    state="trained|untrained",


def refusal(names, *advice):
    """Nothing, or for figures that cannot be drawn an input function that says why if asked."""
    reasons = TARGETS.refusals(names)

    def refuse(wildcards):
        raise WorkflowError("\n".join([*reasons, *advice]))

    return refuse if reasons else None


def all_figure_files():
    """The figures of all studies; none is left out because it cannot show what its study varies."""
    names = [name for name in FIGURES if not TARGETS.lacking(name)]
    advice = "Change the studies, or ask for the other figures by their names."
    return refusal(names, advice) or [TARGETS.figure_files(name) for name in names]

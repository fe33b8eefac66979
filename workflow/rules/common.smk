"""Loads and checks the configuration; no torch here, for every cluster job reads this again."""

import math
import os
import sys

from idpipe.cells import canonical_json
from idpipe.config import load, source_key
from idpipe.errors import ConfigError
from idpipe.figures.registry import FIGURES
from idpipe.settings import read
from idpipe.targets import Targets


def checked_plan():
    """The plan of config.yaml, then every --configfile, then --config."""
    given = workflow.config_settings
    files = ["config.yaml", *given.configfiles]
    try:
        return load(read(files, snakemake_config=given.config))
    except ConfigError as error:
        # Not a WorkflowError, under which Snakemake would list lines of this file.
        sys.exit(f"The configuration was refused:\n{error}")


PLAN = checked_plan()
# Scripts read where images are from here: checked, and no text where --config left some.
config["data"] = PLAN.config.data.model_dump(mode="json")
TARGETS = Targets(PLAN)
RESULTS = TARGETS.layout.root
# `--cores 8` on two processors: a job counts as four, so that two run at a time, the longest first,
# and none waits for its turn on a processor. On a cluster a job is one thread.
JOB_THREADS = math.ceil((workflow.resource_settings.cores or 1) / len(os.sched_getaffinity(0)))
TABLES = TARGETS.layout.tables(PLAN.config.run)


wildcard_constraints:
    source=r"[a-z0-9_-]+",
    probes=r"[0-9a-f]{12}",
    cell=r"(fcn|cnn)-[A-Za-z0-9_-]+",


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


def figure_inputs(name):
    """The tables, and for an image grid what its cells predicted."""
    if not FIGURES[name].studies:
        return []
    names = ["cells", "studies", "metrics"]
    cells = TARGETS.figure_cells(name)
    return [
        *[TABLES / f"{table}.parquet" for table in names],
        *[TARGETS.evaluation(cell) / "predictions.npz" for cell in cells],
    ]

"""Loads and checks the configuration; no torch here, for every cluster job reads this again."""

from snakemake.exceptions import WorkflowError

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
        raise WorkflowError(f"the configuration was refused:\n{error}") from None


PLAN = checked_plan()
TARGETS = Targets(PLAN)
RESULTS = TARGETS.layout.root


wildcard_constraints:
    source=r"[a-z0-9_-]+",
    probes=r"[0-9a-f]{12}",
    cell=r"(fcn|cnn)-[A-Za-z0-9_-]+",
    figure=r"(fig\d\d|table\d)",

"""Runs without Snakemake: cells trained and evaluated in this process, and their tables."""

from pathlib import Path

import pandas as pd

from idpipe import results
from idpipe.config import load
from idpipe.store import ANALYSIS_FILES
from idpipe.workflow import jobs
from idpipe.workflow.targets import Targets


def made(settings: dict, say=print) -> Targets:
    """A run, trained and evaluated."""
    targets = Targets(load(settings))
    for cell_id in targets.plan.cells:
        jobs.run_cell(targets, cell_id, say)
    return targets


def collected(targets: Targets, out: Path, **more: list[str]) -> dict[str, pd.DataFrame]:
    """A run's tables, with layers of some cells more."""
    analysed = {name: targets.analysed(name) + more.get(name, []) for name in ANALYSIS_FILES}
    results.collect(targets.selection(analysed=analysed), out)
    return {table.name: pd.read_parquet(out / f"{table.name}.parquet") for table in results.TABLES}

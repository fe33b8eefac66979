"""Runs without Snakemake: cells trained and evaluated in this process, and their tables."""

from pathlib import Path

import pandas as pd

from idpipe import tables
from idpipe.config import load
from idpipe.workflow import jobs
from idpipe.workflow.targets import ANALYSIS_FILES, Targets


def made(settings: dict, say=print) -> Targets:
    """A run, trained and evaluated."""
    targets = Targets(load(settings))
    for cell_id in targets.plan.cells:
        jobs.run_cell(targets, cell_id, say)
    return targets


def collected(targets: Targets, out: Path, **more: list[str]) -> dict[str, pd.DataFrame]:
    """A run's tables, with layers of some cells more."""
    tables.collect(
        {name: [c.cell_id for c in cells] for name, cells in targets.plan.studies.items()},
        targets.layout.root / "cells",
        {cell_id: targets.evaluation(cell_id).name for cell_id in targets.plan.cells},
        out,
        {name: targets.analysed(name) + more.get(name, []) for name in ANALYSIS_FILES},
    )
    return {table.name: pd.read_parquet(out / f"{table.name}.parquet") for table in tables.TABLES}

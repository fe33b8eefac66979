"""What a run came to: its tables, its networks one by one, means, and how far theorems hold."""

from idpipe.results import tables
from idpipe.results.gathering import cell_rows, collect, gather
from idpipe.results.intervals import interval, per_replicate
from idpipe.results.run import Images, Initial, NamedImages, Results, displayed
from idpipe.results.rungs import Ladder, Rung, ladder, ladders, networks, setting
from idpipe.results.tables import (
    CELL_TABLES,
    CELLS,
    EVIDENCE,
    EVIDENCES,
    HISTORY,
    KINDS,
    LAYERS,
    METRICS,
    QUANTITIES,
    REFERENCES,
    STATES,
    STUDIES,
    TABLE1,
    TABLES,
    Table,
)
from idpipe.results.theorems import DELTA, Fit, Point, fit_of, point_of

__all__ = [
    "CELLS",
    "CELL_TABLES",
    "DELTA",
    "EVIDENCE",
    "EVIDENCES",
    "HISTORY",
    "KINDS",
    "LAYERS",
    "METRICS",
    "QUANTITIES",
    "REFERENCES",
    "STATES",
    "STUDIES",
    "TABLE1",
    "TABLES",
    "Fit",
    "Images",
    "Initial",
    "Ladder",
    "NamedImages",
    "Point",
    "Results",
    "Rung",
    "Table",
    "cell_rows",
    "collect",
    "displayed",
    "fit_of",
    "gather",
    "interval",
    "ladder",
    "ladders",
    "networks",
    "per_replicate",
    "point_of",
    "setting",
    "tables",
]

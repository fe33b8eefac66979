"""Configuration: files are read, merged, checked as a whole and expanded into a plan of cells."""

from idpipe.config.folders import folder_counts, folder_digest, image_files
from idpipe.config.grid import TAGS, WHOLE, axis_keys, grid_points, merge, nested
from idpipe.config.keys import allowed, annotation_of, key_paths, keys_of, models_in, value_at
from idpipe.config.model import (
    Config,
    DataConfig,
    FigureStyle,
    PatternName,
    ProbeSpec,
    out_of_domain_source,
    probe_hash,
    source_key,
)
from idpipe.config.plan import Plan, load
from idpipe.config.problems import explain
from idpipe.config.settings import read, read_file
from idpipe.config.studies import Locator, Study

__all__ = [
    "TAGS",
    "WHOLE",
    "Config",
    "DataConfig",
    "FigureStyle",
    "Locator",
    "PatternName",
    "Plan",
    "ProbeSpec",
    "Study",
    "allowed",
    "annotation_of",
    "axis_keys",
    "explain",
    "folder_counts",
    "folder_digest",
    "grid_points",
    "image_files",
    "key_paths",
    "keys_of",
    "load",
    "merge",
    "models_in",
    "nested",
    "out_of_domain_source",
    "probe_hash",
    "read",
    "read_file",
    "source_key",
    "value_at",
]

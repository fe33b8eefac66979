"""Configuration: files are read, merged, checked as a whole and expanded into a plan of cells."""

from idpipe.config.folders import folder_counts, folder_digest, image_files
from idpipe.config.grid import TAGS, WHOLE, axis_keys, grid_points, merge, nested, set_by
from idpipe.config.keys import (
    MISSING,
    allowed,
    annotation_of,
    key_paths,
    keys_of,
    models_in,
    value_at,
)
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
from idpipe.config.picks import (
    DEEPEST,
    N,
    Network,
    Planned,
    along,
    by_code,
    code,
    deepest,
    for_theorem1,
    for_theorem2,
    on_one,
    split,
)
from idpipe.config.plan import Plan, load
from idpipe.config.problems import explain
from idpipe.config.settings import read, read_file
from idpipe.config.studies import Locator, Study

__all__ = [
    "DEEPEST",
    "MISSING",
    "TAGS",
    "WHOLE",
    "Config",
    "DataConfig",
    "FigureStyle",
    "Locator",
    "N",
    "Network",
    "PatternName",
    "Plan",
    "Planned",
    "ProbeSpec",
    "Study",
    "allowed",
    "along",
    "annotation_of",
    "axis_keys",
    "by_code",
    "code",
    "deepest",
    "explain",
    "folder_counts",
    "folder_digest",
    "for_theorem1",
    "for_theorem2",
    "grid_points",
    "image_files",
    "key_paths",
    "keys_of",
    "load",
    "merge",
    "models_in",
    "nested",
    "on_one",
    "out_of_domain_source",
    "probe_hash",
    "read",
    "read_file",
    "set_by",
    "source_key",
    "split",
    "value_at",
]

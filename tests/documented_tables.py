"""What docs/tables.md says of every Parquet file of a run."""

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import duckdb
import pandas as pd

PAGE = (Path(__file__).parents[1] / "docs/tables.md").read_text()
SECTIONS = {part.splitlines()[0]: part for part in PAGE.split("\n## ")[1:]}


SQL_TYPES = {"str": "VARCHAR", "int64": "BIGINT", "float64": "DOUBLE", "bool": "BOOLEAN"}


def documented(section: str) -> pd.DataFrame:
    """The rows of a section's table of columns, by column name."""
    lines = [line[2:-2] for line in SECTIONS[section].splitlines() if line.startswith("| ")]
    heads, _, *rows = [[cell.strip() for cell in line.split(" | ")] for line in lines]
    found = pd.DataFrame(rows, columns=heads)
    return found.assign(column=found["column"].str.strip("`")).set_index("column")


def files(root: Path) -> Iterator[tuple[Path, pd.DataFrame]]:
    """Every Parquet file of a run, with what the page says of its columns."""
    rows = re.findall(r"^\| `([^`]+)` \| (\w+) \|$", SECTIONS["Files of one cell"], re.M)
    for path in sorted((root / "results").rglob("*.parquet")):
        if path.parent.name == "tables":
            yield path, documented(path.name)
        else:
            below = path.relative_to(root / "results/cells").as_posix().partition("/")[2]
            (table,) = [table for pattern, table in rows if fnmatch(below, pattern)]
            yield path, documented(f"{table}.parquet")


def assert_types_as_documented(path: Path, said: pd.DataFrame) -> None:
    expected = said["type"].to_dict()
    assert {name: str(kind) for name, kind in pd.read_parquet(path).dtypes.items()} == expected
    columns = duckdb.sql(f"DESCRIBE FROM '{path}'").fetchall()
    assert [(name, kind) for name, kind, *_ in columns] == [
        (name, SQL_TYPES[kind]) for name, kind in expected.items()
    ]

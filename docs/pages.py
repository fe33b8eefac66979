"""Generated documents: the config's JSON schema and README, the tables, the paper's preset.

`python docs/pages.py` writes them; a test fails where they differ from what the models say.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from queries import QUERIES

from idpipe import store
from idpipe.cells import Cell, Spec, canonical_json
from idpipe.config import (
    TAGS,
    WHOLE,
    Config,
    Study,
    allowed,
    annotation_of,
    key_paths,
    keys_of,
    load,
    models_in,
    read,
)
from idpipe.errors import IdpipeError
from idpipe.results import CELL_TABLES, EVIDENCE, TABLE1, TABLES, Table

ROOT = Path(__file__).resolve().parents[1]
SCHEMA_PATH = "workflow/schemas/config.schema.json"
README_PATH = "config/README.md"
TABLES_PATH = "docs/tables.md"
PAPER_PATH = "src/idpipe/figures/paper.yaml"
_HEAD = (
    "| column | type | unit | allowed | null | meaning |",
    "| --- | --- | --- | --- | --- | --- |",
)

EXAMPLE = """\
run: example
defaults:
  net: {arch: cnn, width: 32}
  max_steps: 3000
studies:
  depth_and_optimizer:
    base:
      replicates: 5
    axes:
      net.depth: [1, 5]
      optimizer:
        - {name: sgd, lr: 0.01}
        - {name: adam, lr: 0.0001}
"""

README = """\
<!-- Written by `python docs/pages.py` from the models in src/idpipe; edit those, not this. -->
# Configuration

A configuration says what to train, on which images, and how to look at the result. The presets:

| file | run | for |
| --- | --- | --- |
| [`config.yaml`](../config.yaml) | `laptop` | every figure on a laptop, no network needed |
| [`config/own_image.yaml`](own_image.yaml) | `own_image` | the same on an image of your own |
| [`config/paper.yaml`](paper.yaml) | `paper` | the paper's grids and budgets; GPU or cluster |
| [`config/smoke.yaml`](smoke.yaml) | `smoke` | every figure, tiny: does the whole chain run? |

```
snakemake --cores 8 all_figures                                   # config.yaml alone
snakemake --cores 8 all_figures --configfile config/smoke.yaml    # a preset over it
snakemake --cores 8 all_figures --config 'data={{source: mnist}}'   # one setting over all files
```

Everything is checked before any job starts. Each problem is one line: the key, its value, what is
allowed and, for a misspelt key, the nearest one. Editors that know the YAML language server check
and complete keys as you type, by [the JSON schema](../{schema}).

## How files merge

`config.yaml` comes first, then each `--configfile` in order, then `--config`; what comes later
wins. Mappings merge key by key. Everything else, lists too, is replaced. A study set to null is
left out. A key can be changed but not taken away, so settings that presets vary belong into a
study's axes and not into its base; and an override that names another optimizer or network replaces
the name only: settings that the new kind does not know are refused by name, not dropped.

## Studies and axes

A study is a set of cells. Its cells start from `defaults`, `base` goes over that, and the axes'
values over both: one cell for each combination, the last axis fastest. An axis is a dotted key of
a cell; its values are plain, or mappings that are merged like `base` (a mapping that names another
`arch`, optimizer `name` or data `source` then replaces the one below it whole). The values of the
axis `{root}` are settings of the whole cell, so that one axis can vary several keys. The base must
not fix what an axis varies, and no two combinations may give the same cell.

```yaml
{example}```

These are {count} cells, named in this order:

```
{ids}
```

An id is a readable part and a hash of everything in the cell, with every default filled in:
where a cell stands, which study or run wants it and how it is drawn play no part. So studies and
runs share cells, a changed setting retrains just the cells that it is part of, and going back to
an old setting trains nothing. Cells lie in `results/cells/<id>/`, with all settings in
`cell.json`; what belongs to a run lies in `results/<run>/`.

{tables}"""


TABLES_INTRODUCTION = """\
<!-- Generated from src/idpipe/results/tables.py and docs/queries.py by `python docs/pages.py`. -->

# Tables

A run's results are six tidy tables in `results/<run>/tables/`. `cell_id` and `replicate` lead from
any row to the folder `results/cells/<cell_id>/` it came from; `studies` says which cells a study
asks for, and cells are shared between studies. Pixels, and with them errors, are on the
standardized scale (Appendix A of the paper).

A value that is not there is null in Parquet and DuckDB, NaN in pandas (`float64`). Types are
pandas'; in DuckDB `str` is VARCHAR, `int64` BIGINT, `float64` DOUBLE and `bool` BOOLEAN. Columns
without allowed values hold any text. [Five questions](#five-questions) show how to ask.
"""

CELL_TABLES_INTRODUCTION = """\
## Files of one cell

Each table but `cells` and `studies` is gathered from files in `results/cells/<cell_id>/`, which
have its columns and hold the cell's own rows; `*` is a hash of the probes. The theorems' figures
read weights and write no table.

| file | columns of |
| --- | --- |"""


def texts() -> dict[str, str]:
    """Path below the project's root -> text of every generated document."""
    return {
        SCHEMA_PATH: schema_text(),
        README_PATH: readme_text(),
        TABLES_PATH: tables_text(),
        PAPER_PATH: paper_text(),
    }


def paper_text() -> str:
    """The paper's preset in one piece, which captions compare with whatever config.yaml says."""
    settings = read([ROOT / name for name in ("config.yaml", "config/paper.yaml")])
    head = (
        "# config/paper.yaml over config.yaml, as committed. Written by `python docs/pages.py`.\n"
    )
    return head + yaml.safe_dump(settings, sort_keys=False, width=100)


def stale(root: Path) -> list[str]:
    """Paths below `root` of the documents that are missing or differ from the models."""
    return [
        name
        for name, text in texts().items()
        if not (root / name).is_file() or (root / name).read_text(encoding="utf-8") != text
    ]


def write(root: Path) -> list[str]:
    """Write the documents that are stale; return their paths below `root`."""
    written = stale(root)
    contents = texts()
    for name in written:
        store.write_bytes(root / name, contents[name].encode())
    return written


def schema_text() -> str:
    """The JSON schema of a configuration, as text."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def schema() -> dict[str, Any]:
    """The JSON schema of a configuration, or of an override that has the keys of one.

    `defaults` and `base` are cells with any key left out; an axis is a list of values for one
    dotted key of a cell.
    """
    config, cell = Config.model_json_schema(), Cell.model_json_schema()
    parts = {**cell.pop("$defs"), "Cell": cell}
    models: list[type[Spec]] = [Cell, *_models_below(Cell)]
    for model in models:
        part = parts[model.__name__]
        part.pop("required", None)
        part["properties"] = {key: part["properties"][key] for key in keys_of(model)}
    definitions = {**config.pop("$defs"), **parts}
    studies = config["properties"]["studies"]
    studies["additionalProperties"] = False
    studies["patternProperties"] = {
        name: {"anyOf": [study, {"type": "null"}]}
        for name, study in studies["patternProperties"].items()
    }
    study = definitions["Study"]["properties"]
    study["axes"] |= {"properties": _axes(parts), "additionalProperties": False}
    for some_cell in (config["properties"]["defaults"], study["base"]):
        del some_cell["additionalProperties"]
        some_cell["$ref"] = "#/$defs/Cell"
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    plain = _plain({**config, "$defs": dict(sorted(definitions.items()))})
    return {**dialect, "title": "idpipe configuration", **plain}


def _models_below(model: type[Spec]) -> Iterator[type[Spec]]:
    """The models that a model's keys hold, not those in lists."""
    for field in model.model_fields.values():
        for inner in models_in(annotation_of(field)):
            yield inner
            yield from _models_below(inner)


def _axes(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Schema of every possible axis."""
    whole = {"$ref": "#/$defs/Cell"}
    axes: dict[str, Any] = {WHOLE: {"type": "array", "minItems": 1, "items": whole}}
    for path in key_paths(Cell):
        found = [whole]
        for key in path.split("."):
            inside = [parts[name]["properties"] for schema in found for name in _names(schema)]
            found = [properties[key] for properties in inside if key in properties]
        found = list({canonical_json(schema): schema for schema in found}.values())
        items = found[0] if len(found) == 1 else {"anyOf": found}
        axes[path] = {"type": "array", "minItems": 1, "items": items}
    return axes


def _names(schema: Mapping[str, Any]) -> list[str]:
    """The definitions that a schema refers to."""
    members = [schema, *schema.get("oneOf", ())]
    return [member["$ref"].rpartition("/")[2] for member in members if "$ref" in member]


def _plain(schema: Any) -> Any:
    """A schema without titles and tags, its defaults told in the descriptions.

    As `default` keywords Snakemake's `validate` would write them into the settings, those of every
    kind of network at once.
    """
    if isinstance(schema, list):
        return [_plain(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        "anyOf" if key == "oneOf" else key: (
            {name: _plain(entry) for name, entry in value.items()}
            if key in ("properties", "patternProperties", "$defs")
            else _plain(value)
        )
        for key, value in schema.items()
        if key not in ("title", "discriminator", "default")
    }
    if "default" in schema and "const" not in schema:
        kept["description"] = f"{schema['description']} (default: {_yaml(schema['default'])})"
    return kept


def readme_text() -> str:
    """config/README.md: how configurations work, and a table of every key."""
    cells = load(yaml.safe_load(EXAMPLE)).cells
    return README.format(
        schema=SCHEMA_PATH,
        example=EXAMPLE,
        count=len(cells),
        root=WHOLE,
        ids="\n".join(cells),
        tables="\n".join(_tables()),
    )


def _tables() -> Iterator[str]:
    yield from ("## The top level\n", _about(Config), _table(Config))
    for name, field in Config.model_fields.items():
        for model in models_in(annotation_of(field)):
            yield from (f"## `{name}`\n", _about(model), _table(model, f"{name}."))
    yield from ("## `studies.<name>`\n", _about(Study), _table(Study))
    yield "## Cells: keys of `defaults`, of a study's `base`, and axes\n"
    yield from (_about(Cell), _table(Cell))
    for name, field in Cell.model_fields.items():
        for model in models_in(annotation_of(field)):
            tags = [f", {t}: {_default(model, t)}" for t in TAGS[:2] if t in model.model_fields]
            yield f"### `{name}`{''.join(tags)}\n"
            yield from (_about(model), _table(model, f"{name}."))


def _about(model: type[Spec]) -> str:
    return inspect.cleandoc(model.__doc__ or "") + "\n"


def _table(model: type[Spec], above: str = "") -> str:
    """A row for each key of a model that holds no further keys."""
    rows = ["| key | allowed | default | meaning |", "| --- | --- | --- | --- |"]
    for name in keys_of(model):
        annotation = annotation_of(model.model_fields[name])
        if not models_in(annotation):
            meaning = model.model_fields[name].description
            default = _default(model, name)
            rows.append(f"| `{above}{name}` | {allowed(annotation)} | {default} | {meaning} |")
    return "\n".join(rows) + "\n"


def _default(model: type[Spec], name: str) -> str:
    field = _properties(model)[name]
    if model.model_fields[name].is_required():
        return "required"
    return _yaml(field["default"]) if "default" in field else "empty"


@cache
def _properties(model: type[Spec]) -> dict[str, Any]:
    return model.model_json_schema()["properties"]  # type: ignore[no-any-return]


def _yaml(value: object) -> str:
    """A value as one writes it in YAML, in one line."""
    text = json.dumps(value, ensure_ascii=False)
    return text.strip('"') if isinstance(value, str) else text.replace('"', "")


def tables_text() -> str:
    """The page on the tables, from `idpipe.results.tables` and `docs/queries.py`."""
    run = [_columns(table, f"{table.name}.parquet") for table in (*TABLES, EVIDENCE)]
    table1 = _columns(TABLE1, "figures/table1.csv")
    return "\n".join([TABLES_INTRODUCTION, *run, _cell_tables(), table1, QUERIES])


def _columns(table: Table, title: str) -> str:
    rows = [
        f"| `{c.name}` | {c.type} | {c.unit} | {c.allowed} | {c.null} | {c.meaning} |"
        for c in table.columns
    ]
    return "\n".join([f"## {title}\n\nOne row: {table.row}.\n", *_HEAD, *rows, ""])


def _cell_tables() -> str:
    rows = [f"| `{name}` | {table.name} |" for name, table in CELL_TABLES.items()]
    return "\n".join([CELL_TABLES_INTRODUCTION, *rows, ""])


if __name__ == "__main__":
    try:
        write(ROOT)
    except IdpipeError as error:
        sys.exit(f"docs/pages.py: {error}")

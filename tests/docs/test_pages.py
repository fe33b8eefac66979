import copy
import json
import re
from functools import cache
from pathlib import Path

import pages
import pytest
import yaml
from jsonschema import Draft202012Validator
from snakemake.common.configfile import load_configfile
from snakemake.utils import update_config, validate

from idpipe.cells import Cell
from idpipe.config import Config, Study, key_paths, load, read
from idpipe.figures import FIGURES

ROOT = Path(__file__).parents[2]
PRESETS = {
    "laptop": ["config.yaml"],
    "paper": ["config.yaml", "config/paper.yaml"],
    "smoke": ["config.yaml", "config/smoke.yaml"],
}
READ = {study for figure in FIGURES.values() for study in figure.studies}


@cache
def plan(run):
    return load(read(ROOT / name for name in PRESETS[run]))


def as_snakemake_merges(files):
    merged = {}
    for name in files:
        update_config(merged, copy.deepcopy(load_configfile(ROOT / name)))
    return merged


def objects(schema):
    """Every schema of a mapping in a schema."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for value in schema.values():
            yield from objects(value)
    if isinstance(schema, list):
        for value in schema:
            yield from objects(value)


class TestDrift:
    def test_committed_documents_say_what_the_models_say(self):
        assert pages.stale(ROOT) == [], "run `python docs/pages.py`"

    def test_write_mends_what_is_stale_and_only_that(self, tmp_path):
        assert sorted(pages.write(tmp_path)) == sorted(pages.texts())
        assert pages.write(tmp_path) == pages.stale(tmp_path) == []
        (tmp_path / pages.README_PATH).write_text("old")
        assert pages.stale(tmp_path) == pages.write(tmp_path) == [pages.README_PATH]


class TestSchema:
    def test_is_a_valid_schema_that_forbids_unknown_keys(self):
        schema = pages.schema()
        Draft202012Validator.check_schema(schema)
        found = list(objects(schema))
        assert len(found) > 10
        for mapping in found:
            assert mapping.get("additionalProperties") is False or "$ref" in mapping

    def test_knows_every_key_and_axis(self):
        definitions = pages.schema()["$defs"]
        axes = definitions["Study"]["properties"]["axes"]["properties"]
        assert list(axes) == ["cell", *key_paths(Cell)]
        assert set(definitions["Cell"]["properties"]) == set(Cell.model_fields)
        assert "required" not in {*definitions["Cell"], *definitions["CNN"]}
        assert definitions["Example"]["required"] == ["label"]

    def test_snakemake_takes_it_and_leaves_the_settings_alone(self):
        for files in PRESETS.values():
            settings = read(ROOT / name for name in files)
            before = copy.deepcopy(settings)
            validate(settings, str(ROOT / pages.SCHEMA_PATH))
            assert settings == before

    def test_bounds_are_told_in_json_schemas_words(self):
        words = set(re.findall(r'"(\w+)":', json.dumps(pages.schema())))
        assert not words & {"ge", "gt", "le", "lt", "default", "title_", "discriminator"}
        assert {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"} <= words


class TestReadme:
    def test_has_a_row_for_every_key(self):
        rows = re.findall(r"^\| `([a-z_.0-9]+)` \|", pages.readme_text(), re.MULTILINE)
        leaves = {p for p in key_paths(Cell) if p not in ("net", "optimizer", "schedule")}
        leaves |= {p for p in key_paths(Config) if p not in ("probes", "figures", "limits")}
        assert set(rows) == (leaves - {"data", "failure"}) | set(key_paths(Study))

    def test_example_is_what_it_says(self):
        text = pages.readme_text()
        block = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1]
        cells = load(yaml.safe_load(block)).cells
        assert f"These are {len(cells)} cells" in text
        assert "\n".join(cells) in text
        found = [(c.net.depth, c.optimizer.name) for c in cells.values()]
        assert found == [(1, "sgd"), (1, "adam"), (5, "sgd"), (5, "adam")]
        assert {c.replicates for c in cells.values()} == {5}

    def test_links_lead_to_files(self):
        for link in re.findall(r"\]\(([^)]+)\)", pages.readme_text()):
            assert (ROOT / "config" / link).is_file()


@pytest.mark.parametrize("run", PRESETS)
class TestPresets:
    def test_valid_however_merged(self, run):
        ours = read(ROOT / name for name in PRESETS[run])
        # As JSON, where 1, 1.0 and true differ.
        merged = (ours, as_snakemake_merges(PRESETS[run]))
        one, other = (json.dumps(settings, sort_keys=True) for settings in merged)
        assert one == other
        Draft202012Validator(pages.schema()).validate(ours)
        assert plan(run).config.run == run
        assert set(plan(run).studies) >= READ

    def test_each_file_is_valid_for_an_editor(self, run):
        path = ROOT / PRESETS[run][-1]
        text = path.read_text()
        Draft202012Validator(pages.schema()).validate(yaml.safe_load(text))
        reference = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)[1]
        assert (path.parent / reference).resolve() == ROOT / pages.SCHEMA_PATH

    def test_first_lines_say_how_to_run_it(self, run):
        head = (ROOT / PRESETS[run][-1]).read_text().split("\n\n")[0]
        assert all(line.startswith("#") for line in head.splitlines())
        command = re.search(r"snakemake --cores \d+ all_figures(?: --configfile (\S+))?", head)
        assert command[1] == (None if run == "laptop" else PRESETS[run][-1])
        assert re.search(r"^# (Takes|Needs) .", head, re.MULTILINE)


class TestPaperPreset:
    def test_grids(self):
        studies = plan("paper").studies
        shapes = {
            name: {(cell.net.width, cell.net.depth) for cell in cells}
            for name, cells in studies.items()
        }
        fcn = {(width, depth) for width in (2048, 784) for depth in (1, 2, 4, 6, 8, 10, 12)}
        assert shapes["fcn_relu_depth"] == shapes["fcn_linear_depth"] == fcn
        depths = [1, 3, *range(5, 18), 19, 20, 24]
        assert shapes["cnn_depth"] == {(128, depth) for depth in depths}
        narrow = {(3, depth) for depth in depths}
        assert shapes["cnn_narrow_depth"] == narrow
        assert shapes["cnn_kernel7_depth"] == narrow | shapes["cnn_depth"]
        kernels = {cell.net.kernel for cell in studies["cnn_kernel"]}
        assert kernels == {5, 7, 9, 13, 17, 25, 29, 57}
        sizes = {cell.data.size for cell in studies["cnn_image_size"]}
        assert sizes == {7, 14, 28, 56, 112}
        rates = {(cell.optimizer.name, cell.optimizer.lr) for cell in studies["cnn_optimizer"]}
        sgd = {("sgd", rate) for rate in (0.01, 0.001, 0.0001)}
        rest = {("adagrad", 0.001), ("rmsprop", 0.0001), ("adam", 0.0001), ("adamax", 0.001)}
        assert rates == sgd | rest
        for name, cells in studies.items():
            for cell in cells:
                budget = 100_000 if name == "assumptions" else 2_000_000
                assert (cell.max_steps, cell.replicates) == (budget, 5)
                colour = name == "colour" or cell.data.channels == 3
                assert cell.data.source == ("cifar10" if colour else "mnist")
                if name not in ("assumptions", "cnn_optimizer", "theorem1", "theorem2"):
                    assert (cell.optimizer.lr, cell.optimizer.momentum) == (0.01, 0.9)
        assert {cell.net.activation for cell in studies["fcn_linear_depth"]} == {"linear"}
        assert {cell.net.kernel for cell in studies["cnn_depth"]} == {5}


def test_the_page_of_concepts_gives_the_cells_of_its_example():
    page = (ROOT / "docs/concepts.md").read_text()
    settings = yaml.safe_load(re.search(r"```yaml\n(.*?)```", page, re.S)[1])
    ids = re.search(r"```\n(cnn.*?)```", page, re.S)[1].split()
    assert list(load(settings).cells) == ids

"""Captions of the report: true of the preset that was run, and readable as reStructuredText."""

import json
from functools import cache
from pathlib import Path

from docutils.core import publish_parts

from idpipe.config import Plan, load, read
from idpipe.figures import FIGURES
from idpipe.figures.captions import caption, paper_plan
from idpipe.figures.paper import SECTIONS, SHOWS, category, subcategory

ROOT = Path(__file__).parents[2]
OWN = {"assumptions", "theorem1", "theorem2"}


@cache
def preset(*names: str) -> Plan:
    return load(read([ROOT / name for name in names]))


def said(name: str, plan: Plan, **how) -> str:
    """A caption as one line of plain text."""
    text = caption(name, plan, **how)
    return " ".join(text.replace("**", "").split())


def test_every_figure_of_the_paper_is_told_of():
    assert set(SHOWS) == set(FIGURES) - OWN
    assert {figure.section for figure in FIGURES.values()} <= set(SECTIONS)


def test_categories_sort_as_the_paper_orders_its_sections():
    found = [category(section) for section in SECTIONS]
    assert found == sorted(found)
    assert sorted(["0 Scorecard", *found, category(""), "Provenance"])[1:-2] == found
    assert (category("3.2"), subcategory("3.2")) == (SECTIONS["3"], SECTIONS["3.2"])
    assert (category("G"), subcategory("G")) == (SECTIONS["G"], None)


def test_the_papers_preset_is_as_in_the_paper():
    for name in FIGURES:
        text = said(name, preset("config.yaml", "config/paper.yaml"))
        assert "instead of" not in text and "left out" not in text, name
        assert ("as in the paper" in text) == (name not in OWN), name
        assert ("budgets are as in the paper" in text) == (name not in OWN | {"table1"}), name
        assert ("there is no such figure" in text) == (name in OWN), name


def test_the_reference_stays_when_config_yaml_is_changed(tmp_path):
    assert preset("config.yaml", "config/paper.yaml").cells == paper_plan().cells
    (tmp_path / "mine.yaml").write_text("defaults: {net: {bias: false}}\n")
    mine = load(read([ROOT / "config.yaml", ROOT / "config/paper.yaml", tmp_path / "mine.yaml"]))
    assert "What differs: * biases: no instead of yes" in said("fig03", mine)


def test_the_default_preset_says_what_it_has_less_of():
    text = said("fig03", preset("config.yaml"))
    for part in (
        "In the paper: CNNs of 128 channels trained on one 7",
        "Study cnn_depth: CNNs of 1, 3, 5, 7, 14 and 20 layers, 24 channels, 5 × 5 filters, "
        "trained on one image of scikit-learn's digits, 28 × 28 pixels.",
        "scikit-learn's digits instead of MNIST",
        "6, 8, 9, 10, 11, 12, 13, 15, 16, 17, 19 and 24 layers left out",
        "24 instead of 128 channels",
        "learning rate 0.0035 instead of 0.01",
        "3,200 instead of 2,000,000 steps at most",
        "every network 3 times, with other seeds, until its training MSE is below 0.002",
    ):
        assert part in text
    assert "every network once" in said("fig12", preset("config.yaml"))


def test_no_caption_of_a_preset_claims_to_be_the_papers():
    for files in (["config.yaml"], ["config.yaml", "config/smoke.yaml"]):
        for name in set(FIGURES) - {"table1"}:
            text = said(name, preset(*files))
            assert "as in the paper" not in text and "instead of" in text, name


def test_captions_are_valid_markup():
    """Each under a headline of its own, so that all are read at once."""
    strict = {"halt_level": 2, "report_level": 2}
    for files in (["config.yaml"], ["config.yaml", "config/paper.yaml"]):
        texts = [
            f"{name}\n{'=' * len(name)}\n\n{caption(name, preset(*files), stale=True)}"
            for name in FIGURES
        ]
        html = publish_parts("\n\n".join(texts), writer="html", settings_overrides=strict)["body"]
        assert "**" not in html


def ended(folder: Path, cell_id: str, *statuses: str) -> None:
    (folder / "cells" / cell_id).mkdir(parents=True)
    told = {"replicates": [{"status": status} for status in statuses]}
    (folder / "cells" / cell_id / "status.json").write_text(json.dumps(told))


def test_how_training_ended_is_counted_over_what_is_shown(tmp_path):
    study = {"base": {"net": {"arch": "cnn", "width": 3}}, "axes": {"net.depth": [1, 2, 3]}}
    plan = load({"run": "r", "results": str(tmp_path), "studies": {"cnn_depth": study}})
    one, two, _ = plan.cells
    ended(tmp_path, one, "converged", "converged", "dead")
    ended(tmp_path, two, "converged", "max_steps", "diverged")
    expected = "3 converged, 3 no longer stored, 1 died, 1 ran out of steps, 1 diverged."
    assert said("fig03", plan).endswith(f"How it ended: {expected}")


def test_what_was_drawn_before_a_change_is_marked():
    assert said("fig03", preset("config.yaml"), stale=True).startswith("Out of date:")
    assert "Out of date" not in said("fig03", preset("config.yaml"))

import html
import importlib.metadata

import yaml

from idpipe.config import load
from idpipe.workflow import provenance
from idpipe.workflow.jobs import COMMIT

STUDY = {"base": {"net": {"arch": "cnn", "width": 3}}, "axes": {"net.depth": [1, 2, 3]}}
PLAN = load({"run": "mine", "studies": {"cnn_depth": STUDY}, "results": "a <b> & c"})


def status(torch: str, **changes) -> dict:
    usual = {"seconds": 1800.0, "device": "cpu", "machine": "x86_64", "commit": "abc"}
    return {**usual, "versions": {"torch": torch, "python": "3.11.9"}, **changes}


def test_trainings_that_agree_are_told_once_and_others_counted():
    told = provenance.trained([status("2.10"), status("2.11"), status("2.11", commit=None)])
    assert told["cells"] == "3" and told["time"].startswith("1.50 hours")
    assert told["torch"] == "2.11 (2 cells); 2.10 (1 cells)"
    assert told["python"] == "3.11.9" and told["device"] == "cpu"
    assert told["commit"] == "abc (2 cells); unknown (1 cells)"


def test_a_cell_of_an_older_version_lacks_some_of_it():
    old = {"seconds": 1.0, "device": "cpu"}
    told = provenance.trained([status("2.10"), old])
    assert told["torch"] == "2.10 (1 cells); unknown (1 cells)"
    assert provenance.trained([old])["machine"] == "unknown"


def test_the_page_holds_configuration_and_versions():
    page = provenance.page(PLAN, [status("2.10")])
    text = html.unescape(page.partition("<pre>")[2].partition("</pre>")[0])
    assert yaml.safe_load(text) == PLAN.config.model_dump(mode="json")
    assert "<b>" not in page
    for name in ("torch", "snakemake", "numpy"):
        assert f"<tr><th>{name}</th><td>{importlib.metadata.version(name)}</td></tr>" in page
    assert COMMIT is None or COMMIT in page
    assert "http" not in page

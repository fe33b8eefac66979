"""What the tables' columns are called, and what the tables of a run hold of its settings."""

import json

import pytest
from runs_in_process import collected, made

from idpipe.cells import SETTINGS
from idpipe.cells.columns import RESERVED
from idpipe.results import EVIDENCE, TABLES

NET = {"arch": "cnn", "width": 2, "depth": 1}
SETTINGS_OF_RUN = {
    "run": "test",
    "defaults": {"replicates": 1, "max_steps": 5, "net": NET},
    "studies": {
        "rates": {"axes": {"net.depth": [1, 2], "optimizer.lr": [0.01, 0.1]}},
        "kinds": {
            "axes": {
                "cell": [{"net": {"arch": "fcn", "width": 4, "depth": 1}}, {"init": "geometric"}]
            }
        },
        "images": {"axes": {"data.examples": [[{"label": 7}], [{"label": 4}, {"label": 0}]]}},
        "one": {"base": {"loss": "half_sum"}},
        "dropped": {
            "axes": {
                "optimizer.momentum": [0.8],
                "optimizer": [{"lr": 0.1}, {"name": "adam"}],
            }
        },
    },
    "probes": {"rho": [0], "n_per_rho": 1, "sizes": []},
}


def test_columns_of_settings_and_other_columns_have_different_names():
    others = {c.name for table in (*TABLES, EVIDENCE) for c in table.columns if c not in SETTINGS}
    # `size` and `lr` are a setting's columns that metrics and history have too, as their own.
    assert others - {column.name for column in SETTINGS} <= RESERVED
    assert not RESERVED & {column.name for column in SETTINGS}


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    targets = made({**SETTINGS_OF_RUN, "results": str(folder)}, lambda line: None)
    return collected(targets, folder / "tables")


def test_studies_say_where_each_cell_lies_on_their_axes(tables):
    rows = tables["studies"].set_index("study")["axes"].map(json.loads)
    assert rows["rates"].tolist() == [
        {"net.depth": depth, "optimizer.lr": lr} for depth in (1, 2) for lr in (0.01, 0.1)
    ]
    whole = [point["cell"] for point in rows["kinds"]]
    assert whole == [
        {"net.arch": "fcn", "net.width": 4, "net.depth": 1, "init": "pytorch"},
        {"net.arch": "cnn", "net.width": 2, "net.depth": 1, "init": "geometric"},
    ]
    images = [point["data.examples"] for point in rows["images"]]
    assert images == [
        [{"label": 7, "index": 0}],
        [{"label": 4, "index": 0}, {"label": 0, "index": 0}],
    ]
    assert rows.loc[["one"]].tolist() == [{}]
    dropped = [point["optimizer.momentum"] for point in rows["dropped"]]
    assert dropped == [0.8, None]  # Adam has none


def test_cells_tell_apart_what_only_one_key_tells_apart(tables):
    cells = tables["cells"].drop(columns=["cell_id", "seconds", "mse", "steps", "status"])
    assert not cells.duplicated().any()
    assert set(cells["loss"]) == {"mean", "half_sum"}

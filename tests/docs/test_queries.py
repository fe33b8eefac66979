"""docs/tables.md against the tables of a tiny run: its columns, and every block of its queries."""

import io
import operator
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from documented_tables import PAGE, SECTIONS, assert_types_as_documented, documented, files
from runs_in_process import collected, made
from scipy.stats import binomtest
from snakemake_runs import CLASSIFIER

from idpipe.cells import ENDINGS
from idpipe.claims import evidence
from idpipe.figures.table1 import table, table1_texts
from idpipe.formats import write_parquet
from idpipe.nets import initial_weights
from idpipe.results import Results, interval, tables
from idpipe.workflow import jobs

SETUP, *PARTS = SECTIONS["Five questions"].split("\n### ")
QUESTIONS = {part.splitlines()[0]: part for part in PARTS}

AGAIN = {"policy": "fresh_seed", "max_restarts": 1}
DENSE = {"net": {"arch": "fcn", "width": 16}}
NARROW = {"net": {"arch": "cnn", "width": 3}}
HOPELESS = {"base": {"net": {"arch": "cnn", "width": 3, "depth": 2}, "optimizer": {"lr": 1e6}}}
OTHER_RULE = {"net": {**DENSE["net"], "depth": 1}, "optimizer": {"name": "adagrad"}}
DYING = {"base": {"net": {"arch": "cnn", "width": 1}}, "axes": {"net.depth": [4, 9]}}
SETTINGS = {
    "run": "laptop",
    "defaults": {"replicates": 3, "max_steps": 60, "stop_mse": 0.3, "failure": AGAIN},
    "studies": {
        "fcn_relu_depth": {"base": DENSE, "axes": {"net.depth": [1, 3]}},
        "cnn_depth": {"base": NARROW, "axes": {"net.depth": [1, 2, 7]}},
        "fewer_seeds_depth": {"base": {**NARROW, "replicates": 1}, "axes": {"net.depth": [1, 3]}},
        "hopeless": HOPELESS,
        "dying": DYING,
        "other_rule": {
            "base": {**DENSE, "optimizer": {"name": "adagrad"}},
            "axes": {"net.depth": [1]},
        },
    },
    "probes": {"rho": [0, 0.5, 1], "n_per_rho": 2, "sizes": [7], **CLASSIFIER},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A folder with the results of a run in which seeds converge, go on, die and diverge."""
    folder = tmp_path_factory.mktemp("run")
    targets = made({**SETTINGS, "results": str(folder / "results")})
    studies = targets.plan.studies
    diverged = studies["hopeless"][0].cell_id
    out = targets.evaluation(diverged)
    jobs.analyse(targets.layout.cell(diverged), targets.probes(diverged), out)
    collected(targets, targets.layout.tables("laptop"), layers=[diverged])
    # The table `evidence`, as if these networks were those of filter sizes.
    cells = [cell.cell_id for cell in studies["cnn_depth"] + studies["hopeless"]]
    selection = targets.selection({"cnn_kernel": cells}, {})
    found = evidence.gather(selection, initial_weights, "cosine")
    write_parquet(targets.layout.tables("laptop") / "evidence.parquet", found)
    return folder


@pytest.fixture(scope="module")
def asked(root) -> Iterator[dict[str, Any]]:
    """What the page's first block defines, where `results/laptop` is that run."""
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        exec(block(SETUP, "python"), names)
        yield names


def block(text: str, language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", text, re.S)
    return found


def answers(asked: dict[str, Any], question: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of the SQL, and those of pandas."""
    part = QUESTIONS[question]
    names = {**asked}
    exec(block(part, "python"), names)
    return asked["db"].sql(block(part, "sql")).df(), names["found"]


def test_every_file_has_the_documented_columns_and_types(root):
    paths = [path for path, said in files(root) if not assert_types_as_documented(path, said)]
    assert {path.name for path in paths if path.parent.name == "tables"} == {
        section for section in SECTIONS if section.endswith(".parquet")
    }
    names = {pattern.rpartition("/")[2] for pattern in tables.CELL_TABLES}
    assert {path.name for path in paths if path.parent.name != "tables"} == names


BOUNDS = {"≥": operator.ge, ">": operator.gt, "≤": operator.le, "<": operator.lt}


def assert_allowed(values: pd.Series, allowed: str) -> None:
    """Every value is one of the names, or lies in the range, of the page's words."""
    if allowed.startswith("`"):
        assert set(values.astype("str").str.removesuffix(".0").str.lower()) <= {
            name.strip("`") for name in allowed.split(", ")
        }
    elif allowed.startswith(tuple(BOUNDS)):
        for bound in allowed.split(" and "):
            sign, number = bound.split()
            assert BOUNDS[sign](values, float(number)).all()
    elif allowed:
        low, high = map(float, allowed.split(" to "))
        assert values.between(low - 1e-12, high + 1e-12).all()
    else:
        assert values.dtype == "str" and (values.str.len() > 0).all()


def test_values_are_allowed_and_null_where_that_is_said_and_only_there(root):
    for path, said in files(root):
        table, frame = pq.read_table(path), pd.read_parquet(path)
        for name, row in said.iterrows():
            kept = frame[name].dropna()
            assert_allowed(kept, row["allowed"])
            assert table[name].null_count == len(frame) - len(kept), "NaN is null"
            if row["null"] == "never":
                assert table[name].null_count == 0, (path, name)
            elif path.parent.name == "tables":
                assert table[name].null_count > 0, (path, name)


def test_names_are_those_that_the_engine_and_the_run_use(root, asked):
    used = {
        tuple(ENDINGS): asked["cells"]["status"],
        tables.KINDS: asked["metrics"]["kind"],
        tables.REFERENCES: asked["metrics"]["reference"],
        tables.STATES: asked["layers"]["state"],
        tables.QUANTITIES: asked["layers"]["quantity"],
    }
    for names, values in used.items():
        assert set(names) == set(values)


def test_table1_is_as_documented():
    types = documented("figures/table1.csv")["type"].to_dict()
    read = pd.read_csv(io.StringIO(table1_texts(Results())[".csv"]))
    assert list(read.columns) == list(types)
    pd.testing.assert_frame_equal(read.astype(types), table())
    for name, row in documented("figures/table1.csv").iterrows():
        assert_allowed(table()[name].dropna(), row["allowed"])
        assert table()[name].isna().any() == (row["null"] != "never")


def test_every_block_of_the_page_is_executed():
    languages = re.findall(r"^```(\w+)$", PAGE, re.M)
    assert languages == ["python", *["sql", "python", "text"] * 5]
    assert PAGE.count("```") == 2 * len(languages)
    assert len(QUESTIONS) == 5


@pytest.mark.parametrize("question", QUESTIONS)
def test_both_versions_of_a_query_give_the_same_rows(asked, question):
    by_sql, by_pandas = answers(asked, question)
    assert len(by_sql) > 1
    pd.testing.assert_frame_equal(by_sql, by_pandas, check_dtype=False, rtol=1e-9, atol=1e-12)
    shown = block(QUESTIONS[question], "text").splitlines()
    assert shown[0].split() == list(by_sql.columns)
    assert {len(line.split()) for line in shown} == {len(by_sql.columns)}


def asking(start: str) -> str:
    (question,) = [question for question in QUESTIONS if question.startswith(start)]
    return question


def test_the_depth_is_the_first_at_which_the_gap_is_above_zero(asked):
    found = answers(asked, asking("From which depth"))[0].set_index("study")
    rows = asked["metrics"][asked["metrics"]["kind"] == "correlated"]
    means = rows.groupby(["cell_id", "replicate", "reference"])["correlation"].mean()
    for study in ("fcn_relu_depth", "cnn_depth"):
        reached: dict[str, list[int]] = {"depth": [], "earliest": [], "latest": []}
        for cell_id in asked["studies"].query("study == @study")["cell_id"]:
            cell = asked["live"][asked["live"]["cell_id"] == cell_id]
            gaps = [
                means[cell_id, replicate, "constant"] - means[cell_id, replicate, "identity"]
                for replicate in cell["replicate"]
            ]
            mean, half = interval(gaps, 0.95)
            for name, bound in zip(reached, (mean, mean + half, mean - half), strict=True):
                reached[name] += [cell["depth"].iloc[0]] if bound > 0 else []
        first = {name: min(depths, default=np.nan) for name, depths in reached.items()}
        assert found.loc[study, [*first]].to_dict() == pytest.approx(first, nan_ok=True)


def test_the_share_of_lost_seeds_has_its_wilson_interval(asked):
    found = answers(asked, asking("How often"))[0]
    assert 0 < found["lost"].sum() < found["tried"].sum()
    cells = asked["cells"].query("optimizer == 'sgd'")
    assert found["tried"].sum() == len(cells) + cells["restarts"].sum()
    for row in found.itertuples():
        bounds = binomtest(row.lost, row.tried).proportion_ci(method="wilson")
        assert (row.low, row.high) == pytest.approx((bounds.low, bounds.high), abs=1e-6)


def test_the_curves_are_those_of_the_figures(asked):
    found = answers(asked, asking("How does closeness"))[0]
    of_study = asked["studies"].query("study == 'cnn_depth'").merge(asked["live"], on="cell_id")
    rows = of_study.query("depth == 2")[["cell_id", "replicate"]].merge(asked["metrics"])
    rows = rows.query("reference == 'constant' and rho == 0.5")
    expected = interval(list(rows.groupby("replicate")["correlation"].mean()), 0.95)
    (row,) = found.query("depth == 2 and reference == 'constant' and rho == 0.5").itertuples()
    assert (row.mean, row.half) == pytest.approx(expected)
    assert row.replicates == 3

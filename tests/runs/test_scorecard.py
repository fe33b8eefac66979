"""The scorecard of a real run."""

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from snakemake_runs import REPOSITORY, command, counted, tiny

from idpipe.claims.verdicts import REPRODUCED, UNTESTABLE


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    """A copy of all that a run reads of the repository."""
    target = tmp_path_factory.mktemp("sources")
    for name in ("src", "workflow", "profiles", "config"):
        shutil.copytree(REPOSITORY / name, target / name)
    shutil.copy2(REPOSITORY / "Snakefile", target / "Snakefile")
    return target


def snakemake(sources: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    theorem = {"arch": "fcn", "depth": 1, "activation": "linear", "bias": False}
    settings = tiny()
    cnn = {"arch": "cnn", "width": 3}
    layer = {**cnn, "depth": 1, "bias": False}
    images = [[{"label": label} for label in range(count)] for count in (2, 3)]
    settings["studies"] = {
        "theorem1": {"base": {"net": theorem, "loss": "half_sum"}},
        "theorem2": {"base": {"net": {**layer, "kernel": 9}, "data": {"size": 8}}},
        "cnn_kernel": {"base": {"net": {**cnn, "depth": 2}}, "axes": {"net.kernel": [5, 9]}},
        "few_examples": {
            "base": {"net": {**cnn, "depth": 2}},
            "axes": {"data.examples": images},
        },
        "cnn_depth": {"base": {"net": cnn}, "axes": {"net.depth": [1, 20]}},
    }
    how = command(folder, settings, *arguments)
    how["args"][how["args"].index("--snakefile") + 1] = str(sources / "Snakefile")
    how["env"]["PYTHONPATH"] = str(sources / "src")
    return subprocess.run(**how, capture_output=True, check=False)


def check_evidence(results: Path, evidence: pd.DataFrame) -> None:
    """Recompute, one image at a time, what is measured of stored predictions."""
    for quantity, file in (("upper10", "layers.npz"), ("mixture", "predictions.npz")):
        for _, row in evidence[evidence["quantity"] == quantity].iterrows():
            (folder,) = (results / "cells" / row["cell_id"]).glob("eval-*")
            (probes,) = results.glob(f"data/*/probes-{folder.name.removeprefix('eval-')}.npz")
            name = "upper10_output" if quantity == "upper10" else "named"
            with np.load(folder / file) as arrays:
                outputs = arrays[name][row["replicate"]].astype(float)
            with np.load(probes) as arrays:
                train, kinds = arrays["train"][0].astype(float), arrays["kinds"]
            found = []
            for output, kind in zip(outputs, kinds, strict=True):
                if kind not in ("train", "blend"):
                    columns, y = train.reshape(len(train), -1).T, output.ravel()
                    best = columns @ np.linalg.lstsq(columns, y, rcond=None)[0]
                    cosine = y @ best / np.linalg.norm(y) / np.linalg.norm(best)
                    if quantity == "upper10":
                        cosine *= np.sign(y @ columns[:, 0])
                    found.append(cosine)
            assert row["value"] == pytest.approx(np.mean(found), abs=1e-6)
    free = evidence.loc[evidence["quantity"] == "null_dimension", "value"]
    assert (free >= 81 - 64).all()


def test_snakemake_makes_it_and_remakes_it_alone_where_a_threshold_changes(sources, tmp_path):
    result = snakemake(sources, tmp_path, "scorecard")
    assert result.returncode == 0, result.stdout + result.stderr
    table = pd.read_csv(tmp_path / "results/tiny/figures/scorecard.csv")
    verdicts = table.groupby("claim")["verdict"].first()
    assert len(verdicts) == 31
    assert verdicts["c30"] == REPRODUCED and verdicts["c06"] == UNTESTABLE
    evidence = pd.read_parquet(tmp_path / "results/tiny/tables/evidence.parquet")
    assert Counter(evidence["quantity"]) == {
        **{"theorem1_deviation": 2, "null_dimension": 2, "bound": 2, "upper10": 2},
        **{"sharpness": 2 * 2, "mixture": 2 * 2},
    }
    check_evidence(tmp_path / "results", evidence)
    for suffix in ("png", "pdf", "md", "html"):
        assert (tmp_path / f"results/tiny/figures/scorecard.{suffix}").stat().st_size > 1000
    again = snakemake(sources, tmp_path, "scorecard", "--dry-run")
    assert "Nothing to be done" in again.stdout + again.stderr
    claims_file = sources / "src/idpipe/claims/claims.yaml"
    claims_file.write_text(claims_file.read_text().replace("value: 0.8,", "value: 0.7,"))
    assert counted(snakemake(sources, tmp_path, "scorecard", "--dry-run")) == {"scorecard": 1}

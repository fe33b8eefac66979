"""The command line, as README shows it."""

from pathlib import Path

import pytest
import yaml

from idpipe.cli import main

CONFIG = {
    "run": "tiny",
    "defaults": {"replicates": 1, "max_steps": 20},
    "studies": {
        "a": {"base": {"net": {"arch": "cnn", "width": 2}}, "axes": {"net.depth": [1, 2]}},
        "b": {"base": {"net": {"arch": "fcn", "width": 5, "depth": 1}}},
    },
    "probes": {"rho": [0], "n_per_rho": 1},
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a small config.yaml."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    return tmp_path


def test_check_counts_cells(capsys):
    main(["check"])
    assert capsys.readouterr().out == "run tiny: 2 studies, 3 cells\n"


def test_cells_lists_study_id_and_parameters(capsys):
    main(["cells", "--set", "studies.b.base.net.width=7"])
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == ["a", "a", "b"]
    assert rows[2][1].startswith("fcn-d01-h7-")
    assert [int(row[2]) for row in rows] == [25, 100, 784 * 784]


def test_train_needs_no_snakemake(folder, capsys):
    main(["train", "--study", "b"])
    (cell,) = (folder / "results/cells").iterdir()
    assert cell.name.startswith("fcn-d01-h5-")
    assert len(list(cell.glob("eval-*/metrics.parquet"))) == 1
    assert "replicate 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "--set", "data.source=minst"], "data.source = 'minst'"),
        (["check", "--configfile", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["train", "--study", "c"], "--study c: allowed: a, b"),
        (["train", "cnn-d99"], "no cell cnn-d99"),
        (["train", "--study", "a", "fcn-d01"], "no cell fcn-d01 in study a"),
    ],
)
def test_mistakes_end_with_a_message(arguments, message):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert message in str(ended.value)

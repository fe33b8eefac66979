"""What no configured run refers to is listed and deleted; what one refers to, or uses, never is."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import runs_in_process
import yaml

from idpipe.cli import main
from idpipe.errors import IdpipeError
from idpipe.workflow import garbage
from idpipe.workflow.session import runs

CNN = {"base": {"net": {"arch": "cnn", "width": 2}}, "axes": {"net.depth": [1, 2, 3, 4]}}
SETTINGS = {
    "run": "all",
    "defaults": {"replicates": 1, "max_steps": 5},
    "studies": {"cnn_depth": CNN},
    "probes": {"rho": [0], "n_per_rho": 1, "unseen": 1, "out_of_domain": 0},
}


def of_depths(*depths: int, **more) -> dict:
    study = {"cnn_depth": {"axes": {"net.depth": list(depths)}}}
    return {"run": "some", "studies": study, **more}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Results of four cells of depths 1 to 4, a day old."""
    root = tmp_path_factory.mktemp("made") / "results"
    runs_in_process.made({**SETTINGS, "results": str(root)})
    age(root)
    return root


def age(root: Path, hours: float = 24) -> None:
    for path in [root, *root.rglob("*")]:
        os.utime(path, (time.time() - 3600 * hours,) * 2)


@pytest.fixture(autouse=True)
def folder(made, tmp_path, monkeypatch) -> Path:
    """A checkout whose config.yaml refers to depth 1, and its preset to depths 1 and 2."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made, tmp_path / "results")
    study = {"cnn_depth": {"base": CNN["base"], "axes": {"net.depth": [1]}}}
    write("config.yaml", {**SETTINGS, "studies": study})
    write("config/preset.yaml", of_depths(1, 2))
    return tmp_path


def write(name: str, content: dict) -> None:
    fresh(name)
    Path(name).write_text(yaml.safe_dump(content))


def depths() -> list[int]:
    """Depths of the cells that are stored."""
    return sorted(int(path.name[5:7]) for path in Path("results/cells").iterdir())


def cell(depth: int) -> Path:
    (path,) = Path("results/cells").glob(f"cnn-d{depth:02}-*")
    return path


def told(capsys, *arguments: str) -> str:
    main(["gc", *arguments])
    return capsys.readouterr().out


def test_without_yes_it_lists_with_sizes_and_deletes_nothing(capsys):
    said = told(capsys)
    assert depths() == [1, 2, 3, 4]
    listed = [line for line in said.splitlines() if "results/cells" in line]
    assert [line.split()[2] for line in listed] == [str(cell(3)), str(cell(4))]
    size = sum(path.stat().st_size for path in cell(3).rglob("*") if path.is_file())
    assert listed[0].split()[:2] == [f"{size / 1e6:.1f}", "MB"]
    assert said.splitlines()[-1].endswith("2 to be deleted by gc --yes")
    assert "config.yaml config/preset.yaml: 2 cells" in said.splitlines()[0]


def test_with_yes_it_deletes_what_no_run_refers_to_and_nothing_else(capsys):
    kept = {path: path.read_bytes() for path in Path("results").rglob("*") if path.is_file()}
    said = told(capsys, "--yes")
    assert said.splitlines()[-1].endswith("2 deleted")
    assert depths() == [1, 2]
    gone = [path for path in kept if not path.exists()]
    assert gone and all(path.parts[2][5:7] in ("03", "04") for path in gone)
    assert not list(Path("results").rglob("*.tmp"))
    assert told(capsys).splitlines()[-1].endswith("0 to be deleted by gc --yes")


def test_files_and_settings_that_are_named_count_as_configured(capsys):
    write("other.yaml", of_depths(3))
    told(capsys, "--yes", "--configfile", "other.yaml")
    assert depths() == [1, 2, 3]
    told(capsys, "--yes", "--set", "studies.cnn_depth.axes.net.depth=[3]")
    assert depths() == [1, 2, 3]


@pytest.mark.parametrize(
    "touch",
    [
        lambda: os.utime(cell(3) / "cell.json"),
        lambda: fresh(f"results/checkpoints/{cell(3).name}/state.safetensors"),
        lambda: fresh(f"results/logs/train/{cell(3).name}.log"),
        lambda: fresh(f"results/logs/evaluate/{cell(3).name}-0123456789ab.log"),
        lambda: os.utime(cell(3) / "status.json", (time.time() + 9e5,) * 2),
    ],
    ids=["cell", "checkpoint", "log of training", "log of evaluation", "clock went back"],
)
def test_a_cell_in_use_is_never_deleted(touch, capsys):
    touch()
    said = told(capsys, "--yes")
    assert depths() == [1, 2, 3]
    assert f"{cell(3)}  in use: changed within the hour" in said


def fresh(name: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).touch()


def test_nothing_is_deleted_while_snakemake_runs_here(folder, capsys):
    code = "from idpipe.workflow.session.runs import begin; begin(); print(1, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout.readline() == "1\n"
        with pytest.raises(SystemExit, match=rf"Snakemake runs in this folder \(.*-{run.pid}\)"):
            main(["gc", "--yes"])
        assert "2 to be deleted" in told(capsys)
        run.communicate("\n")
    assert depths() == [1, 2, 3, 4]
    told(capsys, "--yes")
    assert depths() == [1, 2]


def test_leftovers_go_too(capsys):
    unknown = "cnn-d09-c2-k5-default-sgd-01234567"
    litter = [
        f"results/checkpoints/{unknown}/state.safetensors",
        f"results/checkpoints/{cell(1).name}/.state.safetensors.abc12_x9.tmp",
        f"{cell(1)}/eval-0123456789ab/metrics.parquet",
        f"{cell(1)}/.weights.safetensors.abc12_x9.tmp",
        "results/data/digits/probes-0123456789ab.npz",
        "results/all/figures/.fig03.png.abc12_x9.tmp",
        f"results/cells/.{unknown}.tmp/cell.json",
        f"{cell(1)}/.eval-0123456789ab.tmp/metrics.parquet",
    ]
    kept = [
        f"results/checkpoints/{cell(1).name}/state.safetensors",
        f"{cell(1)}/notes.tmp",
        "results/cells/my notes/read me.txt",
        "results/notes/.x.abc12_x9.tmp",
        "results/cells/.mine.tmp/x",
    ]
    for name in [*litter, *kept]:
        fresh(name)
    age(Path("results"))
    fresh(f"{cell(1)}/.status.json.abc12_x9.tmp")
    kept.append(f"{cell(1)}/.status.json.abc12_x9.tmp")
    told(capsys, "--yes")
    assert [name for name in litter if Path(name).exists()] == []
    assert [name for name in kept if not Path(name).exists()] == []
    assert len(list(cell(1).glob("eval-*"))) == 1


def test_a_preset_that_cannot_be_read_deletes_nothing(capsys):
    write("config/broken.yaml", {"studies": {"cnn_depth": {"bases": 1}}})
    with pytest.raises(SystemExit, match=r"config/broken\.yaml: refused, so which cells"):
        main(["gc", "--yes"])
    assert depths() == [1, 2, 3, 4]


def test_where_ones_own_images_are_away_their_cells_are_kept(capsys):
    write("config/own.yaml", {"data": {"source": "image_folder", "folder": "away"}})
    path = cell(3) / "cell.json"
    path.write_text(path.read_text().replace('"source":"digits"', '"source":"image_folder"'))
    age(Path("results"))
    said = told(capsys, "--yes")
    assert "Kept too: all cells of own images" in said
    assert depths() == [1, 2, 3]


# --- runs ------------------------------------------------------------------------------------


def killed(machine: str = "") -> Path:
    """The file of a run that was killed, beside Snakemake's lock."""
    path = Path(".snakemake/idpipe-runs") / f"{machine or socket.gethostname()}-99999999"
    fresh(str(path))
    fresh(".snakemake/locks/0.output.lock")
    return path


def begin() -> str:
    code = "from idpipe.workflow.session import runs; print(runs.begin())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_a_run_that_ended_by_itself_leaves_nothing():
    assert begin() == "None\n"
    assert runs.find() == runs.FoundRuns()


def test_the_lock_of_a_killed_run_is_cleared():
    path = killed()
    assert "(process 99999999); its lock is cleared." in begin()
    assert not path.exists() and not Path(".snakemake/locks").exists()
    assert begin() == "None\n"


@pytest.mark.parametrize("machine", ["elsewhere", None])
def test_a_lock_is_left_where_another_machine_or_no_run_of_ours_may_hold_it(machine):
    lock = Path(".snakemake/locks/0.output.lock")
    fresh(str(lock))
    path = killed(machine) if machine else lock
    assert begin() == "None\n"
    assert path.exists() and lock.exists()
    assert runs.find().alive == (["elsewhere-99999999"] if machine else [])


def test_configured_says_what_it_read():
    known = garbage.configured()
    assert known.files == ["config.yaml", "config.yaml config/preset.yaml"]
    with pytest.raises(IdpipeError, match=r"missing\.yaml"):
        garbage.configured(["missing.yaml"])

"""Whatever goes wrong, a plain rerun of real Snakemake ends with the results of a calm run."""

import hashlib
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from disks import mounted
from snakemake_runs import command, processes, snakemake, warm
from snakemake_runs import jobs as planned

from idpipe import cells, engine, store
from idpipe.config import load
from idpipe.engine.checkpoints import SECONDS
from idpipe.errors import ShortageError
from idpipe.figures.draw import draw
from idpipe.results import Results
from idpipe.workflow import jobs
from idpipe.workflow.session.runs import SNAKEMAKE
from idpipe.workflow.session.worker import ADDRESS
from idpipe.workflow.targets import Targets

STEPS = 700
"""Of a cell: long enough to be struck."""
RESULTS = ("weights.safetensors", "history.parquet", "eval-*/metrics.parquet", "eval-*/*.npz")


def settings(depths=(1, 2), **defaults) -> dict:
    """Two small cells that train for about half a second each, and what Fig. 4 shows of them."""
    base = {"net": {"arch": "cnn", "width": 6}}
    return {
        "run": "tiny",
        "defaults": {"replicates": 2, "max_steps": STEPS, "stop_mse": 0, **defaults},
        "studies": {"cnn_depth": {"base": base, "axes": {"net.depth": list(depths)}}},
        "probes": {"rho": [0, 1], "n_per_rho": 1, "unseen": 1, "out_of_domain": 1},
    }


@pytest.fixture(autouse=True)
def environment(monkeypatch) -> None:
    """Jobs go to the warm process, and cells in training are saved often."""
    monkeypatch.setenv(ADDRESS, warm())
    monkeypatch.setenv(SECONDS, "0.1")


def start(folder: Path, config: dict, *arguments: str) -> subprocess.Popen[str]:
    """Snakemake at work on Fig. 4, the leader of a process group."""
    how = command(folder, config, "fig04", *arguments)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(**how, **pipes, start_new_session=True)


def run(folder: Path, config: dict, *arguments: str) -> tuple[int, str]:
    """Exit status of such a run, and what it said."""
    done = snakemake(folder, config, "fig04", *arguments)
    return done.returncode, done.stdout + done.stderr


def completed(folder: Path, config: dict, *arguments: str) -> str:
    """What a run that must succeed said."""
    status, said = run(folder, config, *arguments)
    assert status == 0, said
    return said


@pytest.fixture(scope="module")
def calm(tmp_path_factory) -> Path:
    """A folder in which nothing went wrong."""
    folder = tmp_path_factory.mktemp("calm") / "folder"
    completed(folder, settings())
    return folder


def results(folder: Path) -> dict[str, str]:
    """Hash of every result below a folder, but what depends on the clock."""
    cells_ = [path for name in RESULTS for path in folder.glob(f"results/cells/*/{name}")]
    files = [*cells_, *folder.glob("results/tiny/figures/*.png")]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def finished(folder: Path) -> dict[str, str]:
    """Hash of the status of every cell that was trained, as soon as it was written."""
    found = folder.glob("results/cells/*/status.json")
    return {path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def copied(calm: Path, tmp_path: Path) -> Path:
    """A copy, dates and all, to do damage to."""
    return shutil.copytree(calm, tmp_path / "folder")


def training_of(folder: Path) -> list[Path]:
    return list(folder.glob("results/checkpoints/*/state.safetensors"))


def wait_for(holds, process: subprocess.Popen[str]) -> None:
    while not holds():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)


def children() -> list[int]:
    """The processes of jobs: children of the warm process, which is this process's child."""
    workers = [n for n, parent, line in processes() if parent == os.getpid() and "worker" in line]
    return [number for number, parent, _ in processes() if parent in workers]


def strike(process: subprocess.Popen[str]) -> None:
    """SIGKILL to the process group and to the jobs that the warm process does for it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for number in children():
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    process.communicate()


# --- killed ----------------------------------------------------------------------------------


def test_a_job_that_is_killed_is_told_and_goes_on_in_the_next_run(calm, tmp_path):
    process = start(tmp_path, settings(), "--cores", "1")
    wait_for(lambda: training_of(tmp_path), process)
    for number in children():
        os.kill(number, signal.SIGKILL)
    said, _ = process.communicate()
    assert process.returncode != 0
    assert "The process of this job was killed" in said and "Traceback" not in said
    assert len(finished(tmp_path)) == 1, "with keep-going the other cell is trained"
    before = finished(tmp_path)
    said = completed(tmp_path, settings())
    assert "goes on from step" in said
    assert results(tmp_path) == results(calm)
    assert before.items() <= finished(tmp_path).items()


def test_after_snakemake_is_killed_a_plain_rerun_works(calm, tmp_path):
    process = start(tmp_path, settings(), "--cores", "1")
    wait_for(lambda: training_of(tmp_path), process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert list((tmp_path / SNAKEMAKE / "locks").iterdir()), "Snakemake left its lock"
    while children():
        time.sleep(0.01)
    before = finished(tmp_path)
    assert len(before) == 1, "the job went on to its end without Snakemake"
    said = completed(tmp_path, settings())
    assert f"A run in this folder was killed (process {process.pid}); its lock is cleared" in said
    assert f"the cells it had finished are kept: {next(iter(before))}" in said
    assert results(tmp_path) == results(calm)
    assert before.items() <= finished(tmp_path).items()


def test_after_snakemake_is_killed_a_rerun_beside_its_last_job_ends_well(calm, tmp_path):
    process = start(tmp_path, settings(), "--cores", "1")
    wait_for(lambda: training_of(tmp_path), process)
    os.kill(process.pid, signal.SIGKILL)
    completed(tmp_path, settings())
    while children():
        time.sleep(0.01)
    process.communicate()
    assert results(tmp_path) == results(calm)
    assert "Nothing to be done" in completed(tmp_path, settings()) or planned(
        tmp_path, settings(), "fig04"
    ).keys().isdisjoint({"train"})


TRIALS = 12
OWN_WORKER_EVERY = 4
"""Every so many trials the whole group, a worker of its own included, is struck."""


@pytest.mark.long
def test_killed_at_random_moments_it_ends_with_the_same_results(calm, tmp_path, monkeypatch):
    chance, trial, chain, phases = random.Random(0), 0, 0, set()
    began = time.monotonic()
    completed(tmp_path / "measured", settings())
    longest = time.monotonic() - began
    while trial < TRIALS:
        folder, survived = tmp_path / f"chain{chain}", {}
        while trial < TRIALS:
            if trial % OWN_WORKER_EVERY == OWN_WORKER_EVERY - 1:
                monkeypatch.delenv(ADDRESS)
            process = start(folder, settings())
            monkeypatch.setenv(ADDRESS, warm())
            # Reading the Snakefile takes the first quarter or so; nothing is at stake then. What
            # is reached late in a run is reached sooner by the next, which has less to do.
            with suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0.2, 0.8) * longest)
            done = process.poll() is not None
            strike(process)
            assert not done or process.returncode == 0
            now = finished(folder)
            assert survived.items() <= now.items(), f"trial {trial} lost a finished cell"
            survived = now
            # The load of the machine changes, and a run that has ended was not struck.
            longest *= 0.8 if done else 1.03
            if done:
                break
            trial += 1
            phases.add((len(now), bool(list(folder.glob("results/cells/*/eval-*/*.parquet")))))
        completed(folder, settings())
        assert results(folder) == results(calm), f"after {trial} trials"
        assert survived.items() <= finished(folder).items()
        assert not training_of(folder)
        chain += 1
    print(f"{trial} trials in {chain} folders, struck in {len(phases)} different states")
    assert len(phases) >= 2


def test_a_second_snakemake_is_refused_and_harms_nothing(calm, tmp_path):
    first = start(tmp_path, settings())
    wait_for(lambda: training_of(tmp_path), first)
    status, said = run(tmp_path, settings())
    assert status != 0 and "Directory cannot be locked" in said
    assert "was killed" not in said and "Traceback" not in said
    said, _ = first.communicate()
    assert first.returncode == 0, said
    assert results(tmp_path) == results(calm)


# --- disks -----------------------------------------------------------------------------------


@pytest.mark.long
def test_a_full_disk_is_told_and_when_there_is_room_it_goes_on(calm, tmp_path):
    folder = tmp_path / "folder"
    how = command(folder, settings(), "fig04")
    # Not by the warm process, which does not see the small disk.
    line = f"unset {ADDRESS}; PATH={shlex.quote(how['env']['PATH'])} {shlex.join(how['args'])}"
    (folder / "results").mkdir()
    copy = tmp_path / "after"
    # Room for the images and the cells, and not for all that is predicted.
    said = mounted(
        tmp_path,
        f"cd {shlex.quote(str(folder))}; mount -t tmpfs -o size=1960k none results\n"
        f"{line}; echo STATUS $?\n"
        "echo TRAINED $(ls results/cells/*/status.json | wc -l)\n"
        "md5sum results/cells/*/status.json | sort > ../before\n"
        "mount -o remount,size=50m results; echo ROOM\n"
        f"{line}; echo STATUS $?\n"
        "md5sum results/cells/*/status.json | sort | diff ../before - && echo SURVIVED\n"
        f"find . -name '.*.tmp'; cp -a . {shlex.quote(str(copy))}\n",
    )
    first, _, second = said.partition("ROOM")
    assert "cannot be written (No space left on device); make room" in first, said
    assert "STATUS 1" in first and "TRAINED 2" in first and "Traceback" not in first, said
    assert "STATUS 0" in second and "SURVIVED" in second and ".tmp" not in second, said
    assert results(copy) == results(calm)


@pytest.mark.long
def test_a_read_only_folder_is_told_and_when_it_is_writable_it_goes_on(calm, tmp_path):
    folder = copied(calm, tmp_path)
    wanted = settings(depths=(1, 2, 3))
    how = command(folder, wanted, "fig04")
    line = f"unset {ADDRESS}; PATH={shlex.quote(how['env']['PATH'])} {shlex.join(how['args'])}"
    said = mounted(
        tmp_path,
        f"cd {shlex.quote(str(folder))}\n"
        "mount --bind results results && mount -o remount,ro,bind results\n"
        f"{line}; echo STATUS $?\n",
    )
    assert "Write-protected output files" in said and "results/tiny/figures/fig04.png" in said
    assert "STATUS 1" in said and "Traceback" not in said
    assert finished(folder) == finished(calm)
    completed(folder, wanted)
    assert len(finished(folder)) == 3 and finished(calm).items() <= finished(folder).items()


# --- damage ----------------------------------------------------------------------------------


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def of_another_engine(path: Path) -> None:
    content = json.loads(path.read_text())
    path.write_text(cells.canonical_json({**content, "engine_version": 0}))


def test_damaged_files_are_named_with_what_to_delete_and_come_back(tmp_path):
    config = settings(depths=(1, 2, 3, 4), max_steps=60)
    completed(tmp_path, config)
    whole = results(tmp_path)
    first, second, third, fourth = sorted((tmp_path / "results/cells").iterdir())
    truncate(first / "weights.safetensors")
    truncate(second / "cell.json")
    of_another_engine(third / "cell.json")
    status, said = run(tmp_path, config)
    assert status != 0 and "Traceback" not in said
    for folder, file, reason in (
        (first, "weights.safetensors", "cannot be read"),
        (second, "cell.json", "cannot be read"),
        (third, "cell.json", "engine version 0, this is version"),
    ):
        name = f"results/cells/{folder.name}"
        line = next(line for line in said.splitlines() if line.startswith(f"{name}/{file}: "))
        assert reason in line and f"delete {name} to retrain" in line
        shutil.rmtree(folder)
    (metrics,) = fourth.glob("eval-*/metrics.parquet")
    truncate(metrics)
    status, said = run(tmp_path, config)
    name = metrics.relative_to(tmp_path)
    assert status != 0 and "Traceback" not in said
    assert f"{name}: cannot be read" in said and f"delete {name.parent} and run again" in said
    shutil.rmtree(metrics.parent)
    assert planned(tmp_path, config, "fig04")["train"] == 0
    completed(tmp_path, config)
    assert results(tmp_path) == whole


def test_what_verify_says_rebuilds_what_rotted_unseen(calm, tmp_path):
    """Damage that leaves no date: Snakemake would not look at it."""
    folder = copied(calm, tmp_path)
    first, second = sorted((folder / "results/cells").iterdir())
    (metrics,) = second.glob("eval-*/metrics.parquet")
    for path in (first / "weights.safetensors", metrics):
        dates = path.stat().st_atime, path.stat().st_mtime
        truncate(path)
        os.utime(path, dates)
    assert "Nothing to be done" in completed(folder, settings())
    how = command(folder, settings())
    shared = {"cwd": folder, "env": how["env"], "capture_output": True, "text": True}
    verify = [how["args"][0], "-m", "idpipe", "verify"]
    told = subprocess.run(verify, **shared, check=False)
    assert told.returncode == 1
    commands = [line.partition("again: ")[2] for line in told.stdout.splitlines()[:-1]]
    assert len(commands) == 2
    for line in commands:
        line = line.replace("snakemake", f"snakemake --snakefile {how['args'][4]}")
        subprocess.run(["bash", "-c", line], **shared, check=True)
    completed(folder, settings())
    assert subprocess.run(verify, **shared, check=False).returncode == 0
    assert results(folder) == results(calm)


def test_cells_of_another_engine_version_are_left_and_new_ones_trained(calm, tmp_path):
    folder = copied(calm, tmp_path)
    old = []
    for path in sorted((folder / "results/cells").iterdir()):
        of_another_engine(path / "cell.json")
        digest = cells.id_hash((path / "cell.json").read_text())
        old.append(path.rename(path.with_name(f"{path.name[:-8]}{digest}")))
    shutil.rmtree(folder / "results/tiny")
    before = finished(folder)
    completed(folder, settings())
    for path in old:
        assert finished(folder)[path.name] == before[path.name]
        shutil.rmtree(path)
    assert results(folder) == results(calm)


# --- clocks ----------------------------------------------------------------------------------


def date(paths, hours: float) -> None:
    for path in paths:
        os.utime(path, (time.time() + 3600 * hours,) * 2)


@pytest.mark.parametrize(
    "pattern",
    ["**/*", "data/**/*", "cells/*/*", "cells/*/eval-*/*", "tiny/figures/*", "cells/*/cell.json"],
)
def test_files_dated_in_the_future_train_nothing(calm, tmp_path, pattern):
    folder = copied(calm, tmp_path)
    paths = [path for path in (folder / "results").glob(pattern) if path.is_file()]
    assert paths
    date(paths, 24)
    found = planned(folder, settings(), "fig04")
    assert found["train"] == found["prepare"] == found["probes"] == 0


def test_after_the_clock_went_back_a_new_cell_is_trained_and_only_it(calm, tmp_path):
    folder = copied(calm, tmp_path)
    date([path for path in (folder / "results").rglob("*")], 24)
    before = finished(folder)
    said = completed(folder, settings(depths=(1, 2, 3)))
    assert "files dated in the future are dated as of now" in said
    assert before.items() <= finished(folder).items() and len(finished(folder)) == 3
    assert planned(folder, settings(depths=(1, 2, 3)), "fig04")["train"] == 0


# --- training --------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["keep", "fresh_seed", "half_rate"])
def test_a_cell_that_diverges_under_every_policy_is_drawn_with_its_mark(tmp_path, policy):
    config = settings(failure={"policy": policy, "max_restarts": 1}, max_steps=60)
    config["defaults"]["optimizer"] = {"lr": 1e9}
    completed(tmp_path, config, "fig03")
    restarts = 0 if policy == "keep" else 1
    for path in tmp_path.glob("results/cells/*/status.json"):
        told = json.loads(path.read_text())["replicates"]
        assert [(r["status"], r["restart"]) for r in told] == [("diverged", restarts)] * 2
    targets = Targets(load({**config, "results": str(tmp_path / "results")}))
    shown = Results.of_cells(targets.selection({"cnn_depth": list(targets.plan.cells)}, {}))
    figure = draw("fig03", shown, targets.config.figures)
    words = [text.get_text() for text in figure.findobj(lambda part: hasattr(part, "get_text"))]
    assert len([word for word in words if "diverged" in word]) >= 2


def test_a_lack_of_memory_names_the_cell_and_the_keys(digits, tmp_path, monkeypatch):
    cell = next(iter(load(settings()).cells.values()))
    folder = tmp_path / "cells" / cell.cell_id

    def fail(*arguments, **more):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has")

    monkeypatch.setattr(engine, "train", fail)
    with pytest.raises(ShortageError) as error:
        jobs.train(cell, digits, folder, lambda line: None)
    said = str(error.value)
    assert said.startswith(f"{cell.cell_id}: ") and "\n" not in said
    for word in ("training", "CUDA out of memory", "replicates", "batch_size", "net.width"):
        assert word in said
    assert not folder.exists()


def test_a_write_that_fails_for_another_reason_is_no_message_about_disks(tmp_path):
    with pytest.raises(IsADirectoryError), store.replacing(tmp_path / "x") as new:
        new.with_name("folder").mkdir()
        new.with_name("folder").write_text("x")

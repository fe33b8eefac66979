"""What a run will take, and the command that says so."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from idpipe import costs
from idpipe.cli import main
from idpipe.config import load, read
from idpipe.costs import KINDS, Device, Prices, devices, forecast
from idpipe.engine import calibrate
from idpipe.store import Layout

REPOSITORY = Path(__file__).parents[2]
# A second for each step, nothing for all else.
STEPS = Prices({**dict.fromkeys(KINDS, 0.0), "step": 1.0})
CONFIG = {
    "run": "tiny",
    "defaults": {"replicates": 2, "max_steps": 20, "stop_mse": 0},
    "studies": {
        "a": {"base": {"net": {"arch": "cnn", "width": 2}}, "axes": {"net.depth": [1, 2]}},
        "b": {"base": {"net": {"arch": "cnn", "width": 2, "depth": 2}}},
        "c": {"base": {"net": {"arch": "fcn", "width": 5, "depth": 1}, "max_steps": 40}},
    },
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """A working folder with a small config.yaml, on a machine with prices that are known."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    devices.keep("one CPU thread", False, STEPS.of, "2001-02-03")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    return tmp_path


def rows(jobs: int = 1, gpu: bool = False) -> dict[str, forecast.CostRow]:
    plan = load(read(["config.yaml"]))
    device = Device("test", STEPS, gpu, "made up")
    return {row.name: row for row in forecast.rows(plan, device, Layout(Path("results")), jobs)}


def test_a_cell_that_studies_share_counts_once_in_the_total():
    found = rows()
    assert [len(row.cells) for row in found.values()] == [2, 1, 1, 3]
    seconds = [row.hours * 3600 for row in found.values()]
    assert seconds == pytest.approx([40, 20, 40, 80])
    assert found["all"].content()["replicates"] == 6


def test_cells_side_by_side_take_as_long_as_the_longest_at_least():
    assert rows(jobs=2)["all"].hours * 3600 == pytest.approx(40)
    assert rows(jobs=8)["all"].hours * 3600 == pytest.approx(40)
    assert rows(jobs=8)["a"].hours * 3600 == pytest.approx(20)


def test_what_is_trained_already_is_not_left_to_do(folder):
    plan = load(read(["config.yaml"]))
    shared = plan.studies["b"][0].cell_id
    (folder / "results/cells" / shared).mkdir(parents=True)
    assert rows()["all"].hours_left == rows()["all"].hours
    (folder / "results/cells" / shared / "status.json").write_text("{}")
    total = rows()["all"]
    assert (total.hours * 3600, total.hours_left * 3600) == pytest.approx((80, 60))
    assert rows()["b"].hours_left == 0


def test_a_row_says_what_its_cells_say():
    content = rows()["a"].content()
    cells = load(read(["config.yaml"])).studies["a"]
    assert content["parameters"] == (cells[0].parameters, cells[1].parameters) == (25, 100)
    flops = [costs.flops(cell).total for cell in cells]
    assert content["flops_per_step"] == (min(flops), max(flops))
    assert content["steps_cap"] == (20, 20)
    assert content["gpu_bytes"] == max(costs.vram_bytes(cell) for cell in cells)


def test_the_command_prints_a_row_for_each_study_and_how_speed_is_known(capsys):
    main(["plan", "--cores", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:6]] == ["a", "b", "c", "all"]
    assert "all: 3 cells, those that studies share counted once" in lines
    assert "0 of them trained already: 0.022 of 0.022 hours left" in lines
    assert lines[-1].endswith("one cell at a time; speed: measured here on 2001-02-03.")


def test_the_command_prints_json(capsys):
    main(["plan", "--json", "--cores", "1", "--set", "defaults.replicates=5"])
    content = json.loads(capsys.readouterr().out)
    assert [study["study"] for study in content["studies"]] == ["a", "b", "c"]
    assert content["total"]["cells"] == 3 and content["total"]["replicates"] == 15
    assert content["total"]["hours"] == pytest.approx(80 / 3600)


def test_a_named_device_is_an_estimate(capsys):
    main(["plan", "--device", "h100"])
    said = capsys.readouterr().out
    assert "on NVIDIA H100 SXM, one cell at a time" in said
    assert "an estimate from the data sheet, not measured" in said


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--device", "h999"], ["h999", *devices.SHEETS]),
        (["--device", "h100", "--calibrate"], ["--calibrate", "--device"]),
    ],
)
def test_mistakes_end_with_one_line(arguments, parts):
    with pytest.raises(SystemExit) as ended:
        main(["plan", *arguments])
    message = str(ended.value)
    assert "\n" not in message and all(part in message for part in parts)


def test_no_less_than_one_core(capsys):
    with pytest.raises(SystemExit):
        main(["plan", "--cores", "0"])
    assert "must be a whole number from 1" in capsys.readouterr().err


@pytest.mark.parametrize("preset", ["smoke", "paper"])
def test_presets_are_planned_without_torch(preset, tmp_path):
    code = (
        "import sys; from idpipe.cli import main;"
        f"main(['plan', '--configfile', 'config/{preset}.yaml', '--json']);"
        "assert 'torch' not in sys.modules"
    )
    how = {"cwd": REPOSITORY, "capture_output": True, "text": True, "check": False}
    done = subprocess.run([sys.executable, "-c", code], **how)
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    plan = load(read([REPOSITORY / "config.yaml", REPOSITORY / f"config/{preset}.yaml"]))
    assert content["total"]["cells"] == len(plan.cells)
    assert [study["study"] for study in content["studies"]] == list(plan.studies)
    assert sum(study["cells"] for study in content["studies"]) > len(plan.cells)
    least, most = content["total"]["steps_expected"]
    assert 0 < least <= most <= content["total"]["steps_cap"][1]
    assert math.isfinite(content["total"]["hours"])


def test_a_machine_that_was_never_measured_is_measured_now(monkeypatch, capsys):
    devices.cache_file().unlink()
    monkeypatch.setattr(calibrate, "step_seconds", lambda cell, device: 0.001)
    main(["plan"])
    printed = capsys.readouterr()
    assert "Measuring this machine" in printed.err
    assert re.search(r"measured here on \d{4}-\d\d-\d\d", printed.out)
    main(["plan"])
    assert "Measuring" not in capsys.readouterr().err
    main(["plan", "--calibrate"])
    assert "Measuring" in capsys.readouterr().err

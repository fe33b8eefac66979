"""The lines that a run shows, and its summary."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest

from idpipe.errors import IdpipeError
from idpipe.store import write_json
from idpipe.workflow.session import overview
from idpipe.workflow.session.overview import Overview, Work, duration

TO_DO = {
    **{n: Work("train", f"cell-{n}", 100.0) for n in range(4)},
    4: Work("evaluate", "cell-0", 50.0),
    5: Work("fig03", None, 50.0),
}


def of(to_do=TO_DO, there=(), finished=(), running=()):
    return Overview(to_do, there, lambda key: key in finished, lambda: running)


def statuses(folder: Path, cell: str, *found: str) -> None:
    write_json(folder / cell / "status.json", {"replicates": [{"status": s} for s in found]})


class TestLine:
    def test_counts_cells_and_goes_on_at_the_pace_so_far(self):
        line = of().line({0, 4}, [1, 2], 300.0)
        assert line == (
            "1 of 4 cells trained, 2 in training, 1 waiting; 0.2 cells a minute; about 12 min left"
        )

    def test_says_no_time_before_anything_is_finished(self):
        assert of().line(set(), [0], 30.0) == "0 of 4 cells trained, 1 in training, 3 waiting"

    def test_comes_again_until_all_is_finished(self):
        finished, said = set(), []
        of(finished=finished, running=[0]).watch(said.append, 0.05)
        time.sleep(0.3)
        assert len(said) > 1
        finished.update(TO_DO)
        time.sleep(0.2)
        count = len(said)
        time.sleep(0.2)
        assert len(said) == count

    def test_is_not_said_where_nothing_trains(self):
        said = []
        of({5: TO_DO[5]}).watch(said.append, 0.02)
        of().watch(said.append, 0.0)
        of().watch(said.append, math.inf)
        time.sleep(0.1)
        assert said == []


class TestSummary:
    def test_says_what_was_made_and_what_was_there(self, tmp_path):
        (tmp_path / "run/figures").mkdir(parents=True)
        there = [Work("train", "old", 1.0), Work("evaluate", "old", 1.0), Work("table1", None, 1.0)]
        found = of(there=there, finished={0, 1, 4, 5}).summary(tmp_path / "run", tmp_path)
        assert found.splitlines() == [
            "In 0 s: 2 cells trained (1 were there), 1 evaluated (1 were there), 1 figures drawn "
            "(1 were there).",
            f"Results: {tmp_path / 'run/figures'}",
        ]

    def test_names_the_lost_and_the_failed(self, tmp_path):
        statuses(tmp_path, "cell-0", "converged", "dead", "dead")
        statuses(tmp_path, "cell-1", "diverged", "max_steps")
        statuses(tmp_path, "old", "dead", "converged")
        there = [Work("train", "old", 1.0)]
        found = of(there=there).summary(tmp_path / "run", tmp_path, failed=[2, 5])
        assert found.splitlines()[1:] == [
            "Replicates that died, in 2 cells: old (1 of 2), cell-0 (2 of 3).",
            "Replicates that diverged, in 1 cells: cell-1 (1 of 2).",
            "Replicates that ran out of steps, in 1 cells: cell-1 (1 of 2).",
            "Failed: fig03, train cell-2. The same command goes on from what is there.",
        ]

    def test_passes_over_what_is_damaged_or_not_there(self, tmp_path):
        (tmp_path / "cell-0").mkdir()
        (tmp_path / "cell-0/status.json").write_text("{")
        assert len(of().summary(tmp_path / "run", tmp_path).splitlines()) == 1

    def test_fits_a_screen(self, tmp_path):
        many = {n: Work("train", f"cell-{n}", 1.0) for n in range(500)}
        for work in many.values():
            statuses(tmp_path, work.cell, "dead")
        found = of(many).summary(tmp_path / "run", tmp_path)
        assert "cell-5 (1 of 1) and 494 more." in found and len(found) < 600


@pytest.mark.parametrize("text", ["-1", "often", ""])
def test_a_bad_interval_is_refused(text, monkeypatch):
    monkeypatch.setenv(overview.PROGRESS, text)
    with pytest.raises(IdpipeError, match=r"IDPIPE_PROGRESS=.*must be a number of seconds"):
        overview.interval()


def test_durations():
    assert [duration(s) for s in (5.0, 100.0, 8000.0)] == ["5 s", "2 min", "2.2 h"]

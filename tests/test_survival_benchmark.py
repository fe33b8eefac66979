"""The benchmark of seeds: what it says of replicates, and its table in the docs."""

import pytest
from plain_loops import make_cell, picture

from benchmarks import survival
from benchmarks.record import RESULTS
from idpipe import engine
from idpipe.cells import ENDINGS
from idpipe.store import read_json

MACHINES = [path.stem for path in RESULTS.glob("*.json") if "survival" in read_json(path)]


def test_fates_are_those_of_a_plain_look_at_every_loss():
    """A linear network leaves the plateau and converges; at too high a rate it diverges."""
    cell = make_cell("fcn_linear", replicates=3, max_steps=200, stop_mse=1e-3)
    images, losses = picture(), {replicate: [] for replicate in range(3)}

    def at_step(training):
        if training.stack.step:
            for row, replicate in enumerate(training.stack.replicates):
                losses[replicate].append(float(training.stack.losses[-1][row]))

    found = survival.fates(engine.train(cell, images, at_step=at_step), float(images.var()) / 2)
    for replicate, fate in enumerate(found):
        left = next(s for s, mse in enumerate(losses[replicate]) if mse < images.var() / 2)
        assert (fate["status"], fate["left"]) == ("converged", left)
        assert left < fate["steps"] < 200

    wild = make_cell("fcn_linear", replicates=2, max_steps=200, optimizer={"lr": 1e3})
    wild = type(wild).model_validate({**wild.model_dump(), "failure": {"policy": "keep"}})
    for fate in survival.fates(engine.train(wild, images), float(images.var()) / 2):
        assert fate["status"] == "diverged"


def test_a_row_counts_each_end_once():
    ends = [("dead", 100, 30), ("dead", 300, None), ("diverged", 50, None)]
    ends += [("converged", 900, 400), ("converged", 1_100, 600)]
    ends += [("max_steps", 10_000, None), ("max_steps", 10_000, 8_000)]
    seeds = [dict(zip(("status", "steps", "left"), end, strict=True)) for end in ends]
    part = {"depth": 20, "width": 8, "lr": 0.01, "seeds": seeds}
    row = dict(zip(survival.HEAD, survival._row(part), strict=True))
    expected = {"channels": "8", "rate": "0.01", "layers": "20", "died": "2 of 7", "learned": "2"}
    expected |= {"at step": "200 (100–300)", "diverged": "1", "still on the plateau": "1"}
    expected |= {"plateau, steps": "500 (400–600)", "steps to 0.002": "1,000 (900–1,100)"}
    assert row == expected


def test_cells_cover_the_depths_and_keep_the_dead():
    cells = list(survival.cells("cuda", 16))
    nets = {(c.net.depth, c.net.width, c.optimizer.lr) for c in cells}
    assert len(nets) == len(cells) == 4 * 3 * 3
    assert all(c.failure.policy == "keep" and c.replicates == 16 for c in cells)
    assert {c.net.depth for c in cells} == {5, 10, 14, 20}


@pytest.mark.parametrize("machine", MACHINES)
def test_the_page_has_the_recorded_table(machine):
    text = survival.DOCS.read_text()
    found = read_json(RESULTS / f"{machine}.json")["survival"]
    assert survival.documented(text, machine, found) == text
    ends = {seed["status"] for part in found["cells"] for seed in part["seeds"]}
    assert ends <= ENDINGS.keys()


def test_there_is_a_recorded_table():
    assert MACHINES

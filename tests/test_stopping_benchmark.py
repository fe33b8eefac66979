"""The benchmark of early stopping: its logic on a tiny cell, and the tables in the docs."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import stopping
from idpipe import engine, evaluate, nets
from idpipe.cells import CONVERGED, MAX_STEPS, Cell
from idpipe.config import ProbeSpec
from idpipe.images import build, mse, training_images

pytestmark = pytest.mark.numerical

VALUES = (0.1, 0.01, 1e-9)


@pytest.fixture(scope="module")
def cell() -> Cell:
    net = {"arch": "cnn", "depth": 2, "width": 4, "kernel": 3}
    settings = {"replicates": 3, "stop_mse": 0.01, "report_every": 10, "precision": "float64"}
    return Cell.model_validate({"net": net, **settings})


@pytest.fixture(scope="module")
def images(cell, digits) -> np.ndarray:
    return training_images(cell.data, digits, cell.replicates)


@pytest.fixture(scope="module")
def probes(cell, digits):
    return build(cell.data, ProbeSpec(n_per_rho=2, out_of_domain=0), 3, digits, digits)


@pytest.fixture(scope="module")
def kept(cell, images):
    long = stopping.changed(cell, max_steps=400, stop_mse=0, schedule={"milestones": []})
    kept = stopping.Kept(long, images, VALUES)
    outcomes = engine.train(long, images, at_step=kept).outcomes
    assert [o.status for o in outcomes] == [MAX_STEPS] * 3
    return kept


class TestKept:
    @pytest.mark.parametrize("value", VALUES[:2])
    def test_is_what_the_engine_stops_with(self, kept, cell, images, value):
        short = stopping.changed(cell, max_steps=400, stop_mse=value, schedule={"milestones": []})
        for outcome in engine.train(short, images).outcomes:
            moment = kept.moments[value, outcome.replicate]
            assert outcome.status == CONVERGED
            assert moment.step == outcome.steps > 0
            torch.testing.assert_close(moment.params, outcome.params, rtol=1e-9, atol=1e-12)

    def test_is_the_first_judged_step_below_the_value(self, kept, cell, images):
        for (value, _), moment in kept.moments.items():
            stacked = {name: own[None] for name, own in moment.params.items()}
            error = mse(evaluate.outputs(cell, stacked, images), images).item()
            assert error < value
            assert moment.step % cell.report_every == 0

    def test_has_nothing_of_a_value_that_was_not_reached(self, kept):
        assert {value for value, _ in kept.moments} == {0.1, 0.01}


class TestMeasured:
    def test_budget_is_a_multiple_of_the_slowest_replicates_steps(self, cell, images):
        short = stopping.changed(cell, schedule={"milestones": []}, max_steps=1_000)
        slowest = max(o.steps for o in engine.train(short, images).outcomes)
        assert stopping.long_budget(cell, images, 3, 3_000) == 3 * slowest

    def test_a_cell_that_does_not_converge_has_the_most_steps(self, cell, images):
        never = cell.model_copy(update={"stop_mse": 1e-12})
        assert stopping.long_budget(never, images, 5, 100) == 100

    def test_differences_shrink_with_the_value(self, cell, images, probes):
        found = stopping.measured(cell, images, probes, VALUES, 4, 4_000)
        assert list(found["stops"]) == ["0.1", "0.01"]
        loose, tight = (found["stops"][f"{value:g}"] for value in VALUES[:2])
        assert max(tight["steps"].values()) * 4 == found["budget"]
        for kind in ("correlated", "named", "correlated_mse"):
            assert 0 < tight[kind]["mean"] < tight[kind]["largest"] < loose[kind]["largest"]

    def test_one_layer_takes_the_steps_that_its_modes_say(self, cell, digits, probes):
        one = Cell.model_validate({**cell.model_dump(), "net": {"arch": "cnn", "depth": 1}})
        images = training_images(one.data, digits, 3)
        found = stopping.measured(one, images, probes, (0.01, 0.005), 4, 4_000)
        steps, final = modes(one, images, found["budget"], (0.01, 0.005))
        assert {value: stop["steps"] for value, stop in found["stops"].items()} == steps
        assert found["budget"] == 4 * max(steps["0.01"].values())
        assert list(found["final_mse"].values()) == pytest.approx(final, rel=1e-9)

    def test_failed_replicates_are_named_and_left_out(self, cell, images, probes):
        wild = Cell.model_validate({**cell.model_dump(), "optimizer": {"name": "sgd", "lr": 1e4}})
        found = stopping.measured(wild, images, probes, VALUES, 4, 400)
        assert found["stops"] == found["final_mse"] == {}
        assert set(found["left_out"]) == {"0", "1", "2"}


def modes(cell: Cell, images: np.ndarray, budget: int, values: tuple[float, ...]):
    """Steps to each value and final MSEs of one layer without ReLU, mode by mode.

    Its error is a quadratic form of the filter's distance to the identity, so along each
    eigenvector of the patches' covariance momentum SGD works on one number.
    """
    pixels = torch.tensor(images[0]).double()
    patches = torch.nn.functional.unfold(pixels, cell.net.kernel, padding=cell.net.kernel // 2)[0]
    patches = torch.cat([patches, torch.ones(1, patches.shape[1])]).numpy()
    curvature, vectors = np.linalg.eigh(2 * patches @ patches.T / patches.shape[1])
    start = nets.initial_params(cell, range(cell.replicates))
    stacked = torch.cat([start["weight.0"].flatten(1), start["bias.0"]], 1).double().numpy()
    identity = np.zeros(len(patches))
    identity[cell.net.kernel**2 // 2] = 1
    distance, velocity = (stacked - identity) @ vectors, 0.0
    steps: dict[str, dict[str, int]] = {f"{value:g}": {} for value in values}
    for step in range(budget + 1):
        error = (distance**2 @ curvature) / 2
        for value in values if step % cell.report_every == 0 else ():
            for row in np.flatnonzero(error < value):
                steps[f"{value:g}"].setdefault(str(row), step)
        rate = cell.optimizer.lr * 0.2 ** sum(step >= share * budget for share in (0.3, 0.6, 0.8))
        velocity = cell.optimizer.momentum * velocity + curvature * distance
        if step < budget:
            distance = distance - rate * velocity
    return steps, error


def table(correlated: list[float], named: list[float]) -> pd.DataFrame:
    """Metrics of one replicate: two probes at one rho, two named ones."""
    rows = [("correlated", 0.5, f"rho/{n}", value) for n, value in enumerate(correlated)]
    rows += [("unseen", np.nan, f"named/{n}", value) for n, value in enumerate(named)]
    frame = pd.DataFrame(rows, columns=["kind", "rho", "probe", "correlation"])
    return frame.assign(replicate=0, reference="identity", mse=2 * frame["correlation"])


class TestDifferences:
    def test_of_means_at_a_rho_and_of_single_images(self):
        early, late = table([0.1, 0.5], [0.2, 0.9]), table([0.2, 0.5], [0.3, 0.6])
        found = stopping.differences(early, late)
        assert found["correlated"] == pytest.approx({"largest": 0.05, "mean": 0.05})
        assert found["correlated_mse"] == pytest.approx({"largest": 0.1, "mean": 0.1})
        assert found["named"] == pytest.approx({"largest": 0.3, "mean": 0.2})

    def test_only_replicates_that_came_that_far_are_compared(self):
        late = table([0.2, 0.5], [0.3, 0.6])
        both = pd.concat([late, table([0, 0], [0, 0]).assign(replicate=1)])
        found = stopping.differences(late, both)
        assert found["named"]["largest"] == found["correlated"]["largest"] == 0


class TestLoosest:
    def test_all_smaller_values_agree_too(self):
        def part(optimizer: str = "sgd", **largest: float) -> dict:
            stops = {v: {"named": {"largest": size}} for v, size in largest.items()}
            return {"name": f"a-net {optimizer} 0.01", "stops": stops}

        assert stopping.loosest([part()], "named") == max(stopping.VALUES)
        parts = [part(**{"0.001": 0.02, "0.0005": 0.005}), part(**{"0.0002": 0.009})]
        assert stopping.loosest(parts, "named") == 5e-4
        assert stopping.loosest([*parts, part(**{"0.0001": 0.011})], "named") == 5e-5
        assert stopping.loosest([part(**{"1e-06": 0.011})], "named") is None
        assert stopping.loosest([part("adam", **{"1e-06": 0.011})], "named") == 1e-2


class TestDocs:
    text = stopping.DOCS.read_text()
    machines = re.findall(r"<!-- stopping: (?!end)(\S+) -->", text)

    @pytest.fixture(params=machines)
    def machine(self, request):
        return request.param

    @pytest.fixture
    def found(self, machine):
        return json.loads((stopping.RESULTS / f"{machine}.json").read_text())["stopping"]

    def test_show_what_was_recorded(self, machine, found):
        again = f"run `python -m benchmarks.stopping --docs {machine}`"
        assert stopping.documented(self.text, machine, found) == self.text, again

    def test_correlations_agree_from_the_default_on_and_not_before(self, found):
        """Single images to 0.011, as the page says."""
        parts = [part["stops"] for part in found["cells"] if " sgd " in part["name"]]

        def largest(value, kind):
            return max(stops[value][kind]["largest"] for stops in parts if value in stops)

        assert largest(f"{stopping.STOP:g}", "correlated") <= stopping.AGREE
        assert largest(f"{stopping.STOP:g}", "named") <= 0.011
        looser = stopping.VALUES[stopping.VALUES.index(stopping.STOP) - 1]
        assert largest(f"{looser:g}", "named") > 0.011

    def test_budgets_are_as_the_page_says(self, machine, found):
        """20 times the steps to the default stop where the page says so, else 3 times at least."""
        for part in found["cells"]:
            stop = part["stops"].get(f"{stopping.STOP:g}")
            quick = part["name"].startswith(("fcn", "cnn-d01", "cnn-d03")) or "14px" in part["name"]
            if stop is not None:
                least = 20 if quick and machine.startswith("intel") else 3
                assert part["budget"] >= least * max(stop["steps"].values()), part["name"]

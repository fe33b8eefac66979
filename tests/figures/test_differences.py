"""What is said to differ from the paper's preset."""

from pathlib import Path

import pytest

from idpipe.config import Plan, load, read
from idpipe.figures import FIGURES
from idpipe.figures.differences import of_figure, of_probes, of_study, shown_cells

ROOT = Path(__file__).parents[2]
CNN = {"net": {"arch": "cnn"}}


def plan(axes: dict, base: dict = CNN, **settings) -> Plan:
    """A plan of the study `cnn_depth` alone."""
    return load({"run": "r", "studies": {"cnn_depth": {"base": base, "axes": axes}}, **settings})


def told(ours: dict, paper: dict) -> list[str]:
    """How two grids of the study differ."""
    return of_study(*(plan(axes).studies["cnn_depth"] for axes in (ours, paper)))


DEPTHS = {"net.depth": [3, 5, 20]}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"net.depth": [20, 3, 5]}, []),
        ({"net.depth": [3]}, ["5 and 20 layers left out"]),
        ({"net.depth": [3, 5, 20, 24]}, ["24 layers added"]),
        ({"net.depth": [3, 4]}, ["3 and 4 instead of 3, 5 and 20 layers"]),
        (
            {"schedule.milestones": [[]]},
            ["learning rate lowered never instead of at 30%, 60% and 80% of the budget"],
        ),
        ({"optimizer.lr": [0.0035]}, ["learning rate 0.0035 instead of 0.01"]),
        ({"max_steps": [400]}, ["400 instead of 2,000,000 steps at most"]),
        ({"precision": ["tf32"]}, ["precision tf32 instead of ieee"]),
        ({"net.bias": [False]}, ["biases: no instead of yes"]),
        ({"optimizer": [{"name": "adam", "lr": 0.01}]}, ["optimizer adam instead of sgd"]),
        # Told by themselves, of every figure.
        ({"replicates": [1], "stop_mse": [0.5]}, []),
        # Pixels of other sources are scaled in another way, and their images numbered so.
        ({"data": [{"source": "mnist"}]}, ["MNIST instead of scikit-learn's digits"]),
        (
            {"data": [{"source": "mnist", "examples": [{"label": 3}]}]},
            ["MNIST instead of scikit-learn's digits; training images of class 3 instead of 7"],
        ),
        (
            {"data.examples": [[{"label": 3}]]},
            ["training images 3/0 instead of 7/39 (class/number)"],
        ),
    ],
)
def test_a_study_is_compared_key_by_key(changes, said):
    assert told({**DEPTHS, **changes}, DEPTHS) == said


def test_a_network_without_hidden_layers_has_no_channels():
    assert told({"net.depth": [1], "net.width": [8]}, {"net.depth": [1]}) == []


def test_equal_values_in_other_combinations_are_no_equal_networks():
    pairs = [[(3, 8), (5, 9)], [(3, 9), (5, 8)]]
    ours, paper = (
        plan({"net": [{"depth": d, "width": w} for d, w in pair]}).studies["cnn_depth"]
        for pair in pairs
    )
    assert of_study(ours, paper) == ["the same settings in other combinations"]


def test_what_architectures_share_is_said_once():
    def cells(steps: int, cnn: int, fcn: int) -> list:
        nets = [{"arch": "fcn", "depth": 2}, {"arch": "cnn", "depth": 3}]
        nets = [{**net, "width": width} for net, width in zip(nets, (fcn, cnn), strict=True)]
        return plan({"net": nets}, {"max_steps": steps}).studies["cnn_depth"]

    assert of_study(cells(7, 3, 16), cells(9, 128, 2048)) == [
        "7 instead of 9 steps at most",
        "FCNs: 16 instead of 2,048 hidden units",
        "CNNs: 3 instead of 128 channels",
    ]
    assert of_study(cells(9, 128, 16)[:1], cells(9, 128, 16)) == ["CNNs: left out"]


def test_a_study_that_the_paper_has_not():
    said = ["the paper's preset has no such study"]
    assert of_study(plan(DEPTHS).studies["cnn_depth"], None) == said


def test_probes_are_compared_where_the_figure_shows_them():
    ours, paper = (
        plan(DEPTHS, probes=probes).config.probes
        for probes in ({"rho": [0, 1], "patterns": ["flat"], "sizes": [7]}, {})
    )
    (said,) = of_probes(FIGURES["fig04"], ours, paper)
    assert said.startswith("probes: correlations 0.1, 0.2,") and said.endswith("0.9 left out")
    assert of_probes(FIGURES["fig03"], ours, paper) == [
        "probes: patterns gradient, checkerboard, stripes, circle and noise left out"
    ]
    assert "input sizes 7 added" in of_probes(FIGURES["fig06"], ours, paper)[0]
    assert of_probes(FIGURES["fig16"], ours, paper) == of_probes(FIGURES["fig03"], ours, paper)
    for name in ("fig05", "fig19", "table1"):
        assert of_probes(FIGURES[name], ours, paper) == []


def test_only_what_a_figure_shows_of_a_study_counts():
    preset = load(read([ROOT / "config.yaml", ROOT / "config/paper.yaml"]))
    few = {n: shown_cells(FIGURES[f"fig{n}"], preset)["few_examples"] for n in (38, 39)}
    for images, cells in zip((2, 3), few.values(), strict=True):
        assert len(cells) == 12 and {len(cell.data.examples) for cell in cells} == {images}
    assert {c.net.width for c in shown_cells(FIGURES["fig14"], preset)["fcn_relu_depth"]} == {2048}
    assert 1 not in {c.net.depth for c in shown_cells(FIGURES["fig13"], preset)["fcn_relu_depth"]}


def test_studies_that_differ_alike_are_told_together():
    def plan_of(steps: int) -> Plan:
        studies = {
            f"fcn_{kind}_depth": {
                "base": {"net": {"arch": "fcn", "activation": kind}},
                "axes": {"net.depth": depths},
            }
            for kind, depths in {"relu": [1, 2], "linear": [1, 3]}.items()
        }
        return load({"run": "r", "defaults": {"max_steps": steps}, "studies": studies})

    ours, paper = plan_of(5), plan_of(9)
    assert of_figure(FIGURES["fig02"], ours, paper) == ["5 instead of 9 steps at most"]
    assert of_figure(FIGURES["fig02"], paper, paper) == []

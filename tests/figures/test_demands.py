"""A study that a figure has no place for is refused before any training, as it is when drawn."""

from pathlib import Path
from typing import Any

import pytest

from idpipe import theory
from idpipe.cells import Cell
from idpipe.config import load, picks, read
from idpipe.errors import FigureError
from idpipe.figures import FIGURES, demands
from idpipe.workflow.targets import Targets

ROOT = Path(__file__).parents[2]
IMAGE = {"label": 7, "index": 39}
IMAGES = {
    "few_examples": [[IMAGE, {"label": 4}], [IMAGE, {"label": 4}, {"label": 0}]],
    "colour": [[{"label": 0}], [{"label": 1}]],
    "cnn_other_image": [[{"label": 3}], [{"label": 0}]],
}
NETS = {
    "theorem1": {"depth": 1, "bias": False},
    "theorem2": {"depth": 1, "bias": False},
    "fcn_residual": {"width": 784, "residual": True},
}
DATA = {"colour": {"source": "photos"}, "all_examples": {"examples": "all"}}


def study(name: str, **axes: Any) -> dict[str, Any]:
    """A study of two layers that every figure can draw, with more axes."""
    arch = "cnn" if name.startswith(("cnn", "theorem2")) else "fcn"
    net = {"arch": arch, "width": 16, "depth": 2, **NETS.get(name, {})}
    net = {key: value for key, value in net.items() if f"net.{key}" not in axes}
    varied = {"data.examples": IMAGES[name]} if name in IMAGES else {}
    return {"base": {"net": net, "data": DATA.get(name, {})}, "axes": {**varied, **axes}}


def targets(sizes: tuple[int, ...] = (7, 35), **studies: Any) -> Targets:
    settings = {"run": "test", "studies": studies, "probes": {"rho": [0], "sizes": list(sizes)}}
    return Targets(load(settings))


STUDIES = sorted({name for figure in FIGURES.values() for name in figure.studies})
CROWDED = [
    name for name in FIGURES if FIGURES[name].demands and name not in ("assumptions", "theorem1")
]
"""Figures that have no place for some axis."""


@pytest.mark.parametrize("preset", ["", "smoke", "paper"])
def test_every_figure_of_every_preset_can_be_drawn(preset):
    files = [ROOT / "config.yaml", *([ROOT / f"config/{preset}.yaml"] if preset else [])]
    found = Targets(load(read(files)))
    assert [text for name in FIGURES for text in found.undrawable(name)] == []


def test_a_plain_study_can_be_drawn():
    found = targets(**{name: study(name) for name in STUDIES})
    assert [name for name in FIGURES if not found.drawable(name)] == []


def test_an_axis_without_a_place_is_named_by_its_key():
    plain = {name: study(name) for name in STUDIES}
    for first in {FIGURES[name].studies[0] for name in CROWDED}:
        found = targets(**{**plain, first: study(first, batch_size=[1, 2])})
        for name in [name for name in CROWDED if FIGURES[name].studies[0] == first]:
            (said,) = found.undrawable(name)
            assert said.startswith(f"studies.{first}: ")
            assert found.refusals(["table1", name, name]) == [f"{name} cannot be drawn: {said}"]
            assert said.endswith(f"They differ in studies.{first}.axes.batch_size")
            assert not found.drawable(name) and found.lacking(name) == []


def test_a_figure_is_judged_once(monkeypatch):
    found = targets(cnn_depth=study("cnn_depth"))
    first = found.figure_analyses("fig05")
    monkeypatch.setattr("idpipe.workflow.targets.problems", lambda *args: 1 / 0)
    assert found.figure_analyses("fig05") == first != {}


def test_drawing_refuses_it_too(run):
    examples = {"few_examples": ("1/0 2/0", "1/0 2/0 3/0"), "colour": ("1/0", "2/0")}
    for name in STUDIES:
        for images in examples.get(name, ("7/39",)) * 2:
            run.add(name, 2, examples=images)
    for name in [name for name in CROWDED if name != "theorem2"]:
        which = "|".join(FIGURES[name].studies)
        run.refuses(name, rf"studies\.({which}): .*has 2 cells")


def test_several_widths_have_a_place_and_other_axes_are_named_alone():
    axes = {"net.depth": [2, 3], "net.kernel": [3, 5], "optimizer.lr": [0.1]}
    crowded = study("cnn_depth", **axes)
    (said,) = targets(cnn_depth=crowded).undrawable("fig04")
    assert "depth 2 has 2 cells" in said
    assert said.endswith("They differ in studies.cnn_depth.axes.net.kernel")
    wide = study("cnn_depth", **{"net.width": [3, 5]})
    assert targets(cnn_depth=wide).undrawable("fig04") == []


@pytest.mark.parametrize(
    ("name", "study_name", "changes", "message"),
    [
        ("fig13", "fcn_relu_depth", {"net": {"depth": 1}}, "net.depth of at least 2"),
        ("fig11", "fcn_linear_depth", {"net": {"depth": 1}}, "net.depth of at least 2"),
        ("fig23", "cnn_depth", {"net": {"arch": "cnn", "depth": 1}}, "net.depth of at least 2"),
        ("fig04", "cnn_depth", {"data": {"examples": "all"}}, "must train on one image"),
        ("fig08", "cnn_image_size", {"data": {"examples": "all"}}, "must train on one image"),
        ("fig15", "cnn_depth", {"net": {"depth": 2}}, "net.arch must be cnn"),
        ("fig07", "cnn_depth", {"net": {"depth": 2}}, "net.arch must be cnn"),
        ("theorem1", "theorem1", {"net": {"depth": 2}}, "no one-layer FCN without biases"),
        ("theorem2", "theorem2", {"net": {"depth": 1}}, "no one-layer CNN without biases"),
    ],
)
def test_networks_a_figure_cannot_show_are_refused(name, study_name, changes, message):
    net = {"arch": "fcn", "width": 8, **changes.get("net", {"depth": 2})}
    base = {**changes, "net": net}
    (said,) = targets(**{study_name: {"base": base}}).undrawable(name)
    assert message in said and f"studies.{study_name}" in said


@pytest.mark.parametrize(("name", "count"), [("fig38", 2), ("fig39", 3)])
def test_a_study_without_as_many_images_is_refused(name, count):
    other = study("few_examples", **{"data.examples": [IMAGES["few_examples"][3 - count]]})
    (said,) = targets(few_examples=other).undrawable(name)
    assert f"studies.few_examples.axes.data.examples: no value has {count} images" in said


def test_a_second_colour_image_is_asked_for():
    found = targets(colour=study("colour", **{"data.examples": [[{"label": 0}]]}))
    assert found.undrawable("fig42") == []
    assert "number 2" in found.undrawable("fig43")[0]


@pytest.mark.parametrize(
    ("sizes", "lacking"),
    [((), ["fig06", "fig07", "fig20", "fig21"]), ((28, 7), ["fig20"]), ((7, 28, 35), [])],
)
def test_sizes_beside_the_training_images_are_lacking(sizes, lacking):
    found = targets(sizes, cnn_depth=study("cnn_depth"))
    names = [name for name, figure in FIGURES.items() if figure.studies == ("cnn_depth",)]
    said = {name: found.lacking(name) for name in names}
    assert [name for name, keys in said.items() if keys] == lacking
    assert all(keys[0].startswith("probes.sizes (") for keys in said.values() if keys)


def planned(**net: Any) -> picks.Planned:
    cell = Cell.model_validate({"net": {"arch": "fcn", "depth": 2, "width": 8, **net}})
    return picks.Planned(cell.cell_id, cell)


def test_choices_are_in_order():
    networks = [planned(depth=depth, width=width) for depth in (4, 1, 2) for width in (8, 16)]
    assert [n["depth"] for n in picks.along("s", networks)] == [1, 2, 4]
    assert {n["width"] for n in picks.along("s", networks)} == {16}
    found = list(picks.split(networks, ("width", "depth")))
    assert found == [(8, 4), (16, 4), (8, 1), (16, 1), (8, 2), (16, 2)]
    assert demands.on_one_image("s", networks) == networks


def test_the_deepest_network_is_the_papers_where_there_is_one():
    assert picks.deepest([planned(depth=depth) for depth in (1, 14, 20, 24)])["depth"] == 20
    assert picks.deepest([planned(depth=depth) for depth in (1, 14)])["depth"] == 14


def test_an_untrained_network_is_classified_only_where_it_is_shown():
    found = targets(cnn_depth=study("cnn_depth", **{"net.depth": [2, 20, 24]}))
    cells = [cell.cell_id for cell in found.plan.studies["cnn_depth"]]
    asked = {"classifier-trained": cells, "classifier-untrained": [cells[1]]}
    assert found.figure_analyses("fig05") == asked
    assert {name: found.analysed(name) for name in asked} == asked
    crowded = study("cnn_depth", batch_size=[1, 2])
    assert targets(cnn_depth=crowded).figure_analyses("fig05") == {}


def test_networks_have_the_papers_names():
    nets = [planned(depth=1), planned(depth=4), planned(depth=4, activation="linear")]
    nets.append(planned(arch="cnn", depth=20))
    assert [picks.code(net) for net in nets] == ["H0", "H3", "LinH3", "C20"]
    with pytest.raises(FigureError, match="s: H0 has 2 cells") as refused:
        picks.by_code("s", [planned(depth=1), *nets[1:], planned(depth=1, activation="linear")])
    assert len(refused.value.cells) == 2


def test_theorem2_is_refused_the_inits_without_a_variance():
    def check(init):
        net = {"arch": "cnn", "depth": 1, "bias": False}
        cell = Cell.model_validate({"net": net, "init": init})
        picks.for_theorem2("theorem2", picks.Planned(cell.cell_id, cell))

    with pytest.raises(FigureError, match="independent weights"):
        check("orthogonal")
    for init in theory.VARIANCES:
        check(init)
    assert set(picks.INDEPENDENT) == set(theory.VARIANCES)

from typing import Annotated, Literal

import pytest
from pydantic import Field

from idpipe.cells import CNN, FCN, Cell, DataSpec, Net, Says, Share
from idpipe.config import Config, Locator, Study, keys
from idpipe.config import problems as explain


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "a whole number"),
        (Annotated[int, Field(ge=1, le=2000)], "a whole number from 1 to 2,000"),
        (Annotated[float, Field(gt=0)], "a finite number above 0"),
        (Annotated[float, Field(ge=0, lt=1)], "a finite number of at least 0 and below 1"),
        (bool, "true or false"),
        (str, "text"),
        (Literal["a"], "a"),
        (Literal["a", "b", "c"], "a, b or c"),
        (Literal[1, 3], "1 or 3"),
        (tuple[Share, ...], "a list; each entry: a finite number from 0 to 1"),
        (str | None, "text or null"),
        (Annotated[str | None, Says("a name")], "a name"),
        (dict[str, int], "a mapping (`key: value` lines)"),
        (Net, "a mapping with keys among arch, depth, width, activation, residual, bias, kernel"),
        (
            explain.annotation_of(CNN.model_fields["kernel"]),
            "an odd whole number from 1 to 999,999,999",
        ),
    ],
)
def test_allowed(annotation, words):
    assert explain.allowed(annotation) == words


def test_shown():
    values = (None, True, False, 1e-4, "x", [1, 2], 10**9)
    texts = ["null", "true", "false", "0.0001", "'x'", "[1, 2]", "1000000000"]
    assert [explain.shown(value) for value in values] == texts


def test_shown_is_short_whatever_the_value():
    endless: list = []
    endless.append(endless)
    for value in ("x" * 9999, list(range(9999)), 10**4000, 16**9999, {"a": "b" * 999}, endless):
        assert len(explain.shown(value)) < 200


def test_values_and_paths():
    settings = {"a": {"b": [1, {"c": 2}]}, "d": 5}
    assert keys.dotted(("a", "b", 1, "c")) == "a.b[1].c"
    assert keys.value_at(settings, ("a", "b", 1, "c")) == 2
    for missing in (("x",), ("a", "b", 7), ("d", "e"), ("a", "b", "c")):
        assert keys.value_at(settings, missing) is keys.MISSING
    assert keys.sets(settings, ("a", "b"))
    assert keys.sets(settings, ("a", "b", 1, "z"))
    assert keys.sets(settings, ("d", "e"))
    assert not keys.sets(settings, ("a", "z"))


def test_choices_and_models():
    assert explain.choices(Literal["a", "b"] | None) == ["a", "b"]
    assert explain.choices(int) == []
    assert explain.models_in(Net) == [FCN, CNN]
    assert explain.models_in(tuple[FCN, ...]) == []


def test_key_paths_leave_out_what_is_filled_in():
    paths = list(explain.key_paths(Cell))
    assert len(set(paths)) == len(paths)
    assert {"net", "net.residual", "net.kernel", "optimizer.beta1", "data.examples"} <= set(paths)
    assert "data.digest" not in paths
    assert "digest" not in explain.keys_of(DataSpec)
    assert "studies" in explain.key_paths(Config)


class TestLocator:
    """A cell's key is named where a user would change it."""

    @pytest.mark.parametrize(
        ("loc", "path"),
        [
            (("net", "depth"), "studies.s.axes.net.depth[1]"),
            (("optimizer", "lr"), "studies.s.axes.optimizer[0].lr"),
            (("net", "width"), "studies.s.base.net.width"),
            (("seed",), "defaults.seed"),
            (("data", "size"), "defaults.data.size"),
            (("data", "examples", 0, "label"), "defaults.data.examples[0].label"),
            (("data", "source"), "data.source"),
            (("init",), "studies.s.base.init"),
        ],
    )
    def test_places(self, loc, path):
        defaults = {"seed": 1, "net": {"width": 3}, "data": {"size": 3, "examples": [{"label": 1}]}}
        study = Study(base={"net": {"width": 4}}, axes={"net.depth": [1, 2], "optimizer": [{}]})
        assert Locator("s", study, defaults, {"net.depth": 1, "optimizer": 0})(loc) == path

    def test_the_later_axis_decides(self):
        study = Study(axes={"optimizer": [{}], "optimizer.lr": [0.1, 0.2]})
        locate = Locator("s", study, {}, {"optimizer": 0, "optimizer.lr": 1})
        assert locate(("optimizer", "lr")) == "studies.s.axes.optimizer.lr[1]"
        assert locate(("optimizer", "eps")) == "studies.s.axes.optimizer[0].eps"

    def test_an_axis_of_the_whole_cell_decides_what_it_sets(self):
        whole = {"init": "printed", "net": {"bias": False}}
        study = Study(base={"loss": "mean"}, axes={"cell": [{}, whole], "net.depth": [1]})
        locate = Locator("s", study, {}, {"cell": 1, "net.depth": 0})
        assert locate(("init",)) == "studies.s.axes.cell[1].init"
        assert locate(("net", "bias")) == "studies.s.axes.cell[1].net.bias"
        assert locate(("net", "depth")) == "studies.s.axes.net.depth[0]"
        assert locate(("loss",)) == "studies.s.base.loss"


OF_FCN = "allowed: activation, arch, bias, depth, residual, width"
OF_CNN = "allowed: activation, arch, bias, depth, kernel, width"
OF_ADAM = "allowed: beta1, beta2, eps, lr, name"


class TestParts:
    """A part of a cell is judged by itself, as the kind of cell that it fits."""

    @pytest.mark.parametrize(
        "part",
        [
            *[{}, {"net": {"residual": True}}, {"net": {"kernel": 3}}, {"net": {"depth": 3}}],
            *[{"optimizer": {"beta1": 0.5}}, {"optimizer": {"alpha": 0.5}}],
            *[{"optimizer": {"momentum": 0}}, {"data": {"channels": 3}}],
            *[{"train_layers": "bottom"}, {"data": {"examples": [{"label": 9999}]}}],
        ],
    )
    def test_what_some_cell_can_have_is_left_to_the_cells(self, part):
        assert explain.explain_part(part, {"net": {"arch": "fcn"}}) == []
        assert (
            explain.explain_part(part, {"net": {"arch": "cnn"}, "optimizer": {"name": "adam"}})
            == []
        )

    @pytest.mark.parametrize(
        ("part", "message"),
        [
            ({"net": {"arch": "fcn", "kernel": 3}}, f"net.kernel = 3: unknown key; {OF_FCN}"),
            (
                {"net": {"kernal": 3}},
                f"net.kernal = 3: unknown key; did you mean kernel? {OF_CNN}",
            ),
            (
                {"optimizer": {"betta1": 0.5}},
                f"optimizer.betta1 = 0.5: unknown key; did you mean beta1? {OF_ADAM}",
            ),
            (
                {"data": {"digest": "abc"}},
                "data.digest = 'abc': must be left out; idpipe fills it in",
            ),
            (
                {"data": {"examples": [{"index": 3}]}},
                "data.examples[0].label: missing; must be a whole number from 0 to 1,000,000,000",
            ),
        ],
    )
    def test_what_no_cell_can_have_is_told(self, part, message):
        assert explain.explain_part(part, {}) == [message]


def test_axes():
    assert explain.explain_axis("net.depth", [1], "axes.net.depth") == []
    (problem,) = explain.explain_axis("net.dpeth", [1, 2], "axes.net.dpeth")
    assert problem.startswith("axes.net.dpeth = [1, 2]: unknown key; did you mean net.depth? ")
    (problem,) = explain.explain_axis("kernel", [1], "axes.kernel")
    assert "did you mean net.kernel?" in problem

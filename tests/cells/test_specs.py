from typing import Literal

import pytest
from pydantic import ValidationError

from idpipe.cells import FCN, SOURCES, Net, NetSpec, Optimizer, every_one_of, kinds
from idpipe.cells.data import SourceFacts
from idpipe.cells.optimizers import OptimizerSpec


def test_kinds_are_the_names_in_configs():
    assert set(kinds(Net)) == {"fcn", "cnn"}
    assert set(kinds(Optimizer)) == {"sgd", "adagrad", "rmsprop", "adam", "adamax"}


def test_an_optimizer_that_leaves_a_fact_out_is_refused_where_it_is_defined():
    with pytest.raises(
        TypeError, match=r"Mine must declare divides, speed, states, .*, the key lr"
    ):

        class Mine(OptimizerSpec):
            title = "Mine"
            name: Literal["mine"] = "mine"


def test_a_net_that_leaves_a_fact_or_a_key_out_is_refused_where_it_is_defined():
    with pytest.raises(TypeError, match=r"Mine must declare .*pace.*, code, .*, the key bias"):

        class Mine(NetSpec):
            title = "Mine"
            arch: Literal["mine"] = "mine"


def test_letters_that_no_legend_explains_are_refused():
    class Other(FCN):
        codes = (("H", "H: hidden layers"), ("LinH", "linear"))

    with pytest.raises(TypeError, match=r"codes must say what the letters of LinH1 mean"):

        class Mine(FCN):
            codes = (("H", "H: hidden layers"),)


def test_facts_of_a_source_that_do_not_fit_are_refused():
    known = SOURCES["photos"].model_dump()
    wrong = [{"mean": (0.5,)}, {"label": 2}, {"index": 36}, {"classes": ("temple",)}]
    for facts, key in zip(wrong, ("mean", "label", "index", "classes"), strict=True):
        with pytest.raises(ValidationError, match=key):
            SourceFacts.model_validate({**known, **facts})


def test_a_source_that_leaves_a_fact_out_is_refused():
    known = SOURCES["mnist"].model_dump()
    for fact in ("title", "origin", "per_class", "classes", "out_of_domain", "channels", "mean"):
        with pytest.raises(ValidationError, match=fact):
            SourceFacts.model_validate({k: v for k, v in known.items() if k != fact})


def test_a_registry_has_every_name_and_no_other():
    every_one_of("RULES", {"a": 1, "b": 2}, ["a", "b"])
    with pytest.raises(TypeError, match="RULES lacks b, c"):
        every_one_of("RULES", {"a": 1}, ["a", "b", "c"])
    with pytest.raises(TypeError, match="RULES has b, which no setting names"):
        every_one_of("RULES", {"a": 1, "b": 1}, ["a"])

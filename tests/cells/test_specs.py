from typing import Literal

import pytest

from idpipe.cells import Net, Optimizer, kinds
from idpipe.cells.optimizers import OptimizerSpec


def test_kinds_are_the_names_in_configs():
    assert set(kinds(Net)) == {"fcn", "cnn"}
    assert set(kinds(Optimizer)) == {"sgd", "adagrad", "rmsprop", "adam", "adamax"}


def test_an_optimizer_that_leaves_a_fact_out_is_refused_where_it_is_defined():
    with pytest.raises(TypeError, match=r"Mine must declare states, update_flops, .*, speed"):

        class Mine(OptimizerSpec):
            title = "Mine"
            name: Literal["mine"] = "mine"

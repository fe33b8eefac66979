import itertools
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idpipe.cells import (
    CNN,
    ENGINE_VERSION,
    FCN,
    Cell,
    Optimizer,
    cell_from_json,
    derived_seed,
    kinds,
)
from idpipe.config import merge, nested

quick = settings(deadline=None, max_examples=60)


def cell(**changes):
    return Cell.model_validate(merge({"net": {"arch": "cnn", "depth": 5}}, changes))


# Settings of cells, drawn with any of their keys left out.
fractions = st.floats(0, 0.99, allow_subnormal=False)
rates = st.floats(1e-6, 10)


def some(**keys):
    return st.fixed_dictionaries({}, optional=keys)


linear_or_not = st.sampled_from(["relu", "linear"])
widths = st.integers(1, 64)
kernels = st.integers(0, 14).map(lambda k: 2 * k + 1)
nets = st.one_of(
    st.fixed_dictionaries(
        {"arch": st.just("cnn"), "depth": st.integers(2, 24)},
        optional={"width": widths, "kernel": kernels, "bias": st.booleans()},
    ),
    st.fixed_dictionaries(
        {"arch": st.just("fcn"), "depth": st.integers(2, 12)},
        optional={"width": widths, "activation": linear_or_not, "bias": st.booleans()},
    ),
)
optimizers = st.one_of(
    some(name=st.just("sgd"), lr=rates, momentum=fractions, weight_decay=fractions),
    st.fixed_dictionaries(
        {"name": st.just("adam")}, optional={"lr": rates, "beta1": fractions, "beta2": fractions}
    ),
)
examples = st.one_of(
    st.just("all"),
    st.lists(
        st.fixed_dictionaries({"label": st.integers(0, 9)}, optional={"index": st.integers(0, 99)}),
        min_size=1,
        max_size=3,
    ),
)
cell_settings = st.fixed_dictionaries(
    {"net": nets},
    optional={
        "optimizer": optimizers,
        "data": some(source=st.sampled_from(["digits", "mnist"]), examples=examples),
        "init": st.sampled_from(["pytorch", "printed", "orthogonal"]),
        "schedule": some(factor=st.floats(0.01, 1)),
        "max_steps": st.integers(0, 10**9),
        "seed": st.integers(0, 2**63 - 1),
        "replicates": st.integers(1, 9),
        "failure": some(policy=st.sampled_from(["keep", "half_rate"])),
    },
)


class TestIds:
    # Change these only together with ENGINE_VERSION, or with a cell's fields or their defaults:
    # results that users have stored lie under such names.
    def test_golden(self):
        fcn = {"arch": "fcn", "depth": 1}
        blocks = {"arch": "fcn", "depth": 4, "width": 784, "residual": True}
        residual = {"net": blocks, "init": "kaiming_normal", "optimizer": {"name": "adam"}}
        deep = {"depth": 20, "kernel": 57, "bias": False, "activation": "linear"}
        every = {"net": deep, "data": {"source": "cifar10", "examples": "all"}}
        assert cell().cell_id == "cnn-d05-c128-k5-default-sgd-8b74ea18"
        assert cell(net=fcn).cell_id == "fcn-d01-h2048-relu-default-sgd-56ad4ec7"
        assert cell(**residual).cell_id == "fcn-d04-h784-res-kaiming_normal-adam-7e33869a"
        assert cell(**every).cell_id == "cnn-d20-c128-k57-linear-nobias-default-sgd-4dd08462"

    @quick
    @given(cell_settings, st.randoms(use_true_random=False))
    def test_key_order_does_not_matter(self, content, random):
        def shuffled(value):
            if isinstance(value, dict):
                keys = random.sample(list(value), len(value))
                return {key: shuffled(value[key]) for key in keys}
            return [shuffled(v) for v in value] if isinstance(value, list) else value

        one, two = Cell.model_validate(content), Cell.model_validate(shuffled(content))
        assert one.cell_id == two.cell_id

    @quick
    @given(cell_settings, cell_settings)
    def test_equal_ids_mean_equal_cells(self, one, two):
        a, b = Cell.model_validate(one), Cell.model_validate(two)
        assert (a.cell_id == b.cell_id) == (a == b)

    def test_written_defaults_change_nothing(self):
        plain = cell()
        assert Cell.model_validate(plain.model_dump()).cell_id == plain.cell_id
        assert cell(optimizer={"lr": "1e-2"}, stop_mse=1e-6).cell_id == plain.cell_id
        assert cell(optimizer={"weight_decay": -0.0}).cell_id == plain.cell_id

    def test_every_changed_value_changes_the_id(self):
        others = {
            **{"train_layers": "bottom", "init": "printed", "bias_init": "zeros"},
            **{"loss": "half_sum", "batch_size": 64, "max_steps": 1, "stop_mse": 0.1},
            **{"report_every": 1, "precision": "tf32", "replicates": 4, "seed": 1},
            "data": {"source": "mnist", "vary": True, "size": 14, "mean": [0.5], "std": [0.5]},
            "net": {"depth": 6, "width": 129, "kernel": 7, "activation": "linear", "bias": False},
            "optimizer": {"lr": 0.1, "momentum": 0.5, "nesterov": True, "weight_decay": 0.1},
            "schedule": {"factor": 0.1, "milestones": [0.3, 0.6]},
            "failure": {"policy": "keep", "max_restarts": 1},
        }
        others["data"]["examples"] = [{"label": 7}, {"label": 8}]
        kinds_of_things = {"net.arch", "optimizer.name", "data.digest", "data.channels"}
        assert {*leaves(others)} | kinds_of_things == {*leaves(cell().model_dump())}
        changed = [nested(path, value) for path, value in leaves(others).items()]
        changed += [nested("data.examples", [{"label": 3}]), nested("data.examples", "all")]
        changed += [nested("data.examples", [{"label": 7, "index": 1}])]
        changed += [nested("data.examples", [{"label": 8}, {"label": 7}])]
        changed += [{"optimizer": {"name": name, "lr": 0.01}} for name in kinds(Optimizer)]
        changed += [{"net": {"arch": "fcn", "depth": 5, "width": 128}}]
        changed += [{"data": {"source": "image_folder", "digest": digest}} for digest in "ab"]
        changed += [{"data": {"source": "image_folder", "channels": 3}}]
        ids = [cell(**change).cell_id for change in changed]
        assert len(set(ids)) == len(ids)
        # Momentum SGD at 0.01 is the default itself; no other change may leave the id alone.
        assert ids.count(cell().cell_id) == 1

    @pytest.mark.parametrize(
        ("changes", "a", "b"),
        [
            (lambda a, b: {"net": {"depth": a, "width": b}}, 3, 7),
            (lambda a, b: {"net": {"depth": a, "kernel": b}}, 3, 7),
            (lambda a, b: {"replicates": a, "seed": b}, 2, 5),
            (lambda a, b: {"max_steps": a, "batch_size": b}, 2, 5),
            (lambda a, b: {"optimizer": {"lr": a, "momentum": b}}, 0.5, 0.1),
            (lambda a, b: {"optimizer": {"name": "adam", "beta1": a, "beta2": b}}, 0.5, 0.1),
            (lambda a, b: {"data": {"examples": [{"label": a, "index": b}]}}, 3, 7),
            (lambda a, b: {"data": {"mean": [a], "std": [b]}}, 0.3, 0.5),
        ],
    )
    def test_swapped_values_change_the_id(self, changes, a, b):
        assert cell(**changes(a, b)).cell_id != cell(**changes(b, a)).cell_id

    def test_unique_on_a_large_grid(self):
        shapes = itertools.product(range(1, 26), [1, 3, 32, 128], [1, 3, 5, 7, 57], range(20))
        ids = {
            Cell(net=CNN(depth=depth, width=width, kernel=kernel), seed=seed).cell_id
            for depth, width, kernel, seed in shapes
        }
        assert len(ids) == 25 * 4 * 5 * 20

    @quick
    @given(cell_settings)
    def test_canonical_text_round_trip(self, content):
        original = Cell.model_validate(content)
        text = original.canonical()
        assert cell_from_json(text) == original
        assert cell_from_json(text).canonical() == text
        assert json.loads(text)["engine_version"] == ENGINE_VERSION

    def test_another_engine_version_is_refused(self):
        content = {**json.loads(cell().canonical()), "engine_version": ENGINE_VERSION + 1}
        with pytest.raises(ValueError, match="engine version"):
            cell_from_json(json.dumps(content))


CNN_5 = {"arch": "cnn", "depth": 5}


def leaves(content, above=""):
    found = {}
    for key, value in content.items():
        deeper = isinstance(value, dict)
        found |= leaves(value, f"{above}{key}.") if deeper else {above + key: value}
    return found


class TestParameters:
    """Against the numbers printed in the paper's Table 1."""

    @pytest.mark.parametrize(
        ("net", "expected"),
        [
            (FCN(depth=1, width=784), 614_656),
            (FCN(depth=12, width=784), 12 * 614_656),
            (FCN(depth=2, width=2048), 3_211_264),
            (FCN(depth=10, width=2048), 36_765_696),
            (CNN(depth=1), 25),
            (CNN(depth=5, width=3), 825),
            (CNN(depth=3, width=128), 416_000),
            (CNN(depth=24, width=128), 9_017_600),
            (CNN(depth=20, width=1024, kernel=7), 924_944_384),
            (CNN(depth=5, width=128, kernel=57), 160_526_592),
        ],
    )
    def test_table_1(self, net, expected):
        assert Cell(net=net).parameters == expected

    def test_shapes_chain_from_image_to_image(self):
        shapes = cell(net={"depth": 4, "width": 7, "kernel": 3}).weight_shapes
        assert shapes == [(7, 1, 3, 3), (7, 7, 3, 3), (7, 7, 3, 3), (1, 7, 3, 3)]
        fcn = {"arch": "fcn", "depth": 3, "width": 5}
        assert cell(net=fcn, data={"size": 2}).weight_shapes == [(5, 4), (5, 5), (4, 5)]


class TestMemory:
    def test_grows_with_what_is_held(self):
        base = cell(replicates=1)
        assert base.memory_bytes >= 4 * 4 * base.parameters
        assert cell(replicates=3).memory_bytes == 3 * base.memory_bytes
        assert cell(replicates=1, precision="float64").memory_bytes == 2 * base.memory_bytes
        two = {"examples": [{"label": 1}, {"label": 2}]}
        everything = {"source": "mnist", "examples": "all"}
        shown = [{}, {"data": two}, {"data": everything}, {"data": everything, "batch_size": 256}]
        sizes = [cell(replicates=1, **changes).memory_bytes for changes in shown]
        assert sizes == sorted(set(sizes))
        assert sizes[2] > 2 * 4 * 60_000 * 28**2

    def test_counts_the_activations_of_each_layer(self):
        # One 4 x 4 image, 3 channels, kernel 1: outputs of 3 and 1 channels kept with their
        # gradients, and the unfolded input of the widest layer.
        net = CNN(depth=2, width=3, kernel=1)
        assert net.workspace(1, 4) == 16 * (2 * (3 + 1) + 3)
        assert FCN(depth=3, width=5).workspace(1, 4) == 2 * (5 + 5 + 16)

    def test_counts_the_transforms_of_the_layers_that_have_them(self):
        # At depth 1 the width is unused: 1 channel in, 1 out, which goes by transform.
        net = CNN(depth=1, width=128, kernel=17)
        assert net.transforms(1, 28, 1) == (2 + 2) * 36**2
        assert CNN(depth=3, width=128, kernel=17).transforms(1, 28, 1) == 0
        assert CNN(depth=3, width=32, kernel=17).transforms(1, 28, 1) > 2 * 32**2 * 36**2

    def test_evaluation_counts_the_sizes_that_are_shown(self):
        large = cell(net={"depth": 3, "width": 128, "kernel": 57})
        held = large.evaluation_bytes([7, 112])
        assert held > 3 * 4 * (2 * 128**2 + 2 * 64 * 128) * 140**2 > large.memory_bytes
        assert held > 4 * large.evaluation_bytes([7])
        fcn = cell(net={"arch": "fcn", "depth": 3})
        assert fcn.evaluation_bytes([7, 112]) == fcn.evaluation_bytes([]) < fcn.memory_bytes


class TestSeeds:
    def test_depend_on_every_part(self):
        calls = [(0, "init", 0), (1, "init", 0), (0, "batch", 0), (0, "init", 1), (0, "init")]
        seeds = {derived_seed(*call) for call in calls}
        assert len(seeds) == len(calls)
        assert derived_seed(0, "init", 0) == derived_seed(0, "init", 0)

    def test_fit_63_bits_and_spread(self):
        seeds = [derived_seed(0, "init", part) for part in range(1000)]
        assert all(0 <= seed < 2**63 for seed in seeds)
        # The mean of 1,000 uniform numbers lies within 5 standard errors of the middle.
        assert abs(sum(seeds) / 1000 / 2**63 - 0.5) < 5 / math.sqrt(12 * 1000)

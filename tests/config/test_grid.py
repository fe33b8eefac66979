import copy
import itertools
import math
from functools import reduce

from hypothesis import given, settings
from hypothesis import strategies as st

from idpipe.config import TAGS, grid_points, merge

CNN_5 = {"arch": "cnn", "depth": 5}
quick = settings(deadline=None, max_examples=60)


class TestGrid:
    def test_equals_brute_force(self):
        axes = {"net.depth": [1, 5, 9], "seed": [0, 7], "net.width": [3, 4]}
        found = list(grid_points({"seed": 5, "net": CNN_5}, {"net": {"kernel": 3}}, axes))
        expected = [
            {"seed": s, "net": {"arch": "cnn", "depth": d, "kernel": 3, "width": w}}
            for d, s, w in itertools.product([1, 5, 9], [0, 7], [3, 4])
        ]
        assert [point.settings for point in found] == expected
        indices = itertools.product(range(3), range(2), range(2))
        assert [tuple(point.position.values()) for point in found] == list(indices)

    def test_without_axes_is_one_point(self):
        assert [p.settings for p in grid_points({"seed": 1}, {"seed": 2}, {})] == [{"seed": 2}]

    def test_a_mapping_on_an_axis_merges_or_replaces(self):
        base = {"optimizer": {"name": "sgd", "lr": 1, "momentum": 0.5}}
        axes = {"optimizer": [{"lr": 2}, {"name": "adam"}]}
        assert [point.settings["optimizer"] for point in grid_points({}, base, axes)] == [
            {"name": "sgd", "lr": 2, "momentum": 0.5},
            {"name": "adam"},
        ]

    @quick
    @given(
        st.dictionaries(
            st.sampled_from(["a", "b.c", "b.d", "e.f.g"]),
            st.lists(st.integers(), min_size=1, max_size=4),
        )
    )
    def test_size_is_the_product_and_values_land_on_their_paths(self, axes):
        every = list(grid_points({}, {}, axes))
        assert len(every) == math.prod(map(len, axes.values()))
        for point in every:
            for path, index in point.position.items():
                found = reduce(lambda mapping, key: mapping[key], path.split("."), point.settings)
                assert found == axes[path][index]


trees = st.recursive(
    st.integers(0, 3),
    lambda inner: st.dictionaries(st.sampled_from(["a", "b", "name", "arch"]), inner, max_size=3),
    max_leaves=8,
)
mappings = st.dictionaries(st.sampled_from(["a", "b", "name", "arch"]), trees, max_size=3)


class TestMerge:
    @quick
    @given(mappings, mappings, st.sampled_from([TAGS, ()]))
    def test_laws(self, below, above, tags):
        before = copy.deepcopy((below, above))
        merged = merge(below, above, tags)
        assert (below, above) == before
        assert merge(below, {}, tags) == below
        assert merge({}, above, tags) == above
        assert merge(below, below, tags) == below
        assert merge(merged, above, tags) == merged
        assert merged.keys() == below.keys() | above.keys()
        for key in below.keys() - above.keys():
            assert merged[key] == below[key]
        for key, value in above.items():
            if not isinstance(value, dict):
                assert merged[key] == value

    def test_another_kind_replaces_the_whole_mapping(self):
        below = {"net": {"arch": "fcn", "residual": True}, "optimizer": {"lr": 1}}
        assert merge(below, {"net": {"arch": "cnn"}})["net"] == {"arch": "cnn"}
        deeper = merge(below, {"net": {"depth": 3}})["net"]
        assert deeper == {"arch": "fcn", "residual": True, "depth": 3}
        untagged = merge(below, {"net": {"arch": "cnn"}}, tags=())["net"]
        assert untagged == {"arch": "cnn", "residual": True}
        # An optimizer that is not named is SGD: its rate is no other optimizer's.
        assert merge(below, {"optimizer": {"name": "adam"}})["optimizer"] == {"name": "adam"}
        assert merge(below, {"optimizer": {"name": "sgd"}})["optimizer"] == {"name": "sgd", "lr": 1}

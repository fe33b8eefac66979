import itertools

import pytest

from idpipe.cells import Cell
from idpipe.config import load
from idpipe.errors import ConfigError

BASE = {"net": {"arch": "cnn", "width": 8}}


def plan(studies, **top):
    return load({"run": "test", "studies": studies, **top})


def refused(studies, **top):
    with pytest.raises(ConfigError) as caught:
        plan(studies, **top)
    return caught.value.problems


class TestExpansion:
    def test_cells_come_in_grid_order_with_all_settings(self):
        axes = {"net.depth": [5, 1], "optimizer": [{"name": "adam"}, {"lr": 0.1}]}
        cells = plan(
            {"s": {"base": {**BASE, "seed": 3}, "axes": axes}},
            defaults={"net": {"width": 4}, "max_steps": 10},
            data={"source": "mnist"},
        ).studies["s"]
        common = {"data": {"source": "mnist"}, "max_steps": 10, "seed": 3}
        expected = [
            {**common, "net": {"arch": "cnn", "width": 8, "depth": depth}, "optimizer": optimizer}
            for depth, optimizer in itertools.product([5, 1], axes["optimizer"])
        ]
        assert cells == [Cell.model_validate(settings) for settings in expected]

    def test_ids_do_not_depend_on_study_position_or_drawing(self):
        one = plan({"a": {"base": BASE, "axes": {"net.depth": [1, 5]}}})
        first = {"base": {**BASE, "seed": 1}, "axes": {"net.depth": [1]}}
        second = {"axes": {"net.depth": [7, 5, 1], "net": [BASE["net"]]}}
        drawn = {"figures": {"dpi": 50}, "probes": {"n_per_rho": 1}}
        two = plan({"z": first, "b": second}, **drawn)
        assert set(one.cells) < set(two.cells)

    def test_studies_share_cells(self):
        study = {"base": BASE, "axes": {"net.depth": [1, 5]}}
        shared = plan({"a": study, "b": study})
        assert len(shared.cells) == 2
        assert shared.studies["a"] == shared.studies["b"] == list(shared.cells.values())
        assert all(cell.cell_id == name for name, cell in shared.cells.items())

    def test_one_more_depth_is_one_more_cell(self):
        before = plan({"a": {"base": BASE, "axes": {"net.depth": [1, 5]}}}).cells
        after = plan({"a": {"base": BASE, "axes": {"net.depth": [1, 3, 5]}}}).cells
        assert before.keys() < after.keys()
        assert len(after) == len(before) + 1

    def test_another_kind_on_an_axis(self):
        nets = [{"arch": "fcn", "depth": 2}, {"arch": "cnn", "depth": 3, "kernel": 7}]
        cells = plan({"a": {"base": BASE, "axes": {"net": nets}}}).studies["a"]
        assert [cell.net.slug for cell in cells] == ["fcn-d02-h2048-relu", "cnn-d03-c8-k7"]


class TestRefused:
    def test_base_and_axis_of_one_key(self):
        base = {"net": {"arch": "cnn", "depth": 5}}
        assert refused({"s": {"base": base, "axes": {"net.depth": [1, 3]}}}) == [
            "studies.s.base.net.depth = 5: must be left out, for the study has an axis of this name"
        ]

    def test_equal_cells(self):
        axes = {"seed": [0, 1], "optimizer.lr": [0.1, 0.2, "1e-1"]}
        assert refused({"s": {"base": {"net": {"arch": "cnn", "depth": 1}}, "axes": axes}}) == [
            "studies.s.axes.optimizer.lr[2] = '1e-1': must give a cell that the study does not "
            "have yet; it has this one at seed[1], optimizer.lr[0]"
        ]

    def test_too_many_combinations_before_any_is_made(self):
        axes = {key: list(range(1, 1001)) for key in ("net.depth", "net.width", "seed")}
        axes["net.kernel"] = ["no number"]
        assert refused({"s": {"base": {"net": {"arch": "cnn"}}, "axes": axes}}) == [
            "studies.s.axes: 1,000,000,000 combinations; must be at most limits.cells = 20,000"
        ]
        small = {"s": {"base": BASE, "axes": {"net.depth": [1, 2, 3]}}}
        assert refused(small, limits={"cells": 2}) == [
            "studies.s.axes: 3 combinations; must be at most limits.cells = 2"
        ]

    def test_an_axis_of_the_whole_cell_varies_several_keys(self):
        axes = {"cell": [{}, {"init": "printed", "net": {"bias": False}}], "net.depth": [1, 2]}
        cells = plan({"s": {"base": BASE, "axes": axes}}).studies["s"]
        found = [(c.init, c.net.bias, c.net.depth) for c in cells]
        wholes = (("pytorch", True), ("printed", False))
        assert found == [(*whole, depth) for whole in wholes for depth in (1, 2)]

    def test_an_axis_of_the_whole_cell_is_refused_where_it_is_wrong(self):
        def problems(*values):
            axes = {"cell": list(values), "net.depth": [1]}
            return refused({"s": {"base": BASE, "axes": axes}})

        at = "studies.s.axes.cell"
        assert problems({}, 3) == [f"{at}[1] = 3: must be a mapping of a cell's keys"]
        (unknown,) = problems({}, {"net": {"bais": False}})
        assert unknown.startswith(f"{at}[1].net.bais = false: unknown key; did you mean bias?")
        (wrong,) = problems({}, {"loss": "sum"})
        assert wrong.startswith(f"{at}[1].loss = 'sum': allowed: mean")
        (huge,) = problems({}, {"net": {"kernel": 9999}})
        assert huge.startswith(f"{at}[1].net.kernel = 9999: training this cell needs about ")
        (twice,) = problems({}, {"init": "pytorch"})
        assert twice.startswith(f"{at}[1] = {{'init': 'pytorch'}}: must give a cell that the study")

    @pytest.mark.parametrize(
        ("study", "path"),
        [
            ({"base": {"net": {"arch": "cnn", "depth": 5, "kernel": 9999}}}, "base.net.kernel"),
            ({"base": {"net": {"arch": "cnn", "depth": 5, "kernel": 1001, "width": 2048}}},
             "base.net.kernel"),
            ({"base": {"net": {"arch": "fcn", "depth": 5, "width": 10**6}}}, "base.net.width"),
            ({"base": BASE, "axes": {"net.depth": [3], "replicates": [1, 10**7]}},
             "axes.replicates[1]"),
            ({"base": {"net": {"arch": "cnn", "depth": 2}, "data": {"size": 50_000}}},
             "base.data.size"),
        ],
    )  # fmt: skip
    def test_more_memory_than_any_machine_has(self, study, path):
        (problem,) = refused({"s": study})
        assert problem.startswith(f"studies.s.{path} = ")
        assert problem.endswith(" GiB of memory; must be at most limits.memory_gib = 256")

    def test_limit_of_memory_can_be_raised(self):
        study = {"s": {"base": {"net": {"arch": "cnn", "depth": 5, "kernel": 9999}}}}
        assert len(plan(study, limits={"memory_gib": 1e9}).cells) == 1

    def test_residual_blocks(self):
        net = {"arch": "fcn", "residual": True}
        axes = {"net.depth": [2, 3], "net.width": [784, 100]}
        assert refused({"s": {"base": {"net": net}, "axes": axes}}) == [
            "studies.s.axes.net.width[1] = 100: must be 784 in a residual network, the number of "
            "pixels",
            "studies.s.axes.net.depth[1] = 3: must be even in a residual network, for its blocks "
            "have two layers (1, 3, 5, 7, 9 hidden layers)",
        ]

    def test_one_line_for_what_spoils_every_cell(self):
        axes = {"net.depth": [1, 2, 3], "seed": [1, 2, 3]}
        data = {"examples": [{"label": 11}]}
        studies = {name: {"base": BASE, "axes": axes} for name in ("s", "t")}
        assert refused(studies, defaults={"data": data}) == [
            "defaults.data.examples[0].label = 11: must be a class of digits, from 0 to 9"
        ]

    def test_every_problem_of_every_study_is_told(self):
        one = {"base": {"net": {"arch": "cnn", "depth": 0}, "sede": 1}}
        other = {"base": BASE, "axes": {"net.depth": [1, 0, -1], "int": [1]}}
        problems = refused({"s": one, "t": other}, defaults={"init": "xaver_normal"})
        assert [problem.partition(" = ")[0] for problem in problems] == [
            "defaults.init",
            "studies.s.base.net.depth",
            "studies.s.base.sede",
            "studies.t.axes.net.depth[1]",
            "studies.t.axes.net.depth[2]",
            "studies.t.axes.int",
        ]

    def test_unused_typing_errors_are_told_too(self):
        """Settings that another kind replaces in every cell are still looked at."""
        base = {**BASE, "optimizer": {"name": "sgd", "momentun": 0.5}}
        axes = {"net.depth": [1], "optimizer": [{"name": "adam"}]}
        (problem,) = refused({"s": {"base": base, "axes": axes}})
        assert problem.startswith("studies.s.base.optimizer.momentun = 0.5: unknown key; did you")


class TestOwnImages:
    @pytest.fixture
    def folder(self, tmp_path):
        for name in ("cat/1.png", "cat/2.PNG", "dog/1.jpg", "dog/notes.txt"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(name.encode())
        return tmp_path

    def test_id_follows_the_content(self, folder):
        def ids():
            data = {"source": "image_folder", "folder": str(folder)}
            return set(plan({"s": {"base": BASE, "axes": {"net.depth": [1]}}}, data=data).cells)

        first = ids()
        (folder / "dog" / "notes.txt").write_text("no image")
        assert ids() == first
        (folder / "dog" / "1.jpg").write_bytes(b"another picture")
        assert ids() != first

    def test_examples_are_counted_per_class(self, folder):
        data = {"source": "image_folder", "folder": str(folder)}
        axes = {"data.examples": [[{"label": label, "index": 1}] for label in (0, 1)]}
        study = {"base": BASE, "axes": {"net.depth": [1], **axes}}
        assert refused({"s": study}, data=data) == [
            "studies.s.axes.data.examples[1][0].index = 1: must be from 0 to 0, for image_folder "
            "has 1 training images of this class"
        ]

    @pytest.mark.parametrize("given", [None, "/no/such/folder", "empty"])
    def test_folder_without_images(self, tmp_path, given):
        folder = str(tmp_path) if given == "empty" else given
        data = {"source": "image_folder", "folder": folder}
        (problem,) = refused({"s": {"base": BASE, "axes": {"net.depth": [1]}}}, data=data)
        assert problem.startswith("data.folder = ")
        assert "must be a folder of images (.bmp, " in problem

    def test_a_study_cannot_name_it_alone(self):
        base = {**BASE, "data": {"source": "image_folder"}}
        (problem,) = refused({"s": {"base": base, "axes": {"net.depth": [1]}}})
        assert problem.startswith("studies.s.base.data.source = 'image_folder': must be set as")

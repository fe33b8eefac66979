"""Every key of a cell is a column, and nothing else is."""

import json
import math
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, create_model

from idpipe.cells import (
    CNN,
    FCN,
    NETS,
    OPTIMIZERS,
    SETTINGS,
    SGD,
    Cell,
    Positive,
    Rate,
    column_values,
    columns,
)
from idpipe.cells.optimizers import OptimizerSpec
from idpipe.config import load, read

ROOT = Path(__file__).parents[2]
COLUMNS = {column.name: column for column in SETTINGS}


def cell(**settings) -> Cell:
    return Cell.model_validate({"net": {"arch": "cnn", "depth": 3}, **settings})


def leaves(settings: dict) -> set[str]:
    """The plain keys of a cell; training images are one."""
    return {
        f"{key}.{inner}" if isinstance(value, dict) else key
        for key, value in settings.items()
        for inner in (value if isinstance(value, dict) else [""])
    }


def test_there_is_a_column_for_every_key_of_every_kind():
    nets = [{"arch": arch, "depth": 2} for arch in NETS]
    cells = [cell(net=net) for net in nets] + [cell(optimizer={"name": o}) for o in OPTIMIZERS]
    keys = set().union(*(leaves(json.loads(one.model_dump_json())) for one in cells))
    assert len(keys) == len(COLUMNS) == 39
    for key in keys:
        section, _, leaf = key.rpartition(".")
        assert {leaf, f"{section}_{leaf}", section} & COLUMNS.keys(), key


@pytest.mark.parametrize("preset", ["", "smoke", "paper"])
def test_no_two_cells_of_a_preset_look_alike(preset):
    files = [ROOT / "config.yaml", *([ROOT / f"config/{preset}.yaml"] if preset else [])]
    cells = load(read(files)).cells.values()
    assert len({repr(column_values(one)) for one in cells}) == len(cells) > 50


def test_values_are_the_cells_own():
    found = column_values(
        cell(
            net={"arch": "fcn", "depth": 2, "width": 784, "residual": True},
            data={"source": "mnist", "examples": [{"label": 7}, {"label": 4, "index": 2}]},
            optimizer={"name": "adam", "beta1": 0.5},
            schedule={"milestones": [0.25, 0.5]},
            failure={"policy": "half_rate", "max_restarts": 2},
            loss="half_sum",
        )
    )
    assert found.keys() == COLUMNS.keys() | {"parameters"}
    told = {
        **{"arch": "fcn", "width": 784, "residual": True, "examples": "7/0 4/2", "mean": "0.1307"},
        **{"optimizer": "adam", "beta1": 0.5, "schedule_milestones": "0.25 0.5"},
        **{"failure_policy": "half_rate", "failure_max_restarts": 2, "loss": "half_sum"},
    }
    assert {name: found[name] for name in told} == told
    assert found["parameters"] == 2 * 784**2
    assert math.isnan(found["kernel"]) and math.isnan(found["momentum"])
    assert found["nesterov"] is False and found["digest"] is None
    colour = column_values(cell(data={"source": "cifar10"}))
    assert colour["mean"] == "0.4914 0.4822 0.4465"


def test_a_column_says_which_kinds_lack_it():
    assert COLUMNS["kernel"].type == "float64" and COLUMNS["kernel"].null == "`arch` is `fcn`"
    assert COLUMNS["momentum"].null == "`optimizer` is `adagrad`, `adam`, `adamax`"
    assert COLUMNS["residual"].type == "bool" and COLUMNS["residual"].null == "never"
    assert COLUMNS["depth"].type == "int64" and COLUMNS["depth"].allowed == "≥ 1"
    assert COLUMNS["init"].allowed.startswith("`pytorch`, `printed`")


class Own(OptimizerSpec):
    title, states, update_flops, update_passes, divides, speed = "Own", 1, 1, 1, False, None

    name: Literal["own"] = Field("own", description="one's own")
    lr: float = Field(0.1, description="base learning rate")


def registered(monkeypatch, kind: type) -> dict[str, columns.Column]:
    union = Annotated[SGD | kind, Field(discriminator="name")]
    monkeypatch.setitem(columns.UNIONS, "optimizer", union)
    return {column.name: column for column in columns._settings()}


def test_a_key_of_an_own_kind_is_a_column(monkeypatch):
    class Damped(Own):
        name: Literal["damped"] = Field("damped", description="damped")
        damping: int = Field(1, description="how much")

    column = registered(monkeypatch, Damped)["damping"]
    assert (column.type, column.meaning) == ("float64", "how much")
    assert column.null == "`optimizer` is `sgd`"


def test_a_key_whose_name_is_taken_is_refused(monkeypatch):
    class Clashing(Own):
        rho: float = Field(0.9, description="decay")

    with pytest.raises(TypeError, match=r"optimizer\.rho: its column 'rho' is taken"):
        registered(monkeypatch, Clashing)

    class WithDepth(Own):
        depth: int = Field(2, description="of what?")

    with pytest.raises(TypeError, match=r"optimizer\.depth: its column 'depth' is taken"):
        registered(monkeypatch, WithDepth)


def test_a_key_of_another_type_is_refused(monkeypatch):
    class Other(Own):
        momentum: str = Field("much", description="momentum")

    with pytest.raises(TypeError, match=r"optimizer\.momentum: is float64 in .* str in"):
        registered(monkeypatch, Other)


def test_networks_are_called_as_in_the_paper():
    assert [FCN.code(depth, "relu") for depth in (1, 2, 10)] == ["H0", "H1", "H9"]
    assert [FCN.code(depth, "linear") for depth in (1, 2)] == ["H0", "LinH1"]
    assert CNN.code(20, "relu") == "C20"
    assert FCN(depth=2, width=784, residual=True).in_words == "residual ReLU FCN"
    assert CNN(depth=2, activation="linear").in_words == "linear CNN"


def test_types_of_all_shapes_of_keys(monkeypatch):
    class Shapes(Own):
        gap: Positive | None = Field(None, description="may be left out")
        share: Rate | None = Field(None, description="may be left out")
        steps_at: list[int] = Field([1, 2], description="several")

    found = registered(monkeypatch, Shapes)
    assert (found["gap"].type, found["gap"].allowed) == ("float64", "≥ 1")
    assert found["gap"].null == "`optimizer` is `sgd`, or not set"
    assert (found["share"].type, found["share"].allowed) == ("float64", "> 0")
    assert found["steps_at"].type == "str"


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [(dict[str, int], "has no column"), (SGD, "has no column"), (bool | None, "a flag needs")],
)
def test_a_key_that_fits_no_column_is_refused(monkeypatch, annotation, reason):
    odd = create_model("Odd", __base__=Own, odd=(annotation, Field(None, description="odd")))
    with pytest.raises(TypeError, match=rf"optimizer\.odd: .*{reason}"):
        registered(monkeypatch, odd)

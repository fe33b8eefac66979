"""Networks: initial weights, parameter counts, forward pass, identity constructions."""

import math
from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import nn

from idpipe import nets
from idpipe.cells import CNN, FCN, Cell, InitName

pytestmark = pytest.mark.numerical

SIZE = 6


def make_cell(**settings) -> Cell:
    return Cell.model_validate({"data": {"size": SIZE}, **settings})


def wide_cell(init: str, **settings) -> Cell:
    """One layer of 300 x 784 weights between two others: enough numbers for statistics."""
    net = {"arch": "fcn", "depth": 2, "width": 300}
    return Cell.model_validate({"net": net, "init": init, **settings})


STD = {
    # Appendix I and DESIGN's readings of its default; f_i = 784, f_o = 300.
    "pytorch": 1 / math.sqrt(3 * 784),
    "printed": 1 / math.sqrt(784 * 300),
    "geometric": (784 * 300) ** -0.25,
    "xavier_normal": math.sqrt(2 / (784 + 300)),
    "xavier_uniform": math.sqrt(2 / (784 + 300)),
    "kaiming_normal": math.sqrt(2 / 784),
    "kaiming_uniform": math.sqrt(2 / 784),
}


@pytest.mark.parametrize("init", STD)
def test_inits_have_their_variance_and_shape(init):
    weight = nets.initial_params(wide_cell(init), [0])["weight.0"][0].double().numpy()
    assert weight.shape == (300, 784)
    assert weight.std() == pytest.approx(STD[init], rel=0.01)
    assert abs(weight.mean()) < 0.01 * STD[init]
    kurtosis = (weight**4).mean() / weight.var() ** 2
    uniform = init in ("pytorch", "xavier_uniform", "kaiming_uniform")
    assert kurtosis == pytest.approx(1.8 if uniform else 3, rel=0.03)
    if uniform:
        assert np.abs(weight).max() <= math.sqrt(3) * STD[init] * (1 + 1e-6)


def test_fans_of_a_convolution_count_the_kernel():
    net = {"arch": "cnn", "depth": 3, "width": 64, "kernel": 5}
    for init, variance in {
        "pytorch": 1 / (3 * 64 * 25),
        "xavier_normal": 2 / (2 * 64 * 25),
        "kaiming_normal": 2 / (64 * 25),
        "printed": 1 / (64 * 25) ** 2,
        "geometric": 1 / (64 * 25),
    }.items():
        weight = nets.initial_params(make_cell(net=net, init=init), [0])["weight.1"][0]
        assert weight.double().var().item() == pytest.approx(variance, rel=0.02)


def test_orthogonal_rows_or_columns():
    params = nets.initial_params(wide_cell("orthogonal"), [0])
    wide, tall = params["weight.0"][0].double(), params["weight.1"][0].double()
    torch.testing.assert_close(wide @ wide.T, torch.eye(300).double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(tall.T @ tall, torch.eye(300).double(), atol=1e-5, rtol=0)


def test_the_default_is_the_distribution_of_torchs_own_layers():
    layer = nn.Linear(784, 300)
    params = nets.initial_params(wide_cell("pytorch"), [0])
    for ours, theirs in ((params["weight.0"], layer.weight), (params["bias.0"], layer.bias)):
        assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.15)
        assert ours.abs().max().item() == pytest.approx(theirs.abs().max().item(), rel=0.02)


def test_bias_init_zeros_changes_only_the_biases():
    usual = nets.initial_params(wide_cell("pytorch"), [0])
    zeros = nets.initial_params(wide_cell("pytorch", bias_init="zeros"), [0])
    assert not zeros["bias.0"].any() and not zeros["bias.1"].any() and usual["bias.0"].any()
    assert torch.equal(usual["weight.1"], zeros["weight.1"])


@pytest.mark.parametrize("init", nets.INITS)
def test_initial_weights_depend_on_replicate_and_restart_alone(init):
    cell = make_cell(net={"arch": "cnn", "depth": 3, "width": 4}, init=init)
    together = nets.initial_params(cell, [0, 1, 2])
    alone = nets.initial_params(cell, [2])
    again = nets.initial_params(cell, [2], restart=1)
    other_seed = nets.initial_params(cell.model_copy(update={"seed": 1}), [2])
    for name in together:
        assert torch.equal(together[name][2:], alone[name])
        assert len({tuple(replicate.flatten().tolist()) for replicate in together[name]}) == 3
        assert not torch.equal(alone[name], again[name])
        assert not torch.equal(alone[name], other_seed[name])


def test_every_init_of_the_model_is_there():
    assert set(nets.INITS) == set(get_args(InitName))


# --- Table 1: counts of real parameters ------------------------------------------------------

CNN_DEPTHS = [1, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 19, 20, 24]
FCN_COUNTS = {
    784: {1: 614656, 2: 1229312, 4: 2458624, 6: 3687936, 8: 4917248, 10: 6146560},
    2048: {2: 3211264, 4: 11599872, 6: 19988480, 8: 28377088, 10: 36765696},
}
"""Width -> depth -> weights."""
CNN_COUNTS = {
    (5, 3): "25 375 825 1050 1275 1500 1725 1950 2175 2400 2625 2850 3075 3300 3525 3975 4200 5100",
    (5, 128): "25 416000 1235200 1644800 2054400 2464000 2873600 3283200 3692800 4102400 4512000 "
    "4921600 5331200 5740800 6150400 6969600 7379200 9017600",
    (7, 3): "49 735 1617 2058 2499 2940 3381 3822 4263 4704 5145 5586 6027 6468 6909 7791 8232 "
    "9996",
    (7, 128): "49 815360 2420992 3223808 4026624 4829440 5632256 6435072 7237888 8040704 8843520 "
    "9646336 10449152 11251968 12054784 13660416 14463232 17674496",
}
"""Filter size and channels -> weights at `CNN_DEPTHS`."""
WIDE_COUNTS = {
    5: {5: 78694400, 7: 131123200, 12: 262195200, 14: 314624000, 20: 471910400},
    7: {5: 154241024, 7: 257001472, 12: 513902592, 14: 616663040, 20: 924944384},
}
"""Filter size -> depth -> weights of 1024 channels."""
KERNEL_COUNTS = {
    9: 4002048, 13: 8349952, 17: 14278912, 25: 30880000, 29: 41552128, 57: 160526592
}  # fmt: skip
"""Filter size -> weights of 5 layers of 128 channels."""


def table_1() -> Iterator[tuple[dict[str, Any], int]]:
    """Every network of the table, with its number of weights."""
    for width, counts in FCN_COUNTS.items():
        for depth, count in counts.items():
            yield {"arch": "fcn", "depth": depth, "width": width}, count
    for (kernel, width), texts in CNN_COUNTS.items():
        for depth, count in zip(CNN_DEPTHS, texts.split(), strict=True):
            yield {"arch": "cnn", "depth": depth, "width": width, "kernel": kernel}, int(count)
    for kernel, counts in WIDE_COUNTS.items():
        for depth, count in counts.items():
            yield {"arch": "cnn", "depth": depth, "width": 1024, "kernel": kernel}, count
    for kernel, count in KERNEL_COUNTS.items():
        yield {"arch": "cnn", "depth": 5, "width": 128, "kernel": kernel}, count


def test_table_1(monkeypatch):
    # The tensors that training would use, without the memory of up to 925 million numbers.
    monkeypatch.setitem(nets.INITS, "pytorch", lambda weight, generator: None)
    found = {}
    for net, _ in table_1():
        with torch.device("meta"):
            params = nets.initial_params(Cell.model_validate({"net": net}), [0], device="meta")
        weights = [value for name, value in params.items() if name.startswith("weight")]
        found[str(net)] = sum(weight.numel() for weight in weights)
    assert found == {str(net): count for net, count in table_1()}
    assert len(found) == 99


# --- forward pass ----------------------------------------------------------------------------


def test_a_convolution_is_the_sum_it_is_defined_as():
    net = CNN(depth=1, kernel=3)
    cell = make_cell(net=net.model_dump(), precision="float64")
    params = nets.initial_params(cell, [0])
    image = torch.randn(1, 1, 1, SIZE, SIZE, dtype=torch.float64)
    output = nets.forward(net, params, image)[0, 0, 0]
    weight, bias = params["weight.0"][0, 0, 0], params["bias.0"][0, 0]
    for i, j in np.ndindex(SIZE, SIZE):
        total = bias.clone()
        for di, dj in np.ndindex(3, 3):
            y, x = i + di - 1, j + dj - 1
            if 0 <= y < SIZE and 0 <= x < SIZE:
                total += weight[di, dj] * image[0, 0, 0, y, x]
        assert output[i, j].item() == pytest.approx(total.item(), rel=1e-10)


@pytest.mark.parametrize("size", [3, 6, 11])
def test_cnns_take_images_of_any_size(size):
    cell = make_cell(net={"arch": "cnn", "depth": 3, "width": 4}, replicates=2)
    params = nets.initial_params(cell, [0, 1])
    image = torch.randn(2, 5, 1, size, size)
    output = nets.forward(cell.net, params, image)
    assert output.shape == image.shape
    for replicate in range(2):
        alone = {name: value[[replicate]] for name, value in params.items()}
        shown = nets.forward(cell.net, alone, image[[replicate]])
        torch.testing.assert_close(shown, output[[replicate]])


@pytest.mark.parametrize("depth", [1, 3])
def test_gradients_of_dense_layers_are_written_over_what_is_given_for_them(depth):
    cell = make_cell(net={"arch": "fcn", "depth": depth, "width": 40})
    params = nets.initial_params(cell, [0, 1])
    for value in params.values():
        value.requires_grad_(True)
    buffers = nets.gradient_buffers(cell.net, params, list(params))
    assert list(buffers) == [f"weight.{layer}" for layer in range(depth)]
    images = torch.randn(2, 5, 1, SIZE, SIZE)

    def gradients(*given: nets.Params) -> dict[str, torch.Tensor]:
        total = nets.forward(cell.net, params, images, *given).square().sum()
        return dict(zip(params, torch.autograd.grad(total, list(params.values())), strict=True))

    expected = gradients()
    for _ in range(2):
        for value in buffers.values():
            value.fill_(math.nan)
        found = gradients(buffers)
        assert all(found[name].data_ptr() == value.data_ptr() for name, value in buffers.items())
        assert all(torch.equal(found[name], value) for name, value in expected.items())
    cnn = make_cell(net={"arch": "cnn", "depth": 2, "width": 3})
    params = nets.initial_params(cnn, [0])
    assert nets.gradient_buffers(cnn.net, params, list(params)) == {}


def test_layers_end_with_the_output_and_hidden_ones_are_rectified():
    for net in ({"arch": "cnn", "depth": 4, "width": 5}, {"arch": "fcn", "depth": 4, "width": 40}):
        cell = make_cell(net=net)
        params = nets.initial_params(cell, [0, 1])
        image = torch.randn(2, 3, 1, SIZE, SIZE)
        found = list(nets.layers(cell.net, params, image))
        assert len(found) == 4
        assert all((hidden >= 0).all() for hidden in found[:-1])
        output = nets.forward(cell.net, params, image)
        assert torch.equal(found[-1].reshape(image.shape), output)


def test_bottom_layer_only():
    cell = make_cell(net={"arch": "fcn", "depth": 3, "width": 9}, train_layers="bottom")
    params = nets.initial_params(cell, [0])
    assert nets.trainable(cell, params) == ["weight.0", "bias.0"]
    assert nets.trainable(cell.model_copy(update={"train_layers": "all"}), params) == list(params)


# --- dead networks ---------------------------------------------------------------------------


def test_a_layer_without_an_active_unit_is_dead_and_only_that():
    cell = make_cell(net={"arch": "fcn", "depth": 3, "width": 7}, replicates=4)
    params = nets.initial_params(cell, range(4))
    image = torch.rand(4, 2, 1, SIZE, SIZE)
    params["weight.1"][1], params["bias.1"][1] = 0, -1.0  # every unit off
    params["weight.1"][2], params["bias.1"][2] = 0, -1.0
    params["bias.1"][2, 3] = 1.0  # all but one
    params["weight.0"][3, 0, 0] = float("nan")
    assert nets.forward_and_dead(cell.net, params, image)[1].tolist() == [0, 1, 0, 0]


def test_linear_and_residual_networks_do_not_die():
    image = torch.rand(1, 1, 1, SIZE, SIZE)
    for extra in ({"activation": "linear"}, {"residual": True, "width": SIZE**2}):
        cell = make_cell(net={"arch": "fcn", "depth": 4, "width": 8, **extra})
        params = nets.initial_params(cell, [0])
        for layer in range(3):
            params[f"weight.{layer}"].zero_()
            params[f"bias.{layer}"].fill_(-1.0)
        assert nets.forward_and_dead(cell.net, params, image)[1].tolist() == [0]


# --- identity constructions (Appendix B) -----------------------------------------------------

IDENTITIES = [
    FCN(depth=1),
    FCN(depth=3, width=SIZE**2 * 3, activation="linear"),
    FCN(depth=2, width=SIZE**2 * 3 * 2),
    FCN(depth=6, width=SIZE**2 * 3 * 2 + 5),
    FCN(depth=4, width=SIZE**2 * 3, residual=True),
    CNN(depth=1, kernel=5),
    CNN(depth=1, kernel=1),
    CNN(depth=4, width=6, kernel=3),
    CNN(depth=9, width=32, kernel=7),
    CNN(depth=3, width=3, kernel=3, activation="linear"),
    CNN(depth=5, width=6, bias=False),
]


@pytest.mark.parametrize("net", IDENTITIES, ids=lambda net: net.slug)
def test_identity_constructions_map_images_to_themselves(net):
    params = nets.identity_params(net, 3, SIZE)
    shapes = net.weight_shapes(3, SIZE)
    assert [tuple(params[f"weight.{i}"].shape[1:]) for i in range(net.depth)] == shapes
    image = torch.randn(1, 7, 3, SIZE, SIZE)
    assert (nets.forward(net, params, image) - image).abs().max() < 1e-6


def test_an_identity_needs_room_for_both_signs():
    with pytest.raises(ValueError, match="at least 2 units"):
        nets.identity_params(CNN(depth=3, width=1), 1, SIZE)
    with pytest.raises(ValueError, match="at least 72 units"):
        nets.identity_params(FCN(depth=2, width=71), 1, SIZE)

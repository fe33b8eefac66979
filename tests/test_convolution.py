"""All formulations of the convolution against the library's direct one."""

import itertools

import pytest
import torch

from idpipe.convolution import (
    FORMULATIONS,
    Shape,
    candidates,
    convolve,
    direct,
    formulations,
    plain,
    rule,
)
from idpipe.transforms import transform_length

# Even and odd sizes, kernels that reach over the whole image and that do not.
CASES = list(itertools.product([5, 8, 14, 28], [15, 17, 29, 57]))


def made_up(size: int, kernel: int, dtype: torch.dtype, width: int | None = None):
    generator = torch.Generator().manual_seed(size + kernel)
    shapes = [(4, 2, 3, size, width or size), (2, 5, 3, kernel, kernel), (2, 5)]
    return [torch.randn(shape, generator=generator).to(dtype).requires_grad_() for shape in shapes]


@pytest.mark.parametrize(("size", "kernel"), CASES)
def test_transformed_equals_direct(size, kernel):
    given = made_up(size, kernel, torch.float64)
    both = [convolution(*given) for convolution in (convolve, direct)]
    torch.testing.assert_close(*both, rtol=1e-11, atol=1e-9)
    upstream = torch.randn_like(both[0])
    found, expected = (torch.autograd.grad(output, given, upstream) for output in both)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-9)


def test_images_need_not_be_square():
    given = made_up(9, 15, torch.float64, width=13)
    torch.testing.assert_close(convolve(*given), direct(*given), rtol=1e-11, atol=1e-9)


def differences(name: str, given: list[torch.Tensor]) -> list[float]:
    """Output, then gradients, of a formulation against the direct one: largest relative errors."""
    with formulations(lambda shape: name):
        found = convolve(*given)
    expected = direct(*given)
    upstream = torch.randn(expected.shape, generator=torch.Generator().manual_seed(0)).to(expected)
    found, expected = (
        [output, *torch.autograd.grad(output, given, upstream)] for output in (found, expected)
    )
    pairs = zip(found, expected, strict=True)
    return [((one - other).norm() / other.norm()).item() for one, other in pairs]


OTHERS = [
    (name, kernel)
    for kernel in (1, 3, 5, 7, 9)
    for name in candidates(Shape(1, 1, 1, 1, kernel, 28, 28))
    if name != "direct"
] + [("padded", 5)]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (4, 4), (5, 9), (8, 8), (14, 3), (28, 28)])
@pytest.mark.parametrize(("name", "kernel"), OTHERS)
def test_every_formulation_equals_the_direct_one(name, kernel, height, width):
    for outputs in (1, 5, 8):
        generator = torch.Generator().manual_seed(kernel)
        shapes = [(2, 3, 4, height, width), (3, outputs, 4, kernel, kernel), (3, outputs)]
        given = [torch.randn(shape, generator=generator).double() for shape in shapes]
        assert max(differences(name, [one.requires_grad_() for one in given])) < 1e-12


def test_patches_that_are_not_kept_are_gathered_again(monkeypatch):
    monkeypatch.setattr("idpipe.columns.KEPT", 0)
    test_every_formulation_equals_the_direct_one("columns", 5, 5, 9)


@pytest.mark.parametrize(("name", "kernel"), OTHERS)
def test_rounding_errors_in_single_precision(name, kernel):
    generator = torch.Generator().manual_seed(kernel)
    shapes = [(1, 2, 24, 28, 28), (2, 24, 24, kernel, kernel), (2, 24)]
    given = [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]
    limit = 1e-5 if name == "winograd" else 1e-6
    assert max(differences(name, given)) < limit


def test_replicates_do_not_leak_into_each_other():
    """Not even by a NaN: one that diverges harms no other."""
    for name, kernel in OTHERS:
        x, weight = torch.randn(1, 3, 4, 8, 8), torch.randn(3, 4, 4, kernel, kernel)
        weight[1, 0, 0, 0, 0] = float("nan")
        given = [x.requires_grad_(), weight.requires_grad_()]
        with formulations(lambda shape, name=name: name):
            output = convolve(*given)
        grads = torch.autograd.grad(output, given, torch.ones_like(output))
        assert output[:, [0, 2]].isfinite().all(), name
        assert not output[:, 1].isfinite().all(), name
        assert grads[0][:, [0, 2]].isfinite().all() and grads[1][[0, 2]].isfinite().all(), name


def test_adaptive_optimizers_get_exact_zeros():
    """A filter's tap that meets no ink has gradient 0, by any formulation they may be given."""
    shapes = [
        Shape(1, e, i, o, k, 28, 28)
        for e, i, o, k in itertools.product(
            (1, 4), (1, 3, 24, 64, 128), (1, 3, 24, 64, 128), (3, 5, 7, 9, 25, 57)
        )
    ]
    named = {rule(shape, exact_zeros=True) for shape in shapes}
    named |= {name for shape in shapes for name in candidates(shape, exact_zeros=True)}
    assert named == {"direct", "padded", "channels_last", "columns"}
    x = torch.zeros(1, 2, 3, 9, 9)
    x[..., 4, 4] = 1
    for name in named:
        weight = torch.randn(2, 5, 3, 5, 5, requires_grad=True)
        output = FORMULATIONS[name](x, weight, None)
        upstream = torch.zeros_like(output)
        upstream[..., 4, 4] = torch.randn(())
        (grad,) = torch.autograd.grad(output, weight, upstream)
        grad[..., 2, 2] = 0
        assert not grad.any(), name


def test_large_kernels_are_never_channels_last():
    shape = Shape(1, 1, 24, 24, 57, 28, 28)
    assert rule(shape) == "fourier"
    assert rule(shape, exact_zeros=True) == "direct"


def test_the_rule_names_what_fits():
    for e, i, o, k, size in itertools.product(
        (1, 2, 16), (1, 3, 10, 128), (1, 3, 10, 128), (1, 3, 5, 7, 15, 57), (7, 28)
    ):
        shape = Shape(1, e, i, o, k, size, size)
        assert rule(shape) in [*candidates(shape), "padded"], shape
        assert plain(shape) in candidates(shape), shape


def test_single_precision_rounds_no_worse_than_the_direct_convolution():
    x, weight, _ = made_up(28, 57, torch.float32)
    exact = direct(x.double(), weight.double())
    errors = [(f(x, weight).double() - exact).norm() for f in (convolve, direct)]
    assert errors[0] < 2 * errors[1]


def test_taps_beyond_the_image_are_left_alone():
    x, weight, _ = made_up(5, 15, torch.float32)
    (grad,) = torch.autograd.grad(convolve(x, weight).square().sum(), weight)
    reached = torch.zeros(15, 15, dtype=torch.bool)
    reached[3:12, 3:12] = True
    assert (grad[..., ~reached] == 0).all()
    assert (grad[..., reached] != 0).all()


def test_a_second_derivative_is_refused():
    x, weight, _ = made_up(5, 15, torch.float64)
    (grad,) = torch.autograd.grad(convolve(x, weight).square().sum(), weight, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.square().sum().backward()


def test_small_kernels_go_the_direct_way():
    given = made_up(8, 13, torch.float32)
    assert torch.equal(convolve(*given), direct(*given))


@pytest.mark.parametrize(
    ("size", "kernel", "length"), [(28, 57, 56), (28, 17, 36), (28, 25, 40), (7, 57, 14)]
)
def test_length_of_transforms(size, kernel, length):
    assert transform_length(size, kernel) == length

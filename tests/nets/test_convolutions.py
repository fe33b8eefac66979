"""All formulations of the convolution against the library's direct one."""

import itertools
import math

import pytest
import torch
from formulations import OTHERS, differences

from idpipe.cells import transform_length
from idpipe.nets import convolutions
from idpipe.nets.convolutions import (
    FORMULATIONS,
    Shape,
    candidates,
    convolve,
    direct,
    matrices,
    rule,
    winograd,
)

pytestmark = pytest.mark.numerical

# Even and odd sizes, kernels that reach over the whole image and that do not.
CASES = [(5, 15), (5, 57), (8, 17), (14, 29), (28, 15), (28, 57)]


def made_up(size: int, kernel: int, dtype: torch.dtype, width: int | None = None):
    generator = torch.Generator().manual_seed(size + kernel)
    shapes = [(4, 2, 3, size, width or size), (2, 5, 3, kernel, kernel), (2, 5)]
    return [torch.randn(shape, generator=generator).to(dtype).requires_grad_() for shape in shapes]


@pytest.mark.parametrize(("size", "kernel"), CASES)
def test_transformed_equals_direct(size, kernel):
    given = made_up(size, kernel, torch.float64)
    both = [convolved(*given) for convolved in (convolve, direct)]
    torch.testing.assert_close(*both, rtol=1e-11, atol=1e-9)
    upstream = torch.randn_like(both[0])
    found, expected = (torch.autograd.grad(output, given, upstream) for output in both)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-9)


def test_images_need_not_be_square():
    given = made_up(9, 15, torch.float64, width=13)
    torch.testing.assert_close(convolve(*given), direct(*given), rtol=1e-11, atol=1e-9)


@pytest.mark.parametrize(("name", "kernel"), OTHERS)
def test_every_formulation_equals_the_direct_one(name, kernel):
    sizes = [(1, 1), (4, 4), (5, 9), (8, 8), (14, 3), (28, 28)]
    for (height, width), outputs in itertools.product(sizes, (1, 5, 8)):
        generator = torch.Generator().manual_seed(kernel)
        shapes = [(2, 3, 4, height, width), (3, outputs, 4, kernel, kernel), (3, outputs)]
        given = [torch.randn(shape, generator=generator).double() for shape in shapes]
        errors = differences(name, [one.requires_grad_() for one in given])
        assert max(errors) < 1e-12, (height, width, outputs)


def test_patches_that_are_not_kept_are_gathered_again(monkeypatch):
    monkeypatch.setattr("idpipe.nets.convolutions.columns.KEPT", 0)
    test_every_formulation_equals_the_direct_one("columns", 5)


def rounding(terms: int) -> float:
    """Relative error, at most, of sums of so many random products in single precision.

    Added up one after the other, partial sums of about sqrt(i) are rounded by 2^-24 of themselves
    at most: 0.41 sqrt(n) 2^-24 of the whole in the mean square, less in any better order.
    """
    return 2**-24 * math.sqrt(terms)


def amplified(kernel: int) -> float:
    """How much larger than the direct one's Winograd's rounding errors are, for random numbers.

    A point's product is rounded as a share of its own size, and reaches the output by its row.
    """
    by = matrices(kernel, torch.float64, torch.device("cpu"))
    sizes = by.kernel.norm(dim=1) * by.input.norm(dim=1)
    return ((by.output * sizes[:, None]).square().sum(0).mean().sqrt() / kernel).item()


@pytest.mark.parametrize("kernel", [5, 7])
def test_no_other_points_would_round_less(kernel, monkeypatch):
    ours = amplified(kernel)
    for sizes in itertools.combinations([1 / 4, 1 / 3, 1 / 2, 2 / 3, 1, 3 / 2, 2, 3, 4], 3):
        monkeypatch.setattr(winograd, "POINTS", (0, *sizes, *[-size for size in sizes]))
        matrices.cache_clear()
        assert amplified(kernel) > 0.999 * ours, sizes
    matrices.cache_clear()


@pytest.mark.parametrize(("name", "kernel"), [*OTHERS, ("direct", 5), ("fourier", 29)])
def test_rounding_errors_in_single_precision(name, kernel):
    channels, images, size = 24, 2, 28
    generator = torch.Generator().manual_seed(kernel)
    shapes = [(images, 2, channels, size, size), (2, channels, channels, kernel, kernel)]
    given = [torch.randn(shape, generator=generator) for shape in [*shapes, (2, channels)]]
    exact = [one.double().requires_grad_() for one in given]
    sums = max(channels * min(kernel, size) ** 2, images * size**2)
    limit = rounding(sums) * (amplified(kernel) if name == "winograd" else 1)
    assert max(differences(name, [one.requires_grad_() for one in given], exact)) < limit


def test_replicates_do_not_leak_into_each_other():
    """Not even by a NaN: one that diverges harms no other."""
    for name, kernel in OTHERS:
        x, weight = torch.randn(1, 3, 4, 8, 8), torch.randn(3, 4, 4, kernel, kernel)
        weight[1, 0, 0, 0, 0] = float("nan")
        given = [x.requires_grad_(), weight.requires_grad_()]
        with convolutions.formulations(lambda shape, name=name: name):
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
        assert convolutions.plain(shape) in candidates(shape), shape


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


def test_length_of_transforms():
    lengths = {(28, 57): 56, (28, 17): 36, (28, 25): 40, (7, 57): 14}
    assert {case: transform_length(*case) for case in lengths} == lengths

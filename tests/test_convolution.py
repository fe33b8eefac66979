"""Convolutions by Fourier transform against the library's direct ones."""

import itertools

import pytest
import torch

from idpipe.convolution import convolve, direct
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

"""Formulations of the convolution beside the direct one, and how far from it each is."""

import torch

from idpipe.nets.convolutions import Shape, candidates, convolve, direct, formulations

OTHERS = [
    (name, kernel)
    for kernel in (1, 3, 5, 7, 9)
    for name in candidates(Shape(1, 1, 1, 1, kernel, 28, 28))
    if name != "direct"
] + [("padded", 5)]


def differences(
    name: str, given: list[torch.Tensor], exact: list[torch.Tensor] | None = None
) -> list[float]:
    """Output, then gradients, of a formulation against the direct one of `given` or of `exact`:
    largest relative errors."""
    exact = given if exact is None else exact
    with formulations(lambda shape: name):
        output = convolve(*given)
    expected = direct(*exact)
    upstream = torch.randn(expected.shape, generator=torch.Generator().manual_seed(0)).to(expected)
    pairs = zip(
        [output, *torch.autograd.grad(output, given, upstream.to(output))],
        [expected, *torch.autograd.grad(expected, exact, upstream)],
        strict=True,
    )
    return [((one - other).norm() / other.norm()).item() for one, other in pairs]

"""Convolution by Fourier transform against the library's direct one, over kernel sizes.

    python benchmarks/convolution.py

One forward and backward pass of a layer, 3 replicates, one 28 x 28 image, one thread: medians of
the same run, and relative errors of the weights' gradient against double precision.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from idpipe import convolution

REPEATS = 7


def milliseconds(convolve: Callable[[Tensor, Tensor], Tensor], x: Tensor, weight: Tensor) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        torch.autograd.grad(convolve(x, weight).square().sum(), (x, weight))
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def gradient(convolve: Callable[[Tensor, Tensor], Tensor], x: Tensor, weight: Tensor) -> Tensor:
    return torch.autograd.grad(convolve(x, weight).square().sum(), weight)[0].double()


def transformed(x: Tensor, weight: Tensor) -> Tensor:
    return convolution._Transformed.apply(x, weight)


def main() -> None:
    torch.set_num_threads(1)
    print("channels  kernel  direct ms  transformed ms  ratio  direct error  transformed error")
    for width in (8, 24, 64):
        for kernel in (5, 9, 13, 15, 17, 25, 57):
            if width * kernel > 64 * 25:
                continue
            x = torch.randn(1, 3, width, 28, 28, requires_grad=True)
            weight = torch.randn(3, width, width, kernel, kernel) / math.sqrt(width * kernel**2)
            weight.requires_grad_()
            pair = [convolution.direct, transformed]
            direct, other = (milliseconds(one, x, weight) for one in pair)
            double = [tensor.detach().double().requires_grad_() for tensor in (x, weight)]
            exact = gradient(convolution.direct, *double)
            errors = [((gradient(f, x, weight) - exact).norm() / exact.norm()).item() for f in pair]
            print(
                f"{width:8}  {kernel:6}  {direct:9.1f}  {other:14.1f}  {direct / other:5.1f}"
                f"  {errors[0]:12.1e}  {errors[1]:17.1e}"
            )


if __name__ == "__main__":
    main()

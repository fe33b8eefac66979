"""Settings of networks, and the names of weight initializations."""

from __future__ import annotations

import itertools
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from idpipe.cells.specs import Bool, Depth, Odd, Positive, Spec
from idpipe.cells.transforms import TILED_KERNELS, pays, tiled_numbers, transform_length


class NetSpec(Spec):
    """What a network is assumed to need where its own class does not say otherwise."""

    def workspace(self, channels: int, size: int) -> int:
        """Numbers a forward and backward pass of one image holds beside the weights."""
        raise NotImplementedError

    def transforms(self, channels: int, size: int, images: int) -> int:
        """Numbers in transforms while training."""
        return 0

    def layer_workspace(self, channels: int, size: int, images: int) -> int:
        """Numbers that a forward pass holds at once beside the weights."""
        return images * self.workspace(channels, size)


class FCN(NetSpec):
    """Fully connected network of `depth` weight layers (Sec. 3.1, Appendices E and N)."""

    convolutional: ClassVar[bool] = False
    """Whether it takes images of any size."""

    arch: Literal["fcn"] = Field("fcn", description="fully connected")
    depth: Depth = Field(description="weight layers; hidden layers + 1")
    width: Positive = Field(2048, description="units of a hidden layer")
    activation: Literal["relu", "linear"] = Field("relu", description="between layers")
    residual: Bool = Field(
        False, description="blocks x + ReLU(W2 ReLU(W1 x)), no ReLU at the output (Appendix N)"
    )
    bias: Bool = Field(True, description="every layer has a bias")

    def weight_shapes(self, channels: int, size: int) -> list[tuple[int, ...]]:
        """Shapes (fan-out, fan-in) of the weights, input side first."""
        pixels = channels * size * size
        widths = [pixels, *[self.width] * (self.depth - 1), pixels]
        return [(after, before) for before, after in itertools.pairwise(widths)]

    def check(self, channels: int, size: int) -> None:
        """Raise ValueError where the residual blocks cannot be built (Appendix N)."""
        if not self.residual:
            return
        pixels = channels * size * size
        if self.activation != "relu":
            raise ValueError("net.activation: must be relu in a residual network (Appendix N)")
        if self.depth % 2:
            raise ValueError(
                "net.depth: must be even in a residual network, for its blocks have two layers "
                "(1, 3, 5, 7, 9 hidden layers)"
            )
        if self.width != pixels:
            raise ValueError(
                f"net.width: must be {pixels} in a residual network, the number of pixels"
            )

    def workspace(self, channels: int, size: int) -> int:
        """Numbers a forward and backward pass of one image holds beside the weights."""
        return 2 * ((self.depth - 1) * self.width + channels * size**2)

    @property
    def slug(self) -> str:
        """The part of the cell id that names the network."""
        kind = "res" if self.residual else self.activation
        return f"fcn-d{self.depth:02d}-h{self.width}-{kind}" + ("" if self.bias else "-nobias")


class CNN(NetSpec):
    """Convolutions of stride 1 with zero padding, same size out (Sec. 3.2, Appendix A)."""

    convolutional: ClassVar[bool] = True

    arch: Literal["cnn"] = Field("cnn", description="convolutional")
    depth: Depth = Field(description="convolution layers")
    width: Positive = Field(128, description="channels of a hidden layer")
    kernel: Odd = Field(5, description="height and width of the filters")
    activation: Literal["relu", "linear"] = Field("relu", description="between layers")
    bias: Bool = Field(True, description="every layer has a bias")

    def weight_shapes(self, channels: int, size: int) -> list[tuple[int, ...]]:
        """Shapes (channels out, channels in, kernel, kernel), input side first."""
        widths = [channels, *[self.width] * (self.depth - 1), channels]
        return [(b, a, self.kernel, self.kernel) for a, b in itertools.pairwise(widths)]

    def check(self, channels: int, size: int) -> None:
        """Every combination is allowed."""

    def workspace(self, channels: int, size: int) -> int:
        """Numbers a forward and backward pass of one image holds beside the weights."""
        fan_in = (self.width if self.depth > 1 else channels) * self.kernel**2
        return (2 * ((self.depth - 1) * self.width + channels) + fan_in) * size**2

    def transforms(self, channels: int, size: int, images: int) -> int:
        """Numbers in the transforms of the weights, their gradients, and the images."""
        shapes = self.weight_shapes(channels, size)
        return sum(self._transformed(out, into, size, images) for out, into, *_ in shapes)

    def _transformed(self, outputs: int, inputs: int, size: int, images: int) -> int:
        if pays(self.kernel, max(outputs, inputs)):
            length = transform_length(size, self.kernel)
            return (2 * outputs * inputs + images * (outputs + inputs)) * length**2
        if self.kernel in TILED_KERNELS:  # always on a GPU, for which this matters most
            return tiled_numbers(self.kernel, outputs, inputs, size, images)
        return 0

    def layer_workspace(self, channels: int, size: int, images: int) -> int:
        """Numbers that a forward pass holds at once beside the weights, at its largest layer."""
        length = transform_length(size, self.kernel)
        return max(
            # Transforms of both factors, reordered for their product; the padded images.
            (2 * out * into + 3 * images * (out + into)) * length**2
            if pays(self.kernel, max(out, into))
            else 2 * images * (out + into) * size**2
            for out, into, *_ in self.weight_shapes(channels, size)
        )

    @property
    def slug(self) -> str:
        """The part of the cell id that names the network."""
        kind = "" if self.activation == "relu" else f"-{self.activation}"
        bias = "" if self.bias else "-nobias"
        return f"cnn-d{self.depth:02d}-c{self.width}-k{self.kernel}{kind}{bias}"


AnyNet = FCN | CNN
Net = Annotated[AnyNet, Field(discriminator="arch")]

InitName = Literal[
    "pytorch",
    "printed",
    "geometric",
    "xavier_normal",
    "xavier_uniform",
    "kaiming_normal",
    "kaiming_uniform",
    "orthogonal",
]

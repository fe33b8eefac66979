"""Settings of networks, and the names of weight initializations."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from idpipe.cells.specs import Bool, Depth, Kind, Odd, Positive, Unit, kinds
from idpipe.cells.transforms import TILED_KERNELS, pays, tiled_numbers, transform_length


class Pace(NamedTuple):
    """How many steps a network takes, at the learning rate 0.01 of momentum SGD.

    A plateau, which grows with depth, then a decay. Fitted to the cells of the default preset
    (docs/performance.md).
    """

    plateau: float
    """Steps at `idpipe.costs.steps.DEEP` layers."""
    growth: float
    """Power of the depth with which the plateau grows."""
    decay: float
    """Steps from there to `REFERENCE_STOP`."""
    power: float
    """Power of the stop, in parts of `REFERENCE_STOP`, with which the decay of a ReLU network
    grows; 0, and in a linear one: its logarithm times `LOG`."""


class NetSpec(Kind):
    """What training, costs, captions, figures and tables ask of a network."""

    keys = ("arch", "depth", "width", "activation", "bias")

    title: ClassVar[str]
    """What it is called; with an s, several of them."""
    width_unit: ClassVar[str]
    """What its width counts."""
    convolutional: ClassVar[bool]
    """Whether it takes images of any size, and its layers have channels to look at."""
    codes: ClassVar[tuple[tuple[str, str], ...]]
    """Letters of its short names, and what they mean, for a legend."""
    pace: ClassVar[Pace | None]
    """How many steps it takes; None: not known, so that its cells are priced at whole budgets."""

    @classmethod
    def __pydantic_init_subclass__(cls, **settings: Any) -> None:
        """Refuse a kind that leaves something out, or whose names its legend does not explain."""
        super().__pydantic_init_subclass__(**settings)
        for depth, activation in itertools.product((1, 2), ("relu", "linear")):
            name = cls.code(depth, activation)
            if name.rstrip("0123456789") not in dict(cls.codes):
                raise TypeError(f"{cls.__name__}.codes must say what the letters of {name} mean")

    @classmethod
    @abstractmethod
    def code(cls, depth: int, activation: str) -> str:
        """A network's short name: letters of `codes` and a number."""

    @property
    @abstractmethod
    def slug(self) -> str:
        """The part of the cell id that names the network."""

    @abstractmethod
    def weight_shapes(self, channels: int, size: int) -> list[tuple[int, ...]]:
        """Shapes of the weights, input side first."""

    @abstractmethod
    def check(self, channels: int, size: int) -> None:
        """Raise ValueError where it cannot be built for such images."""

    @abstractmethod
    def workspace(self, channels: int, size: int) -> int:
        """Numbers a forward and backward pass of one image holds beside the weights."""

    @property
    def in_words(self) -> str:
        """What a network of these settings is called."""
        return self.title

    def transforms(self, channels: int, size: int, images: int) -> int:
        """Numbers in transforms while training."""
        return 0

    def layer_workspace(self, channels: int, size: int, images: int) -> int:
        """Numbers that a forward pass holds at once beside the weights."""
        return images * self.workspace(channels, size)


class FCN(NetSpec):
    """Fully connected network of `depth` weight layers (Sec. 3.1, Appendices E and N)."""

    title = "FCN"
    width_unit = "hidden units"
    convolutional = False
    codes = (("H", "H: ReLU FCN and its hidden layers"), ("LinH", "LinH: linear FCN"))
    pace = Pace(plateau=400.0, growth=2.4, decay=45.0, power=0.0)

    arch: Literal["fcn"] = Field("fcn", description="fully connected")
    depth: Depth = Field(description="weight layers; hidden layers + 1")
    width: Annotated[Positive, Unit("units")] = Field(2048, description="units of a hidden layer")
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

    @classmethod
    def code(cls, depth: int, activation: str) -> str:
        """The paper's: `H9` after its hidden layers, `LinH1` where linear; one layer is `H0`."""
        return f"{'Lin' if activation == 'linear' and depth > 1 else ''}H{depth - 1}"

    @property
    def in_words(self) -> str:
        """`ReLU FCN`, `linear FCN` or `residual ReLU FCN`."""
        kind = "ReLU" if self.activation == "relu" else "linear"
        return f"{'residual ' if self.residual else ''}{kind} {self.title}"

    @property
    def slug(self) -> str:
        """The part of the cell id that names the network."""
        kind = "res" if self.residual else self.activation
        return f"fcn-d{self.depth:02d}-h{self.width}-{kind}" + ("" if self.bias else "-nobias")


class CNN(NetSpec):
    """Convolutions of stride 1 with zero padding, same size out (Sec. 3.2, Appendix A)."""

    title = "CNN"
    width_unit = "channels"
    convolutional = True
    codes = (("C", "C: CNN and its layers"),)
    pace = Pace(plateau=90.0, growth=2.2, decay=450.0, power=0.45)
    """The decay is that of 24 channels of 5 x 5 filters on a grey image."""

    arch: Literal["cnn"] = Field("cnn", description="convolutional")
    depth: Depth = Field(description="convolution layers")
    width: Annotated[Positive, Unit("channels")] = Field(
        128, description="channels of a hidden layer"
    )
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

    @classmethod
    def code(cls, depth: int, activation: str) -> str:
        """The paper's: `C20` after its layers."""
        return f"C{depth}"

    @property
    def in_words(self) -> str:
        """`CNN`, whose units are ReLU, or `linear CNN`."""
        return self.title if self.activation == "relu" else f"linear {self.title}"

    @property
    def slug(self) -> str:
        """The part of the cell id that names the network."""
        kind = "" if self.activation == "relu" else f"-{self.activation}"
        bias = "" if self.bias else "-nobias"
        return f"cnn-d{self.depth:02d}-c{self.width}-k{self.kernel}{kind}{bias}"


AnyNet = FCN | CNN
Net = Annotated[AnyNet, Field(discriminator="arch")]
NETS: dict[str, type[NetSpec]] = kinds(Net)
"""Arch -> its class."""

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

"""Cells: fully resolved training problems, their ids, and the grids that list them.

A cell says everything that decides its trained weights and nothing else. Its id is a readable
slug and a hash of its canonical JSON, so equal specs share a result whatever study, figure or
run asks for them. Plain data only: neither torch nor numpy is imported here.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    model_validator,
)

ENGINE_VERSION = 1
"""Part of every cell id. Bump it when the same cell would train to other numbers."""


def _not_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


def _one_zero(value: object) -> object:
    """0.0 and -0.0 are equal, so they must not make two cell ids."""
    return 0.0 if isinstance(_not_bool(value), float) and value == 0 else value


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("must be an odd whole number, so that the kernel has a centre pixel")
    return value


@dataclass(frozen=True)
class Says:
    """What a setting allows, in words, where its type does not say it; part of an annotation."""

    text: str


FILLED_IN = Says("left out; idpipe fills it in")

# Bounds far above any use, so that a slip of the keyboard is refused before it is computed with.
MOST = 10**9
Positive = Annotated[int, Strict(), Field(ge=1, le=MOST)]
NonNegative = Annotated[int, Strict(), Field(ge=0, le=MOST)]
Seed = Annotated[int, Strict(), Field(ge=0, lt=2**63), Says("a whole number from 0 to 2^63 - 1")]
Depth = Annotated[int, Strict(), Field(ge=1, le=10_000)]
Odd = Annotated[
    int,
    Strict(),
    Field(ge=1, le=MOST, json_schema_extra={"not": {"multipleOf": 2}}),
    AfterValidator(_odd),
    Says(f"an odd whole number from 1 to {MOST - 1:,}"),
]
Bool = Annotated[bool, Strict()]
# YAML reads 1e-4 (no dot) as text; a number written as text is taken as the number. Bounds stand
# before the validator: only then does pydantic write them into the JSON schema.
ONE_ZERO = BeforeValidator(_one_zero)
Number = Annotated[float, Field(allow_inf_nan=False), ONE_ZERO]
AtLeastZero = Annotated[float, Field(ge=0, allow_inf_nan=False), ONE_ZERO]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False), ONE_ZERO]
Factor = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False), ONE_ZERO]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), ONE_ZERO]
Decay = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False), ONE_ZERO]


class Spec(BaseModel):
    """Frozen, plain-typed settings; a key that is not a field is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# --- data ------------------------------------------------------------------------------------

SourceName = Literal["digits", "photos", "mnist", "fashion_mnist", "cifar10", "image_folder"]


class SourceFacts(Spec):
    """What is known of a source before its files are opened."""

    channels: int
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    per_class: tuple[int, ...] | None
    """Training images of each class; None where only the files can tell."""
    label: int = 7
    """Class of the training image unless a cell names one."""
    index: int = 0
    """Which image of that class. The thin sevens of `digits` and `mnist` train at every depth;
    with the bold ones most deep nets die (docs/fidelity.md)."""


_MNIST_STATS: dict[str, Any] = {"channels": 1, "size": 28, "mean": (0.1307,), "std": (0.3081,)}
_CIFAR_STATS: dict[str, Any] = {
    "channels": 3,
    "size": 32,
    "mean": (0.4914, 0.4822, 0.4465),
    "std": (0.2470, 0.2435, 0.2616),
}
SOURCES: dict[str, SourceFacts] = {
    "digits": SourceFacts(
        **_MNIST_STATS,
        per_class=(143, 146, 142, 146, 144, 145, 144, 143, 141, 143),
        index=39,
    ),
    "mnist": SourceFacts(
        **_MNIST_STATS,
        per_class=(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
        index=3,
    ),
    "fashion_mnist": SourceFacts(**_MNIST_STATS, per_class=(6000,) * 10),
    "cifar10": SourceFacts(**_CIFAR_STATS, per_class=(5000,) * 10),
    "photos": SourceFacts(**_CIFAR_STATS, per_class=(36, 36), label=0),
    "image_folder": SourceFacts(**_MNIST_STATS, per_class=None, label=0),
}
"""`digits` and `photos` are embedded in scikit-learn; digits are placed as MNIST places them and
share its standardization (Appendix A)."""


class Example(Spec):
    """One training image: the `index`-th of its class, in the order of the training set."""

    label: NonNegative = Field(description="class of the training image")
    index: NonNegative = Field(0, description="which image of that class, counted from 0")


class DataSpec(Spec):
    """Which images a cell trains on, and how their pixels are scaled (Appendix A)."""

    source: SourceName = Field("digits", description="data source")
    digest: Annotated[str | None, FILLED_IN] = Field(
        None, description="content hash of an `image_folder`"
    )
    examples: Annotated[
        tuple[Example, ...] | Literal["all"], Says("a list of {label: .., index: ..}, or all")
    ] = Field(
        (Example(label=7, index=39),),
        description="training images, or `all` for the whole training set (default: a 7 of "
        "`digits`, `mnist` and others, the first image of `photos` and `image_folder`)",
        union_mode="left_to_right",
    )
    vary: Bool = Field(
        False, description="replicate r trains on the image r places further in the class"
    )
    size: Positive = Field(28, description="height and width in pixels (default: the source's)")
    channels: Annotated[Literal[1, 3], BeforeValidator(_not_bool)] = Field(
        1, description="1 gray, 3 RGB; free for `image_folder`, else the source's"
    )
    mean: tuple[Number, ...] = Field(
        (0.1307,), description="subtracted from pixels in [0, 1], per channel (default: source's)"
    )
    std: tuple[Rate, ...] = Field(
        (0.3081,), description="then divided by, per channel (default: the source's)"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_from_source(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        source = values.get("source", "digits")
        facts = SOURCES.get(source) if isinstance(source, str) else None
        if facts is None:
            return values
        if source == "image_folder" and values.get("channels") == 3:
            facts = SOURCES["cifar10"]
        known = {"channels": facts.channels, "mean": facts.mean, "std": facts.std}
        first = {"label": SOURCES[source].label, "index": SOURCES[source].index}
        return {"examples": [first], "size": facts.size, **known, **values}

    @model_validator(mode="after")
    def _check(self) -> DataSpec:
        facts = SOURCES[self.source]
        if self.source != "image_folder" and self.digest is not None:
            raise ValueError("digest: only for the source image_folder")
        if self.source != "image_folder" and self.channels != facts.channels:
            raise ValueError(f"channels: must be {facts.channels} for {self.source}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != self.channels:
                raise ValueError(f"{name}: must have one number per channel ({self.channels})")
        if self.examples == ():
            raise ValueError("examples: must be at least one training image, or all")
        if self.vary and self.examples == "all":
            raise ValueError("vary: must be false when examples is all")
        return self

    def check_examples(self, per_class: Sequence[int] | None, replicates: int) -> None:
        """Raise ValueError where an example lies outside the classes counted in `per_class`."""
        if per_class is None or self.examples == "all":
            return
        for number, example in enumerate(self.examples):
            if example.label >= len(per_class):
                last = len(per_class) - 1
                raise ValueError(
                    f"examples[{number}].label: must be a class of {self.source}, from 0 to {last}"
                )
            if per_class[example.label] == 0:
                raise ValueError(
                    f"examples[{number}].label: must be a class with training images; "
                    f"{self.source} has none of this class"
                )
            has = f"{self.source} has {per_class[example.label]:,} training images of this class"
            last = per_class[example.label] - (replicates if self.vary else 1)
            if last < 0:
                raise ValueError(f"vary: must be false for {replicates:,} replicates, for {has}")
            if example.index > last:
                shift = ", and every replicate takes the next one" if self.vary else ""
                raise ValueError(
                    f"examples[{number}].index: must be from 0 to {last:,}, for {has}{shift}"
                )


# --- networks --------------------------------------------------------------------------------


class FCN(Spec):
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


class CNN(Spec):
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


# --- optimizers (Appendix I) -----------------------------------------------------------------


class SGD(Spec):
    """Momentum SGD, the paper's default (Appendix A)."""

    name: Literal["sgd"] = Field("sgd", description="momentum SGD")
    lr: Rate = Field(0.01, description="base learning rate")
    momentum: Decay = Field(0.9, description="momentum")
    nesterov: Bool = Field(False, description="Nesterov's form")
    weight_decay: AtLeastZero = Field(0.0, description="L2 penalty")

    @model_validator(mode="after")
    def _check(self) -> SGD:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov: must be false where momentum is 0")
        return self


class Adagrad(Spec):
    """Adagrad at the paper's rate (Appendix I)."""

    name: Literal["adagrad"] = Field("adagrad", description="Adagrad")
    lr: Rate = Field(0.001, description="base learning rate")
    eps: Rate = Field(1e-10, description="added to the denominator")


class RMSprop(Spec):
    """RMSprop at the paper's rate (Appendix I)."""

    name: Literal["rmsprop"] = Field("rmsprop", description="RMSprop")
    lr: Rate = Field(0.0001, description="base learning rate")
    alpha: Decay = Field(0.99, description="decay of the squared-gradient average")
    eps: Rate = Field(1e-8, description="added to the denominator")
    momentum: Decay = Field(0.0, description="momentum")


class Adam(Spec):
    """Adam at the paper's rate (Appendix I)."""

    name: Literal["adam"] = Field("adam", description="Adam")
    lr: Rate = Field(0.0001, description="base learning rate")
    beta1: Decay = Field(0.9, description="decay of the gradient average")
    beta2: Decay = Field(0.999, description="decay of the squared-gradient average")
    eps: Rate = Field(1e-8, description="added to the denominator")


class Adamax(Spec):
    """Adamax at the paper's rate (Appendix I)."""

    name: Literal["adamax"] = Field("adamax", description="Adamax")
    lr: Rate = Field(0.001, description="base learning rate")
    beta1: Decay = Field(0.9, description="decay of the gradient average")
    beta2: Decay = Field(0.999, description="decay of the infinity norm")
    eps: Rate = Field(1e-8, description="added to the denominator")


Optimizer = Annotated[SGD | Adagrad | RMSprop | Adam | Adamax, Field(discriminator="name")]


class Schedule(Spec):
    """Stagewise constant learning rate over the budget `max_steps` (Appendix A)."""

    factor: Factor = Field(0.2, description="the rate is multiplied by this at each milestone")
    milestones: tuple[Share, ...] = Field(
        (0.3, 0.6, 0.8), description="shares of the budget at which it decays"
    )

    @model_validator(mode="after")
    def _check(self) -> Schedule:
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError("milestones: must rise, each only once")
        return self


class Failure(Spec):
    """What to do with a replicate that dies or diverges."""

    policy: Literal["keep", "fresh_seed", "half_rate"] = Field(
        "fresh_seed",
        description="`keep` it as it is; restart it with a `fresh_seed`; or with a fresh seed and "
        "`half_rate`, half the learning rate at each restart",
    )
    max_restarts: NonNegative = Field(5, description="restarts of one replicate at most")


# --- cells -----------------------------------------------------------------------------------


class Cell(Spec):
    """One fully resolved training problem. All replicates of a cell train together."""

    data: DataSpec = Field(default_factory=lambda: DataSpec(), description="training images")
    net: Net = Field(description="network")
    train_layers: Literal["all", "bottom"] = Field(
        "all", description="which layers train; the rest keep their initial weights (Appendix E.2)"
    )
    init: InitName = Field("pytorch", description="weight initialization (docs/fidelity.md)")
    bias_init: Literal["pytorch", "zeros"] = Field(
        "pytorch", description="biases start uniform in +-1/sqrt(fan-in), or at zero"
    )
    optimizer: Optimizer = Field(default_factory=lambda: SGD(), description="optimizer")
    schedule: Schedule = Field(default_factory=lambda: Schedule(), description="learning rate")
    loss: Literal["mean", "half_sum"] = Field(
        "mean",
        description="squared error averaged over pixels and images, or half its sum over pixels "
        "as in Appendix C (averaged over images)",
    )
    batch_size: Positive = Field(
        128, description="images per step; a cell with fewer trains on all of them at once"
    )
    max_steps: NonNegative = Field(2_000_000, description="budget in steps")
    stop_mse: AtLeastZero = Field(
        1e-4, description="a replicate whose train MSE falls below this has converged; 0: never"
    )
    report_every: Positive = Field(
        25, description="steps between reads of the loss, and so between tests for convergence"
    )
    precision: Literal["ieee", "tf32", "float64"] = Field(
        "ieee", description="float32 products as IEEE or as TF32; or double precision"
    )
    replicates: Positive = Field(3, description="seeds that train together")
    seed: Seed = Field(0, description="base seed of inits and minibatches")
    failure: Failure = Field(
        default_factory=lambda: Failure(), description="policy for dead and diverged replicates"
    )

    @model_validator(mode="before")
    @classmethod
    def _sgd_unless_named(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and isinstance(values.get("optimizer"), Mapping):
            return {**values, "optimizer": {"name": "sgd", **values["optimizer"]}}
        return values

    @model_validator(mode="after")
    def _check(self) -> Cell:
        self.net.check(self.data.channels, self.data.size)
        if self.train_layers == "bottom" and self.net.depth < 2:
            raise ValueError("train_layers: must be all where net.depth is 1")
        try:
            self.data.check_examples(SOURCES[self.data.source].per_class, self.replicates)
        except ValueError as error:
            raise ValueError(f"data.{error}") from None
        return self

    @property
    def weight_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the weights, input side first, without the replicate axis."""
        return self.net.weight_shapes(self.data.channels, self.data.size)

    @property
    def parameters(self) -> int:
        """Weights of one replicate, biases not counted, as Table 1 counts them."""
        return sum(math.prod(shape) for shape in self.weight_shapes)

    @property
    def memory_bytes(self) -> int:
        """Estimated peak while training: weights, gradients, optimizer state, activations."""
        examples = self.data.examples
        images = self.batch_size if examples == "all" else min(len(examples), self.batch_size)
        number = 8 if self.precision == "float64" else 4
        work = self.net.workspace(self.data.channels, self.data.size) * images
        training = number * self.replicates * (4 * self.parameters + work)
        return training + (4 + number) * self._pixels_held

    @property
    def _pixels_held(self) -> int:
        """Numbers of the full training set, held once as read and once as trained on."""
        counts = SOURCES[self.data.source].per_class
        if self.data.examples != "all" or counts is None:
            return 0
        return sum(counts) * self.data.channels * self.data.size**2

    @property
    def work(self) -> int:
        """Multiplications of one step of all replicates, forward pass: long cells start first."""
        pixels = self.data.size**2 if self.net.convolutional else 1
        return self.replicates * self.parameters * pixels

    @property
    def columns(self) -> dict[str, Any]:
        """Its settings as columns of the table `cells` (`idpipe.tables`)."""
        examples = self.data.examples
        named = "all" if examples == "all" else " ".join(f"{e.label}/{e.index}" for e in examples)
        return {
            **{"kernel": math.nan, "residual": False, **self.net.model_dump()},
            "train_layers": self.train_layers,
            "init": self.init,
            "bias_init": self.bias_init,
            "optimizer": self.optimizer.name,
            "lr": self.optimizer.lr,
            "precision": self.precision,
            "source": self.data.source,
            "size": self.data.size,
            "examples": named,
            "seed": self.seed,
            "parameters": self.parameters,
        }

    def canonical(self) -> str:
        """Canonical JSON: every default materialised, keys sorted, engine version included."""
        content = {**self.model_dump(mode="json"), "engine_version": ENGINE_VERSION}
        return canonical_json(content)

    @property
    def cell_id(self) -> str:
        """Readable slug and 8 hex digits of the content's SHA-256."""
        init = "default" if self.init == "pytorch" else self.init
        digest = hashlib.sha256(self.canonical().encode()).hexdigest()[:8]
        return f"{self.net.slug}-{init}-{self.optimizer.name}-{digest}"


def canonical_json(content: object) -> str:
    """JSON with sorted keys and no spaces; raises ValueError on NaN and infinity."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def cell_from_json(text: str) -> Cell:
    """The cell whose `canonical()` is `text`; ValueError on another engine version."""
    content = json.loads(text)
    version = content.pop("engine_version", None)
    if version != ENGINE_VERSION:
        raise ValueError(f"engine version {version}, this is version {ENGINE_VERSION}")
    return Cell.model_validate(content)


def derived_seed(base: int, role: str, *parts: int | str | float) -> int:
    """A 63-bit seed that depends on (base seed, role, parts) and on nothing else."""
    text = canonical_json([base, role, *parts])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


# --- grids -----------------------------------------------------------------------------------

TAGS = ("arch", "name", "source")
"""Keys that say which kind of thing a mapping describes."""
UNNAMED = {"name": "sgd"}
"""The kind of a mapping that does not say."""


def merge(
    below: Mapping[Any, Any], above: Mapping[Any, Any], tags: Sequence[str] = TAGS
) -> dict[Any, Any]:
    """Deep merge of settings as they were written, keys unchecked; `above` wins.

    A mapping of another kind (another `arch`, optimizer `name` or data `source`) replaces the one
    below it instead of mixing with its settings; `tags` are the keys that tell kinds apart.
    """
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            other = any(
                tag in value and value[tag] != old.get(tag, UNNAMED.get(tag, value[tag]))
                for tag in tags
            )
            merged[key] = dict(value) if other else merge(old, value, tags)
        else:
            merged[key] = value
    return merged


def nested(path: str, value: Any) -> dict[str, Any]:
    """`nested("a.b", v)` is `{"a": {"b": v}}`."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return value  # type: ignore[no-any-return]


class GridPoint(NamedTuple):
    """One point of a study's grid: the settings it merges to and where on the axes it lies."""

    settings: dict[str, Any]
    position: dict[str, int]
    """Axis path -> index of the value taken."""


def grid(
    defaults: Mapping[str, Any], base: Mapping[str, Any], axes: Mapping[str, Sequence[Any]]
) -> Iterator[GridPoint]:
    """Every combination of the axes' values over `defaults` and `base`, last axis fastest."""
    start = merge(defaults, base)
    for indices in itertools.product(*(range(len(values)) for values in axes.values())):
        position = dict(zip(axes, indices, strict=True))
        settings = start
        for path, index in position.items():
            settings = merge(settings, nested(path, axes[path][index]))
        yield GridPoint(settings=settings, position=position)


def kinds(union: Any) -> dict[str, type[Spec]]:
    """Tag value -> class of a discriminated union such as `Net` or `Optimizer`."""
    union_type, info = get_args(union)[:2]
    tag = info.discriminator
    return {get_args(k.model_fields[tag].annotation)[0]: k for k in get_args(union_type)}

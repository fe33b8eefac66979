"""Which images a cell trains on: the sources and what is known of them, and the data spec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from idpipe.cells.specs import (
    FILLED_IN,
    Bool,
    NonNegative,
    Number,
    Positive,
    Rate,
    Says,
    Spec,
    Unit,
    every_one_of,
    not_bool,
)

StockName = Literal["digits", "photos", "mnist", "fashion_mnist", "cifar10"]
"""Sources that are the same everywhere: all but the user's own folder."""
SourceName = Literal[StockName, "image_folder"]


class SourceFacts(Spec):
    """What is known of a source before its files are opened, and what others ask of it."""

    title: str
    """What captions call it."""
    origin: Literal["installed", "torchvision", "folder"]
    """Comes with a package or with idpipe, from torchvision, or is the user's own folder."""
    channels: int
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    per_class: tuple[int, ...] | None
    """Training images of each class; None where only the files can tell."""
    classes: tuple[str, ...] | None
    """What each class shows; None where figures call it by its number."""
    out_of_domain: StockName
    """The source that its out-of-domain images are of, unless the configuration names one."""
    label: int = 7
    """Class of the training image unless a cell names one."""
    index: int = 0
    """Which image of that class. The thin sevens of `digits` and `mnist` train at every depth;
    with the bold ones most deep nets die (docs/fidelity.md)."""

    @model_validator(mode="after")
    def _check(self) -> SourceFacts:
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError("mean, std: must have a number for each of the channels")
        if self.per_class is not None and not self.index < _count(self.per_class, self.label):
            raise ValueError("label, index: must name one of the images that per_class counts")
        if None not in (self.per_class, self.classes) and len(self.per_class or ()) != len(
            self.classes or ()
        ):
            raise ValueError("classes: must name as many as per_class counts")
        return self


def _count(per_class: tuple[int, ...], label: int) -> int:
    return per_class[label] if label < len(per_class) else 0


DIGITS = tuple(f"digit {digit}" for digit in range(10))
_GRAY: dict[str, Any] = {"channels": 1, "size": 28, "mean": (0.1307,), "std": (0.3081,)}
_COLOUR: dict[str, Any] = {
    "channels": 3,
    "size": 32,
    "mean": (0.4914, 0.4822, 0.4465),
    "std": (0.2470, 0.2435, 0.2616),
}
SOURCES: dict[str, SourceFacts] = {
    "digits": SourceFacts(
        **_GRAY,
        title="scikit-learn's digits",
        origin="installed",
        per_class=(143, 146, 142, 146, 144, 145, 144, 143, 141, 143),
        classes=DIGITS,
        out_of_domain="photos",
        index=39,
    ),
    "photos": SourceFacts(
        **_COLOUR,
        title="scikit-learn's photographs",
        origin="installed",
        per_class=(36, 36),
        classes=("temple", "flower"),
        out_of_domain="digits",
        label=0,
    ),
    "mnist": SourceFacts(
        **_GRAY,
        title="MNIST",
        origin="torchvision",
        per_class=(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
        classes=DIGITS,
        out_of_domain="fashion_mnist",
        index=3,
    ),
    "fashion_mnist": SourceFacts(
        **_GRAY,
        title="Fashion-MNIST",
        origin="torchvision",
        per_class=(6000,) * 10,
        classes=None,
        out_of_domain="mnist",
    ),
    "cifar10": SourceFacts(
        **_COLOUR,
        title="CIFAR-10",
        origin="torchvision",
        per_class=(5000,) * 10,
        classes=(
            *("airplane", "automobile", "bird", "cat", "deer"),
            *("dog", "frog", "horse", "ship", "truck"),
        ),
        out_of_domain="photos",
    ),
    "image_folder": SourceFacts(
        **_GRAY,
        title="images of one's own",
        origin="folder",
        per_class=None,
        classes=None,
        out_of_domain="photos",
        label=0,
    ),
}
"""Digits are placed as MNIST places them and share its standardization (Appendix A)."""
every_one_of("SOURCES", SOURCES, get_args(SourceName))


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
    size: Annotated[Positive, Unit("pixels")] = Field(
        28, description="height and width in pixels (default: the source's)"
    )
    channels: Annotated[Literal[1, 3], BeforeValidator(not_bool)] = Field(
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

    @property
    def images(self) -> str:
        """Its training images as label/index, or `all`; those of replicate 0 with `vary`."""
        if self.examples == "all":
            return "all"
        return " ".join(f"{example.label}/{example.index}" for example in self.examples)

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

"""Cells: fully resolved training problems, and their ids.

A cell says everything that decides its trained weights and nothing else. Its id is a readable
slug and a hash of its canonical JSON, so equal specs share a result whatever study, figure or
run asks for them. Plain data only: neither torch nor numpy is imported here.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from idpipe.cells.data import SOURCES, DataSpec
from idpipe.cells.nets import InitName, Net
from idpipe.cells.optimizers import SGD, Optimizer, Schedule
from idpipe.cells.specs import AtLeastZero, NonNegative, Positive, Seed, Spec, Unit

ENGINE_VERSION = 1
"""Part of every cell id. Bump it when the same cell would train to other numbers, beyond rounding:
two versions of torch, or two processors, round differently too."""

IMAGES_AT_ONCE = 64
"""Images of a forward pass in evaluation."""


class Failure(Spec):
    """What to do with a replicate that dies or diverges."""

    policy: Literal["keep", "fresh_seed", "half_rate"] = Field(
        "fresh_seed",
        description="`keep` it as it is; restart it with a `fresh_seed`; or with a fresh seed and "
        "`half_rate`, half the learning rate at each restart",
    )
    max_restarts: NonNegative = Field(5, description="restarts of one replicate at most")


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
    max_steps: Annotated[NonNegative, Unit("steps")] = Field(
        2_000_000, description="budget in steps"
    )
    stop_mse: AtLeastZero = Field(
        1e-6, description="a replicate whose train MSE falls below this has converged; 0: never"
    )
    report_every: Annotated[Positive, Unit("steps")] = Field(
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
        work += self.net.transforms(self.data.channels, self.data.size, images)
        training = number * self.replicates * (4 * self.parameters + work)
        return training + (4 + number) * self._pixels_held

    def evaluation_bytes(self, sizes: Sequence[int]) -> int:
        """Estimated peak of a forward pass on `IMAGES_AT_ONCE` images, of other sizes too."""
        shown = [self.data.size, *(sizes if self.net.convolutional else [])]
        work = max(self.net.layer_workspace(self.data.channels, s, IMAGES_AT_ONCE) for s in shown)
        number = 8 if self.precision == "float64" else 4
        return number * self.replicates * (2 * self.parameters + work)

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

    def canonical(self) -> str:
        """Canonical JSON: every default materialised, keys sorted, engine version included."""
        content = {**self.model_dump(mode="json"), "engine_version": ENGINE_VERSION}
        return canonical_json(content)

    @property
    def cell_id(self) -> str:
        """Readable slug and 8 hex digits of the content's SHA-256."""
        init = "default" if self.init == "pytorch" else self.init
        return f"{self.net.slug}-{init}-{self.optimizer.name}-{id_hash(self.canonical())}"


def id_hash(canonical: str) -> str:
    """The end of a cell's id: 8 hex digits of the SHA-256 of its canonical JSON."""
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


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

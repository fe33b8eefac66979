"""What a configuration may hold, but for its studies: one pydantic model."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, Strict, model_validator

from idpipe.cells import (
    ONE_ZERO,
    SOURCES,
    Bool,
    DataSpec,
    NonNegative,
    Says,
    Seed,
    Share,
    SourceName,
    Spec,
    StockName,
    canonical_json,
)
from idpipe.config.studies import CellSettings, Limits, Study

LONGEST_NAME = 255
"""Bytes of a file's or folder's name, at most, wherever Linux keeps them."""


def _folder(text: str) -> str:
    """The path with `~` and variables of the environment put in; ValueError where none can be."""
    found = os.path.expandvars(os.path.expanduser(text))
    if named := re.search(r"\$(\w+|\{\w*\})", found):
        raise ValueError(f"names {named[0]}, which the environment does not have")
    if odd := sorted(set(found) & set("{}\0\n\r")):
        raise ValueError(f"must be a path without {' and '.join(map(repr, odd))}")
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in found.split(os.sep)):
        raise ValueError(f"must be a path of names of at most {LONGEST_NAME} bytes")
    return found


Folder = Annotated[str, Field(pattern=r"\S"), AfterValidator(_folder), Says("the path of a folder")]
RunName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=100),
    Says("text of at most 100 letters, digits, - and _, a letter or digit first"),
]
StudyName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_]*$"),
    Says("text of letters, digits and _, a letter or digit first"),
]
Confidence = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False), ONE_ZERO]
# Probes are drawn and kept for every cell, so a slip of the keyboard must not ask for millions.
Count = Annotated[int, Strict(), Field(ge=1, le=10_000)]
CountOrNone = Annotated[int, Strict(), Field(ge=0, le=1_000)]
PerClass = Annotated[int, Strict(), Field(ge=1, le=1_000_000)] | None
Pixels = Annotated[int, Strict(), Field(ge=1, le=4_096)]
PatternName = Literal[
    "flat",
    "gradient",
    "checkerboard",
    "stripes",
    "circle",
    "cross",
    "rings",
    "dots",
    "noise",
]


class DataConfig(Spec):
    """Where images come from."""

    source: SourceName = Field("digits", description="data source of every study that names none")
    root: Folder | None = Field(
        None,
        description="folder of torchvision's data sets; null: `$IDPIPE_DATA`, else `data`",
    )
    download: Bool = Field(
        True, description="let torchvision download a data set `root` does not have"
    )
    folder: Folder | None = Field(
        None, description="folder of your own images, for the source `image_folder`"
    )

    @property
    def root_folder(self) -> Path:
        """Folder of torchvision's data sets: `root`, else `$IDPIPE_DATA`, else `data`."""
        return Path(self.root or os.environ.get("IDPIPE_DATA") or "data").expanduser().absolute()


class ProbeSpec(Spec):
    """Evaluation images (Sec. 3, Sec. 3.2, Appendix A) and how outputs are compared."""

    rho: tuple[Share, ...] = Field(
        tuple(i / 10 for i in range(11)),
        description="correlations to the training image of the random probes (Sec. 3.2)",
    )
    n_per_rho: Count = Field(10, description="random probes at each rho")
    noise: Literal["normal", "uniform"] = Field(
        "normal", description="distribution of the random probes' pixels, standardized scale"
    )
    correlation: Literal["cosine", "pearson"] = Field(
        "cosine", description="what `correlation` means, in probes and in metrics"
    )
    blend: Share = Field(0.5, description="weight of the first image in a blend of two")
    unseen: CountOrNone = Field(3, description="test images of the training source")
    out_of_domain: CountOrNone = Field(3, description="images of another source")
    out_of_domain_source: StockName | None = Field(
        None,
        description="that source; null: "
        + ", ".join(f"{facts.out_of_domain} for {name}" for name, facts in SOURCES.items()),
    )
    patterns: tuple[PatternName, ...] = Field(
        ("flat", "gradient", "checkerboard", "stripes", "circle", "noise"),
        description="algorithmic patterns, drawn at the size asked for",
    )
    sizes: tuple[Pixels, ...] = Field(
        (), description="further sizes of the named probes, in pixels; CNNs only"
    )
    classifier_train_per_class: PerClass = Field(
        None,
        description="images of each class, from the training set, that the averaging classifier "
        "of Fig. 5 weighs; null: all",
    )
    classifier_test_per_class: PerClass = Field(
        None, description="images of each class, from the test set, that it classifies; null: all"
    )
    seed: Seed = Field(0, description="seed of the random probes and of the picks")

    @model_validator(mode="after")
    def _check(self) -> ProbeSpec:
        for name in ("rho", "patterns", "sizes"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"{name}: must not repeat a value")
        if not self.rho:
            raise ValueError("rho: must have at least one value from 0 to 1")
        return self


class FigureStyle(Spec):
    """How figures are drawn; no result depends on it."""

    interval: Confidence = Field(
        0.95, description="confidence level of the interval over replicates"
    )
    replicate: NonNegative = Field(0, description="replicate shown in image grids")
    colormap: Literal["viridis", "cividis", "magma", "inferno", "plasma"] = Field(
        "viridis", description="colours of the heatmaps"
    )
    dpi: Annotated[int, Strict(), Field(ge=50, le=1_200)] = Field(
        200, description="resolution of the PNGs"
    )


class Config(Spec):
    """A run: what to train, on what, how to look at it."""

    run: RunName = Field(description="name of the run; owns `results/<run>/`")
    results: Folder = Field("results", description="folder for everything that is computed")
    data: DataConfig = Field(default_factory=lambda: DataConfig(), description="image sources")
    defaults: CellSettings = Field(
        default_factory=dict, description="cell settings shared by all studies"
    )
    studies: Annotated[
        dict[StudyName, Study], Field(min_length=1), Says("a mapping of at least one study")
    ] = Field(description="name -> study")
    probes: ProbeSpec = Field(default_factory=lambda: ProbeSpec(), description="evaluation images")
    figures: FigureStyle = Field(default_factory=lambda: FigureStyle(), description="drawing")
    limits: Limits = Field(default_factory=lambda: Limits(), description="guards")


def source_key(data: DataSpec) -> str:
    """Folder name of a prepared source: its name, and for an image folder what it depends on."""
    if data.source != "image_folder":
        return data.source
    return f"image_folder-{data.digest}-{data.channels}x{data.size}"


def out_of_domain_source(data: DataSpec, probes: ProbeSpec) -> str:
    """The source of the out-of-domain probes (`probes.out_of_domain_source`)."""
    return probes.out_of_domain_source or SOURCES[data.source].out_of_domain


def probe_hash(data: DataSpec, probes: ProbeSpec, replicates: int) -> str:
    """Twelve hex digits of everything that a cell's probe set depends on."""
    content = [
        probes.model_dump(mode="json"),
        data.model_dump(mode="json"),
        out_of_domain_source(data, probes),
        replicates if data.vary else 1,
    ]
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()[:12]

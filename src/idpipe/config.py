"""The configuration: one model, checked before any job starts.

`read` (from `idpipe.settings`) merges YAML files; `load` checks the result, expands every study
into cells and raises one ConfigError that lists every problem. Neither torch nor numpy is
imported here, so that parsing a Snakefile stays cheap.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, Strict, ValidationError, model_validator

from idpipe.cells import Cell
from idpipe.data_specs import SOURCES, DataSpec, SourceName
from idpipe.errors import ConfigError
from idpipe.explain import dotted, explain, explain_part, shown
from idpipe.grid import merge
from idpipe.settings import read
from idpipe.specs import ONE_ZERO, Bool, NonNegative, Says, Seed, Share, Spec
from idpipe.studies import Limits, Settings, Study, check, expand

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}

Folder = Annotated[
    str, Field(pattern=r"\S"), AfterValidator(os.path.expanduser), Says("the path of a folder")
]
RunName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$"),
    Says("text of letters, digits, - and _, a letter or digit first"),
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


StockName = Literal["digits", "photos", "mnist", "fashion_mnist", "cifar10"]
"""Sources that are the same everywhere: all but the user's own folder."""


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
        description="that source; null: photos for digits, image_folder and cifar10, "
        "fashion_mnist for mnist, mnist for fashion_mnist, digits for photos",
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
    defaults: Settings = Field(
        default_factory=dict, description="cell settings shared by all studies"
    )
    studies: Annotated[
        dict[StudyName, Study], Field(min_length=1), Says("a mapping of at least one study")
    ] = Field(description="name -> study")
    probes: ProbeSpec = Field(default_factory=lambda: ProbeSpec(), description="evaluation images")
    figures: FigureStyle = Field(default_factory=lambda: FigureStyle(), description="drawing")
    limits: Limits = Field(default_factory=lambda: Limits(), description="guards")


@dataclass(frozen=True)
class Plan:
    """A checked configuration and the cells it asks for."""

    config: Config
    studies: dict[str, list[Cell]]
    """Each study's cells in grid order."""
    cells: dict[str, Cell]
    """Every distinct cell by id, in the order in which the studies name them."""


def load(settings: Mapping[Any, Any]) -> Plan:
    """Check `settings` and expand the studies, but those set to null.

    Raises ConfigError that lists every problem.
    """
    if isinstance(studies := settings.get("studies"), Mapping):
        asked = {name: study for name, study in studies.items() if study is not None}
        settings = {**settings, "studies": asked}
    try:
        config = Config.model_validate(settings)
    except ValidationError as error:
        raise ConfigError(explain(error, Config, settings)) from None
    problems = explain_part(config.defaults, {}, lambda loc: f"defaults.{dotted(loc)}")
    data, counts = _image_folder(config.data, problems)
    shared = merge({"data": data}, config.defaults)
    for name, study in config.studies.items():
        problems += check(name, study, shared, config.limits)
    plan = Plan(config, {}, {})
    for name, study in config.studies.items() if not problems else ():
        found, wrong = expand(name, study, shared, config.defaults, config.limits, counts)
        problems += wrong or _misfits(name, found, plan)
        plan.studies[name] = list(found.values())
        plan.cells.update(found)
    if problems:
        # One setting can spoil many cells: it is reported once, at its place.
        raise ConfigError(list({re.split(" = |: ", text)[0]: text for text in problems}.values()))
    return plan


def _image_folder(data: DataConfig, problems: list[str]) -> tuple[dict[str, Any], list[int] | None]:
    """The data settings that all cells start from; images per class of the user's own folder."""
    settings = {"source": data.source}
    if data.source != "image_folder":
        return settings, None
    folder = Path(data.folder or "")
    try:
        if data.folder is not None and folder.is_dir() and image_files(folder):
            return {**settings, "digest": folder_digest(folder)}, folder_counts(folder)
        reason = f"must be a folder of images ({', '.join(sorted(IMAGE_SUFFIXES))})"
    except OSError as error:
        reason = f"must be readable: {error}"
    except ValueError as error:
        reason = f"must hold {error}"
    problems.append(f"data.folder = {shown(data.folder)}: {reason}, as data.source asks for it")
    return settings, []


def _misfits(name: str, found: Mapping[str, Cell], plan: Plan) -> list[str]:
    """What is wrong with a study's cells beside the rest of the configuration."""
    problems = [
        f"studies.{name}: two different cells have the id {cell_id}"
        for cell_id, cell in found.items()
        if plan.cells.get(cell_id, cell) != cell
    ]
    shown_replicate = plan.config.figures.replicate
    fewest = min(cell.replicates for cell in found.values())
    if shown_replicate >= fewest:
        problems.append(
            f"figures.replicate = {shown_replicate}: must be from 0 to {fewest - 1}, for study "
            f"{name} has cells of {fewest} replicates"
        )
    return problems


def folder_digest(folder: Path) -> str:
    """SHA-256 over names and contents of every image below `folder`."""
    digest = hashlib.sha256()
    for path in image_files(folder):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def folder_counts(folder: Path) -> list[int]:
    """Training images per class of an image folder (`idpipe.sources.own_images`).

    Raises ValueError where it holds no training image, or some beside the folders of classes.
    """
    base = folder / "train" if (folder / "train").is_dir() else folder
    images = image_files(base)
    if not images:
        raise ValueError("training images, but its folder train is empty")
    classes = sorted(p for p in base.iterdir() if p.is_dir() and image_files(p))
    loose = [path for path in images if path.parent == base]
    if classes and loose:
        raise ValueError(
            f"images in folders, one per class, or none in folders; {loose[0].name} is beside "
            f"the folder {classes[0].name}"
        )
    return [len(image_files(p)) for p in classes] if classes else [len(images)]


def image_files(folder: Path) -> list[Path]:
    """Every image file below `folder`, sorted by path."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)


def source_key(data: DataSpec) -> str:
    """Folder name of a prepared source: its name, and for an image folder what it depends on."""
    if data.source != "image_folder":
        return data.source
    return f"image_folder-{data.digest}-{data.channels}x{data.size}"


def out_of_domain_source(data: DataSpec, probes: ProbeSpec) -> str:
    """The source of the out-of-domain probes (`probes.out_of_domain_source`)."""
    fallback = {"mnist": "fashion_mnist", "fashion_mnist": "mnist", "photos": "digits"}
    return probes.out_of_domain_source or fallback.get(data.source, "photos")


__all__ = ["SOURCES", "Config", "Plan", "load", "read"]

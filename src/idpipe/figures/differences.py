"""How a run's networks and probes differ from those of the paper's preset, in words.

Plans are compared, not files: what is said holds for any configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from idpipe.cells import DIGITS, NETS, SOURCES, Cell
from idpipe.config import Plan, Planned, ProbeSpec
from idpipe.figures.demands import taken
from idpipe.figures.registry import Figure

APART = ("replicates", "stop_mse")
"""Keys of a cell that are told by themselves: in both the paper's preset is not the paper."""
NAMES = {
    "net.depth": "{} layers",
    "net.width": "{} {width}",
    "net.kernel": "filter size {}",
    "net.activation": "activation {}",
    "net.bias": "biases: {}",
    "data.source": "{}",
    "data.channels": "images of {} colour channels",
    "data.size": "images of {} pixels a side",
    "data.examples": "training images {} (class/number)",
    "data.classes": "training images of class {}",
    "optimizer.name": "optimizer {}",
    "optimizer.lr": "learning rate {}",
    "optimizer.momentum": "momentum {}",
    "schedule.milestones": "learning rate lowered {}",
    "schedule.factor": "rate lowered by a factor of {}",
    "max_steps": "{} steps at most",
    "batch_size": "{} images a step",
    "init": "initialization {}",
    "train_layers": "{} layers trained",
}
"""Key of a cell -> how its values are told, in this order; others after them, by their key."""
PROBES = {
    "unseen": "{} unseen images",
    "out_of_domain": "{} images of another source",
    "out_of_domain_source": "the other source {}",
    "patterns": "patterns {}",
    "sizes": "input sizes {}",
    "rho": "correlations {}",
    "n_per_rho": "{} probes at each correlation",
    "classifier_train_per_class": "{} images a class for the classifier to weigh",
    "classifier_test_per_class": "{} images a class for it to name",
}
IMAGES = ("unseen", "out_of_domain", "out_of_domain_source", "patterns", "blend")
CLASSIFIER = ("classifier_train_per_class", "classifier_test_per_class")
LAYER_MODULES = ("layerviews", "upper")
"""Modules of figures that show what layers make of probes, and no predictions."""
CORRELATED = ("rho", "n_per_rho", "noise", "correlation")

DottedSettings = dict[str, Any]
"""A cell's settings by their dotted keys."""


def shown_cells(figure: Figure, plan: Plan) -> dict[str, list[Cell]]:
    """Study -> the networks that a figure shows of it, of the studies that the plan has."""
    return {
        demand.study: [
            network.cell
            for network in taken(
                demand, [Planned(cell.cell_id, cell) for cell in plan.studies[demand.study]]
            )
        ]
        for demand in figure.demands
        if demand.study in plan.studies
    }


def of_figure(figure: Figure, ours: Plan, paper: Plan) -> list[str]:
    """How what a figure shows differs from the paper's preset; a line each, or none."""
    theirs = shown_cells(figure, paper)
    lines: dict[str, list[str]] = {}
    for study, cells in shown_cells(figure, ours).items():
        for line in of_study(cells, theirs.get(study)):
            lines.setdefault(line, []).append(study)
    told = [
        line if len(studies) == len(figure.demands) else f"{' and '.join(studies)}: {line}"
        for line, studies in lines.items()
    ]
    return told + of_probes(figure, ours.config.probes, paper.config.probes)


def of_study(ours: Sequence[Cell], paper: Sequence[Cell] | None) -> list[str]:
    """How the networks of a study differ from the paper's; a line for each architecture."""
    if paper is None:
        return ["the paper's preset has no such study"]
    mine, theirs = ([_flat(cell) for cell in cells] for cells in (ours, paper))
    if _as_set(mine) == _as_set(theirs):
        return []
    kinds = list(dict.fromkeys(cell["net.arch"] for cell in theirs + mine))
    parts: dict[str, list[str]] = {}
    for arch in kinds:
        pair = [[cell for cell in cells if cell["net.arch"] == arch] for cells in (mine, theirs)]
        for part in _compared(arch, *pair):
            parts.setdefault(part, []).append(arch)
    lines: dict[str, list[str]] = {}
    for part, archs in parts.items():
        names = listing(f"{NETS[arch].title}s" for arch in archs)
        where = "" if archs == kinds else f"{names}: "
        lines.setdefault(where, []).append(part)
    told = [f"{where}{'; '.join(lines[where])}" for where in sorted(lines, key=bool)]
    return told or ["the same settings in other combinations"]


def of_probes(figure: Figure, ours: ProbeSpec, paper: ProbeSpec) -> list[str]:
    """How the probes that a figure shows differ from the paper's preset; a line, or none."""
    keys: list[str] = []
    if figure.images or figure.module in LAYER_MODULES:
        keys += IMAGES
    if any(name.startswith("classifier") for name in (*figure.analyses, *figure.deepest)):
        keys += CLASSIFIER
    if figure.demands and not figure.images and not figure.analyses:
        keys += CORRELATED
    keys += ["sizes"] * (figure.sizes > 0)
    changed = [key for key in keys if getattr(ours, key) != getattr(paper, key)]
    parts = [
        _instead(PROBES.get(key, f"probes.{key} {{}}"), *(_listed(p, key) for p in (ours, paper)))
        for key in changed
    ]
    return [f"probes: {'; '.join(parts)}"] if parts else []


def _listed(probes: ProbeSpec, key: str) -> list[str]:
    value = getattr(probes, key)
    if value is None:
        return ["all" if key in CLASSIFIER else "by the training images'"]
    return [_said(key, one) for one in value] if isinstance(value, tuple) else [_said(key, value)]


def _flat(cell: Cell) -> DottedSettings:
    """A cell's settings by dotted keys, its images by one key and those told apart left out."""
    settings = dict(_dotted(cell.model_dump(mode="json", exclude={*APART}), ""))
    settings["data.examples"] = cell.data.images
    if cell.net.depth == 1:
        del settings["net.width"]  # of hidden layers, which it has none of
    return settings


def _dotted(settings: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", tuple(value) if isinstance(value, list) else value


def _as_set(cells: Iterable[DottedSettings]) -> set[str]:
    return {repr(sorted(cell.items())) for cell in cells}


def _compared(
    arch: str, ours: Sequence[DottedSettings], paper: Sequence[DottedSettings]
) -> Iterator[str]:
    """What differs between two sets of networks of one architecture, key by key."""
    if not ours or not paper:
        yield "left out" if paper else "none in the paper's preset"
        return
    if _values(ours, "data.source") != _values(paper, "data.source"):
        ours, paper = _by_class(ours), _by_class(paper)
    for key in dict.fromkeys([*NAMES, *(key for cell in [*paper, *ours] for key in cell)]):
        mine, theirs = _values(ours, key), _values(paper, key)
        if set(mine) != set(theirs) and mine and theirs:
            form = NAMES.get(key, f"{key} {{}}").replace("{width}", NETS[arch].width_unit)
            yield _instead(form, mine, theirs)


def _values(cells: Iterable[DottedSettings], key: str) -> list[str]:
    """The values of a key, in the cells' order, as they are told."""
    return list(dict.fromkeys(_said(key, cell[key]) for cell in cells if key in cell))


def _by_class(cells: Iterable[DottedSettings]) -> list[DottedSettings]:
    """Where sources differ, an image's number and its pixels' scale say nothing by themselves."""
    own = ("data.examples", "data.mean", "data.std")
    return [
        {
            **{key: value for key, value in cell.items() if key not in own},
            **_classes(cell["data.source"], cell["data.examples"]),
        }
        for cell in cells
    ]


def _classes(source: str, examples: str) -> DottedSettings:
    """The digits that are trained on; the classes of other sources cannot be compared."""
    if examples == "all" or SOURCES[source].classes != DIGITS:
        return {"data.classes": "all"} if examples == "all" else {}
    return {"data.classes": " ".join(image.partition("/")[0] for image in examples.split())}


def _instead(form: str, ours: Sequence[str], paper: Sequence[str]) -> str:
    """`24 instead of 128 channels`, or which values are missing or new where there are several."""
    missing = [value for value in paper if value not in ours]
    new = [value for value in ours if value not in paper]
    if missing and new:
        return form.format(f"{listing(ours)} instead of {listing(paper)}")
    return form.format(listing(missing or new)) + (" left out" if missing else " added")


def _stages(shares: Sequence[float]) -> str:
    at = [f"{share:.0%}" for share in shares]
    return f"at {listing(at)} of the budget" if at else "never"


def listing(values: Iterable[str]) -> str:
    """Values in a sentence: `1, 3 and 5`."""
    *most, last = dict.fromkeys(values)
    return f"{', '.join(most)} and {last}" if most else last


def _said(key: str, value: object) -> str:
    tell: Callable[[Any], str] | None = {
        "data.source": lambda name: SOURCES[name].title,
        "schedule.milestones": lambda shares: _stages(shares),
        "net.kernel": lambda side: f"{side} × {side}",
    }.get(key)
    if tell is not None:
        return tell(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.12g}" if isinstance(value, float) else str(value)

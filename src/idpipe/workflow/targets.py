"""Which files a plan asks for: the workflow's view of a checked configuration. No torch here."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from idpipe.cells import Cell, DataSpec
from idpipe.config import (
    Plan,
    Planned,
    along,
    axis_keys,
    deepest,
    out_of_domain_source,
    probe_hash,
    set_by,
    source_key,
    value_at,
)
from idpipe.figures import FIGURES, problems, taken
from idpipe.store import ANALYSIS_FILES, Analysis, Layout, Selection

SCORECARD_SUFFIXES = ("png", "pdf", "csv", "md", "html")


@dataclass(frozen=True)
class ProbeTarget:
    """One probe set: the cells' data it belongs to, and the sources its images come from."""

    data: DataSpec
    replicates: int
    source: str
    """Key of the training source."""
    out_of_domain: str
    """Key of the out-of-domain source."""


class Targets:
    """Files of one run, and what each is made from."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.config = plan, plan.config
        self.layout = Layout(Path(plan.config.results))
        self._undrawable: dict[str, list[str]] = {}

    @cached_property
    def probe_sets(self) -> dict[str, ProbeTarget]:
        """Probe hash -> what the set is built from."""
        found = {}
        for cell_id, cell in self.plan.cells.items():
            key = self.probe_hashes[cell_id]
            if key not in found:
                found[key] = self._probe_target(cell)
        return found

    def _probe_target(self, cell: Cell) -> ProbeTarget:
        name = out_of_domain_source(cell.data, self.config.probes)
        other = DataSpec.model_validate({"source": name})
        return ProbeTarget(cell.data, cell.replicates, source_key(cell.data), source_key(other))

    @cached_property
    def probe_hashes(self) -> dict[str, str]:
        """Cell id -> hash of the probe set it is evaluated on."""
        return {
            cell_id: probe_hash(cell.data, self.config.probes, cell.replicates)
            for cell_id, cell in self.plan.cells.items()
        }

    @cached_property
    def sources(self) -> dict[str, DataSpec]:
        """Key of a source -> a data spec with what preparing it depends on, and nothing else."""
        found = {}
        for target in self.probe_sets.values():
            found[target.source] = _bare(target.data)
            other = out_of_domain_source(target.data, self.config.probes)
            found.setdefault(target.out_of_domain, DataSpec.model_validate({"source": other}))
        return found

    def probes(self, cell_id: str) -> Path:
        """The probe file a cell is evaluated on."""
        key = self.probe_hashes[cell_id]
        return self.layout.probes(self.probe_sets[key].source, key)

    def evaluation(self, cell_id: str) -> Path:
        """The folder of a cell's evaluation."""
        return self.layout.evaluation(cell_id, self.probe_hashes[cell_id])

    def selection(
        self,
        studies: Mapping[str, Sequence[str]] | None = None,
        analysed: Mapping[Analysis, Sequence[str]] | None = None,
    ) -> Selection:
        """What a step reads of the cells of some studies (study -> ids), by default of all.

        `analysed`: analysis -> the cells that it reads it of; by default every analysis, of all
        cells that have it.
        """
        if studies is None:
            studies = {name: self.members(name) for name in self.plan.studies}
        if analysed is None:
            analysed = {name: self.analysed(name) for name in ANALYSIS_FILES}
        ids = dict.fromkeys(itertools.chain.from_iterable(studies.values()))
        return Selection(
            cells=self.layout.root / "cells",
            studies={study: list(members) for study, members in studies.items()},
            axes={study: self._axes(study) for study in studies if study in self.plan.studies},
            probes={cell_id: self.probes(cell_id) for cell_id in ids},
            analysed={name: list(members) for name, members in analysed.items()},
        )

    def _axes(self, study: str) -> dict[str, list[str]]:
        """Axis of a study -> the dotted keys that its values set."""
        return {
            axis: list(dict.fromkeys(key for value in values for key in set_by(axis, value)))
            for axis, values in self.config.studies[study].axes.items()
        }

    def members(self, study: str) -> list[str]:
        """Ids of a study's cells, in grid order; none where the configuration lacks the study."""
        return [cell.cell_id for cell in self.plan.studies.get(study, [])]

    def lacking(self, name: str) -> list[str]:
        """What a figure needs and the configuration does not have, by its keys, or empty."""
        figure = FIGURES[name]
        studies = [f"studies.{s}" for s in figure.studies if s not in self.plan.studies]
        sizes = set(self.config.probes.sizes)
        own = [cell.data.size for s in figure.studies for cell in self.plan.studies.get(s, [])]
        if any(len(sizes - {size}) < figure.sizes for size in own):
            return [*studies, f"probes.sizes ({figure.sizes} or more beside the training image's)"]
        return studies

    def undrawable(self, name: str) -> list[str]:
        """Why a figure has no place for what its studies vary, study by study, or empty.

        Empty too where the configuration lacks one of the studies.
        """
        if name not in self._undrawable:
            shows = () if self.lacking(name) else FIGURES[name].demands
            self._undrawable[name] = [
                f"{error}{self._differing(study, error.cells)}"
                for study, error in problems(shows, self._planned)
            ]
        return self._undrawable[name]

    def drawable(self, name: str) -> bool:
        """Whether the configuration has what a figure shows, and nothing it has no place for."""
        return not self.lacking(name) and not self.undrawable(name)

    def refusals(self, names: Iterable[str]) -> list[str]:
        """A line for each reason why some of these figures cannot be drawn, or empty."""
        reasons: dict[str, list[str]] = {}
        for name in dict.fromkeys(names):
            if keys := ", ".join(self.lacking(name)):
                needs = f"needs {keys}, which the configuration does not have"
                reasons.setdefault(needs, []).append(name)
            for reason in self.undrawable(name):
                reasons.setdefault(f"cannot be drawn: {reason}", []).append(name)
        return [f"{', '.join(figures)} {reason}" for reason, figures in reasons.items()]

    @cached_property
    def _planned(self) -> dict[str, list[Planned]]:
        """Every study's networks, in grid order."""
        return {
            name: [Planned(cell.cell_id, cell) for cell in cells]
            for name, cells in self.plan.studies.items()
        }

    def _differing(self, study: str, cell_ids: Sequence[str]) -> str:
        """The axes in which cells differ that a figure has one place for."""
        settings = [self.plan.cells[cell_id].model_dump(mode="json") for cell_id in cell_ids]
        axes = [
            f"studies.{study}.axes.{axis}"
            for axis in self.config.studies[study].axes
            if len({repr(value_at(cell, axis_keys(axis))) for cell in settings}) > 1
        ]
        return f". They differ in {', '.join(axes)}" if axes else ""

    def figure_files(self, name: str) -> list[Path]:
        """Everything that is written for a figure."""
        folder = self.layout.figures(self.config.run)
        return [folder / f"{name}.{suffix}" for suffix in FIGURES[name].suffixes]

    @property
    def scorecard_files(self) -> list[Path]:
        """Everything that is written for the scorecard."""
        folder = self.layout.figures(self.config.run)
        return [folder / f"scorecard.{suffix}" for suffix in SCORECARD_SUFFIXES]

    def analysed(self, analysis: Analysis) -> list[str]:
        """Ids of the cells whose layers the figures that can be drawn ask `analysis` of."""
        asked = (self.figure_analyses(name).get(analysis, []) for name in FIGURES)
        return list(dict.fromkeys(itertools.chain.from_iterable(asked)))

    def figure_analyses(self, name: str) -> dict[Analysis, list[str]]:
        """Analysis of layers -> ids of the cells that a figure, if it can be drawn, asks it of."""
        if not self.drawable(name):
            return {}
        figure = FIGURES[name]
        found = {analysis: self.figure_cells(name) for analysis in figure.analyses}
        for analysis in figure.deepest:
            ladders = [along(study, self._planned[study]) for study in figure.studies]
            found[analysis] = [deepest(networks).cell_id for networks in ladders]
        return found

    def figure_networks(self, name: str) -> dict[str, list[str]]:
        """Study -> ids of the cells that a figure, if it can be drawn, takes of it."""
        if not self.drawable(name):
            return {}
        return {
            demand.study: [
                network.cell_id for network in taken(demand, self._planned[demand.study])
            ]
            for demand in FIGURES[name].demands
        }

    def analysis_files(self, cell_id: str, analysis: Analysis) -> list[Path]:
        """Everything that an analysis writes for a cell."""
        return [self.evaluation(cell_id) / name for name in ANALYSIS_FILES[analysis]]

    def figure_cells(self, name: str) -> list[str]:
        """Ids of the cells that a figure shows."""
        members = [cell for study in FIGURES[name].studies for cell in self.members(study)]
        return list(dict.fromkeys(members))


def _bare(data: DataSpec) -> DataSpec:
    """The source alone: which of its images train a cell changes no prepared file."""
    kept = ["source"]
    if data.source == "image_folder":
        kept += ["digest", "channels", "size"]
    return DataSpec.model_validate({key: getattr(data, key) for key in kept})

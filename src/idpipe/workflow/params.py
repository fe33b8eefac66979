"""What rules read and are told: files and parameters of each, from a plan.

Parameters are JSON that the rule's script reads; where they change, Snakemake runs the rule again.
Parsing the Snakefile imports this: neither numpy, pandas nor torch.
"""

from __future__ import annotations

from pathlib import Path

from idpipe.cells import canonical_json
from idpipe.claims import CELLS_OF
from idpipe.config import source_key
from idpipe.explorer import study_axes
from idpipe.figures import FIGURES
from idpipe.store import ANALYSIS_FILES
from idpipe.workflow import fingerprints
from idpipe.workflow.targets import Targets


def source_folder(targets: Targets, cell_id: str) -> Path:
    """Where the images that a cell trains on are prepared."""
    return targets.layout.source(source_key(targets.plan.cells[cell_id].data))


def probe_files(targets: Targets, cell_ids: list[str]) -> list[Path]:
    """The probe files that some cells are evaluated on, each once."""
    return list(dict.fromkeys(targets.probes(cell_id) for cell_id in cell_ids))


def probes(targets: Targets, key: str) -> str:
    """What a probe set is built from."""
    target = targets.probe_sets[key]
    return canonical_json(
        {
            "data": target.data.model_dump(mode="json"),
            "probes": targets.config.probes.model_dump(mode="json"),
            # As the set's hash: where replicates share their images, their number changes none.
            "replicates": target.replicates if target.data.vary else 1,
        }
    )


def analysis_tables(targets: Targets) -> list[Path]:
    """The tables of all layer-wise analyses of a run."""
    return [
        targets.evaluation(cell_id) / files[0]
        for name, files in ANALYSIS_FILES.items()
        for cell_id in targets.analysed(name)
    ]


def tables(targets: Targets) -> str:
    """The cells that the run's tables are gathered from, and by which code."""
    selection = targets.selection().model_dump(mode="json")
    return canonical_json({"selection": selection, "code": fingerprints.tables()})


def figure_inputs(targets: Targets, name: str) -> list[Path]:
    """What a figure's cells came to, and where it shows them their predictions and weights."""
    figure = FIGURES[name]
    evaluated = ["metrics.parquet", *["predictions.npz"] * figure.images]
    trained = ["cell.json", "status.json", *["weights.safetensors"] * figure.weights]
    found = []
    for cell_id in targets.figure_cells(name):
        found += [targets.layout.cell(cell_id) / file for file in trained]
        found += [targets.evaluation(cell_id) / file for file in evaluated]
    return found + [
        path
        for analysis, cells in targets.figure_analyses(name).items()
        for cell_id in cells
        for path in targets.analysis_files(cell_id, analysis)
    ]


def figure(targets: Targets, name: str) -> str:
    """What a figure is drawn from and how; an edit of its code is a change too."""
    members = {s: targets.members(s) for s in FIGURES[name].studies if s in targets.plan.studies}
    selection = targets.selection(members, targets.figure_analyses(name))
    return canonical_json(
        {
            "name": name,
            "style": targets.config.figures.model_dump(mode="json"),
            "selection": selection.model_dump(mode="json"),
            "shown": targets.figure_networks(name),
            "code": fingerprints.figure(name),
        }
    )


def evidence_cells(targets: Targets) -> dict[str, list[str]]:
    """Study -> ids of its cells that `evidence` measures; none that its figure refuses."""
    found = {}
    for study, asked in CELLS_OF.items():
        cells = targets.plan.studies.get(study, [])
        chosen = [cell.cell_id for cell in cells if asked.depth in (None, cell.net.depth)]
        if chosen and targets.drawable(asked.figure):
            found[study] = chosen
    return found


def evidence_inputs(targets: Targets) -> list[Path]:
    """Files of the cells that the table `evidence` measures."""
    found = []
    for study, cells in evidence_cells(targets).items():
        trained = ["cell.json", "status.json", *CELLS_OF[study].cell_files]
        evaluated = ["metrics.parquet", *CELLS_OF[study].evaluation_files]
        for cell_id in cells:
            found += [targets.layout.cell(cell_id) / file for file in trained]
            found += [targets.evaluation(cell_id) / file for file in evaluated]
    return found


def evidence_probes(targets: Targets) -> list[Path]:
    """The probe files of the cells that the table `evidence` measures."""
    cells = evidence_cells(targets).values()
    return probe_files(targets, [cell_id for members in cells for cell_id in members])


def evidence(targets: Targets) -> str:
    """What the table `evidence` measures, and by which code."""
    selection = targets.selection(evidence_cells(targets), {})
    return canonical_json(
        {
            "selection": selection.model_dump(mode="json"),
            "correlation": targets.config.probes.correlation,
            "code": fingerprints.evidence(),
        }
    )


def scorecard(targets: Targets) -> str:
    """How claims are judged and told; an edit of a claim or of that code is a change."""
    return canonical_json(
        {
            "run": targets.config.run,
            "style": targets.config.figures.model_dump(mode="json"),
            "code": fingerprints.scorecard(),
        }
    )


def explorer_inputs(targets: Targets) -> list[Path]:
    """What the explorer shows of every cell."""
    found = []
    for cell_id in targets.plan.cells:
        found += [targets.layout.cell(cell_id) / file for file in ("cell.json", "status.json")]
        found.append(targets.evaluation(cell_id) / "predictions.npz")
    views = ANALYSIS_FILES["layers"][1]
    return found + [targets.evaluation(cell) / views for cell in targets.analysed("layers")]


def explorer(targets: Targets) -> str:
    """How the explorer is drawn, and by which code."""
    found = study_axes(targets.plan).items()
    return canonical_json(
        {
            "run": targets.config.run,
            "style": targets.config.figures.model_dump(mode="json"),
            "axes": {study: [[axis.key, axis.values] for axis in each] for study, each in found},
            "code": fingerprints.explorer(),
        }
    )

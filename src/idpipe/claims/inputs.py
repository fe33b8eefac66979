"""Which cells' files the table `evidence` is made from. Parsing the Snakefile imports this."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Asked:
    """What is measured of a study.

    Attributes:
        what: name of the measurement in `idpipe.claims.evidence`.
        figure: the figure that asks the same of the study; where it cannot be drawn, neither can
            this be measured.
        cell_files: files of a cell's folder that are read, beside its settings and status.
        evaluation_files: files of its evaluation.
        depth: of the cells that are read; None for all.
    """

    what: str
    figure: str
    cell_files: tuple[str, ...] = ()
    evaluation_files: tuple[str, ...] = ()
    depth: int | None = None


CELLS_OF = {
    "theorem1": Asked("theorem1", "theorem1", ("weights.safetensors",)),
    "theorem2": Asked("theorem2", "theorem2", ("weights.safetensors",)),
    "cnn_kernel": Asked("sharpness", "fig26", (), ("predictions.npz",)),
    "few_examples": Asked("mixture", "fig38", (), ("predictions.npz",)),
    "cnn_depth": Asked("upper", "fig24", (), ("layers.npz",), 20),
}

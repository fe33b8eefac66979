"""Figures: what each is made of, and pure functions from a run's results to matplotlib figures.

Parsing the Snakefile imports this face, so it hands on nothing that draws: `idpipe.figures.draw` is
asked for a figure by its name.
"""

from idpipe.figures.demands import problems, taken
from idpipe.figures.registry import FIGURES, Figure

__all__ = ["FIGURES", "Figure", "problems", "taken"]

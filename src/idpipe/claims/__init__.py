"""The scorecard: the paper's claims, what a run says of each, and how it is told.

`claims.yaml` is the list; `evidence` measures what no other table holds; `verdicts` judges;
`texts` and `picture` write. Parsing the Snakefile imports this face.
"""

from idpipe.claims.inputs import CELLS_OF

__all__ = ["CELLS_OF"]

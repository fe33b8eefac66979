"""The explorer: a run's cells as one page of HTML that needs neither server nor network.

`page` writes it; `axes`, `map`, `details` and `sprites` make what it holds, and `page/` is what it
looks like and how it works. Parsing the Snakefile
imports this face.
"""

from idpipe.explorer.axes import study_axes

__all__ = ["study_axes"]

"""Settings that the environment gives."""

from __future__ import annotations

import os

from idpipe.errors import IdpipeError


def seconds(variable: str, usual: float) -> float:
    """A number of seconds, at least 0, by default `usual`. Raises IdpipeError on anything else."""
    text = os.environ.get(variable, str(usual))
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if found >= 0:
        return found
    raise IdpipeError(f"{variable}={text}: must be a number of seconds, at least 0")

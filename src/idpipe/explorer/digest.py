"""A digest of the code that makes the page, so that an edit remakes it.

Files are read, not imported: parsing the Snakefile asks for this.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

FOLDER = Path(__file__).parent


def digest() -> str:
    """12 hex digits of what `idpipe.explorer` and its page are made of."""
    found = hashlib.sha256()
    for path in sorted([*FOLDER.glob("*.py"), *(FOLDER / "page").iterdir()]):
        found.update(f"{path.name} {path.stat().st_size} ".encode() + path.read_bytes())
    return found.hexdigest()[:12]

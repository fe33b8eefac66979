"""How the C library gives memory back, on which every step of a training on a CPU depends."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Numbers of `mallopt`'s parameters in glibc's malloc.h."""
KEPT = 2**30
"""Bytes free at the top of the heap that are kept."""
MAPPED = 2**25
"""Bytes from which on a block is a mapping of its own; the most that all versions take."""


def keep_freed() -> bool:
    """Keep freed memory for what is allocated next, in this process from now on.

    By default glibc returns it to the system as soon as the top of the heap is free, so that the
    gradients of every step are built on pages that must be mapped and zeroed anew.

    Returns:
        whether this C library can be told so; others (musl, macOS) are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, MAPPED) and mallopt(M_TRIM_THRESHOLD, KEPT))

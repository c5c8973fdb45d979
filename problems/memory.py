"""Memory of the process that is free, given back to the system."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable

__all__ = ["LARGE", "give_back"]

LARGE = 2**21
"""Bytes of an array whose work leaves enough behind for it to be worth giving back."""


def give_back(size: int = LARGE) -> None:
    """Return what the allocator keeps of arrays that are gone, behind work on one of `size` bytes.

    Only where the C library can, as glibc; arrays of some megabytes, freed in another order than they were
    made, leave it with holes as large as they were. It costs microseconds a hole, hence none for small ones.
    """
    trim = _trim()
    if trim is not None and size >= LARGE:
        trim(0)


@functools.cache
def _trim() -> Callable[[int], int] | None:
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library
        return None
    return found

"""Memory that a field has used is kept for the next one."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

_KEPT = {
    -8: 1,  # M_ARENA_MAX: one heap for all threads
    -3: 32 * 2**20,  # M_MMAP_THRESHOLD, its largest value: planes of a field come from the heap
    -1: 2**30,  # M_TRIM_THRESHOLD
    -2: 64 * 2**20,  # M_TOP_PAD
}


@cache
def disable_malloc_trim() -> None:
    """Let this process keep freed memory rather than ask the system for it again and again.

    The system hands out pages of zeros one by one: over the fields of a batch that was a quarter of
    the time. Only the C library of most Linux systems can be told; elsewhere nothing is done.
    """
    if sys.platform != "linux":
        return
    try:
        tell = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    for option, value in _KEPT.items():
        tell(option, value)

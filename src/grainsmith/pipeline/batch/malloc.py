"""Keep freed memory in the process for the next field."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

_OPTIONS = {
    -8: 1,  # M_ARENA_MAX: one heap for all threads
    -3: 32 * 2**20,  # M_MMAP_THRESHOLD, its largest value: planes of a field come from the heap
    -1: 2**30,  # M_TRIM_THRESHOLD
    -2: 64 * 2**20,  # M_TOP_PAD
}


@cache
def disable_malloc_trim() -> None:
    """Make malloc keep freed memory instead of returning it to the system.

    Fresh zeroed pages took a quarter of the time of a batch. Only glibc has these options; nothing
    is done elsewhere.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    for option, value in _OPTIONS.items():
        mallopt(option, value)

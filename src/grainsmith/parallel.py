"""Compile loops over pixels with numba and run them in threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numba as nb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Func = TypeVar("Func")
T = TypeVar("T")
R = TypeVar("R")


def compiled(func: Func) -> Func:
    """Compile a function with numba, cached on disk and releasing the GIL.

    Threads of our own (`map_threads`) replace numba's `parallel`: without TBB or OpenMP, two Python
    threads that enter numba's thread pool at once (a panel and a worker) abort the program.
    """
    jitted: Func = nb.njit(cache=True, nogil=True)(func)
    return jitted


def thread_count() -> int:
    """Return the number of threads for loops over pixels; NUMBA_NUM_THREADS limits it."""
    return min(nb.config.NUMBA_NUM_THREADS, 16)


def map_threads(func: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Apply a function that releases the GIL to every item, in threads, keeping the order."""
    items = list(items)
    if len(items) < 2:
        return [func(item) for item in items]
    with ThreadPoolExecutor(thread_count()) as pool:
        return list(pool.map(func, items))

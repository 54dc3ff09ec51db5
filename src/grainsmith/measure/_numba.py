"""How the loops over pixels are compiled, and run side by side."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import numba as nb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Func = TypeVar("Func")


def compiled(func: Func) -> Func:
    """Compile a function with numba; keep it on disk, and let go of the GIL while it runs.

    Threads of our own (`in_threads`) take the place of numba's `parallel`: where numba finds
    neither TBB nor OpenMP, two Python threads that enter its pool at once (a panel and a worker)
    abort the whole program.
    """
    jitted: Func = nb.njit(cache=True, nogil=True)(func)
    return jitted


def thread_count() -> int:
    """Return how many threads the loops over grains use; NUMBA_NUM_THREADS limits them."""
    return min(nb.config.NUMBA_NUM_THREADS, 16)


def in_threads(func: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """Return func(item) for every item, in order."""
    with ThreadPoolExecutor(thread_count()) as pool:
        return list(pool.map(func, items))

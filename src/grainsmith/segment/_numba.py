"""Shared set-up of the compiled, parallel functions."""

from __future__ import annotations

import threading

import numba as nb

parallel_jit = nb.njit(cache=True, nogil=True, parallel=True)

kernel_lock = threading.Lock()
"""Held around every parallel function: numba's workqueue threading layer, the only one on some
machines, aborts the process when two Python threads enter it at once."""

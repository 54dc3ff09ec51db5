"""Functions for the engine's tests, in a module that workers can import."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from grainsmith.errors import ReadError


def square(item, on_progress):
    on_progress(1, 2)
    if item == 3:
        raise ReadError("three cannot be read")
    on_progress(2, 2)
    return item * item, os.getpid()


def slow(item, on_progress):
    """Say who works on the item; take 100 short steps."""
    folder, number = item
    Path(folder, f"{number}.pid").write_text(str(os.getpid()))
    for step in range(100):
        time.sleep(0.02)
        on_progress(step, 100)
    return number


def in_threads(item, on_progress):
    """Report from two threads; the first to fail is raised, the second fails later."""

    def report(pause_s):
        time.sleep(pause_s)
        on_progress(1, 2)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(report, (0.0, 0.05)))


def die(item, on_progress):
    os._exit(1)

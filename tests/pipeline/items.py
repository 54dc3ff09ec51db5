"""Functions for the engine's tests, in a module that workers can import."""

import os
import time
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


def die(item, on_progress):
    os._exit(1)

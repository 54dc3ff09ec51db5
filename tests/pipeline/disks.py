"""A disk of its own that a little fills."""

import shutil
import subprocess
import time
from contextlib import contextmanager

import pytest


@contextmanager
def small_disk(place, size="512k"):
    """Yield a folder that is a disk of some size; skips where none can be mounted."""
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)],
        capture_output=True, text=True, check=False,
    ) if shutil.which("mount") else None  # fmt: skip
    if mounted is None or mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted and mounted.stderr.strip()}")
    try:
        yield place
    finally:
        time.sleep(0.2)
        subprocess.run(["umount", "-l", str(place)], check=False)


def resize(disk, size):
    """Give a small disk another size, in bytes or as `mount` takes it."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


def used(disk):
    """Return the bytes that are taken on a disk."""
    return shutil.disk_usage(disk).used

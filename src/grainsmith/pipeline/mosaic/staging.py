"""The folder of a mosaic's result while it is not whole yet."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from grainsmith.errors import Hint, WriteError
from grainsmith.io.files.atomic_write import os_error_reason
from grainsmith.io.files.locks import exclusive_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from grainsmith.pipeline.mosaic.blocks import Job

_TILE_BYTES = 8  # on disk, per pixel of the network's grid, overlaps included


def check_free(target: Path) -> None:
    """Refuse a result that is there already."""
    if target.exists():
        raise WriteError(f"{target} exists already", hint=Hint.CHOOSE_OUTPUT)


@contextmanager
def work_folder(target: Path) -> Iterator[Path]:
    """Give the folder of a result that is not whole yet to one run at a time."""
    folder = target.with_name(target.name + ".part")
    busy = WriteError(f"another run is writing {target}", hint=Hint.WAIT_OR_CHOOSE_OUTPUT)
    is_of_no_use = False
    try:
        with exclusive_lock(folder / "lock", busy=busy):
            try:
                check_free(target)  # the other run may have ended just now
                yield folder
            finally:
                is_of_no_use = target.exists() or not (folder / "job.json").exists()
    finally:
        if is_of_no_use:
            shutil.rmtree(folder, ignore_errors=True)


def check_room(folder: Path, job: Job) -> None:
    """Refuse to begin where the disk has no room for what is still to be written."""
    grids = [job.layout.grid(s) for s in range(len(job.layout.scales))]
    grid = sum(rows * columns for rows, columns in grids)
    needed = grid * _TILE_BYTES + 3 * job.mosaic.shape[0] * job.mosaic.shape[1]
    # What an earlier run has done takes no more room.
    needed -= sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise WriteError(
            f"{folder} needs about {needed / 1e9:.1f} GB while it works and {free / 1e9:.1f} GB "
            "are free: choose another disk or free some space"
        )


def to_be_resumed(folder: Path, error: OSError | WriteError) -> WriteError:
    """Return what is to be said where the work broke off."""
    why = str(error)
    if isinstance(error, OSError):  # zarr's own
        why = f"{folder} could not be written: {os_error_reason(error)}"
    return WriteError(
        f"{why.rstrip('.')}. Finished blocks stay in {folder}", hint=Hint.FREE_SPACE_AND_RESUME
    )

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


def check_target_is_new(target: Path) -> None:
    """Raise WriteError if the output exists."""
    if target.exists():
        raise WriteError(f"{target} exists already", hint=Hint.CHOOSE_OUTPUT)


@contextmanager
def staging_folder(target: Path) -> Iterator[Path]:
    """Lock and yield the folder of an unfinished result; remove it if nothing is kept in it."""
    folder = target.with_name(target.name + ".part")
    busy = WriteError(f"another run is writing {target}", hint=Hint.WAIT_OR_CHOOSE_OUTPUT)
    is_disposable = False
    try:
        with exclusive_lock(folder / "lock", busy=busy):
            try:
                check_target_is_new(target)  # another run may have just finished
                yield folder
            finally:
                is_disposable = target.exists() or not (folder / "job.json").exists()
    finally:
        if is_disposable:
            shutil.rmtree(folder, ignore_errors=True)


def check_disk_space(folder: Path, job: Job) -> None:
    """Raise WriteError if the disk is too full for what remains to be written."""
    grids = [job.layout.grid(s) for s in range(len(job.layout.scales))]
    grid = sum(rows * columns for rows, columns in grids)
    needed = grid * _TILE_BYTES + 3 * job.mosaic.shape[0] * job.mosaic.shape[1]
    # Files of an interrupted run need no further space.
    needed -= sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise WriteError(
            f"{folder} needs about {needed / 1e9:.1f} GB while it works and {free / 1e9:.1f} GB "
            "are free: choose another disk or free some space"
        )


def resumable_error(folder: Path, error: OSError | WriteError) -> WriteError:
    """Return the error of an interrupted run, with the hint to resume it."""
    why = str(error)
    if isinstance(error, OSError):  # raised by zarr
        why = f"{folder} could not be written: {os_error_reason(error)}"
    return WriteError(
        f"{why.rstrip('.')}. Finished blocks stay in {folder}", hint=Hint.FREE_SPACE_AND_RESUME
    )

"""Cache of coarser levels for large TIFFs without a pyramid.

Without them, a view of the whole mosaic would read all of its pixels each time it moves.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_cache_path

from grainsmith.data import no_progress
from grainsmith.errors import WriteError
from grainsmith.io.mosaics.ome_zarr import build_coarser_levels, create_pyramid, open_levels
from grainsmith.io.mosaics.reader import LARGE_PX, open_mosaic

if TYPE_CHECKING:
    from grainsmith.data import OnProgress
    from grainsmith.io.mosaics.reader import Mosaic

_MAX_PYRAMIDS = 12
"""Number of cached pyramids; the least recently used are removed."""


def needs_pyramid(mosaic: Mosaic) -> bool:
    """Return whether a mosaic is large and has neither its own nor cached coarser levels."""
    rows, columns = mosaic.shape
    is_large = rows * columns > LARGE_PX and len(mosaic.levels) == 1
    return is_large and not _place(mosaic).is_dir()


def open_with_pyramid(path: str | Path, *, on_progress: OnProgress = no_progress) -> Mosaic:
    """Open a mosaic; compute and cache coarser levels if it is large and has none.

    Parameters
    ----------
    path : str or Path
    on_progress : callable
        Called as on_progress(levels done, total levels); an exception leaves nothing behind.

    Raises
    ------
    ReadError
        See `open_mosaic`.
    WriteError
        There is no space for the coarser levels, a third of the image.
    """
    mosaic = open_mosaic(path)
    rows, columns = mosaic.shape
    if len(mosaic.levels) > 1 or rows * columns <= LARGE_PX:
        return mosaic
    place = _place(mosaic)
    if not place.is_dir():
        _make(mosaic, place, on_progress)
    os.utime(place)
    import dask.array as da

    coarser = [da.from_zarr(level, name=False) for level in open_levels(place)]
    return replace(mosaic, levels=(mosaic.levels[0], *coarser))


def _make(mosaic: Mosaic, place: Path, on_progress: OnProgress) -> None:
    full = mosaic.levels[0]
    half = tuple(-(-n // 2) for n in full.shape[:2])
    part = place.with_name(f"{place.name}.{os.getpid()}-{time.monotonic_ns()}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        needed = full.size * full.dtype.itemsize // 3
        if shutil.disk_usage(part.parent).free < needed:
            raise WriteError(
                f"{part.parent} has no space for the coarser levels of {mosaic.source}, "
                f"{needed / 1e6:.0f} MB: free some space, or save the image with a pyramid"
            )
        levels = create_pyramid(
            part, name="overview", shape=(*half, *full.shape[2:]), dtype=full.dtype, pixel_size_um=0
        )
        build_coarser_levels([_Windows(mosaic), *levels], labels=False, on_progress=on_progress)
        part.rename(place)
    except OSError as error:
        if not place.is_dir():  # else another process has finished first
            raise WriteError(f"{place} could not be made: {error.strerror or error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    _forget_old(place.parent)


class _Windows:
    """First level of a mosaic as an array that reports which part is damaged."""

    def __init__(self, mosaic: Mosaic) -> None:
        self._mosaic = mosaic
        self.shape = mosaic.shape

    def __getitem__(self, window: tuple[slice, slice]) -> Any:
        (y0, y1, _), (x0, x1, _) = (
            part.indices(n) for part, n in zip(window, self.shape, strict=True)
        )
        return self._mosaic.window(y0, y1, x0, x1)


def _place(mosaic: Mosaic) -> Path:
    file = Path(mosaic.source).resolve()
    status = file.stat()
    key = f"{file}|{status.st_size}|{status.st_mtime_ns}"
    return _root() / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.zarr"


def _root() -> Path:
    folder = os.environ.get("GRAINSMITH_CACHE", "")
    return (Path(folder) if folder else user_cache_path("grainsmith")) / "overviews"


def _forget_old(root: Path) -> None:
    kept = sorted(root.glob("*.zarr"), key=lambda path: path.stat().st_mtime)
    for path in kept[:-_MAX_PYRAMIDS]:
        shutil.rmtree(path, ignore_errors=True)

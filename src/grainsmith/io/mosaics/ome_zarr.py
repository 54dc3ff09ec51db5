"""Write pyramids as OME-Zarr 0.5: an image, and the labels on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grainsmith.errors import ReadError, WriteError
from grainsmith.io.mosaics.reader import ZARR_MISSING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grainsmith.data import OnProgress

CHUNK_PX = 512
_SMALLEST_PX = 1024
_AT_ONCE_PX = 4096


def create_pyramid(
    folder: str | Path,
    *,
    name: str,
    shape: tuple[int, ...],
    dtype: Any,
    pixel_size_um: float,
    labels: bool = False,
) -> list[Any]:
    """Make an empty pyramid of OME-Zarr 0.5 with levels of half the size down to 1024 px.

    Parameters
    ----------
    folder : str or Path
        Of the pyramid's group; what is there is replaced.
    name : str
        Of the image.
    shape : (Y, X) or (Y, X, 3)
    dtype : dtype
    pixel_size_um : float
        0 = unknown: then the axes have no unit.
    labels : bool
        Say in the metadata that these are labels.

    Returns
    -------
    list of zarr arrays
        The largest first.

    Raises
    ------
    WriteError
        The folder cannot be written, or zarr is not installed.
    """
    try:
        import zarr
    except ImportError as error:
        raise WriteError(f"{folder}: {ZARR_MISSING}") from error
    try:
        group = zarr.open_group(folder, mode="a", zarr_format=3)
        arrays = []
        for number, size in enumerate(_sizes(shape)):
            arrays.append(
                group.create_array(
                    str(number),
                    shape=(*size, *shape[2:]),
                    chunks=(min(CHUNK_PX, size[0]), min(CHUNK_PX, size[1]), *shape[2:]),
                    dtype=dtype,
                    dimension_names=["y", "x", "c"][: len(shape)],
                    overwrite=True,
                )
            )
        group.attrs["ome"] = _metadata(name, len(shape), len(arrays), pixel_size_um, labels=labels)
    except OSError as error:
        raise WriteError(f"{folder} could not be written: {error.strerror or error}") from error
    return arrays


def write_labels_group(folder: str | Path, names: list[str]) -> None:
    """Write the group `labels` that lists the labels of an image."""
    import zarr

    group = zarr.open_group(Path(folder) / "labels", mode="a", zarr_format=3)
    group.attrs["ome"] = {"version": "0.5", "labels": names}


def open_levels(folder: str | Path, *, writable: bool = False) -> list[Any]:
    """Open the levels of a pyramid that `create_pyramid` has made."""
    try:
        import zarr

        group = zarr.open_group(folder, mode="r+" if writable else "r")
        return [group[str(number)] for number in range(len(list(group.array_keys())))]
    except ImportError as error:
        raise ReadError(f"{folder}: {ZARR_MISSING}") from error
    except Exception as error:  # zarr raises anything on broken folders
        raise ReadError(f"{folder} holds no pyramid that can be opened: {error}") from error


def build_coarser_levels(
    levels: list[Any],
    *,
    labels: bool,
    window: tuple[int, int, int, int] | None = None,
    on_progress: OnProgress | None = None,
) -> None:
    """Compute every level from the one before it, piece by piece.

    Parameters
    ----------
    levels : list of zarr arrays
    labels : bool
        True takes every second pixel (labels are never mixed), False the mean of 2 x 2.
    window : (y0, y1, x0, x1), optional
        Only this part of the first level has changed.
    on_progress : callable, optional
        Told (levels done, levels in all).
    """
    y0, y1, x0, x1 = window or (0, levels[0].shape[0], 0, levels[0].shape[1])
    for number in range(1, len(levels)):
        finer, coarser = levels[number - 1], levels[number]
        y0, x0 = y0 // 2, x0 // 2
        y1 = min(-(-y1 // 2), coarser.shape[0])
        x1 = min(-(-x1 // 2), coarser.shape[1])
        for top, left, bottom, right in _pieces(y0, y1, x0, x1):
            part = np.asarray(finer[2 * top : 2 * bottom, 2 * left : 2 * right])
            coarser[top:bottom, left:right] = part[::2, ::2] if labels else _mean_of_four(part)
        if on_progress:
            on_progress(number, len(levels) - 1)


def _mean_of_four(part: Any) -> Any:
    odd = [(0, n % 2) for n in part.shape[:2]] + [(0, 0)] * (part.ndim - 2)
    whole = np.pad(part, odd, mode="edge")
    quarters = [whole[a::2, b::2].astype(np.float32) for a in (0, 1) for b in (0, 1)]
    mean: Any = sum(quarters) / 4
    return (np.rint(mean) if part.dtype.kind in "iu" else mean).astype(part.dtype)


def _pieces(y0: int, y1: int, x0: int, x1: int) -> Iterator[tuple[int, int, int, int]]:
    """Windows that begin at whole chunks, so that none is written twice at once."""
    for top in range(y0 - y0 % _AT_ONCE_PX, y1, _AT_ONCE_PX):
        for left in range(x0 - x0 % _AT_ONCE_PX, x1, _AT_ONCE_PX):
            yield (
                max(top, y0),
                max(left, x0),
                min(top + _AT_ONCE_PX, y1),
                min(left + _AT_ONCE_PX, x1),
            )


def _sizes(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    sizes = [(shape[0], shape[1])]
    while max(sizes[-1]) > _SMALLEST_PX:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    return sizes


def _metadata(
    name: str, ndim: int, n_levels: int, pixel_size_um: float, *, labels: bool
) -> dict[str, Any]:
    unit = {"unit": "micrometer"} if pixel_size_um > 0 else {}
    axes: list[dict[str, str]] = [{"name": n, "type": "space", **unit} for n in ("y", "x")]
    if ndim == 3:
        axes.append({"name": "c", "type": "channel"})
    datasets = []
    for number in range(n_levels):
        side = (pixel_size_um or 1.0) * 2**number
        # A coarse pixel's centre lies between those of the finer ones; labels take the first.
        shift = 0.0 if labels else (side - (pixel_size_um or 1.0)) / 2
        scale, move = [side, side, 1.0][:ndim], [shift, shift, 0.0][:ndim]
        steps: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
        if shift:
            steps.append({"type": "translation", "translation": move})
        datasets.append({"path": str(number), "coordinateTransformations": steps})
    attributes: dict[str, Any] = {
        "version": "0.5",
        "multiscales": [{"name": name, "axes": axes, "datasets": datasets}],
    }
    if labels:
        attributes["image-label"] = {"version": "0.5", "source": {"image": "../../"}}
    return attributes

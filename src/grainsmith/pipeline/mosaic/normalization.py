"""Gray limits, orientation and grain diameter of a whole mosaic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from grainsmith.errors import MismatchError
from grainsmith.io.mosaics.reader import to_gray
from grainsmith.segment.orientation import Orientation
from grainsmith.segment.prediction import estimate_diameter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grainsmith.io.mosaics.reader import Mosaic
    from grainsmith.models.model import Model
    from grainsmith.segment import SegmentSettings
    from grainsmith.segment.tiled import Window

_SAMPLE_PX = 1536
_STRIP_PX = 16_000_000
_PLACES = (0.5, 0.2, 0.8)


def strips(shape: tuple[int, int], multiple: int = 1) -> Iterator[tuple[int, int]]:
    """Yield strips of rows of about 16 megapixels, each a multiple of so many rows high."""
    height = max(multiple, _STRIP_PX // shape[1] // multiple * multiple)
    for y in range(0, shape[0], height):
        yield y, min(y + height, shape[0])


def gray_limits(mosaic: Mosaic) -> tuple[float, float]:
    """Compute the 1st and 99th percentile of every k-th pixel.

    Raises
    ------
    MismatchError
        The mosaic is constant.
    """
    rows, columns = mosaic.shape
    step_y, step_x = max(1, rows // 1024), max(1, columns // 1024)
    sampled = [
        to_gray(mosaic.window(first, end, 0, columns)[::step_y, ::step_x]).ravel()
        for first, end in strips(mosaic.shape, step_y)
    ]
    grey = np.concatenate(sampled)
    grey = grey[np.isfinite(grey)]
    low, high = np.percentile(grey, (1, 99)) if len(grey) else (0.0, 0.0)
    if high <= low:
        raise MismatchError(f"{mosaic.source} is constant: it shows no grains")
    return float(low), float(high)


def normalize_window(
    mosaic: Mosaic, window: Window, low: float, high: float
) -> npt.NDArray[np.float32]:
    """Return gray values of a window, 0 = black, 1 = white; NaN becomes black."""
    grey = to_gray(mosaic.window(*window))
    grey = np.where(np.isfinite(grey), grey, np.float32(low))
    return np.clip((grey - np.float32(low)) / np.float32(high - low), -1, 3).astype(np.float32)


def canonical_orientation(mosaic: Mosaic, low: float, high: float) -> Orientation:
    """Return the canonical orientation of the whole image, read in strips."""
    rows, columns = mosaic.shape
    half_rows, half_columns = rows // 2, columns // 2
    top = bottom = left = right = down = along = 0.0
    for first, end in strips(mosaic.shape):
        # The row above belongs to the previous strip; only its differences count here.
        above = max(0, first - 1)
        seen = normalize_window(mosaic, (above, end, 0, columns), low, high)
        grey = seen[first - above :]
        by_row = grey.sum(axis=1, dtype=np.float64)
        top += float(by_row[: max(0, half_rows - first)].sum())
        bottom += float(by_row[max(0, rows - half_rows - first) :].sum())
        left += float(grey[:, :half_columns].sum(dtype=np.float64))
        right += float(grey[:, columns - half_columns :].sum(dtype=np.float64))
        if rows == columns:
            down += float(np.abs(np.diff(seen, axis=0)).sum(dtype=np.float64))
            along += float(np.abs(np.diff(grey, axis=1)).sum(dtype=np.float64))
    return Orientation(
        upside_down=bottom > top,
        left_right=right > left,
        exchanged=down > along if rows == columns else rows > columns,
    )


def typical_diameter(
    mosaic: Mosaic,
    model: Model,
    settings: SegmentSettings,
    *,
    orientation: Orientation,
    low: float,
    high: float,
) -> float:
    """Estimate the grain diameter in px: the median of three places on the diagonal."""
    diameters = []
    for share in _PLACES:
        edges: list[int] = []
        for n in mosaic.shape:
            first = int(max(0, min(n - _SAMPLE_PX, n * share - _SAMPLE_PX / 2)))
            edges += [first, min(n, first + _SAMPLE_PX)]
        grey = normalize_window(mosaic, (edges[0], edges[1], edges[2], edges[3]), low, high)
        diameters.append(estimate_diameter(orientation.apply(grey), model, settings))
    return float(np.median(diameters))


def oriented_shape(orientation: Orientation, shape: tuple[int, int]) -> tuple[int, int]:
    """Return the shape of an image after a change of orientation."""
    return shape[::-1] if orientation.exchanged else shape


def oriented_window(orientation: Orientation, window: Window, shape: tuple[int, int]) -> Window:
    """Return the position of a window after a change of orientation of its image."""
    y0, y1, x0, x1 = _mirrored(orientation, window, shape)
    return (x0, x1, y0, y1) if orientation.exchanged else (y0, y1, x0, x1)


def source_window(orientation: Orientation, window: Window, shape: tuple[int, int]) -> Window:
    """Return the window of an image of this shape that became a window of the oriented one."""
    y0, y1, x0, x1 = window
    return _mirrored(orientation, (x0, x1, y0, y1) if orientation.exchanged else window, shape)


def revert_labels(orientation: Orientation, labels: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Return labels of the oriented image in the original orientation."""
    plane = labels.T if orientation.exchanged else labels
    down = slice(None, None, -1 if orientation.upside_down else 1)
    along = slice(None, None, -1 if orientation.left_right else 1)
    return np.ascontiguousarray(plane[down, along])


def _mirrored(orientation: Orientation, window: Window, shape: tuple[int, int]) -> Window:
    y0, y1, x0, x1 = window
    if orientation.upside_down:
        y0, y1 = shape[0] - y1, shape[0] - y0
    if orientation.left_right:
        x0, x1 = shape[1] - x1, shape[1] - x0
    return y0, y1, x0, x1

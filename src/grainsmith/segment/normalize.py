"""Grey values and scales: what the network is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from grainsmith.segment._numba import kernel_lock

if TYPE_CHECKING:
    from grainsmith.data import Image

BEYOND_PX = 16
"""Network pixels by which an image goes on beyond its edges, as its mirror image: what an edge
cuts is then seen as something whole, whose middle lies on the edge."""
_FEWEST_BLOCKS = 64
"""Of fewer, the scatter says little."""


def to_grey(image: Image) -> tuple[npt.NDArray[np.float32], str]:
    """Normalise an image: 1st..99th percentile to 0..1.

    Returns
    -------
    grey : (Y, X) float32 array
        Not-a-number and infinite pixels become the darkest value.
    note : str
        Why nothing can be found; "" where the image is usable.
    """
    if image.size == 0:
        return np.zeros((max(1, image.shape[0]), max(1, image.shape[1])), np.float32), (
            "the image is empty: there is nothing to find"
        )
    grey = np.asarray(image, dtype=np.float32)
    if grey.ndim == 3:
        grey = grey[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)
    finite = np.isfinite(grey)
    if not finite.any():
        return np.zeros(
            grey.shape, np.float32
        ), "the image holds no number: there is nothing to find"
    if not finite.all():
        grey = np.where(finite, grey, grey[finite].min())
    if min(grey.shape) < 4:
        return grey, f"the image is only {grey.shape[0]} x {grey.shape[1]} px: too small for grains"
    low, high = np.percentile(
        grey[:: max(1, len(grey) // 1024), :: max(1, grey.shape[1] // 1024)], (1, 99)
    )
    if high <= low:
        low, high = float(grey.min()), float(grey.max())
    if high <= low:
        return np.zeros(grey.shape, np.float32), "the image is constant: there is nothing to find"
    normalised = np.clip((grey - low) / np.float32(high - low), -1, 3)
    return normalised, "" if _has_structure(normalised) else (
        "the image is nothing but noise: there is nothing to find"
    )


def _has_structure(grey: npt.NDArray[np.float32]) -> bool:
    """Say whether neighbouring pixels have anything in common.

    In pure noise the means of blocks of k x k pixels have 1 / k^2 of the variance of the pixels,
    with a standard error that follows from the pixels' kurtosis. In an image they have more, by
    over five standard errors, at some size of block.
    """
    away = grey - grey.mean()
    variance = float((away**2).mean())
    excess_kurtosis = float((away**4).mean()) / variance**2 - 3
    for k in (2, 4, 8, 16):
        rows, columns = grey.shape[0] // k, grey.shape[1] // k
        if rows * columns < _FEWEST_BLOCKS:
            return k == 2  # noise or not: so small an image cannot tell
        blocks = away[: rows * k, : columns * k].reshape(rows, k, columns, k).mean(axis=(1, 3))
        error = np.sqrt((2 + excess_kurtosis / k**2) / blocks.size)
        if float(blocks.var()) * k**2 > variance * (1 + 5 * error):
            return True
    return False


def resize(grey: npt.NDArray[np.float32], scale: float) -> npt.NDArray[np.float32]:
    """Scale a (Y, X) image, smoothed first where it shrinks so that texture does not alias."""
    return resize_part(grey, scaled((grey.shape[0], grey.shape[1]), scale), scale, (0.0, 0.0))


def resize_part(
    grey: npt.NDArray[np.float32],
    shape: tuple[int, int],
    scale: float,
    offset: tuple[float, float],
) -> npt.NDArray[np.float32]:
    """Scale a piece of an image to `shape`; it begins `offset` image pixels into the piece."""
    if scale == 1:
        return grey
    if scale < 0.8:
        grey = ndimage.gaussian_filter(grey, 0.4 / scale)
    return _look_up(grey, shape, 1 / scale, offset)


def reach_px(scale: float) -> int:
    """Return how many image pixels round a place `resize` looks at."""
    return 0 if scale == 1 else int(np.ceil(4 * 0.4 / scale)) + 3


def enlarge(
    plane: npt.NDArray[np.float32],
    shape: tuple[int, int],
    scale: float,
    offset: tuple[float, float] = (0.0, 0.0),
) -> npt.NDArray[np.float32]:
    """Look a plane of the network's grid up at the pixels of the image.

    The image begins `offset` grid cells into the plane.
    """
    if scale == 1:
        y, x = (int(first) for first in offset)
        return plane[y : y + shape[0], x : x + shape[1]]
    return _look_up(plane, shape, scale, offset)


def scaled(shape: tuple[int, int], scale: float) -> tuple[int, int]:
    """Return the shape of an image at a scale."""
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def with_beyond(
    plane: npt.NDArray[np.float32], beyond_px: int = BEYOND_PX
) -> npt.NDArray[np.float32]:
    """Continue an image beyond its edges as its mirror image."""
    return np.pad(plane, beyond_px, mode="symmetric") if beyond_px else plane


def grid_shape(shape: tuple[int, int], scale: float, beyond_px: int = BEYOND_PX) -> tuple[int, int]:
    """Return the shape of the network's grid for an image: what lies beyond its edges included."""
    height, width = scaled(shape, scale)
    return height + 2 * beyond_px, width + 2 * beyond_px


def _look_up(
    plane: npt.NDArray[np.float32],
    shape: tuple[int, int],
    pitch: float,
    offset: tuple[float, float],
) -> npt.NDArray[np.float32]:
    with kernel_lock:
        return _sample(plane, *shape, pitch, *offset)


@nb.njit(cache=True, nogil=True, parallel=True)
def _sample(plane, height, width, pitch, offset_y, offset_x):  # type: ignore[no-untyped-def]
    """Bilinear look-up at pixel centres `pitch` input pixels apart."""
    out = np.empty((height, width), np.float32)
    last_y, last_x = plane.shape[0] - 1, plane.shape[1] - 1
    for v in nb.prange(height):
        y = min(max((v + 0.5) * pitch - 0.5 + offset_y, 0.0), float(last_y))
        a = int(y)
        b, fy = min(a + 1, last_y), np.float32(y - a)
        for u in range(width):
            x = min(max((u + 0.5) * pitch - 0.5 + offset_x, 0.0), float(last_x))
            c = int(x)
            d, fx = min(c + 1, last_x), np.float32(x - c)
            top = plane[a, c] + (plane[a, d] - plane[a, c]) * fx
            bottom = plane[b, c] + (plane[b, d] - plane[b, c]) * fx
            out[v, u] = top + (bottom - top) * fy
    return out

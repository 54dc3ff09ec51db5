"""Grey value normalisation and resampling of the network's input and output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from grainsmith.segment._numba import kernel_lock

if TYPE_CHECKING:
    from grainsmith.data import Image

MARGIN_PX = 16
"""Mirrored margin around an image, in network pixels: a grain cut by the edge then appears as a
whole grain whose center lies on the edge."""
_FEWEST_BLOCKS = 64
"""With fewer blocks their variance is too uncertain."""


def to_grey(image: Image) -> tuple[npt.NDArray[np.float32], str]:
    """Normalise an image: 1st..99th percentile to 0..1.

    Returns
    -------
    grey : (Y, X) float32 array
        NaN and infinite pixels get the darkest value.
    note : str
        Why the image cannot be segmented; "" if it can.
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
    """Test whether an image differs from uncorrelated noise.

    In uncorrelated noise the means of blocks of k x k pixels have 1 / k^2 of the pixels' variance,
    with a standard error that depends on the kurtosis. An image has structure if its block means
    exceed that by five standard errors at any block size.
    """
    away = grey - grey.mean()
    variance = float((away**2).mean())
    excess_kurtosis = float((away**4).mean()) / variance**2 - 3
    for k in (2, 4, 8, 16):
        rows, columns = grey.shape[0] // k, grey.shape[1] // k
        if rows * columns < _FEWEST_BLOCKS:
            return k == 2  # too small an image for the test
        blocks = away[: rows * k, : columns * k].reshape(rows, k, columns, k).mean(axis=(1, 3))
        error = np.sqrt((2 + excess_kurtosis / k**2) / blocks.size)
        if float(blocks.var()) * k**2 > variance * (1 + 5 * error):
            return True
    return False


def resize(grey: npt.NDArray[np.float32], scale: float) -> npt.NDArray[np.float32]:
    """Resample a (Y, X) image to a scale, with smoothing against aliasing if it shrinks."""
    return resize_part(grey, scaled((grey.shape[0], grey.shape[1]), scale), scale, (0.0, 0.0))


def resize_part(
    grey: npt.NDArray[np.float32],
    shape: tuple[int, int],
    scale: float,
    offset: tuple[float, float],
) -> npt.NDArray[np.float32]:
    """Resample a window of an image; the output starts `offset` image pixels into the window."""
    if scale == 1:
        return grey
    if scale < 0.8:
        grey = ndimage.gaussian_filter(grey, 0.4 / scale)
    return _interpolate(grey, shape, 1 / scale, offset)


def support_px(scale: float) -> int:
    """Return the radius, in image pixels, of the neighbourhood that `resize` reads."""
    return 0 if scale == 1 else int(np.ceil(4 * 0.4 / scale)) + 3


def to_image_grid(
    plane: npt.NDArray[np.float32],
    shape: tuple[int, int],
    scale: float,
    offset: tuple[float, float] = (0.0, 0.0),
) -> npt.NDArray[np.float32]:
    """Interpolate a plane of the network's grid at the pixels of the image.

    The image starts `offset` cells into the plane.
    """
    if scale == 1:
        y, x = (int(first) for first in offset)
        return plane[y : y + shape[0], x : x + shape[1]]
    return _interpolate(plane, shape, scale, offset)


def scaled(shape: tuple[int, int], scale: float) -> tuple[int, int]:
    """Return the shape of an image at a scale."""
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def add_margin(
    plane: npt.NDArray[np.float32], margin_px: int = MARGIN_PX
) -> npt.NDArray[np.float32]:
    """Pad an image with its mirror image."""
    return np.pad(plane, margin_px, mode="symmetric") if margin_px else plane


def grid_shape(shape: tuple[int, int], scale: float, margin_px: int = MARGIN_PX) -> tuple[int, int]:
    """Return the shape of the network's grid for an image, margins included."""
    height, width = scaled(shape, scale)
    return height + 2 * margin_px, width + 2 * margin_px


def _interpolate(
    plane: npt.NDArray[np.float32],
    shape: tuple[int, int],
    pitch: float,
    offset: tuple[float, float],
) -> npt.NDArray[np.float32]:
    with kernel_lock:
        return _sample(plane, *shape, pitch, *offset)


@nb.njit(cache=True, nogil=True, parallel=True)
def _sample(plane, height, width, pitch, offset_y, offset_x):  # type: ignore[no-untyped-def]
    """Interpolate bilinearly at pixel centers `pitch` input pixels apart."""
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

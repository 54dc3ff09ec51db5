"""Make images comparable: on one grid, free of most of their noise, in a few grey levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

if TYPE_CHECKING:
    from grainsmith.align.landmarks import Matrix

N_LEVELS = 6
"""Grey levels of mutual information: enough for contrast, few enough for sparse maps."""

NO_LEVEL = 255
"""The level of a pixel that was not measured or lies outside of its image."""

COARSE_PX = 340
"""Longest side of the image on which every shift is tried."""

_BAND_ROWS = 512  # rows smoothed at a time, so that memory stays bounded
_SIGMA_PX = 1.0

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pyramid:
    """One image in levels on the grid of the reference, from rough to fine.

    Attributes
    ----------
    steps : tuple of (int, uint8 array)
        Side of a block in pixels of the reference, and the block means in levels: 0 to
        N_LEVELS - 1, or `NO_LEVEL`. The first step serves the search of turns, the second the
        search of all shifts, the last is the full image.
    """

    steps: tuple[tuple[int, Bytes], ...]

    @property
    def is_flat(self) -> bool:
        """True where the image shows nothing, so that no evidence can come from it."""
        seen = np.bincount(self.steps[1][1].ravel(), minlength=256)[:N_LEVELS]
        return int(np.count_nonzero(seen)) < 2


def build_pyramid(picture: npt.NDArray[Any], shape: tuple[int, int], matrix: Matrix) -> Pyramid:
    """Return a picture in levels on the grid of the reference.

    Values are smoothed (sigma 1 pixel of the reference) and their square root is taken, so that
    Poisson noise is of one size everywhere; the range between the percentiles 0.5 and 99.5 is cut
    into `N_LEVELS` equal parts.

    Parameters
    ----------
    picture : (y, x) array
        Counts, wt% or grey values; NaN where nothing was measured.
    shape : (int, int)
        Shape (Y, X) of the reference.
    matrix : (3, 3) float array
        From pixels of the picture to pixels of the reference.

    Returns
    -------
    Pyramid
        One byte a pixel; memory beyond that is bounded by a few bands of 512 rows.
    """
    factors = _factors(max(shape))
    sigma = _SIGMA_PX / max(_pixels_per_pixel(matrix), 1e-6)
    low, high = _range_of(picture, sigma)
    steps = [
        (factor, np.full([-(-n // factor) for n in shape], NO_LEVEL, np.uint8))
        for factor in factors
    ]
    # A band holds whole blocks of every step, or the blocks of two bands would overlap.
    unit = int(np.lcm.reduce(factors))
    rows = -(-_BAND_ROWS // unit) * unit
    for start in range(0, shape[0], rows):
        band = _on_grid(picture, (start, min(start + rows, shape[0])), shape, matrix, sigma)
        for factor, levels in steps:
            blocks = _block_means(band, factor)
            first = start // factor
            levels[first : first + len(blocks)] = _quantised(blocks, low, high)
    return Pyramid(steps=tuple(steps))


def _factors(longest_px: int) -> list[int]:
    """Return the block sides: twice the coarse one, the coarse one, and on down to 1.

    No step is more than five times finer than the one before, so that an error of half a block
    lies within the three pixels that are searched around it.
    """
    coarse = max(1, -(-longest_px // COARSE_PX))
    factors = [2 * coarse, coarse]
    while factors[-1] > 1:
        finer = -(-factors[-1] // 5)
        while factors[-2] % finer:  # keeps the common multiple, and so the bands, small
            finer -= 1
        factors.append(finer)
    return factors


def _pixels_per_pixel(matrix: Matrix) -> float:
    """Return how many pixels of the reference one pixel of the image is wide."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))


def _range_of(picture: npt.NDArray[Any], sigma: float) -> tuple[float, float]:
    """Return the values between which the levels lie, from bands spread over the image."""
    starts = np.unique(np.linspace(0, max(0, len(picture) - 48), 8).astype(int))
    bands = [_smooth(picture, start, min(start + 48, len(picture)), sigma) for start in starts]
    values = np.concatenate([band[np.isfinite(band)] for band in bands])
    if not len(values):
        return 0.0, 0.0
    low, high = np.percentile(values, [0.5, 99.5])
    return float(low), float(high if high > low else values.max())


def _smooth(
    picture: npt.NDArray[Any], start: int, stop: int, sigma: float
) -> npt.NDArray[np.float32]:
    """Return rows start..stop, smoothed; NaN stays NaN and does not spread."""
    halo = int(np.ceil(3 * sigma)) + 1
    top, bottom = max(0, start - halo), min(len(picture), stop + halo)
    band = picture[top:bottom].astype(np.float32)
    known = np.isfinite(band)
    if known.all():
        smooth = ndimage.gaussian_filter(band, sigma, mode="nearest", truncate=3.0)
    else:
        filled = ndimage.gaussian_filter(np.where(known, band, 0), sigma, truncate=3.0)
        weight = ndimage.gaussian_filter(known.astype(np.float32), sigma, truncate=3.0)
        smooth = np.where(known, filled / np.maximum(weight, 1e-6), np.nan)
    inner: npt.NDArray[np.float32] = smooth[start - top : stop - top]
    return inner


def _on_grid(
    picture: npt.NDArray[Any],
    rows: tuple[int, int],
    shape: tuple[int, int],
    matrix: Matrix,
    sigma: float,
) -> npt.NDArray[np.float32]:
    """Return the smoothed image on rows of the reference; NaN where it does not reach."""
    if picture.shape == shape and np.array_equal(matrix, np.eye(3)):
        return _smooth(picture, *rows, sigma)
    back = np.linalg.inv(matrix).astype(np.float64)
    top, bottom = _needed_rows(back, rows, shape[1], len(picture))
    # The outer half pixel of a map is its own, although no centre lies beyond it.
    source = np.pad(_smooth(picture, top, bottom, sigma), 1, mode="edge")
    offset = back[:2, :2] @ (rows[0], 0) + back[:2, 2] - (top - 1, -1)
    grid: npt.NDArray[np.float32] = ndimage.affine_transform(
        source,
        back[:2, :2],
        offset,
        output_shape=(rows[1] - rows[0], shape[1]),
        order=1,
        mode="constant",
        cval=np.nan,
    )
    return grid


def _needed_rows(back: Matrix, rows: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    """Return the rows of the image that lie under rows of the reference."""
    corners = np.array([(y, x) for y in (rows[0], rows[1] - 1) for x in (0, width - 1)])
    ys = (corners @ back[:2, :2].T + back[:2, 2])[:, 0]
    top = int(np.clip(np.floor(ys.min()) - 2, 0, height - 1))
    return top, int(np.clip(np.ceil(ys.max()) + 3, top + 1, height))


def _block_means(band: npt.NDArray[np.float32], factor: int) -> npt.NDArray[np.float32]:
    """Return means of factor x factor blocks; the last ones repeat the edge."""
    if factor == 1:
        return band
    padded = np.pad(band, [(0, -n % factor) for n in band.shape], mode="edge")
    height, width = (n // factor for n in padded.shape)
    # Twice one axis: much faster than the mean over two axes of a 4-D view.
    columns = padded.reshape(-1, width, factor).mean(2)
    means: npt.NDArray[np.float32] = columns.reshape(height, factor, width).mean(1)
    return means


def _quantised(values: npt.NDArray[np.float32], low: float, high: float) -> Bytes:
    known = np.isfinite(values)
    if high <= low:
        return np.where(known, 0, NO_LEVEL).astype(np.uint8)
    share = np.clip((np.where(known, values, low) - low) / (high - low), 0, 1)
    level = np.minimum((np.sqrt(share) * N_LEVELS).astype(np.uint8), N_LEVELS - 1)
    level[~known] = NO_LEVEL
    return level

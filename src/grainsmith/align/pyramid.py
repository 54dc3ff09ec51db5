"""Build image pyramids on the grid of the reference, smoothed and in a few grey levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

if TYPE_CHECKING:
    from grainsmith.align.landmarks import Matrix

N_LEVELS = 6
"""Number of grey levels: enough for contrast, few enough for sparse maps."""

NO_LEVEL = 255
"""Level of pixels that were not measured or are outside the image."""

COARSE_PX = 340
"""Longest side of the image for the exhaustive search of shifts."""

_BAND_ROWS = 512  # rows smoothed at a time, so that memory stays bounded
_SIGMA_PX = 1.0

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pyramid:
    """Image in grey levels on the grid of the reference, from coarse to fine.

    Attributes
    ----------
    steps : tuple of (int, uint8 array)
        Block size in pixels of the reference, and block means in levels: 0 to N_LEVELS - 1, or
        `NO_LEVEL`. The first step is for the search of rotations, the second for all shifts, the
        last is the full image.
    """

    steps: tuple[tuple[int, Bytes], ...]

    @property
    def is_flat(self) -> bool:
        """Whether the image has no contrast and thus provides no evidence."""
        seen = np.bincount(self.steps[1][1].ravel(), minlength=256)[:N_LEVELS]
        return int(np.count_nonzero(seen)) < 2


def build_pyramid(image: npt.NDArray[Any], shape: tuple[int, int], matrix: Matrix) -> Pyramid:
    """Build the pyramid of an image on the grid of the reference.

    Values are smoothed (sigma of 1 px of the reference) and square-rooted, which stabilizes Poisson
    noise; the range between the percentiles 0.5 and 99.5 is divided into `N_LEVELS` equal levels.

    Parameters
    ----------
    image : (y, x) array
        Counts, wt% or grey values; NaN where nothing was measured.
    shape : (int, int)
        Shape (Y, X) of the reference.
    matrix : (3, 3) float array
        From pixels of the image to pixels of the reference.

    Returns
    -------
    Pyramid
        One byte per pixel; further memory is bounded by a few bands of 512 rows.
    """
    factors = _factors(max(shape))
    sigma = _SIGMA_PX / max(_pixels_per_pixel(matrix), 1e-6)
    low, high = _range_of(image, sigma)
    steps = [
        (factor, np.full([-(-n // factor) for n in shape], NO_LEVEL, np.uint8))
        for factor in factors
    ]
    # Bands consist of whole blocks of every step.
    unit = int(np.lcm.reduce(factors))
    rows = -(-_BAND_ROWS // unit) * unit
    for start in range(0, shape[0], rows):
        band = _on_grid(image, (start, min(start + rows, shape[0])), shape, matrix, sigma)
        for factor, levels in steps:
            blocks = _block_means(band, factor)
            first = start // factor
            levels[first : first + len(blocks)] = _quantised(blocks, low, high)
    return Pyramid(steps=tuple(steps))


def _factors(longest_px: int) -> list[int]:
    """Return the block sizes: twice the coarse one, the coarse one, and down to 1.

    Steps differ by a factor of up to five, so that an error of half a block is within the search
    radius of three pixels.
    """
    coarse = max(1, -(-longest_px // COARSE_PX))
    factors = [2 * coarse, coarse]
    while factors[-1] > 1:
        finer = -(-factors[-1] // 5)
        while factors[-2] % finer:  # keeps the least common multiple, and the bands, small
            finer -= 1
        factors.append(finer)
    return factors


def _pixels_per_pixel(matrix: Matrix) -> float:
    """Return the size of an image pixel in pixels of the reference."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))


def _range_of(image: npt.NDArray[Any], sigma: float) -> tuple[float, float]:
    """Estimate the value range of the levels from bands spread over the image."""
    starts = np.unique(np.linspace(0, max(0, len(image) - 48), 8).astype(int))
    bands = [_smooth(image, start, min(start + 48, len(image)), sigma) for start in starts]
    values = np.concatenate([band[np.isfinite(band)] for band in bands])
    if not len(values):
        return 0.0, 0.0
    low, high = np.percentile(values, [0.5, 99.5])
    return float(low), float(high if high > low else values.max())


def _smooth(
    image: npt.NDArray[Any], start: int, stop: int, sigma: float
) -> npt.NDArray[np.float32]:
    """Smooth rows start..stop; NaN stays NaN and does not spread."""
    halo = int(np.ceil(3 * sigma)) + 1
    top, bottom = max(0, start - halo), min(len(image), stop + halo)
    band = image[top:bottom].astype(np.float32)
    finite = np.isfinite(band)
    if finite.all():
        smooth = ndimage.gaussian_filter(band, sigma, mode="nearest", truncate=3.0)
    else:
        filled = ndimage.gaussian_filter(np.where(finite, band, 0), sigma, truncate=3.0)
        weight = ndimage.gaussian_filter(finite.astype(np.float32), sigma, truncate=3.0)
        smooth = np.where(finite, filled / np.maximum(weight, 1e-6), np.nan)
    inner: npt.NDArray[np.float32] = smooth[start - top : stop - top]
    return inner


def _on_grid(
    image: npt.NDArray[Any],
    rows: tuple[int, int],
    shape: tuple[int, int],
    matrix: Matrix,
    sigma: float,
) -> npt.NDArray[np.float32]:
    """Resample the smoothed image to rows of the reference; NaN outside the image."""
    if image.shape == shape and np.array_equal(matrix, np.eye(3)):
        return _smooth(image, *rows, sigma)
    back = np.linalg.inv(matrix).astype(np.float64)
    top, bottom = _needed_rows(back, rows, shape[1], len(image))
    # Pad by one pixel, because the outer half pixel belongs to the map, too.
    source = np.pad(_smooth(image, top, bottom, sigma), 1, mode="edge")
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
    """Return the rows of the image that rows of the reference need."""
    corners = np.array([(y, x) for y in (rows[0], rows[1] - 1) for x in (0, width - 1)])
    ys = (corners @ back[:2, :2].T + back[:2, 2])[:, 0]
    top = int(np.clip(np.floor(ys.min()) - 2, 0, height - 1))
    return top, int(np.clip(np.ceil(ys.max()) + 3, top + 1, height))


def _block_means(band: npt.NDArray[np.float32], factor: int) -> npt.NDArray[np.float32]:
    """Compute means of factor x factor blocks, repeating the edge for the last ones."""
    if factor == 1:
        return band
    padded = np.pad(band, [(0, -n % factor) for n in band.shape], mode="edge")
    height, width = (n // factor for n in padded.shape)
    # Two means over one axis are much faster than one over two axes.
    columns = padded.reshape(-1, width, factor).mean(2)
    means: npt.NDArray[np.float32] = columns.reshape(height, factor, width).mean(1)
    return means


def _quantised(values: npt.NDArray[np.float32], low: float, high: float) -> Bytes:
    finite = np.isfinite(values)
    if high <= low:
        return np.where(finite, 0, NO_LEVEL).astype(np.uint8)
    share = np.clip((np.where(finite, values, low) - low) / (high - low), 0, 1)
    level = np.minimum((np.sqrt(share) * N_LEVELS).astype(np.uint8), N_LEVELS - 1)
    level[~finite] = NO_LEVEL
    return level

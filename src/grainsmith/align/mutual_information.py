"""How much one image tells of another, for every shift: mutual information by FFT.

After Öfverstedt, Lindblad and Sladoje (2022), "Fast computation of mutual information in the
frequency domain with applications to global multimodal image alignment", Pattern Recognition
Letters 159:196. Mutual information needs no common contrast: magnesium may be bright where
aluminium is dark.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from grainsmith.align.pyramid import N_LEVELS, NO_LEVEL, Bytes
from grainsmith.parallel import compiled

if TYPE_CHECKING:
    from grainsmith.align.landmarks import Matrix, Points

Surface = npt.NDArray[np.float64]
"""Mutual information in nats for shifts (sy, sx); the middle is no shift."""

ENOUGH_PIXELS = 600_000
"""Of a larger reference only every n-th row is counted."""

_TREND_PX = 4.0
_APART_PX = 4  # peaks nearer than this are one peak
_BINS = 8  # levels of the moving image, padded to a power of two
_COUNTS = np.arange(1, 1 << 17, dtype=float)
_N_LOG_N = np.append(0.0, _COUNTS * np.log(_COUNTS))  # looked up: most of the time went to logs


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """The best shift of a surface.

    Attributes
    ----------
    dy_px, dx_px : float
        Shift, counted from the middle of the surface.
    z : float
        Height over the rest of the surface, in robust standard deviations of the rest.
    runner_up : float
        The same of the highest peak elsewhere.
    at_edge : bool
        The best shift is the last that was tried: the true one may lie outside.
    """

    dy_px: float
    dx_px: float
    z: float
    runner_up: float
    at_edge: bool


def information_surface(reference: Bytes, moving: Bytes, reach: tuple[int, int]) -> Surface:
    """Return the mutual information for every whole shift of `moving`.

    Parameters
    ----------
    reference, moving : (Y, X) uint8 arrays
        Images in levels.
    reach : (int, int)
        Largest shift tried, in pixels, up and down, left and right.

    Returns
    -------
    (2 * reach_y + 1, 2 * reach_x + 1) float array
        Mutual information in nats, less what chance alone would give.
    """
    return correlate_spectra(level_spectra(reference, reach), level_spectra(moving, reach))


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelSpectra:
    """The Fourier transforms of the levels of an image, for shifts up to a reach."""

    levels: npt.NDArray[np.complex64]
    size: tuple[int, int]
    reach: tuple[int, int]


def level_spectra(picture: Bytes, reach: tuple[int, int]) -> LevelSpectra:
    """Compute the Fourier transform of each grey level, once per image for all comparisons."""
    height, width = (
        fft.next_fast_len(n + r, real=True) for n, r in zip(picture.shape, reach, strict=True)
    )
    masks = picture == np.arange(N_LEVELS, dtype=np.uint8)[:, None, None]
    levels: npt.NDArray[np.complex64] = fft.rfft2(masks.astype(np.float32), (height, width))
    return LevelSpectra(levels=levels, size=(height, width), reach=reach)


def correlate_spectra(reference: LevelSpectra, moving: LevelSpectra) -> Surface:
    """Return what `information_surface` does, of two images of one shape prepared for one reach."""
    size, reach = reference.size, reference.reach
    theirs = np.conj(moving.levels)
    rows = np.arange(-reach[0], reach[0] + 1) % size[0]
    columns = np.arange(-reach[1], reach[1] + 1) % size[1]
    joint = np.empty((N_LEVELS, N_LEVELS, len(rows), len(columns)), np.float32)
    for level in range(N_LEVELS):
        # Only the rows that are asked for go on to the second axis.
        half = fft.ifft(reference.levels[level] * theirs, axis=1, overwrite_x=True)[:, rows]
        joint[level] = fft.irfft(half, size[1], axis=2, overwrite_x=True)[:, :, columns]
    return mutual_information(joint)


def mutual_information(joint: npt.NDArray[np.float32]) -> Surface:
    """Return the mutual information of joint counts, less the bias that Miller (1955) found.

    Parameters
    ----------
    joint : (levels, levels, Y, X) float array
        How often a level of one image meets a level of the other, for every shift.

    Returns
    -------
    (Y, X) float array
        In nats.
    """
    surface: Surface = np.zeros(joint.shape[2:])
    _fill_information(joint, _N_LOG_N, surface)
    return surface


@compiled
def _n_log_n(n, known):  # type: ignore[no-untyped-def]
    return known[n] if n < known.size else n * np.log(n)


@compiled
def _fill_information(joint, known, surface):  # type: ignore[no-untyped-def]
    levels = joint.shape[0]
    theirs = np.empty(levels, np.int64)
    for y in range(surface.shape[0]):
        for x in range(surface.shape[1]):
            theirs[:] = 0
            total, entropy = 0, -((levels - 1) ** 2) / 2
            for i in range(levels):
                ours = 0
                for j in range(levels):
                    n = int(joint[i, j, y, x] + np.float32(0.5))
                    ours += n
                    theirs[j] += n
                    entropy += _n_log_n(n, known)
                entropy -= _n_log_n(ours, known)
                total += ours
            for j in range(levels):
                entropy -= _n_log_n(theirs[j], known)
            surface[y, x] = entropy / total + np.log(total) if total > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalInformation:
    """The mutual information of tiles, and of the whole image as the last of them.

    Attributes
    ----------
    surfaces : (tiles * tiles + 1, 2 * radius + 1, 2 * radius + 1) float array
        In nats, for whole shifts of the moving image in its own pixels.
    moving, reference : (tiles * tiles + 1, 2) float arrays
        Mean place of the pixels that met at shift 0. A best shift s says that `moving` - s belongs
        to `reference`: exact although every single pixel was taken from the nearest place.
    pixels : (tiles * tiles + 1,) int array
        How many met.
    """

    surfaces: npt.NDArray[np.float64]
    moving: Points
    reference: Points
    pixels: npt.NDArray[np.int64]


def local_information(
    reference: Bytes,
    moving: Bytes,
    matrix: Matrix,
    *,
    radius: int,
    tiles: int,
    enough: int = ENOUGH_PIXELS,
) -> LocalInformation:
    """Return the mutual information for the whole shifts around a transform, tile by tile.

    Nothing is interpolated: the nearest pixel of `moving` is taken, so that the surface has none
    of the ripples that interpolation gives mutual information.

    Parameters
    ----------
    reference, moving : (Y, X) uint8 arrays
        Images in levels.
    matrix : (3, 3) float array
        From `moving` to `reference`, as known so far.
    radius : int
        Largest shift tried.
    tiles : int
        How many tiles down and across the reference.
    enough : int
        Pixels of the reference after which rows are left out.

    Returns
    -------
    LocalInformation
        At shift s the pixel p of the reference meets the pixel nearest to matrix^-1(p), less s.
    """
    width = 2 * radius + 1
    counts = np.zeros((tiles, tiles, N_LEVELS, width * width * _BINS), np.int32)
    places = np.zeros((tiles, tiles, 5))
    stride = max(1, round(reference.size / enough))
    _count_pairs(reference, moving, np.linalg.inv(matrix), radius, stride, counts, places)
    flat = counts.reshape(-1, N_LEVELS, width, width, _BINS)[..., :N_LEVELS].astype(np.float32)
    stack = np.concatenate([flat, flat.sum(0, keepdims=True)])
    sums = places.reshape(-1, 5)
    sums = np.concatenate([sums, sums.sum(0, keepdims=True)])
    means = sums[:, 1:] / np.maximum(sums[:, :1], 1)
    return LocalInformation(
        surfaces=np.stack([mutual_information(np.moveaxis(one, 3, 1).copy()) for one in stack]),
        moving=means[:, 2:],
        reference=means[:, :2],
        pixels=sums[:, 0].astype(np.int64),
    )


@compiled
def _count_pairs(reference, moving, back, radius, stride, counts, places):  # type: ignore[no-untyped-def]
    # Indices without a sign: Numba then leaves out the check for negative ones (four times faster).
    u = np.uint64
    tiles, width = counts.shape[0], 2 * radius + 1
    height, breadth = reference.shape
    for start in range(0, height - stride + 1, stride):
        # Now this, now that row of the stride: enlarged images repeat every second row or so.
        y = start + (start // stride) % stride
        for x in range(breadth):
            ours = reference[y, x]
            my = int(np.floor(back[0, 0] * y + back[0, 1] * x + back[0, 2] + 0.5))
            mx = int(np.floor(back[1, 0] * y + back[1, 1] * x + back[1, 2] + 0.5))
            inside = radius <= my < moving.shape[0] - radius
            if ours == NO_LEVEL or not inside or not radius <= mx < moving.shape[1] - radius:
                continue
            ty, tx = y * tiles // height, x * tiles // breadth
            place = places[ty, tx]
            place[0] += 1
            place[1] += y
            place[2] += x
            place[3] += my
            place[4] += mx
            table = counts[ty, tx, ours]
            for sy in range(width):
                row = u(my + radius - sy)
                for sx in range(width):
                    theirs = moving[row, u(mx + radius - sx)]
                    # `NO_LEVEL` falls into the last bin, which is left out.
                    table[u((sy * width + sx) * _BINS) + u(theirs & (_BINS - 1))] += 1


def find_peak(surface: Surface) -> Peak:
    """Return the best shift of a surface, to a fraction of a pixel, and what it is worth.

    The height is measured over the broad trend that neighbourhood and shading give any surface.
    """
    rough = surface - ndimage.gaussian_filter(surface, _TREND_PX, mode="nearest")
    y, x = np.unravel_index(int(rough.argmax()), rough.shape)
    middle = np.median(rough)
    spread = 1.4826 * np.median(np.abs(rough - middle)) + 1e-12
    elsewhere = rough.copy()
    elsewhere[
        max(0, y - _APART_PX) : y + _APART_PX + 1, max(0, x - _APART_PX) : x + _APART_PX + 1
    ] = -np.inf
    at_edge = bool(y in (0, surface.shape[0] - 1) or x in (0, surface.shape[1] - 1))
    dy, dx = (0.0, 0.0) if at_edge else subpixel_summit(surface[y - 1 : y + 2, x - 1 : x + 2])
    return Peak(
        dy_px=float(y - surface.shape[0] // 2 + dy),
        dx_px=float(x - surface.shape[1] // 2 + dx),
        z=float((rough[y, x] - middle) / spread),
        runner_up=float((elsewhere.max() - middle) / spread),
        at_edge=at_edge,
    )


def subpixel_summit(patch: Surface) -> tuple[float, float]:
    """Return the summit of a 3 x 3 patch as an offset from its middle, by parabolas."""
    return _parabola(patch[:, 1]), _parabola(patch[1])


def _parabola(values: npt.NDArray[np.float64]) -> float:
    curvature = values[0] - 2 * values[1] + values[2]
    return (
        0.0 if curvature >= 0 else float(np.clip((values[0] - values[2]) / (2 * curvature), -1, 1))
    )

"""Compute the mutual information for every integer shift by FFT.

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
"""Mutual information in nats for shifts (sy, sx); the centre is no shift."""

ENOUGH_PIXELS = 600_000
"""Of larger references only every n-th row is used."""

_TREND_PX = 4.0
_PEAK_RADIUS_PX = 4  # half the width of a peak
_BINS = 8  # levels of the moving image, padded to a power of two
_COUNTS = np.arange(1, 1 << 17, dtype=float)
_N_LOG_N = np.append(
    0.0, _COUNTS * np.log(_COUNTS)
)  # a lookup table is much faster than the logarithm


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """The best shift of a surface.

    Attributes
    ----------
    dy_px, dx_px : float
        Shift from the centre of the surface.
    z : float
        Height in robust standard deviations of the surface.
    runner_up : float
        Height of the second highest peak.
    at_edge : bool
        Whether the peak is at the edge of the search range, so that the true shift may lie outside.
    """

    dy_px: float
    dx_px: float
    z: float
    runner_up: float
    at_edge: bool


def information_surface(reference: Bytes, moving: Bytes, reach: tuple[int, int]) -> Surface:
    """Compute the mutual information for every integer shift of `moving`.

    Parameters
    ----------
    reference, moving : (Y, X) uint8 arrays
        Images in levels.
    reach : (int, int)
        Largest shift in each direction, in pixels.

    Returns
    -------
    (2 * reach_y + 1, 2 * reach_x + 1) float array
        Mutual information in nats, corrected for bias.
    """
    return correlate_spectra(level_spectra(reference, reach), level_spectra(moving, reach))


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelSpectra:
    """The Fourier transforms of the levels of an image, for shifts up to a reach."""

    levels: npt.NDArray[np.complex64]
    size: tuple[int, int]
    reach: tuple[int, int]


def level_spectra(image: Bytes, reach: tuple[int, int]) -> LevelSpectra:
    """Compute the Fourier transform of each grey level, once per image for all comparisons."""
    height, width = (
        fft.next_fast_len(n + r, real=True) for n, r in zip(image.shape, reach, strict=True)
    )
    masks = image == np.arange(N_LEVELS, dtype=np.uint8)[:, None, None]
    levels: npt.NDArray[np.complex64] = fft.rfft2(masks.astype(np.float32), (height, width))
    return LevelSpectra(levels=levels, size=(height, width), reach=reach)


def correlate_spectra(reference: LevelSpectra, moving: LevelSpectra) -> Surface:
    """Compute `information_surface` from the spectra of two images of the same shape."""
    size, reach = reference.size, reference.reach
    theirs = np.conj(moving.levels)
    rows = np.arange(-reach[0], reach[0] + 1) % size[0]
    columns = np.arange(-reach[1], reach[1] + 1) % size[1]
    joint = np.empty((N_LEVELS, N_LEVELS, len(rows), len(columns)), np.float32)
    for level in range(N_LEVELS):
        # Transform only the requested rows along the second axis.
        half = fft.ifft(reference.levels[level] * theirs, axis=1, overwrite_x=True)[:, rows]
        joint[level] = fft.irfft(half, size[1], axis=2, overwrite_x=True)[:, :, columns]
    return mutual_information(joint)


def mutual_information(joint: npt.NDArray[np.float32]) -> Surface:
    """Compute the mutual information of joint histograms, with Miller's bias correction (1955).

    Parameters
    ----------
    joint : (levels, levels, Y, X) float array
        Joint histogram for every shift.

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
    """Mutual information of tiles, and of the whole image as the last entry.

    Attributes
    ----------
    surfaces : (tiles * tiles + 1, 2 * radius + 1, 2 * radius + 1) float array
        In nats, for integer shifts of the moving image in its own pixels.
    moving, reference : (tiles * tiles + 1, 2) float arrays
        Mean position of the matched pixels at shift 0. With the best shift s, `moving` - s
        corresponds to `reference`; the means are exact although pixels are matched by nearest
        neighbour.
    pixels : (tiles * tiles + 1,) int array
        Number of matched pixels.
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
    """Compute the mutual information for integer shifts around a transform, per tile.

    `moving` is sampled by nearest neighbour, which avoids the artefacts of interpolation.

    Parameters
    ----------
    reference, moving : (Y, X) uint8 arrays
        Images in levels.
    matrix : (3, 3) float array
        Current transform from `moving` to `reference`.
    radius : int
        Largest shift.
    tiles : int
        Number of tiles in each direction.
    enough : int
        Maximum number of pixels; larger references are subsampled by rows.

    Returns
    -------
    LocalInformation
        At shift s, pixel p of the reference is matched with the pixel nearest to matrix^-1(p) - s.
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
        surfaces=np.stack([mutual_information(np.moveaxis(joint, 3, 1).copy()) for joint in stack]),
        moving=means[:, 2:],
        reference=means[:, :2],
        pixels=sums[:, 0].astype(np.int64),
    )


@compiled
def _count_pairs(reference, moving, back, radius, stride, counts, places):  # type: ignore[no-untyped-def]
    # Unsigned indices need no check for negative values, which is four times faster.
    u = np.uint64
    tiles, width = counts.shape[0], 2 * radius + 1
    height, breadth = reference.shape
    for start in range(0, height - stride + 1, stride):
        # Vary the row within the stride, because enlarged images repeat rows periodically.
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
                    # `NO_LEVEL` falls into the last bin, which is discarded.
                    table[u((sy * width + sx) * _BINS) + u(theirs & (_BINS - 1))] += 1


def find_peak(surface: Surface) -> Peak:
    """Find the highest peak of a surface with subpixel precision, and its significance.

    The height is relative to the smooth trend of the surface.
    """
    detrended = surface - ndimage.gaussian_filter(surface, _TREND_PX, mode="nearest")
    y, x = np.unravel_index(int(detrended.argmax()), detrended.shape)
    middle = np.median(detrended)
    spread = 1.4826 * np.median(np.abs(detrended - middle)) + 1e-12
    elsewhere = detrended.copy()
    elsewhere[
        max(0, y - _PEAK_RADIUS_PX) : y + _PEAK_RADIUS_PX + 1,
        max(0, x - _PEAK_RADIUS_PX) : x + _PEAK_RADIUS_PX + 1,
    ] = -np.inf
    at_edge = bool(y in (0, surface.shape[0] - 1) or x in (0, surface.shape[1] - 1))
    dy, dx = (0.0, 0.0) if at_edge else subpixel_summit(surface[y - 1 : y + 2, x - 1 : x + 2])
    return Peak(
        dy_px=float(y - surface.shape[0] // 2 + dy),
        dx_px=float(x - surface.shape[1] // 2 + dx),
        z=float((detrended[y, x] - middle) / spread),
        runner_up=float((elsewhere.max() - middle) / spread),
        at_edge=at_edge,
    )


def subpixel_summit(patch: Surface) -> tuple[float, float]:
    """Estimate the maximum of a 3 x 3 patch by parabolas, as an offset from its centre."""
    return _parabola(patch[:, 1]), _parabola(patch[1])


def _parabola(values: npt.NDArray[np.float64]) -> float:
    curvature = values[0] - 2 * values[1] + values[2]
    return (
        0.0 if curvature >= 0 else float(np.clip((values[0] - values[2]) / (2 * curvature), -1, 1))
    )

"""Outlines and packings of synthetic grains, as reproducible label images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba as nb
import numpy as np
import numpy.typing as npt
from skimage.measure import label as connected

if TYPE_CHECKING:
    from grainsmith.data import LabelImage

_ANGLES = np.linspace(0, 2 * np.pi, 96, endpoint=False)

Outline = npt.NDArray[np.float32]
"""(96,) radii at equal angles, in units of the grain's radius."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """Sizes and density of the grains of a field.

    Attributes
    ----------
    median_radius_px : float
        Median grain radius.
    spread : float
        Standard deviation of the natural logarithm of the radii.
    coverage : float
        Share of the field to be covered by grains.
    overlap : float
        Largest share of a grain that may overlap others; 0 keeps grains apart.
    clustering : float
        Share of the grains that are placed against another grain.
    alignment : float
        0: random directions; 1: all grains parallel to the rows.
    """

    median_radius_px: float
    spread: float
    coverage: float
    overlap: float = 0.0
    clustering: float = 0.0
    alignment: float = 0.0


def round_outline(rng: np.random.Generator) -> Outline:
    """Return a nearly circular outline, as of atomised powder."""
    return _harmonics(rng, strength=0.03, highest=6)


def smooth_outline(rng: np.random.Generator) -> Outline:
    """Return a rounded outline, as of a pebble or a rounded zircon."""
    return _harmonics(rng, strength=0.22, highest=7)


def angular_outline(rng: np.random.Generator) -> Outline:
    """Return a polygon of four to nine corners, as of a crystal or a crushed grain."""
    corners = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(4, 10)))
    corners = (corners + np.linspace(0, 2 * np.pi, len(corners), endpoint=False)) / 2
    return _polygon(np.sort(corners % (2 * np.pi)), rng.uniform(0.8, 1.15, len(corners)))


def rough_outline(rng: np.random.Generator) -> Outline:
    """Return a polygon with rough sides."""
    fine = np.interp(_ANGLES, np.linspace(0, 2 * np.pi, 33), np.append(rng.normal(0, 0.05, 32), 0))
    return (angular_outline(rng) + fine).astype(np.float32)


def embayed_outline(rng: np.random.Generator) -> Outline:
    """Return a smooth outline with one or two bays, as of a corroded quartz."""
    radii = smooth_outline(rng).astype(float)
    for _ in range(rng.integers(1, 3)):
        away = np.angle(np.exp(1j * (_ANGLES - rng.uniform(0, 2 * np.pi))))
        radii *= 1 - rng.uniform(0.2, 0.5) * np.exp(-((away / rng.uniform(0.2, 0.45)) ** 2))
    return radii.astype(np.float32)


OUTLINES = {
    "round": round_outline,
    "smooth": smooth_outline,
    "angular": angular_outline,
    "rough": rough_outline,
    "embayed": embayed_outline,
}


def generate_grains(
    rng: np.random.Generator,
    shape: tuple[int, int],
    packing: Packing,
    *,
    outlines: tuple[str, ...] = ("smooth",),
    elongation: float = 0.3,
) -> LabelImage:
    """Scatter grains over a field: apart, touching or overlapping.

    Parameters
    ----------
    rng : numpy Generator
        Random generator.
    shape : (Y, X)
        Size of the field.
    packing : Packing
        Sizes and density.
    outlines : tuple of str
        Names in `OUTLINES`, chosen at random.
    elongation : float
        Standard deviation of the natural logarithm of the aspect ratio.

    Returns
    -------
    (Y, X) int32 array
        Labels 1..n; every grain is one piece of at least 12 px.
    """
    labels = np.zeros(shape, np.int32)
    radii = _radii(rng, shape, packing)
    placed = np.zeros((len(radii), 3))
    n = 0
    for radius in radii:
        y, x = _place(rng, shape, radius, placed[:n], packing)
        aspect = np.exp(rng.normal(0, elongation))
        if packing.alignment:
            aspect = max(aspect, 1 / aspect)
        outline = OUTLINES[outlines[rng.integers(len(outlines))]](rng)
        angle = (1 - packing.alignment) * rng.uniform(0, 2 * np.pi)
        allowed = packing.overlap * rng.random() if packing.overlap else 0.0
        behind = rng.random() < 0.5
        if _paint(labels, n + 1, y, x, radius, aspect, angle, outline, allowed, behind):
            placed[n] = y, x, radius
            n += 1
    return tidy(labels)


def pack_grains(
    rng: np.random.Generator, shape: tuple[int, int], packing: Packing, *, gap_px: float
) -> LabelImage:
    """Fill a field with close-packed grains: a warped power diagram of random discs.

    Parameters
    ----------
    rng, shape, packing
        As in `generate_grains`.
    gap_px : float
        Width of the gaps between neighbours; 0 lets them share their boundaries.

    Returns
    -------
    (Y, X) int32 array
    """
    radii = _radii(rng, shape, packing)
    seeds = _throw_discs(rng.random((len(radii), 12, 2)), radii, shape[0], shape[1])
    warp = packing.median_radius_px * rng.uniform(0.05, 0.3)
    warp_y, warp_x = (
        warp * smooth_noise(rng, shape, packing.median_radius_px * rng.uniform(0.5, 1.5))
        for _ in range(2)
    )
    return tidy(_power_diagram(seeds, warp_y, warp_x, gap_px))


def tidy(labels: LabelImage, *, min_area_px: int = 12) -> LabelImage:
    """Relabel every connected piece of at least `min_area_px` as a grain, 1..n."""
    pieces = connected(labels, connectivity=1)
    areas = np.bincount(pieces.ravel())
    keep = areas >= min_area_px
    keep[0] = False
    number = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    tidied: LabelImage = number[pieces]
    return tidied


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int], scale_px: float
) -> npt.NDArray[np.float32]:
    """Return value noise of zero mean and unit spread whose features are `scale_px` across."""
    scale_px = max(scale_px, 1.0)
    # The grid is rotated, so that its axes are not those of the image.
    reach = int(np.hypot(*shape) / scale_px) + 4
    grid = rng.standard_normal((reach, reach), dtype=np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    return _interpolate(
        grid, shape[0], shape[1], np.cos(angle) / scale_px, np.sin(angle) / scale_px
    )  # type: ignore[no-any-return]


def _harmonics(rng: np.random.Generator, *, strength: float, highest: int) -> Outline:
    order = np.arange(2, highest + 1)[:, None]
    amplitude = rng.normal(0, strength, (len(order), 1)) / order**1.2
    phase = rng.uniform(0, 2 * np.pi, (len(order), 1))
    radii = 1 + (amplitude * np.cos(order * _ANGLES + phase)).sum(0)
    return radii.astype(np.float32)


def _polygon(corners: npt.NDArray[np.float64], radii: npt.NDArray[np.float64]) -> Outline:
    """Return the radii of the straight sides between corners in polar coordinates."""
    closed = np.append(corners, corners[0] + 2 * np.pi)
    closed_radii = np.append(radii, radii[0])
    angles = np.where(corners[0] > _ANGLES, _ANGLES + 2 * np.pi, _ANGLES)
    side = np.clip(np.searchsorted(closed, angles, side="right") - 1, 0, len(corners) - 1)
    a, b = closed[side], closed[side + 1]
    ra, rb = closed_radii[side], closed_radii[side + 1]
    # Corners half a turn or more apart have no straight side between them: an arc stays.
    chord = ra * np.sin(angles - a) + rb * np.sin(b - angles)
    with np.errstate(divide="ignore", invalid="ignore"):
        straight = ra * rb * np.sin(b - a) / (ra * np.sin(angles - a) + rb * np.sin(b - angles))
    usable = (b - a < 2.6) & (np.abs(chord) > 1e-6)
    return np.where(usable, straight, np.minimum(ra, rb)).clip(0.35, 1.3).astype(np.float32)


def _radii(
    rng: np.random.Generator, shape: tuple[int, int], packing: Packing
) -> npt.NDArray[np.float64]:
    mean_area = np.pi * packing.median_radius_px**2 * np.exp(2 * packing.spread**2)
    n = int(np.clip(packing.coverage * shape[0] * shape[1] / mean_area, 1, 4000))
    radii = packing.median_radius_px * np.exp(packing.spread * rng.standard_normal(n))
    radii = np.clip(radii, 2.5, 0.4 * min(shape))
    return np.sort(radii)[::-1] if rng.random() < 0.7 else radii


def _place(
    rng: np.random.Generator,
    shape: tuple[int, int],
    radius: float,
    placed: npt.NDArray[np.float64],
    packing: Packing,
) -> tuple[float, float]:
    if len(placed) and rng.random() < packing.clustering:
        y, x, neighbour = placed[rng.integers(len(placed))]
        direction = rng.uniform(0, 2 * np.pi)
        distance = (radius + neighbour) * rng.uniform(0.85, 1.05)
        return y + distance * np.sin(direction), x + distance * np.cos(direction)
    margin = 0.6 * radius
    y, x = rng.uniform(-margin, np.array(shape) + margin)
    return float(y), float(x)


@nb.njit(cache=True, nogil=True)
def _paint(labels, number, y, x, radius, aspect, angle, outline, allowed, behind):  # type: ignore[no-untyped-def]  # noqa: C901
    """Draw a grain, unless it would overlap others too much; return whether it was drawn."""
    stretch = np.sqrt(aspect)
    reach = radius * 1.4 * max(stretch, 1 / stretch)
    y0, y1 = max(0, int(y - reach)), min(labels.shape[0], int(y + reach) + 2)
    x0, x1 = max(0, int(x - reach)), min(labels.shape[1], int(x + reach) + 2)
    if y1 - y0 < 2 or x1 - x0 < 2:
        return False
    cos, sin, n = np.cos(angle), np.sin(angle), len(outline)
    inside = np.zeros((y1 - y0, x1 - x0), np.bool_)
    area, covered = 0, 0
    for v in range(y0, y1):
        for u in range(x0, x1):
            along = ((u - x) * cos + (v - y) * sin) / (radius * stretch)
            across = (-(u - x) * sin + (v - y) * cos) * stretch / radius
            position = np.arctan2(across, along) / (2 * np.pi) * n
            i = int(np.floor(position))
            part = position - i
            edge = outline[i % n] * (1 - part) + outline[(i + 1) % n] * part
            if along * along + across * across < edge * edge:
                inside[v - y0, u - x0] = True
                area += 1
                covered += labels[v, u] > 0
    if area < 12 or covered > allowed * area:
        return False
    for v in range(y0, y1):
        for u in range(x0, x1):
            if inside[v - y0, u - x0] and (labels[v, u] == 0 or not behind):
                labels[v, u] = number
    return True


@nb.njit(cache=True, nogil=True)
def _throw_discs(darts, radii, height, width):  # type: ignore[no-untyped-def]
    """Place discs (y, x, r) at random without overlap; give up on a disc after 12 attempts."""
    seeds = np.empty((len(radii), 3))
    n = 0
    for k in range(len(radii)):
        r = radii[k]
        for t in range(darts.shape[1]):
            y = (darts[k, t, 0] * 1.2 - 0.1) * height
            x = (darts[k, t, 1] * 1.2 - 0.1) * width
            free = True
            for j in range(n):
                near = 0.85 * (r + seeds[j, 2])
                if (y - seeds[j, 0]) ** 2 + (x - seeds[j, 1]) ** 2 < near * near:
                    free = False
                    break
            if free:
                seeds[n, 0], seeds[n, 1], seeds[n, 2] = y, x, r
                n += 1
                break
    return seeds[:n]


@nb.njit(cache=True, nogil=True)
def _power_diagram(seeds, warp_y, warp_x, gap):  # type: ignore[no-untyped-def]
    height, width = warp_y.shape
    labels = np.zeros((height, width), np.int32)
    if len(seeds) == 0:
        return labels
    for v in range(height):
        for u in range(width):
            y, x = v + warp_y[v, u], u + warp_x[v, u]
            best, second, winner, runner = 1e30, 1e30, 0, 0
            for k in range(len(seeds)):
                power = (y - seeds[k, 0]) ** 2 + (x - seeds[k, 1]) ** 2 - seeds[k, 2] ** 2
                if power < best:
                    best, second, winner, runner = power, best, k, winner
                elif power < second:
                    second, runner = power, k
            # Distance to the boundary between the two nearest cells.
            apart = np.sqrt(
                (seeds[winner, 0] - seeds[runner, 0]) ** 2
                + (seeds[winner, 1] - seeds[runner, 1]) ** 2
            )
            to_face = (second - best) / (2 * max(apart, 1e-6))
            # Where discs are sparse, pores between them stay open.
            open_pore = best > (0.9 * seeds[winner, 2]) ** 2
            if to_face >= gap / 2 and not open_pore:
                labels[v, u] = winner + 1
    return labels


@nb.njit(cache=True, nogil=True)
def _interpolate(grid, height, width, cos, sin):  # type: ignore[no-untyped-def]
    out = np.empty((height, width), np.float32)
    middle = (len(grid) - 1) / 2
    for v in range(height):
        for u in range(width):
            dy, dx = v - height / 2, u - width / 2
            y, x = middle + dy * cos + dx * sin, middle - dy * sin + dx * cos
            i, j = int(y), int(x)
            fy, fx = y - i, x - j
            fy, fx = fy * fy * (3 - 2 * fy), fx * fx * (3 - 2 * fx)
            top = grid[i, j] * (1 - fx) + grid[i, j + 1] * fx
            bottom = grid[i + 1, j] * (1 - fx) + grid[i + 1, j + 1] * fx
            # Interpolation between independent values loses spread; 1.5 gives it back on average.
            out[v, u] = 1.5 * (top * (1 - fy) + bottom * fy)
    return out

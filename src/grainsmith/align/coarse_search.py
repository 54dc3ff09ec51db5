"""Search all shifts, and rotations and scales if shifts fail, for a coarse registration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from grainsmith.align.mutual_information import Peak, Surface, find_peak, information_surface
from grainsmith.align.pyramid import NO_LEVEL, Bytes, Pyramid
from grainsmith.parallel import map_threads

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grainsmith.align.bspline import DisplacementField
    from grainsmith.align.landmarks import Matrix
    from grainsmith.align.settings import AlignSettings

_WINDOW = 24  # blocks around a peak for its significance


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Transform of images to the reference, with its evidence.

    Attributes
    ----------
    matrix : (3, 3) float array
        From the grid of the moving images to that of the reference (with the same shape).
    peak : Peak
        Combined evidence of all images; its shift is in coarse blocks.
    model : str
        "shift", "similarity" or "affine".
    misfit_px : float
        Median distance of the tiles from the transform, in pixels of the reference; NaN if too few
        tiles are conclusive.
    note : str
        Remark for the user.
    bend : DisplacementField or None
        Displacements beyond the matrix, if requested and placement.
    """

    matrix: Matrix
    peak: Peak
    model: str = "shift"
    misfit_px: float = float("nan")
    note: str = ""
    bend: DisplacementField | None = None


Pairs = Sequence[tuple[Pyramid, Pyramid]]
"""Pairs of reference and moving image that share one transform."""


def is_convincing(peak: Peak, settings: AlignSettings) -> bool:
    """Return whether the evidence is sufficient to move an image."""
    return (
        not peak.at_edge
        and peak.z >= settings.accept_z
        and peak.z >= settings.accept_ratio * peak.runner_up
    )


def information_surfaces(
    pairs: Pairs, matrix: Matrix | None = None, *, step: int = 1
) -> list[Surface]:
    """Compute the mutual information of each pair for all shifts.

    Parameters
    ----------
    pairs : sequence of (Pyramid, Pyramid)
        Reference and moving.
    matrix : (3, 3) float array, optional
        Transform of the moving images on the grid of the reference, applied first.
    step : int
        Step of the pyramids.
    """
    factor, first = pairs[0][0].steps[step]
    reach = largest_shift(first.shape)

    def surface(pair: tuple[Pyramid, Pyramid]) -> Surface:
        reference, moving = (pyramid.steps[step][1] for pyramid in pair)
        if matrix is not None:
            moving = _moved(moving, to_block_matrix(matrix, factor))
        return information_surface(reference, moving, reach)

    return map_threads(surface, pairs)


def largest_shift(shape: tuple[int, ...], most_blocks: int = 0) -> tuple[int, int]:
    """Return the largest shift in blocks: half the field, but at most `most_blocks`."""
    most = most_blocks or max(shape)
    return min(shape[0] // 2, most), min(shape[1] // 2, most)


def combined_peak(surfaces: Sequence[Surface], limit_blocks: float = np.inf) -> tuple[Peak, float]:
    """Find the highest peak of a sum of surfaces, and its height in nats.

    Mutual information times the number of pixels is a log-likelihood, which is additive over
    independent images.

    Parameters
    ----------
    surfaces : sequence of arrays
        From `information_surfaces`.
    limit_blocks : float
        Largest allowed shift; higher peaks beyond still count as rivals.

    Returns
    -------
    Peak, float
        z is relative to the neighbourhood of the peak; the runner-up may be anywhere.
    """
    surface: Surface = np.sum(surfaces, axis=0)
    middle = [n // 2 for n in surface.shape]
    limits = [min(n, max(2, int(np.ceil(min(limit_blocks, n))))) for n in middle]
    allowed = surface[tuple(slice(m - n, m + n + 1) for m, n in zip(middle, limits, strict=True))]
    best, everywhere = find_peak(allowed), find_peak(surface)
    y, x = middle[0] + round(best.dy_px), middle[1] + round(best.dx_px)
    near = find_peak(surface[_window(y, surface.shape[0]), _window(x, surface.shape[1])])
    # The runner-up is scaled relative to the highest peak of the whole surface.
    is_best = round(best.dy_px) == round(everywhere.dy_px) and round(best.dx_px) == round(
        everywhere.dx_px
    )
    rival = everywhere.runner_up / max(everywhere.z, 1e-9) if is_best else 1.0
    height = float(surface[y, x] - np.median(surface))
    return replace(best, z=near.z, runner_up=max(near.runner_up, near.z * rival)), height


def _window(centre: int, length: int) -> slice:
    start = int(np.clip(centre - _WINDOW, 0, max(0, length - 2 * _WINDOW - 1)))
    return slice(start, min(length, start + 2 * _WINDOW + 1))


def shift_in_blocks(shift_px: float, factor: int) -> float:
    """Convert a largest shift to blocks; 0 px = unlimited."""
    return shift_px / factor if shift_px else np.inf


def to_block_matrix(matrix: Matrix, factor: int) -> Matrix:
    """Convert a transform of pixels to blocks of factor x factor pixels."""
    to_pixels = np.diag([factor, factor, 1.0])
    to_pixels[:2, 2] = (factor - 1) / 2
    return np.asarray(np.linalg.inv(to_pixels) @ matrix @ to_pixels)


def to_pixel_matrix(matrix: Matrix, factor: int) -> Matrix:
    """Convert a transform of blocks to pixels."""
    to_pixels = np.diag([factor, factor, 1.0])
    to_pixels[:2, 2] = (factor - 1) / 2
    return np.asarray(to_pixels @ matrix @ np.linalg.inv(to_pixels))


def _moved(image: Bytes, matrix: Matrix) -> Bytes:
    back = np.linalg.inv(matrix)
    moved: Bytes = ndimage.affine_transform(
        image, back[:2, :2], back[:2, 2], order=0, mode="constant", cval=NO_LEVEL
    )
    return moved


def search_coarse(pairs: Pairs, surfaces: Sequence[Surface], settings: AlignSettings) -> Placement:
    """Find a coarse transform of all moving images to the reference.

    Parameters
    ----------
    pairs : sequence of (Pyramid, Pyramid)
        Reference and moving.
    surfaces : sequence of arrays
        Result of `information_surfaces`.
    settings : AlignSettings
        Search range.

    Returns
    -------
    Placement
        A shift, with rotation and scale if a shift alone is not convincing.
    """
    factor = pairs[0][0].steps[1][0]
    peak = combined_peak(surfaces, shift_in_blocks(settings.max_shift_px, factor))[0]
    start = shift_matrix(peak.dy_px * factor, peak.dx_px * factor)
    placement = Placement(matrix=start, peak=peak)
    if settings.model == "shift" or is_convincing(peak, settings):
        return placement
    return _search_rotations(pairs, placement, settings)


def shift_matrix(dy: float, dx: float) -> Matrix:
    """Return the matrix of a shift."""
    matrix = np.eye(3)
    matrix[:2, 2] = dy, dx
    return matrix


def _search_rotations(pairs: Pairs, shifted: Placement, settings: AlignSettings) -> Placement:
    """Search all allowed rotations and scales; fall back to the given shift."""
    factor, first = pairs[0][0].steps[0]
    best, best_height = shifted.matrix, -np.inf

    def try_all(matrices: Iterable[Matrix]) -> None:
        nonlocal best, best_height
        for matrix in matrices:
            tried = information_surfaces(pairs, matrix, step=0)
            peak, height = combined_peak(tried, shift_in_blocks(settings.max_shift_px, factor))
            if height > best_height:
                best = shift_matrix(peak.dy_px * factor, peak.dx_px * factor) @ matrix
                best_height = height

    try_all(_rotations(first.shape, factor, settings))
    try_all(list(_finer_rotations(first.shape, factor, best)))
    step = pairs[0][0].steps[1][0]
    limit = shift_in_blocks(settings.max_shift_px, step)
    peak = combined_peak(information_surfaces(pairs, best), limit)[0]
    matrix = shift_matrix(peak.dy_px * step, peak.dx_px * step) @ best
    turned = Placement(matrix=matrix, peak=peak, model="similarity")
    return turned if is_convincing(peak, settings) else shifted


def _step_rad(shape: tuple[int, ...]) -> float:
    """Return the rotation that moves points halfway to the edge by 1.5 blocks."""
    return 6.0 / max(shape)


def _rotations(shape: tuple[int, ...], factor: int, settings: AlignSettings) -> Iterable[Matrix]:
    step = _step_rad(shape)
    most = np.radians(settings.max_rotation_deg)
    angles = np.arange(-np.floor(most / step), np.floor(most / step) + 1) * step
    zoom = np.log1p(settings.max_zoom_pct / 100)
    zooms = np.exp(np.arange(-np.floor(zoom / step), np.floor(zoom / step) + 1) * step)
    for angle in angles:
        for factor_of_zoom in zooms:
            yield _about_centre(angle, factor_of_zoom, shape, factor)


def _finer_rotations(shape: tuple[int, ...], factor: int, matrix: Matrix) -> Iterable[Matrix]:
    half = _step_rad(shape) / 2
    for angle in (-half, 0, half):
        for zoom in (-half, 0, half):
            if angle or zoom:
                yield _about_centre(angle, np.exp(zoom), shape, factor) @ matrix


def _about_centre(angle: float, zoom: float, shape: tuple[int, ...], factor: int) -> Matrix:
    centre = np.array([(n * factor - 1) / 2 for n in shape])
    matrix = np.eye(3)
    along, across = zoom * np.cos(angle), zoom * np.sin(angle)
    matrix[:2, :2] = [[along, across], [-across, along]]
    matrix[:2, 2] = centre - matrix[:2, :2] @ centre
    return matrix

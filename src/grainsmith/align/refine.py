"""Refine a coarse transform to subpixel precision with the simplest sufficient model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from grainsmith.align.coarse_search import (
    Pairs,
    Placement,
    combined_peak,
    information_surfaces,
    to_block_matrix,
    to_pixel_matrix,
)
from grainsmith.align.landmarks import (
    MODELS,
    Matrix,
    Points,
    residuals_px,
    robust_fit,
    turn_zoom_and_shear,
)
from grainsmith.align.mutual_information import (
    ENOUGH_PIXELS,
    LocalInformation,
    Surface,
    local_information,
    subpixel_summit,
)
from grainsmith.parallel import map_threads

if TYPE_CHECKING:
    import numpy.typing as npt

    from grainsmith.align.pyramid import Pyramid
    from grainsmith.align.settings import AlignSettings

TILES = 5
"""Number of tiles in each direction, to distinguish models."""

_MIN_TILES = 8
_RADIUS = 3
_CORRELATED_PIXELS = 12.0  # pixels with correlated noise after smoothing
NOTICEABLE = 15.0
"""Significant evidence in nats; noise alone reaches 9 in the best of 49 shifts."""

_MIN_CORNER_SHIFT_PX = 0.3  # smaller effects of a richer model are ignored
_MIN_F_RATIO = 8.0  # of a richer model


def refine_placement(pairs: Pairs, placement: Placement, settings: AlignSettings) -> Placement:
    """Refine a transform to subpixel precision.

    Parameters
    ----------
    pairs : sequence of (Pyramid, Pyramid)
        Reference and moving images.
    placement : Placement
        Correct to a few blocks of the coarse step.
    settings : AlignSettings
        `model` limits the transform models.

    Returns
    -------
    Placement
        With model and misfit of the tiles; the evidence is computed again for models beyond a
        shift.
    """
    last = len(pairs[0][0].steps) - 1
    shift = placement
    for step in range(1, last + 1):
        shift = replace(
            placement, matrix=refine_shift(pairs, shift.matrix, step), model=placement.model
        )
    if settings.model == "shift":
        return shift
    rich = _by_tiles(pairs, placement, settings)
    if rich.model == placement.model == "shift":
        return replace(shift, misfit_px=rich.misfit_px)
    if settings.model == "auto" and not _is_supported(pairs, rich.matrix, shift.matrix):
        return shift
    return replace(rich, peak=combined_peak(information_surfaces(pairs, rich.matrix))[0])


def refine_shift(pairs: Pairs, matrix: Matrix, step: int, *, enough: int = ENOUGH_PIXELS) -> Matrix:
    """Refine the shift of a transform on one step of the pyramids."""
    factor = pairs[0][0].steps[step][0]
    blocks = to_block_matrix(matrix, factor)
    return to_pixel_matrix(
        _shifted(information_near(pairs, blocks, step, enough=enough), blocks), factor
    )


def _is_supported(pairs: Pairs, rich: Matrix, simple: Matrix) -> bool:
    """Return whether the whole images, not only their tiles, support the richer model."""
    return evidence_at(pairs, rich) > evidence_at(pairs, simple) + NOTICEABLE


def evidence_at(pairs: Pairs, matrix: Matrix) -> float:
    """Compute the log-likelihood of a transform in nats."""
    local = information_near(pairs, matrix, len(pairs[0][0].steps) - 1, radius=1)
    # With nearest neighbours, the transform itself is a fraction of a pixel off the centre.
    back = np.linalg.inv(matrix)
    exact = local.moving[-1] - (back[:2, :2] @ local.reference[-1] + back[:2, 2])
    surface = local.surfaces[-1]
    height = (
        surface[1, 1] + _parabola_at(surface[:, 1], exact[0]) + _parabola_at(surface[1], exact[1])
    )
    return float(height * local.pixels[-1] / _CORRELATED_PIXELS)


def _parabola_at(values: npt.NDArray[np.float64], offset: float) -> float:
    """Evaluate the parabola through three values at an offset, relative to the centre."""
    slope, bend = (values[2] - values[0]) / 2, (values[0] + values[2]) / 2 - values[1]
    return float(slope * offset + bend * offset**2)


def tile_misfit_px(pairs: Pairs, matrix: Matrix) -> float:
    """Compute the median distance of the tiles from a transform; NaN for too few tiles.

    Unlike `misfit_px`, the transform is not fitted to the tiles.
    """
    step = len(pairs[0][0].steps) - 1
    local = information_near(pairs, matrix, step, radius=2 * _RADIUS, tiles=TILES)
    moving, reference, _ = _tile_points(local)
    if len(moving) < _MIN_TILES:
        return float("nan")
    return float(np.median(residuals_px(moving, reference, matrix)))


def _by_tiles(pairs: Pairs, placement: Placement, settings: AlignSettings) -> Placement:
    """Fit the simplest sufficient transform to the tiles."""
    last = len(pairs[0][0].steps) - 1
    # Use a wide window first, because rotation moves the corners far; repeat the last step, because
    # the nearest pixels depend on the rotation.
    plan = [(1, 2 * _RADIUS), *((step, _RADIUS) for step in range(2, last + 1)), (last, _RADIUS)]
    result = placement
    for done, (step, radius) in enumerate(plan):
        if done and result.model == "shift" and step == plan[done - 1][0]:
            continue
        factor = pairs[0][0].steps[step][0]
        blocks = to_block_matrix(result.matrix, factor)
        local = information_near(pairs, blocks, step, radius=radius, tiles=TILES)
        fit = _fit_tiles(local, _shifted(local, blocks), settings, factor)
        result = replace(
            placement,
            matrix=to_pixel_matrix(fit.matrix, factor),
            model=fit.model,
            misfit_px=fit.misfit * factor,
        )
    return result


def information_near(
    pairs: Pairs,
    blocks: Matrix,
    step: int,
    *,
    radius: int = _RADIUS,
    tiles: int = 1,
    enough: int = ENOUGH_PIXELS,
) -> LocalInformation:
    """Compute the mutual information around a transform, summed over all pairs."""

    def compute(pair: tuple[Pyramid, Pyramid]) -> LocalInformation:
        reference, moving = (pyramid.steps[step][1] for pyramid in pair)
        return local_information(
            reference, moving, blocks, radius=radius, tiles=tiles, enough=enough
        )

    results = map_threads(compute, pairs)
    return replace(results[0], surfaces=np.sum([local.surfaces for local in results], axis=0))


def _shifted(local: LocalInformation, blocks: Matrix) -> Matrix:
    """Correct the shift of a transform by the whole image."""
    top = find_summit(local.surfaces[-1])
    if top is None:
        return blocks
    moved = blocks.copy()
    moved[:2, 2] = local.reference[-1] - blocks[:2, :2] @ (local.moving[-1] - top)
    return moved


def find_summit(surface: Surface) -> tuple[float, float] | None:
    """Return the best shift of a small surface, or None if it is at the edge."""
    y, x = (int(n) for n in np.unravel_index(int(surface.argmax()), surface.shape))
    radius = len(surface) // 2
    if 0 in (y, x) or 2 * radius in (y, x):
        return None
    dy, dx = subpixel_summit(surface[y - 1 : y + 2, x - 1 : x + 2])
    return y - radius + dy, x - radius + dx


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    matrix: Matrix
    model: str
    misfit: float


def _fit_tiles(
    local: LocalInformation, shift: Matrix, settings: AlignSettings, factor: int
) -> _Fit:
    """Fit the simplest allowed transform that is consistent with the tiles."""
    moving, reference, evidence = _tile_points(local)
    if len(moving) < _MIN_TILES:
        return _Fit(matrix=shift, model="shift", misfit=np.nan)
    allowed = MODELS if settings.model == "auto" else (settings.model,)
    best = _fit(moving, reference, evidence, allowed[0], shift)
    for model in allowed[1:]:
        richer = _fit(moving, reference, evidence, model, shift)
        if _is_significant(best, richer, moving, reference, factor):
            best = richer
    if not is_within_limits(best.matrix, settings):
        return _Fit(matrix=shift, model="shift", misfit=np.nan)
    return best


def _tile_points(local: LocalInformation) -> tuple[Points, Points, npt.NDArray[np.float64]]:
    """Return the centres of conclusive tiles in both images, and their evidence."""
    moving, reference, evidence = [], [], []
    for number, surface in enumerate(local.surfaces[:-1]):
        height = (surface.max() - np.median(surface)) * local.pixels[number] / _CORRELATED_PIXELS
        top = find_summit(surface)
        if top is not None and height >= NOTICEABLE:
            moving.append(local.moving[number] - top)
            reference.append(local.reference[number])
            evidence.append(height)
    return np.array(moving).reshape(-1, 2), np.array(reference).reshape(-1, 2), np.array(evidence)


def _fit(
    moving: Points,
    reference: Points,
    evidence: npt.NDArray[np.float64],
    model: str,
    shift: Matrix,
) -> _Fit:
    if model == "shift" and np.array_equal(shift[:2, :2], np.eye(2)):
        matrix = shift  # the whole image is more precise than its tiles
    else:
        # The variance of a peak is inversely proportional to its evidence.
        matrix, _ = robust_fit(moving, reference, model, trust=evidence)
    misfit = float(np.median(residuals_px(moving, reference, matrix)))
    return _Fit(matrix=matrix, model=model, misfit=misfit)


def _is_significant(
    simple: _Fit, rich: _Fit, moving: Points, reference: Points, factor: int
) -> bool:
    """Return whether a richer transform has an effect, and fits the tiles significantly better."""
    ends = np.array([moving.min(0), moving.max(0)])
    corners = np.array([(y, x) for y in ends[:, 0] for x in ends[:, 1]])
    gaps = _applied(rich.matrix, corners) - _applied(simple.matrix, corners)
    if np.abs(gaps).max() * factor < _MIN_CORNER_SHIFT_PX:
        return False
    extra = 2 * (MODELS.index(rich.model) - MODELS.index(simple.model))
    left_over = _spread(residuals_px(moving, reference, rich.matrix))
    gained = _spread(residuals_px(moving, reference, simple.matrix)) - left_over
    freedom = max(1, 2 * len(moving) - 2 * (1 + MODELS.index(rich.model)))
    return gained / extra > _MIN_F_RATIO * max(left_over, 1e-4) / freedom


def _spread(distances: npt.NDArray[np.float64]) -> float:
    """Compute the sum of squares, with outliers clipped to three times the median."""
    return float((np.minimum(distances, 3 * np.median(distances)) ** 2).sum())


def _applied(matrix: Matrix, points: Points) -> Points:
    return points @ matrix[:2, :2].T + matrix[:2, 2]


def is_within_limits(matrix: Matrix, settings: AlignSettings) -> bool:
    """Return whether rotation, scale and shear are within the search range."""
    turn, zoom, shear = turn_zoom_and_shear(matrix)
    most = 1 + settings.max_zoom_pct / 100
    return (
        abs(turn) <= settings.max_rotation_deg + 0.5
        and 1 / most - 0.005 <= zoom <= most + 0.005
        and shear <= 0.05
    )

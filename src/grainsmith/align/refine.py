"""From a rough place to a fraction of a pixel, by a transform of the kind the tiles ask for."""

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
"""Tiles down and across by which a shift is told from a turn."""

_FEWEST_TILES = 8
_RADIUS = 3
_SMOOTHED_TOGETHER = 12.0  # pixels that share their noise after the smoothing of the levels
NOTICEABLE = 15.0
"""Evidence in nats that counts; noise alone reaches 9 in the best of 49 shifts."""

_SEEN_AT_CORNERS_PX = 0.3  # a turn that moves nothing by more is no turn
_CLEARLY_BETTER = 8.0  # F ratio by which a richer model must win


def refine_placement(pairs: Pairs, found: Placement, settings: AlignSettings) -> Placement:
    """Return a transform to a fraction of a pixel.

    Parameters
    ----------
    pairs : sequence of (Pyramid, Pyramid)
        Reference and moving.
    found : Placement
        Right to a few blocks of the coarse step.
    settings : AlignSettings
        `model` says which kinds of transform may come out.

    Returns
    -------
    Placement
        With the kind of transform, the misfit of the tiles, and the evidence judged anew where
        the transform is more than a shift.
    """
    last = len(pairs[0][0].steps) - 1
    shift = found
    for step in range(1, last + 1):
        shift = replace(found, matrix=refine_shift(pairs, shift.matrix, step), model=found.model)
    if settings.model == "shift":
        return shift
    rich = _by_tiles(pairs, found, settings)
    if rich.model == found.model == "shift":
        return replace(shift, misfit_px=rich.misfit_px)
    if settings.model == "auto" and not _tells_more(pairs, rich.matrix, shift.matrix):
        return shift
    return replace(rich, peak=combined_peak(information_surfaces(pairs, rich.matrix))[0])


def refine_shift(pairs: Pairs, matrix: Matrix, step: int, *, enough: int = ENOUGH_PIXELS) -> Matrix:
    """Return a transform with its shift set right by a step of the pyramids."""
    factor = pairs[0][0].steps[step][0]
    blocks = to_block_matrix(matrix, factor)
    return to_pixel_matrix(
        _shifted(information_near(pairs, blocks, step, enough=enough), blocks), factor
    )


def _tells_more(pairs: Pairs, rich: Matrix, simple: Matrix) -> bool:
    """Return whether the whole images, and not only their tiles, prefer the richer model."""
    return evidence_at(pairs, rich) > evidence_at(pairs, simple) + NOTICEABLE


def evidence_at(pairs: Pairs, matrix: Matrix) -> float:
    """Return how much the images tell of each other at a transform, in nats of likelihood."""
    seen = information_near(pairs, matrix, len(pairs[0][0].steps) - 1, radius=1)
    # Nearest pixels were taken: the transform itself lies a fraction beside the middle.
    back = np.linalg.inv(matrix)
    exact = seen.moving[-1] - (back[:2, :2] @ seen.reference[-1] + back[:2, 2])
    surface = seen.surfaces[-1]
    height = surface[1, 1] + _beside(surface[:, 1], exact[0]) + _beside(surface[1], exact[1])
    return float(height * seen.pixels[-1] / _SMOOTHED_TOGETHER)


def _beside(values: npt.NDArray[np.float64], offset: float) -> float:
    """Return how far the parabola through three values differs at an offset from the middle."""
    slope, bend = (values[2] - values[0]) / 2, (values[0] + values[2]) / 2 - values[1]
    return float(slope * offset + bend * offset**2)


def tile_misfit_px(pairs: Pairs, matrix: Matrix) -> float:
    """Return how far the tiles are off a transform, their median; NaN where too few can be judged.

    Unlike `misfit_px` nothing is fitted to them first.
    """
    step = len(pairs[0][0].steps) - 1
    seen = information_near(pairs, matrix, step, radius=2 * _RADIUS, tiles=TILES)
    moving, reference, _ = _tile_points(seen)
    if len(moving) < _FEWEST_TILES:
        return float("nan")
    return float(np.median(residuals_px(moving, reference, matrix)))


def _by_tiles(pairs: Pairs, found: Placement, settings: AlignSettings) -> Placement:
    """Return the transform on which the tiles agree, of the simplest kind that serves."""
    last = len(pairs[0][0].steps) - 1
    # Over a wide window first, because a turn moves the corners far; twice at the end, because
    # the nearest pixels are known only when the turn is.
    plan = [(1, 2 * _RADIUS), *((step, _RADIUS) for step in range(2, last + 1)), (last, _RADIUS)]
    result = found
    for done, (step, radius) in enumerate(plan):
        if done and result.model == "shift" and step == plan[done - 1][0]:
            continue
        factor = pairs[0][0].steps[step][0]
        blocks = to_block_matrix(result.matrix, factor)
        seen = information_near(pairs, blocks, step, radius=radius, tiles=TILES)
        fit = _agreed(seen, _shifted(seen, blocks), settings, factor)
        result = replace(
            found,
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
    """Return the mutual information around a transform, added over all pairs."""

    def one(pair: tuple[Pyramid, Pyramid]) -> LocalInformation:
        reference, moving = (pyramid.steps[step][1] for pyramid in pair)
        return local_information(
            reference, moving, blocks, radius=radius, tiles=tiles, enough=enough
        )

    each = map_threads(one, pairs)
    return replace(each[0], surfaces=np.sum([one.surfaces for one in each], axis=0))


def _shifted(seen: LocalInformation, blocks: Matrix) -> Matrix:
    """Return the transform with its shift set right by the whole image."""
    top = find_summit(seen.surfaces[-1])
    if top is None:
        return blocks
    moved = blocks.copy()
    moved[:2, 2] = seen.reference[-1] - blocks[:2, :2] @ (seen.moving[-1] - top)
    return moved


def find_summit(surface: Surface) -> tuple[float, float] | None:
    """Return the highest shift of a small surface, or None where it lies on the edge."""
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


def _agreed(seen: LocalInformation, shift: Matrix, settings: AlignSettings, factor: int) -> _Fit:
    """Return the simplest allowed transform that the tiles agree on."""
    moving, reference, trust = _tile_points(seen)
    if len(moving) < _FEWEST_TILES:
        return _Fit(matrix=shift, model="shift", misfit=np.nan)
    allowed = MODELS if settings.model == "auto" else (settings.model,)
    best = _fit(moving, reference, trust, allowed[0], shift)
    for model in allowed[1:]:
        richer = _fit(moving, reference, trust, model, shift)
        if _is_worth_it(best, richer, moving, reference, factor):
            best = richer
    if not is_within_limits(best.matrix, settings):
        return _Fit(matrix=shift, model="shift", misfit=np.nan)
    return best


def _tile_points(seen: LocalInformation) -> tuple[Points, Points, npt.NDArray[np.float64]]:
    """Return the middles of the tiles that can be judged, in both images, and their evidence."""
    moving, reference, trust = [], [], []
    for number, surface in enumerate(seen.surfaces[:-1]):
        height = (surface.max() - np.median(surface)) * seen.pixels[number] / _SMOOTHED_TOGETHER
        top = find_summit(surface)
        if top is not None and height >= NOTICEABLE:
            moving.append(seen.moving[number] - top)
            reference.append(seen.reference[number])
            trust.append(height)
    return np.array(moving).reshape(-1, 2), np.array(reference).reshape(-1, 2), np.array(trust)


def _fit(
    moving: Points,
    reference: Points,
    trust: npt.NDArray[np.float64],
    model: str,
    shift: Matrix,
) -> _Fit:
    if model == "shift" and np.array_equal(shift[:2, :2], np.eye(2)):
        matrix = shift  # the whole image knows its shift better than its tiles do
    else:
        # The spread of a summit falls with its height: twice the evidence is two tiles.
        matrix, _ = robust_fit(moving, reference, model, trust=trust)
    misfit = float(np.median(residuals_px(moving, reference, matrix)))
    return _Fit(matrix=matrix, model=model, misfit=misfit)


def _is_worth_it(simple: _Fit, rich: _Fit, moving: Points, reference: Points, factor: int) -> bool:
    """Return whether a richer transform moves something, and fits the tiles clearly better."""
    ends = np.array([moving.min(0), moving.max(0)])
    corners = np.array([(y, x) for y in ends[:, 0] for x in ends[:, 1]])
    gaps = _applied(rich.matrix, corners) - _applied(simple.matrix, corners)
    if np.abs(gaps).max() * factor < _SEEN_AT_CORNERS_PX:
        return False
    extra = 2 * (MODELS.index(rich.model) - MODELS.index(simple.model))
    left_over = _spread(residuals_px(moving, reference, rich.matrix))
    gained = _spread(residuals_px(moving, reference, simple.matrix)) - left_over
    freedom = max(1, 2 * len(moving) - 2 * (1 + MODELS.index(rich.model)))
    return gained / extra > _CLEARLY_BETTER * max(left_over, 1e-4) / freedom


def _spread(distances: npt.NDArray[np.float64]) -> float:
    """Return the sum of squares, wrong tiles cut down to thrice the median."""
    return float((np.minimum(distances, 3 * np.median(distances)) ** 2).sum())


def _applied(matrix: Matrix, points: Points) -> Points:
    return points @ matrix[:2, :2].T + matrix[:2, 2]


def is_within_limits(matrix: Matrix, settings: AlignSettings) -> bool:
    """Return whether turn, zoom and shear are of the size that was asked for."""
    turn, zoom, shear = turn_zoom_and_shear(matrix)
    most = 1 + settings.max_zoom_pct / 100
    return (
        abs(turn) <= settings.max_rotation_deg + 0.5
        and 1 / most - 0.005 <= zoom <= most + 0.005
        and shear <= 0.05
    )

"""Refine an accepted transform by SimpleITK, where its tiles say that a shift is not enough.

An extra of the installation (`grainsmith[registration]`). It only ever starts from a place that was
accepted, and its answer only counts where our own evidence of all images prefers it.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from grainsmith.align.bspline import DisplacementField
from grainsmith.align.coarse_search import (
    combined_peak,
    information_surfaces,
    to_block_matrix,
    to_pixel_matrix,
)
from grainsmith.align.pyramid import NO_LEVEL, Pyramid
from grainsmith.align.refine import NOTICEABLE, evidence_at, is_within_limits, tile_misfit_px
from grainsmith.errors import GrainsmithError

if TYPE_CHECKING:
    import numpy.typing as npt

    from grainsmith.align.coarse_search import Pairs, Placement
    from grainsmith.align.landmarks import Matrix
    from grainsmith.align.pyramid import Bytes
    from grainsmith.align.settings import AlignSettings

_MISFIT_PX = 0.5  # of the tiles: from here on a shift is doubted
_MOST_PIXELS = 4_000_000  # of the step that is compared: bounds memory and time
_ROUNDS = 100
_BEND_ROUNDS = 40
_BEND_PIXELS = 400_000  # the same for a B-spline, whose every round is slower
_CELLS = 4  # of the B-spline along each side: drift within a scan is smooth
_MOST_BEND_PX = 20.0
_BAND_ROWS = 256
_BINS = 16


def require_simpleitk(settings: AlignSettings) -> None:
    """Raise GrainsmithError where a refinement is asked for that is not installed."""
    if settings.refine != "none" and find_spec("SimpleITK") is None:
        raise GrainsmithError(
            f"The refinement '{settings.refine}' needs SimpleITK, which is not installed: "
            "pip install 'grainsmith[registration]', or align without it."
        )


def refine_affine(pairs: Pairs, found: Placement, settings: AlignSettings) -> Placement:
    """Return a better affine transform, or what was found where there is none.

    The Mattes mutual information (Mattes et al. 2003, IEEE Transactions on Medical Imaging 22:120)
    of the most telling image of the pass is climbed from the place that was found.

    Parameters
    ----------
    pairs : sequence of (Pyramid, Pyramid)
        Reference and moving, of one pass.
    found : Placement
        Accepted, and refined as far as our own steps go.
    settings : AlignSettings
        Its largest turn and zoom bound what may come out.

    Returns
    -------
    Placement
        Its note says which of the two it is. Unchanged where the tiles agree on a shift, or could
        not be judged.
    """
    by_shift = found.model == "shift" and not found.misfit_px > _MISFIT_PX
    if by_shift:
        return found
    matrix = _climbed(pairs, found.matrix)
    gain = evidence_at(pairs, matrix) - evidence_at(pairs, found.matrix)
    if not is_within_limits(matrix, settings) or gain < NOTICEABLE:
        note = f"its tiles are off by {found.misfit_px:.1f} px; an affine refinement is no better"
        return replace(found, note=f"{note}: not taken")
    peak = combined_peak(information_surfaces(pairs, matrix))[0]
    return replace(
        found,
        matrix=matrix,
        peak=peak,
        model="affine",
        note=f"affine refinement by SimpleITK: {gain:.0f} nats better",
    )


def refine_bspline(pairs: Pairs, found: Placement) -> Placement:
    """Return what was found with the bend that a B-spline of SimpleITK leaves, or without one.

    The most telling image of the pass is compared by Mattes' mutual information. The answer is
    taken only where our own evidence of all images of the pass gains more than one nat for each
    of its numbers (Akaike 1974, IEEE Transactions on Automatic Control 19:716), nothing is folded,
    and the tiles fit better.

    Parameters
    ----------
    pairs : sequence of (Pyramid, Pyramid)
        Reference and moving, of one pass.
    found : Placement
        Accepted; its matrix stays as it is.

    Returns
    -------
    Placement
        Its note says which of the two it is.
    """
    before = tile_misfit_px(pairs, found.matrix)
    if not before > _MISFIT_PX:
        return found
    bend = _bent(pairs, found.matrix)
    if bend is None or _is_folded(bend):
        return replace(found, note=f"its tiles are off by {before:.1f} px; no B-spline was found")
    straight, bent = (
        [(ours, _straight(theirs, found.matrix, one)) for ours, theirs in pairs]
        for one in (None, bend)
    )
    gain = evidence_at(bent, np.eye(3)) - evidence_at(straight, np.eye(3))
    after = tile_misfit_px(bent, np.eye(3))
    if gain < NOTICEABLE + bend.knots_px.size or not after < before:
        note = f"its tiles are off by {before:.1f} px; a B-spline is no better: not taken"
        return replace(found, note=note)
    note = f"bent: its tiles are off by {before:.1f} px, with the recorded B-spline {after:.1f} px"
    return replace(found, bend=bend, misfit_px=before, note=note)


def _straight(moving: Pyramid, matrix: Matrix, bend: DisplacementField | None) -> Pyramid:
    """Return the finest step of an image on the reference, each pixel from the nearest."""
    levels = moving.steps[-1][1]
    result = np.full(levels.shape, NO_LEVEL, np.uint8)
    back = np.linalg.inv(matrix)
    for top in range(0, len(levels), _BAND_ROWS):
        rows = np.arange(top, min(top + _BAND_ROWS, len(levels)))
        grid = np.meshgrid(rows, np.arange(levels.shape[1]), indexing="ij")
        points = np.stack(grid, axis=-1).reshape(-1, 2).astype(float)
        if bend is not None:
            points = points + bend.displacement_px(points)
        y, x = np.rint(points @ back[:2, :2].T + back[:2, 2]).astype(int).T
        inside = (y >= 0) & (y < levels.shape[0]) & (x >= 0) & (x < levels.shape[1])
        band = result[rows[0] : rows[-1] + 1].reshape(-1)
        band[inside] = levels[y[inside], x[inside]]
    return Pyramid(steps=(*moving.steps[:-1], (1, result)))


def _is_folded(bend: DisplacementField) -> bool:
    """Return whether neighbours would change places, or are moved further than any drift."""
    steps = [np.diff(bend.knots_px, axis=axis) / bend.spacing_px[axis] for axis in (0, 1)]
    steepest = max(float(np.abs(one).max()) for one in steps)
    return steepest > 0.5 or float(np.abs(bend.knots_px).max()) > _MOST_BEND_PX


def _bent(pairs: Pairs, matrix: Matrix) -> DisplacementField | None:
    """Return the B-spline by which SimpleITK lays the most telling image on the reference."""
    import SimpleITK as sitk  # noqa: N813

    reference, moving, factor = _most_telling(pairs, matrix, _BEND_PIXELS)
    fixed, other = _picture(reference), _picture(moving)
    spline = sitk.BSplineTransformInitializer(fixed, [_CELLS, _CELLS], 3)
    method = _mattes(reference, moving)
    method.SetOptimizerAsLBFGSB(1e-6, numberOfIterations=_BEND_ROUNDS)
    back = np.linalg.inv(to_block_matrix(matrix, factor)).astype(np.float64)
    to_moving = _to_itk(back, reference.shape)
    method.SetMovingInitialTransform(to_moving)
    method.SetInitialTransform(spline, inPlace=True)
    try:
        method.Execute(fixed, other)
    except RuntimeError:  # the images no longer meet: no answer
        return None
    across, down = spline.GetCoefficientImages()
    knots = np.stack([sitk.GetArrayFromImage(one) for one in (down, across)], axis=-1)
    origin, spacing = (
        np.array(one[::-1], dtype=float) for one in (down.GetOrigin(), down.GetSpacing())
    )
    return DisplacementField(
        knots_px=knots.astype(np.float64) * factor,
        origin_px=origin * factor + (factor - 1) / 2,
        spacing_px=spacing * factor,
    )


def _climbed(pairs: Pairs, matrix: Matrix) -> Matrix:
    """Return where SimpleITK ends that starts from a transform."""
    reference, moving, factor = _most_telling(pairs, matrix, _MOST_PIXELS)
    return to_pixel_matrix(_by_mattes(reference, moving, to_block_matrix(matrix, factor)), factor)


def _most_telling(pairs: Pairs, matrix: Matrix, most_pixels: int) -> tuple[Bytes, Bytes, int]:
    """Return the pair that tells most at a place, at the finest step that is not too large."""
    best = max(pairs, key=lambda pair: evidence_at([pair], matrix))
    steps = [number for number, (_, one) in enumerate(best[0].steps) if one.size <= most_pixels]
    step = max(steps, default=0)
    reference, moving = (pyramid.steps[step][1] for pyramid in best)
    return reference, moving, best[0].steps[step][0]


def _by_mattes(reference: Bytes, moving: Bytes, matrix: Matrix) -> Matrix:
    method = _mattes(reference, moving)
    method.SetOptimizerAsRegularStepGradientDescent(0.5, 1e-3, _ROUNDS, 0.6)
    method.SetOptimizerScalesFromPhysicalShift()
    start = _to_itk(np.linalg.inv(matrix).astype(np.float64), reference.shape)
    method.SetInitialTransform(start, inPlace=True)
    try:
        method.Execute(_picture(reference), _picture(moving))
    except RuntimeError:  # the images no longer meet: no answer
        return matrix
    return np.linalg.inv(_from_itk(start)).astype(np.float64)


def _mattes(reference: Bytes, moving: Bytes) -> Any:
    """Return a registration of SimpleITK by Mattes' mutual information, without an optimizer."""
    import SimpleITK as sitk  # noqa: N813  (its own habit)

    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetMetricFixedMask(_mask(reference))
    method.SetMetricMovingMask(_mask(moving))
    return method


def _picture(levels: Bytes) -> Any:
    import SimpleITK as sitk  # noqa: N813

    return sitk.GetImageFromArray(np.where(levels == NO_LEVEL, 0, levels).astype(np.float32))


def _mask(levels: Bytes) -> Any:
    import SimpleITK as sitk  # noqa: N813

    return sitk.GetImageFromArray((levels != NO_LEVEL).astype(np.uint8))


def _to_itk(back: npt.NDArray[np.float64], shape: tuple[int, ...]) -> Any:
    """Return a matrix of (y, x) as ITK's transform of (x, y) about the middle."""
    import SimpleITK as sitk  # noqa: N813

    linear, shift = back[:2, :2][::-1, ::-1], back[:2, 2][::-1]
    centre = (np.array(shape[::-1], dtype=float) - 1) / 2
    transform = sitk.AffineTransform(2)
    transform.SetCenter(centre.tolist())
    transform.SetMatrix(linear.ravel().tolist())
    transform.SetTranslation((shift + linear @ centre - centre).tolist())
    return transform


def _from_itk(transform: Any) -> Matrix:
    linear = np.array(transform.GetMatrix()).reshape(2, 2)
    centre, moved = np.array(transform.GetCenter()), np.array(transform.GetTranslation())
    back = np.eye(3)
    back[:2, :2] = linear[::-1, ::-1]
    back[:2, 2] = (moved + centre - linear @ centre)[::-1]
    return back

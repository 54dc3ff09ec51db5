"""Refine accepted transforms with SimpleITK if their tiles deviate from a shift.

Optional (`grainsmith[registration]`). It starts from an accepted transform, and its result is used
only if the combined evidence of all images supports it.
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

_MAX_MISFIT_PX = 0.5  # of the tiles; larger misfits are refined
_MAX_PIXELS = 4_000_000  # of the step used, which bounds memory and time
_ROUNDS = 100
_BEND_ROUNDS = 40
_BEND_PIXELS = 400_000  # the same for B-splines, which are slower
_CELLS = 4  # per side of the B-spline: drift within a scan is smooth
_MOST_BEND_PX = 20.0
_BAND_ROWS = 256
_BINS = 16


def require_simpleitk(settings: AlignSettings) -> None:
    """Raise GrainsmithError if SimpleITK is required, but not installed."""
    if settings.refine != "none" and find_spec("SimpleITK") is None:
        raise GrainsmithError(
            f"The refinement '{settings.refine}' needs SimpleITK, which is not installed: "
            "pip install 'grainsmith[registration]', or align without it."
        )


def refine_affine(pairs: Pairs, found: Placement, settings: AlignSettings) -> Placement:
    """Refine a transform to an affine one, if that is better.

    Maximizes the Mattes mutual information (Mattes et al. 2003, IEEE Transactions on Medical
    Imaging 22:120) of the image with the most evidence in the pass.

    Parameters
    ----------
    pairs : sequence of (Pyramid, Pyramid)
        Reference and moving, of one pass.
    found : Placement
        Accepted and refined placement.
    settings : AlignSettings
        Its search range limits the result.

    Returns
    -------
    Placement
        With a note on the outcome. Unchanged if the tiles are consistent with a shift, or
        inconclusive.
    """
    by_shift = found.model == "shift" and not found.misfit_px > _MAX_MISFIT_PX
    if by_shift:
        return found
    matrix = _optimized(pairs, found.matrix)
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
    """Add a B-spline displacement field to a transform, if that is better.

    Maximizes the Mattes mutual information of the image with the most evidence. The field is used
    only if the combined evidence increases by more than one nat per coefficient (Akaike 1974, IEEE
    Transactions on Automatic Control 19:716), it is not folded, and the tiles fit better.

    Parameters
    ----------
    pairs : sequence of (Pyramid, Pyramid)
        Reference and moving, of one pass.
    found : Placement
        Accepted placement; its matrix is not changed.

    Returns
    -------
    Placement
        With a note on the outcome.
    """
    before = tile_misfit_px(pairs, found.matrix)
    if not before > _MAX_MISFIT_PX:
        return found
    bend = _bent(pairs, found.matrix)
    if bend is None or _is_folded(bend):
        return replace(found, note=f"its tiles are off by {before:.1f} px; no B-spline was found")
    straight, bent = (
        [(ours, _straight(theirs, found.matrix, displacement)) for ours, theirs in pairs]
        for displacement in (None, bend)
    )
    gain = evidence_at(bent, np.eye(3)) - evidence_at(straight, np.eye(3))
    after = tile_misfit_px(bent, np.eye(3))
    if gain < NOTICEABLE + bend.knots_px.size or not after < before:
        note = f"its tiles are off by {before:.1f} px; a B-spline is no better: not taken"
        return replace(found, note=note)
    note = f"bent: its tiles are off by {before:.1f} px, with the recorded B-spline {after:.1f} px"
    return replace(found, bend=bend, misfit_px=before, note=note)


def _straight(moving: Pyramid, matrix: Matrix, bend: DisplacementField | None) -> Pyramid:
    """Resample the finest step of an image to the reference by nearest neighbour."""
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
    """Return whether a field folds, or displaces further than any drift."""
    steps = [np.diff(bend.knots_px, axis=axis) / bend.spacing_px[axis] for axis in (0, 1)]
    steepest = max(float(np.abs(step).max()) for step in steps)
    return steepest > 0.5 or float(np.abs(bend.knots_px).max()) > _MOST_BEND_PX


def _bent(pairs: Pairs, matrix: Matrix) -> DisplacementField | None:
    """Fit a B-spline to the image with the most evidence with SimpleITK."""
    import SimpleITK as sitk  # noqa: N813

    reference, moving, factor = _best_pair(pairs, matrix, _BEND_PIXELS)
    fixed, other = _sitk_image(reference), _sitk_image(moving)
    spline = sitk.BSplineTransformInitializer(fixed, [_CELLS, _CELLS], 3)
    method = _mattes(reference, moving)
    method.SetOptimizerAsLBFGSB(1e-6, numberOfIterations=_BEND_ROUNDS)
    back = np.linalg.inv(to_block_matrix(matrix, factor)).astype(np.float64)
    to_moving = _to_itk(back, reference.shape)
    method.SetMovingInitialTransform(to_moving)
    method.SetInitialTransform(spline, inPlace=True)
    try:
        method.Execute(fixed, other)
    except RuntimeError:  # the images do not overlap any more
        return None
    across, down = spline.GetCoefficientImages()
    knots = np.stack([sitk.GetArrayFromImage(image) for image in (down, across)], axis=-1)
    origin, spacing = (
        np.array(values[::-1], dtype=float) for values in (down.GetOrigin(), down.GetSpacing())
    )
    return DisplacementField(
        knots_px=knots.astype(np.float64) * factor,
        origin_px=origin * factor + (factor - 1) / 2,
        spacing_px=spacing * factor,
    )


def _optimized(pairs: Pairs, matrix: Matrix) -> Matrix:
    """Optimize a transform with SimpleITK."""
    reference, moving, factor = _best_pair(pairs, matrix, _MAX_PIXELS)
    return to_pixel_matrix(_by_mattes(reference, moving, to_block_matrix(matrix, factor)), factor)


def _best_pair(pairs: Pairs, matrix: Matrix, most_pixels: int) -> tuple[Bytes, Bytes, int]:
    """Return the pair with the most evidence, at the finest step within a number of pixels."""
    best = max(pairs, key=lambda pair: evidence_at([pair], matrix))
    steps = [number for number, (_, step) in enumerate(best[0].steps) if step.size <= most_pixels]
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
        method.Execute(_sitk_image(reference), _sitk_image(moving))
    except RuntimeError:  # the images do not overlap any more
        return matrix
    return np.linalg.inv(_from_itk(start)).astype(np.float64)


def _mattes(reference: Bytes, moving: Bytes) -> Any:
    """Return a SimpleITK registration method with Mattes mutual information."""
    import SimpleITK as sitk  # noqa: N813

    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetMetricFixedMask(_mask(reference))
    method.SetMetricMovingMask(_mask(moving))
    return method


def _sitk_image(levels: Bytes) -> Any:
    import SimpleITK as sitk  # noqa: N813

    return sitk.GetImageFromArray(np.where(levels == NO_LEVEL, 0, levels).astype(np.float32))


def _mask(levels: Bytes) -> Any:
    import SimpleITK as sitk  # noqa: N813

    return sitk.GetImageFromArray((levels != NO_LEVEL).astype(np.uint8))


def _to_itk(back: npt.NDArray[np.float64], shape: tuple[int, ...]) -> Any:
    """Convert a matrix of (y, x) to an ITK transform of (x, y) about the centre."""
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

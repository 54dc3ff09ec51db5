"""Refine an accepted transform by SimpleITK, where its tiles say that a shift is not enough.

An extra of the installation (`grainsmith[registration]`). It only ever starts from a place that was
accepted, and its answer only counts where our own evidence of all pictures prefers it.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from grainsmith.align.levels import NOTHING
from grainsmith.align.refine import NOTICEABLE, evidence_at, is_within
from grainsmith.align.search import at_block, coarse_surfaces, from_block, judge
from grainsmith.errors import GrainsmithError

if TYPE_CHECKING:
    import numpy.typing as npt

    from grainsmith.align.levels import Bytes
    from grainsmith.align.points import Matrix
    from grainsmith.align.search import Found, Pairs
    from grainsmith.align.settings import AlignSettings

_MISFIT_PX = 0.5  # of the tiles: from here on a shift is doubted
_MOST_PIXELS = 4_000_000  # of the step that is compared: bounds memory and time
_ROUNDS = 100
_BINS = 16


def need_simpleitk(settings: AlignSettings) -> None:
    """Raise GrainsmithError where a refinement is asked for that is not installed."""
    if settings.refine != "none" and find_spec("SimpleITK") is None:
        raise GrainsmithError(
            f"The refinement '{settings.refine}' needs SimpleITK, which is not installed: "
            "pip install 'grainsmith[registration]', or align without it."
        )


def refine_affine(pairs: Pairs, found: Found, settings: AlignSettings) -> Found:
    """Return a better affine transform, or what was found where there is none.

    The Mattes mutual information (Mattes et al. 2003, IEEE Transactions on Medical Imaging 22:120)
    of the most telling picture of the pass is climbed from the place that was found.

    Parameters
    ----------
    pairs : sequence of (Pyramid, Pyramid)
        Reference and moving, of one pass.
    found : Found
        Accepted, and refined as far as our own steps go.
    settings : AlignSettings
        Its largest turn and zoom bound what may come out.

    Returns
    -------
    Found
        Its note says which of the two it is. Unchanged where the tiles agree on a shift, or could
        not be judged.
    """
    by_shift = found.model == "shift" and not found.misfit_px > _MISFIT_PX
    if by_shift:
        return found
    matrix = _climbed(pairs, found.matrix)
    gain = evidence_at(pairs, matrix) - evidence_at(pairs, found.matrix)
    if not is_within(matrix, settings) or gain < NOTICEABLE:
        note = f"its tiles are off by {found.misfit_px:.1f} px; an affine refinement is no better"
        return replace(found, note=f"{note}: not taken")
    peak = judge(coarse_surfaces(pairs, matrix))[0]
    return replace(
        found,
        matrix=matrix,
        peak=peak,
        model="affine",
        note=f"affine refinement by SimpleITK: {gain:.0f} nats better",
    )


def _climbed(pairs: Pairs, matrix: Matrix) -> Matrix:
    """Return where SimpleITK ends that starts from a transform."""
    best = max(pairs, key=lambda pair: evidence_at([pair], matrix))
    steps = [number for number, (_, one) in enumerate(best[0].steps) if one.size <= _MOST_PIXELS]
    step = max(steps, default=0)
    factor = best[0].steps[step][0]
    reference, moving = (pyramid.steps[step][1] for pyramid in best)
    return from_block(_by_mattes(reference, moving, at_block(matrix, factor)), factor)


def _by_mattes(reference: Bytes, moving: Bytes, matrix: Matrix) -> Matrix:
    import SimpleITK as sitk  # noqa: N813  (its own habit)

    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(0.5, 1e-3, _ROUNDS, 0.6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetMetricFixedMask(_mask(reference))
    method.SetMetricMovingMask(_mask(moving))
    start = _to_itk(np.linalg.inv(matrix).astype(np.float64), reference.shape)
    method.SetInitialTransform(start, inPlace=True)
    try:
        method.Execute(_picture(reference), _picture(moving))
    except RuntimeError:  # the pictures no longer meet: no answer
        return matrix
    return np.linalg.inv(_from_itk(start)).astype(np.float64)


def _picture(levels: Bytes) -> Any:
    import SimpleITK as sitk  # noqa: N813

    return sitk.GetImageFromArray(np.where(levels == NOTHING, 0, levels).astype(np.float32))


def _mask(levels: Bytes) -> Any:
    import SimpleITK as sitk  # noqa: N813

    return sitk.GetImageFromArray((levels != NOTHING).astype(np.uint8))


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

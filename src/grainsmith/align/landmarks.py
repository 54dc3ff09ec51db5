"""From pairs of points to a transform: least squares, robust where needed, with its errors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
"""(3, 3) float: takes (y, x, 1) of one image to the other."""

Points = npt.NDArray[np.float64]
"""(N, 2) float: (y, x) of each point, in pixels."""

MODELS = ("shift", "similarity", "affine")
"""Kinds of transform, each one a special case of the next."""

POINTS_NEEDED = {"shift": 1, "similarity": 2, "affine": 3}
"""Fewest pairs of points that fix a transform of each kind."""


def fit_points(
    moving: npt.ArrayLike, reference: npt.ArrayLike, model: str, weights: npt.ArrayLike = 1.0
) -> Matrix:
    """Return the transform that takes points of one image nearest to those of the other.

    Parameters
    ----------
    moving, reference : (N, 2) float arrays
        The same places (y, x) in both images.
    model : str
        "shift", "similarity" (shift, turn and zoom) or "affine".
    weights : (N,) float array or float
        Trust in each pair.

    Returns
    -------
    (3, 3) float array
        From moving to reference.

    Raises
    ------
    ValueError
        The model is unknown, or the points do not fix it: too few, or all on one line.

    Examples
    --------
    >>> fit_points([[0, 0], [0, 10]], [[1, 2], [1, 12]], "shift")[:2, 2]
    array([1., 2.])
    """
    ours, theirs = _checked(moving, reference, model)
    trust = np.broadcast_to(np.asarray(weights, dtype=float), len(ours))
    # Around their middle the points are well conditioned, wherever in the image they lie.
    middle = np.average(ours, axis=0, weights=trust)
    target = np.average(theirs, axis=0, weights=trust)
    linear = np.eye(2)
    if model != "shift":
        linear = _linear_part(ours - middle, theirs - target, trust, model)
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = target - linear @ middle
    return matrix


def _checked(moving: npt.ArrayLike, reference: npt.ArrayLike, model: str) -> tuple[Points, Points]:
    ours, theirs = np.asarray(moving, dtype=float), np.asarray(reference, dtype=float)
    if model not in MODELS:
        raise ValueError(f"model must be one of {', '.join(MODELS)}, got {model!r}")
    if ours.shape != theirs.shape or ours.ndim != 2 or ours.shape[1] != 2:
        raise ValueError(f"points must be two (N, 2) arrays, got {ours.shape} and {theirs.shape}")
    if len(ours) < POINTS_NEEDED[model]:
        raise ValueError(
            f"a {model} transform needs {POINTS_NEEDED[model]} pairs of points, got {len(ours)}"
        )
    return ours, theirs


def _linear_part(
    ours: Points, theirs: Points, trust: npt.NDArray[np.float64], model: str
) -> Matrix:
    root = np.sqrt(trust)[:, None]
    if model == "affine":
        solution, _, rank, _ = np.linalg.lstsq(ours * root, theirs * root, rcond=1e-6)
        if rank < 2:
            raise ValueError(
                "the points lie on one line: add one beside it for an affine transform"
            )
        return np.asarray(solution.T)
    size = float((trust[:, None] * ours**2).sum())
    if size < 1e-9:
        raise ValueError("the points lie on one another: add one elsewhere")
    y, x = ours.T
    v, u = theirs.T
    along = float((trust * (y * v + x * u)).sum()) / size
    across = float((trust * (x * v - y * u)).sum()) / size
    return np.array([[along, across], [-across, along]])


def residuals_px(moving: npt.ArrayLike, reference: npt.ArrayLike, matrix: Matrix) -> Points:
    """Return how far each moved point lies from its partner: (N,) in pixels of the reference."""
    ours, theirs = np.asarray(moving, dtype=float), np.asarray(reference, dtype=float)
    gaps = ours @ matrix[:2, :2].T + matrix[:2, 2] - theirs
    return np.asarray(np.hypot(gaps[:, 0], gaps[:, 1]))


def leave_one_out_px(moving: npt.ArrayLike, reference: npt.ArrayLike, model: str) -> Points:
    """Return the error at each point of the transform that the other points give.

    Residuals flatter: three points fit any affine transform exactly. This is the honest error.

    Returns
    -------
    (N,) float array
        In pixels of the reference; NaN where the others do not fix the transform.
    """
    ours, theirs = np.asarray(moving, dtype=float), np.asarray(reference, dtype=float)
    errors = np.full(len(ours), np.nan)
    for number in range(len(ours)):
        others = np.arange(len(ours)) != number
        try:
            matrix = fit_points(ours[others], theirs[others], model)
        except ValueError:
            continue
        errors[number] = residuals_px(ours[[number]], theirs[[number]], matrix)[0]
    return errors


def robust_fit(
    moving: Points,
    reference: Points,
    model: str,
    *,
    tolerance_px: float = 0.5,
    trust: npt.ArrayLike = 1.0,
) -> tuple[Matrix, npt.NDArray[np.float64]]:
    """Return a transform that a few wrong pairs do not spoil, and the trust in each pair.

    Least squares, again and again, with the weights of Geman and McClure: a pair `tolerance_px`
    off counts a quarter, one far off nothing. `trust` in the pairs beforehand comes on top.

    Returns
    -------
    (3, 3) float array, (N,) float array
        Transform and weights between 0 and 1.
    """
    # Pairs that are far off must not draw the first fit: it starts from the median shift.
    gaps = reference - moving
    matrix = np.eye(3)
    matrix[:2, 2] = np.median(gaps, axis=0)
    spread = np.median(residuals_px(moving, reference, matrix))
    scale = max(tolerance_px, 2 * float(spread))
    weights = np.ones(len(moving))
    for _ in range(12):
        weights = 1 / (1 + (residuals_px(moving, reference, matrix) / scale) ** 2) ** 2
        matrix = fit_points(
            moving, reference, model, np.maximum(weights * np.asarray(trust, dtype=float), 1e-9)
        )
        scale = max(tolerance_px, scale / 2)
    return matrix, weights


def turn_zoom_and_shear(matrix: Matrix) -> tuple[float, float, float]:
    """Return rotation in degrees (from x towards y), zoom factor, and departure from a similarity.

    The departure is the ratio of longest to shortest axis of a moved circle, less 1.
    """
    left, sizes, right = np.linalg.svd(matrix[:2, :2])
    turn = left @ right
    angle = np.degrees(np.arctan2(turn[0, 1], turn[0, 0]))
    zoom = float(np.sqrt(sizes[0] * sizes[1]))
    return float(angle), zoom, float(sizes[0] / max(sizes[1], 1e-12) - 1)

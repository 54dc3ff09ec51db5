"""Fit transforms to pairs of points by least squares, and estimate their errors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
"""(3, 3) float: takes (y, x, 1) of one image to the other."""

Points = npt.NDArray[np.float64]
"""(N, 2) float: (y, x) of each point, in pixels."""

MODELS = ("shift", "similarity", "affine")
"""Transform models, each a special case of the next."""

POINTS_NEEDED = {"shift": 1, "similarity": 2, "affine": 3}
"""Minimum number of point pairs for each model."""


def fit_points(
    moving: npt.ArrayLike, reference: npt.ArrayLike, model: str, weights: npt.ArrayLike = 1.0
) -> Matrix:
    """Fit a transform to pairs of points by weighted least squares.

    Parameters
    ----------
    moving, reference : (N, 2) float arrays
        Corresponding points (y, x) in both images.
    model : str
        "shift", "similarity" (shift, rotation and scale) or "affine".
    weights : (N,) float array or float
        Weight of each pair.

    Returns
    -------
    (3, 3) float array
        From moving to reference.

    Raises
    ------
    ValueError
        The model is unknown, or the points do not determine it: too few, or collinear.

    Examples
    --------
    >>> fit_points([[0, 0], [0, 10]], [[1, 2], [1, 12]], "shift")[:2, 2]
    array([1., 2.])
    """
    source, target_points = _checked(moving, reference, model)
    trust = np.broadcast_to(np.asarray(weights, dtype=float), len(source))
    # Centred points are well conditioned.
    middle = np.average(source, axis=0, weights=trust)
    target = np.average(target_points, axis=0, weights=trust)
    linear = np.eye(2)
    if model != "shift":
        linear = _linear_part(source - middle, target_points - target, trust, model)
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = target - linear @ middle
    return matrix


def _checked(moving: npt.ArrayLike, reference: npt.ArrayLike, model: str) -> tuple[Points, Points]:
    source, target_points = np.asarray(moving, dtype=float), np.asarray(reference, dtype=float)
    if model not in MODELS:
        raise ValueError(f"model must be one of {', '.join(MODELS)}, got {model!r}")
    if source.shape != target_points.shape or source.ndim != 2 or source.shape[1] != 2:
        raise ValueError(
            f"points must be two (N, 2) arrays, got {source.shape} and {target_points.shape}"
        )
    if len(source) < POINTS_NEEDED[model]:
        raise ValueError(
            f"a {model} transform needs {POINTS_NEEDED[model]} pairs of points, got {len(source)}"
        )
    return source, target_points


def _linear_part(
    source: Points, target_points: Points, trust: npt.NDArray[np.float64], model: str
) -> Matrix:
    root = np.sqrt(trust)[:, None]
    if model == "affine":
        solution, _, rank, _ = np.linalg.lstsq(source * root, target_points * root, rcond=1e-6)
        if rank < 2:
            raise ValueError(
                "the points lie on one line: add one beside it for an affine transform"
            )
        return np.asarray(solution.T)
    size = float((trust[:, None] * source**2).sum())
    if size < 1e-9:
        raise ValueError("the points coincide: add one elsewhere")
    y, x = source.T
    v, u = target_points.T
    along = float((trust * (y * v + x * u)).sum()) / size
    across = float((trust * (x * v - y * u)).sum()) / size
    return np.array([[along, across], [-across, along]])


def residuals_px(moving: npt.ArrayLike, reference: npt.ArrayLike, matrix: Matrix) -> Points:
    """Compute the distance of each transformed point from its counterpart, (N,) in px."""
    source, target_points = np.asarray(moving, dtype=float), np.asarray(reference, dtype=float)
    gaps = source @ matrix[:2, :2].T + matrix[:2, 2] - target_points
    return np.asarray(np.hypot(gaps[:, 0], gaps[:, 1]))


def leave_one_out_px(moving: npt.ArrayLike, reference: npt.ArrayLike, model: str) -> Points:
    """Compute the leave-one-out error of a fit at each point.

    Residuals are too optimistic: three points fit any affine transform exactly.

    Returns
    -------
    (N,) float array
        In pixels of the reference; NaN if the other points do not determine the transform.
    """
    source, target_points = np.asarray(moving, dtype=float), np.asarray(reference, dtype=float)
    errors = np.full(len(source), np.nan)
    for number in range(len(source)):
        others = np.arange(len(source)) != number
        try:
            matrix = fit_points(source[others], target_points[others], model)
        except ValueError:
            continue
        errors[number] = residuals_px(source[[number]], target_points[[number]], matrix)[0]
    return errors


def robust_fit(
    moving: Points,
    reference: Points,
    model: str,
    *,
    tolerance_px: float = 0.5,
    trust: npt.ArrayLike = 1.0,
) -> tuple[Matrix, npt.NDArray[np.float64]]:
    """Fit a transform that is robust to outliers, and return the weight of each pair.

    Iteratively reweighted least squares with Geman-McClure weights: a pair with an error of
    `tolerance_px` counts a quarter. `trust` are prior weights of the pairs.

    Returns
    -------
    (3, 3) float array, (N,) float array
        Transform and weights between 0 and 1.
    """
    # Start from the median shift, which outliers do not affect.
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
    """Return rotation in degrees (from x towards y), scale, and deviation from a similarity.

    The deviation is the ratio of the axes of a transformed circle, minus 1.
    """
    left, sizes, right = np.linalg.svd(matrix[:2, :2])
    turn = left @ right
    angle = np.degrees(np.arctan2(turn[0, 1], turn[0, 0]))
    zoom = float(np.sqrt(sizes[0] * sizes[1]))
    return float(angle), zoom, float(sizes[0] / max(sizes[1], 1e-12) - 1)

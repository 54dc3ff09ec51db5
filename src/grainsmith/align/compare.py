"""Two images as one, to see whether they fit: for the screen only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from grainsmith.align.preprocess import comparison_views

if TYPE_CHECKING:
    from grainsmith.data import Image, Transform


def checkerboard(
    reference: Image, moving: Image, transform: Transform, *, squares: int = 8
) -> npt.NDArray[np.uint8]:
    """Return squares of one and the other image by turns.

    Parameters
    ----------
    reference, moving : (Y, X) or (Y, X, 3) arrays
        The images.
    transform : Transform
        From pixels of `moving` to those of `reference`.
    squares : int
        Squares along the shorter side.

    Returns
    -------
    (Y, X) uint8 array
        On the grid of the reference. Outlines that run on over the edges of the squares fit.
    """
    shape = (reference.shape[0], reference.shape[1])
    still = _stretched(comparison_views(reference)[0])
    other = transform.inverse().look_up(_stretched(comparison_views(moving)[0]), shape)
    side = max(1, min(shape) // squares)
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.where((y // side + x // side) % 2 == 0, still, other).astype(np.uint8)


def before_after(
    reference: Image, moving: Image, before: Transform, after: Transform
) -> npt.NDArray[np.uint8]:
    """Return two images side by side: the fit before, and the fit now.

    Parameters
    ----------
    reference, moving : (Y, X) or (Y, X, 3) arrays
        The images.
    before, after : Transform
        From pixels of `moving` to those of `reference`.

    Returns
    -------
    (Y, 2 X + gap, 3) uint8 array
        The reference in cyan and the other in red, on the grid of the reference. Where they fit,
        outlines have no coloured rims.
    """
    shape = (reference.shape[0], reference.shape[1])
    still, other = (_stretched(comparison_views(one)[0]) for one in (reference, moving))
    halves = [
        np.dstack([one.inverse().look_up(other, shape), still, still]) for one in (before, after)
    ]
    gap = np.zeros((shape[0], max(4, shape[1] // 50), 3), np.uint8)
    return np.concatenate([halves[0], gap, halves[1]], axis=1)


def _stretched(picture: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return an image from black to white between its percentiles 1 and 99."""
    known = np.isfinite(picture)
    if not known.any():
        return np.zeros(picture.shape, np.uint8)
    low, high = np.percentile(picture[known], (1, 99))
    share = (np.where(known, picture, low) - low) / max(float(high - low), 1e-9)
    return (255 * np.clip(share, 0, 1)).astype(np.uint8)

"""Combine two images into one to inspect their registration."""

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
    """Draw a checkerboard of two images.

    Parameters
    ----------
    reference, moving : (Y, X) or (Y, X, 3) arrays
        Images to compare.
    transform : Transform
        From pixels of `moving` to those of `reference`.
    squares : int
        Number of squares along the shorter side.

    Returns
    -------
    (Y, X) uint8 array
        On the grid of the reference. Outlines continue across squares if the registration fits.
    """
    shape = (reference.shape[0], reference.shape[1])
    fixed = _stretched(comparison_views(reference)[0])
    other = transform.inverse().look_up(_stretched(comparison_views(moving)[0]), shape)
    side = max(1, min(shape) // squares)
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.where((y // side + x // side) % 2 == 0, fixed, other).astype(np.uint8)


def before_after(
    reference: Image, moving: Image, before: Transform, after: Transform
) -> npt.NDArray[np.uint8]:
    """Draw two overlays side by side: before and after registration.

    Parameters
    ----------
    reference, moving : (Y, X) or (Y, X, 3) arrays
        Images to compare.
    before, after : Transform
        From pixels of `moving` to those of `reference`.

    Returns
    -------
    (Y, 2 X + gap, 3) uint8 array
        Reference in cyan, moving image in red, on the grid of the reference. Outlines have no
        coloured rims if the registration fits.
    """
    shape = (reference.shape[0], reference.shape[1])
    fixed, other = (_stretched(comparison_views(image)[0]) for image in (reference, moving))
    halves = [
        np.dstack([transform.inverse().look_up(other, shape), fixed, fixed])
        for transform in (before, after)
    ]
    gap = np.zeros((shape[0], max(4, shape[1] // 50), 3), np.uint8)
    return np.concatenate([halves[0], gap, halves[1]], axis=1)


def _stretched(image: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Rescale an image between its 1st and 99th percentile."""
    finite = np.isfinite(image)
    if not finite.any():
        return np.zeros(image.shape, np.uint8)
    low, high = np.percentile(image[finite], (1, 99))
    share = (np.where(finite, image, low) - low) / max(float(high - low), 1e-9)
    return (255 * np.clip(share, 0, 1)).astype(np.uint8)

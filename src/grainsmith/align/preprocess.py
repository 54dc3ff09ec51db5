"""What of an image is compared: grey values, and edges where colour makes grey a poor guide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

if TYPE_CHECKING:
    from grainsmith.data import Image


def comparison_views(picture: Image) -> list[npt.NDArray[Any]]:
    """Return the grey images by which an image is compared.

    Parameters
    ----------
    picture : (Y, X) or (Y, X, 3) array
        Grey or colour.

    Returns
    -------
    list of (Y, X) arrays
        A grey image itself; of a coloured one the mean of its channels and the strongest
        gradient: between crossed polarisers the colour of a grain changes, its outline does not.
    """
    if picture.ndim == 2:
        return [picture]
    colours = picture[..., :3].astype(np.float32)
    edges = np.max([_gradient(colours[..., channel]) for channel in range(3)], axis=0)
    return [colours.mean(-1), edges]


def _gradient(channel: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    magnitude: npt.NDArray[np.float32] = ndimage.gaussian_gradient_magnitude(channel, 1.0)
    return magnitude


def sharpness(picture: Image) -> float:
    """Return how much fine structure an image shows over its noise; more is sharper.

    The variance between blurs of 1 and 4 pixels, over that of the noise as the median of the
    Laplacian estimates it (Immerkær 1996, Computer Vision and Image Understanding 64:300).
    """
    grey = np.nan_to_num(comparison_views(picture)[0].astype(np.float32))
    if not grey.std():
        return 0.0
    fine = ndimage.gaussian_filter(grey, 1.0) - ndimage.gaussian_filter(grey, 4.0)
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    noise = np.abs(ndimage.convolve(grey, mask)).mean() * np.sqrt(np.pi / 2) / 6
    return float(fine.var() / (noise**2 + 1e-3 * grey.var()))

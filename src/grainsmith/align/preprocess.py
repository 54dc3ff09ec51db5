"""Convert images to the grey values and edges that are registered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

if TYPE_CHECKING:
    from grainsmith.data import Image


def comparison_views(image: Image) -> list[npt.NDArray[Any]]:
    """Return the grey images that represent an image in the registration.

    Parameters
    ----------
    image : (Y, X) or (Y, X, 3) array
        Grey or colour image.

    Returns
    -------
    list of (Y, X) arrays
        A grey image itself. For a colour image, the mean of the channels and the strongest
        gradient: under crossed polarizers the colour of a grain changes, its outline does not.
    """
    if image.ndim == 2:
        return [image]
    colors = image[..., :3].astype(np.float32)
    edges = np.max([_gradient(colors[..., channel]) for channel in range(3)], axis=0)
    return [colors.mean(-1), edges]


def _gradient(channel: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    magnitude: npt.NDArray[np.float32] = ndimage.gaussian_gradient_magnitude(channel, 1.0)
    return magnitude


def sharpness(image: Image) -> float:
    """Measure the sharpness of an image as fine structure relative to noise.

    Variance between Gaussian blurs of 1 and 4 px, divided by the noise variance estimated from the
    Laplacian (Immerkær 1996, Computer Vision and Image Understanding 64:300).
    """
    grey = np.nan_to_num(comparison_views(image)[0].astype(np.float32))
    if not grey.std():
        return 0.0
    fine = ndimage.gaussian_filter(grey, 1.0) - ndimage.gaussian_filter(grey, 4.0)
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    noise = np.abs(ndimage.convolve(grey, mask)).mean() * np.sqrt(np.pi / 2) / 6
    return float(fine.var() / (noise**2 + 1e-3 * grey.var()))

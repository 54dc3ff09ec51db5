"""Contrast gate: outlines that stand out far less than the grains of the same image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from skimage.filters import threshold_otsu
from skimage.segmentation import expand_labels

if TYPE_CHECKING:
    from grainsmith.data import LabelImage

_RING_PX = 6
_MIN_GRAINS = 10
_MAX_CONTRAST_RATIO = 0.15
"""The gate acts only if the faint class has less than this share of the contrast of the other."""


def grain_contrasts(labels: LabelImage, grey: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Compute the absolute difference between each grain and the background around it.

    Parameters
    ----------
    labels : (Y, X) int32 array
        Labels 1..n.
    grey : (Y, X) float array

    Returns
    -------
    (n,) float64 array
        Difference of the mean grey values inside the grain and in the background within 6 px of it;
        NaN for a grain without background around it.
    """
    n = int(labels.max(initial=0))
    ring = np.where(labels == 0, expand_labels(labels, _RING_PX), 0)
    inside, outside = (_means(plane, grey, n) for plane in (labels, ring))
    contrast: npt.NDArray[np.float64] = np.abs(inside - outside)
    return contrast


def faint_grains(contrasts: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Find grains that belong to a class of far lower contrast than the others.

    Otsu's threshold divides the grains into two classes by contrast. If the mean contrast of the
    lower class is below 0.15 of that of the higher one, grains are faint below a quarter of the sum
    of both means; otherwise none is.
    """
    faint = np.zeros(len(contrasts), bool)
    valid = np.isfinite(contrasts)
    values = contrasts[valid]
    if len(values) < _MIN_GRAINS or values.max() <= values.min():
        return faint
    high = values > threshold_otsu(values)
    low_mean, high_mean = float(values[~high].mean()), float(values[high].mean())
    if low_mean < _MAX_CONTRAST_RATIO * high_mean:
        faint[valid] = values < (low_mean + high_mean) / 4
    return faint


def _means(labels: LabelImage, grey: npt.NDArray[np.floating], n: int) -> npt.NDArray[np.float64]:
    """Compute the mean grey value of every label 1..n; NaN if it has no pixel."""
    counts = np.bincount(labels.ravel(), minlength=n + 1)[1:].astype(float)
    sums = np.bincount(labels.ravel(), weights=grey.ravel(), minlength=n + 1)[1:]
    counts[counts == 0] = np.nan
    means: npt.NDArray[np.float64] = sums / counts
    return means

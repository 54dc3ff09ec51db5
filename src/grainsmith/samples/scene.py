"""Grain labels with the distances and sizes that every modality needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba as nb
import numpy as np
import numpy.typing as npt
from scipy import ndimage

if TYPE_CHECKING:
    from grainsmith.data import LabelImage

GreyImage = npt.NDArray[np.float32]
"""(Y, X) float32; 0..1 is the usual range before noise."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Labels of a field with the depth and the size of its grains.

    Attributes
    ----------
    labels : (Y, X) int32 array
        Numbered 1..n without gaps.
    depth : (Y, X) float32 array
        Distance of a grain's pixel to the grain's edge, in px; 0 outside.
    radius : (n + 1,) float32 array
        Radius of the circle of equal area of each label; index 0 is background.
    """

    labels: LabelImage
    depth: GreyImage
    radius: npt.NDArray[np.float32]

    @classmethod
    def of(cls, labels: LabelImage) -> Scene:
        """Measure a label image."""
        inner = _inner_pixels(labels)
        depth = ndimage.distance_transform_edt(inner).astype(np.float32)
        depth[labels > 0] += 0.5
        radius = np.sqrt(np.bincount(labels.ravel()) / np.pi).astype(np.float32)
        return cls(labels, depth, radius)

    def per_grain(self, values: npt.ArrayLike) -> GreyImage:
        """Spread one value per label (index 0: background) over the image."""
        spread: GreyImage = np.asarray(values, np.float32)[self.labels]
        return spread

    @property
    def n_grains(self) -> int:
        """Number of grains."""
        return len(self.radius) - 1

    @property
    def median_radius_px(self) -> float:
        """Median radius; 10 px without grains."""
        return float(np.median(self.radius[1:])) if self.n_grains else 10.0

    @property
    def inside(self) -> npt.NDArray[np.bool_]:
        """Pixels that belong to grains."""
        mask: npt.NDArray[np.bool_] = self.labels > 0
        return mask

    def relative_depth(self) -> GreyImage:
        """Return the depth relative to the grain's radius: 0 at the edge, 1 from one radius on."""
        return np.minimum(self.depth / np.maximum(self.per_grain(self.radius), 1), 1)


@nb.njit(cache=True, nogil=True)
def _inner_pixels(labels):  # type: ignore[no-untyped-def]
    """Return grain pixels with four neighbours of the same grain; the field's edge is no edge."""
    height, width = labels.shape
    inner = np.zeros((height, width), np.bool_)
    for y in range(height):
        for x in range(width):
            k = labels[y, x]
            inner[y, x] = (
                k > 0
                and (y == 0 or labels[y - 1, x] == k)
                and (y == height - 1 or labels[y + 1, x] == k)
                and (x == 0 or labels[y, x - 1] == k)
                and (x == width - 1 or labels[y, x + 1] == k)
            )
    return inner

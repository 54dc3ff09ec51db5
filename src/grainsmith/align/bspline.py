"""Describe drift and distortion within a scan by a cubic B-spline displacement field.

The field is stored next to the matrix and applied only by `resample_bspline`, which returns a copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

if TYPE_CHECKING:
    from grainsmith.align.landmarks import Points
    from grainsmith.data import Transform

_BAND_ROWS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplacementField:
    """Displacements that remain after the matrix, over the field of the reference.

    Point p of the reference corresponds to the point of the image that the matrix maps to
    p + displacement(p).

    Attributes
    ----------
    knots_px : (rows, columns, 2) float array
        Coefficients (dy, dx) of the uniform cubic B-splines, in pixels of the reference.
    origin_px, spacing_px : (2,) float arrays
        Position (y, x) of the first knot, and distances between knots.
    """

    knots_px: npt.NDArray[np.float64]
    origin_px: npt.NDArray[np.float64]
    spacing_px: npt.NDArray[np.float64]

    def displacement_px(self, points: npt.ArrayLike) -> Points:
        """Compute the displacements (dy, dx) at (N, 2) points (y, x) of the reference."""
        places = ((np.asarray(points, dtype=float) - self.origin_px) / self.spacing_px).T
        displacements: Points = np.stack(
            [
                ndimage.map_coordinates(
                    self.knots_px[..., axis], places, order=3, prefilter=False, mode="nearest"
                )
                for axis in (0, 1)
            ],
            axis=-1,
        )
        return displacements

    def to_json(self) -> dict[str, Any]:
        """Return the field as JSON-serializable numbers."""
        return {
            "knots_px": self.knots_px.tolist(),
            "origin_px": self.origin_px.tolist(),
            "spacing_px": self.spacing_px.tolist(),
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> DisplacementField:
        """Return the field from `to_json`; raises ValueError, KeyError or TypeError if invalid."""
        parts = {
            name: np.array(content[name], dtype=np.float64)
            for name in ("knots_px", "origin_px", "spacing_px")
        }
        knots = parts["knots_px"]
        if knots.ndim != 3 or knots.shape[2] != 2 or min(knots.shape[:2]) < 4:
            raise ValueError(f"knots of a bend are (rows, columns, 2), got {knots.shape}")
        if parts["origin_px"].shape != (2,) or not (parts["spacing_px"] > 0).all():
            raise ValueError("a bend needs an origin and spacings above 0")
        return cls(**parts)


def resample_bspline(
    image: npt.NDArray[Any], transform: Transform, bend: DisplacementField
) -> npt.NDArray[np.float32]:
    """Resample an image so that its matrix alone registers it with the reference.

    Parameters
    ----------
    image : (Y, X) or (Y, X, 3) array
        Image in its own pixels; it is not changed.
    transform : Transform
        From pixels of the image to pixels of the reference, without the displacement field.
    bend : DisplacementField
        Displacement field of that transform.

    Returns
    -------
    (Y, X) or (Y, X, 3) float32 array
        On the same grid, by nearest neighbour, so that counts stay counts; NaN outside the image.
    """
    height, width = image.shape[:2]
    result = np.full(image.shape, np.nan, np.float32)
    back = transform.inverse()
    for top in range(0, height, _BAND_ROWS):
        rows = np.arange(top, min(top + _BAND_ROWS, height))
        own = np.stack(np.meshgrid(rows, np.arange(width), indexing="ij"), axis=-1).reshape(-1, 2)
        there = transform.apply(own)
        y, x = np.rint(back.apply(there + bend.displacement_px(there))).astype(int).T
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        result[own[inside, 0], own[inside, 1]] = image[y[inside], x[inside]]
    return result

"""A misfit that no matrix describes: drift and distortion within a scan, as a cubic B-spline.

It is recorded beside the matrix and never part of it. Only what is asked for by name, as an
explicit copy, shows it: `resample_bspline`.
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
    """Where an image is off after its matrix, as displacements over the field of the reference.

    What the reference shows at p, the image shows where its matrix puts p + displacement(p).

    Attributes
    ----------
    knots_px : (rows, columns, 2) float array
        Weights (dy, dx) of the uniform cubic B-splines, in pixels of the reference.
    origin_px, spacing_px : (2,) float arrays
        Place (y, x) of the first knot, and steps between knots.
    """

    knots_px: npt.NDArray[np.float64]
    origin_px: npt.NDArray[np.float64]
    spacing_px: npt.NDArray[np.float64]

    def displacement_px(self, points: npt.ArrayLike) -> Points:
        """Return the displacements (dy, dx) at (N, 2) points (y, x) of the reference."""
        places = ((np.asarray(points, dtype=float) - self.origin_px) / self.spacing_px).T
        found: Points = np.stack(
            [
                ndimage.map_coordinates(
                    self.knots_px[..., axis], places, order=3, prefilter=False, mode="nearest"
                )
                for axis in (0, 1)
            ],
            axis=-1,
        )
        return found

    def to_json(self) -> dict[str, Any]:
        """Return it as numbers that a file can hold."""
        return {
            "knots_px": self.knots_px.tolist(),
            "origin_px": self.origin_px.tolist(),
            "spacing_px": self.spacing_px.tolist(),
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> DisplacementField:
        """Return what `to_json` gave; raises ValueError, KeyError or TypeError where it did not."""
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
    picture: npt.NDArray[Any], transform: Transform, bend: DisplacementField
) -> npt.NDArray[np.float32]:
    """Return a copy of an image that its matrix alone lays on the reference.

    Parameters
    ----------
    picture : (Y, X) or (Y, X, 3) array
        In its own pixels; it is not changed.
    transform : Transform
        From its pixels to those of the reference, without the bend.
    bend : DisplacementField
        Found with that transform.

    Returns
    -------
    (Y, X) or (Y, X, 3) float32 array
        On the same pixels: each has the value of the nearest pixel that belongs there, so that
        counts stay counts; NaN where the image does not reach.
    """
    height, width = picture.shape[:2]
    result = np.full(picture.shape, np.nan, np.float32)
    back = transform.inverse()
    for top in range(0, height, _BAND_ROWS):
        rows = np.arange(top, min(top + _BAND_ROWS, height))
        own = np.stack(np.meshgrid(rows, np.arange(width), indexing="ij"), axis=-1).reshape(-1, 2)
        there = transform.apply(own)
        y, x = np.rint(back.apply(there + bend.displacement_px(there))).astype(int).T
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        result[own[inside, 0], own[inside, 1]] = picture[y[inside], x[inside]]
    return result

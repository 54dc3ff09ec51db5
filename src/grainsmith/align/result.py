"""What an alignment gives: one row a map, and the table of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from grainsmith.align.landmarks import turn_zoom_and_shear

if TYPE_CHECKING:
    from grainsmith.align.bspline import DisplacementField
    from grainsmith.align.landmarks import Matrix
    from grainsmith.data import Transform

VERDICTS = {
    "aligned": "aligned",
    "inherited": "rejected: inherits its group",
    "unsure": "unsure: not moved",
    "not aligned": "not aligned",
    "by hand": "by hand",
}
"""The words of the table for those of a `Transform`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRegistration:
    """Where one image lies, and why.

    Attributes
    ----------
    name : str
        Of the map.
    group : str
        Of the pass it was taken in; "" where nothing tells.
    transform : Transform
        From its own pixels to those of the reference, with confidence and verdict.
    moved : (3, 3) float array
        How far that differs from where its file said it lies, in pixels of the reference.
    shape : (int, int)
        Shape (Y, X) of the reference.
    model : str
        "shift", "similarity", "affine", or "" where it was not moved.
    group_z : float
        Confidence of the whole pass.
    residual_px : float
        Median contradiction between its pairs with other maps and the places found; NaN = no pairs.
    misfit_px : float
        Median distance of the tiles of the image from the transform; NaN = could not be told.
    note : str
        What the user should know, in one line.
    bend : DisplacementField or None
        What is off beyond the transform, recorded where a B-spline was asked for and found.
    """

    name: str
    group: str
    transform: Transform
    moved: Matrix
    shape: tuple[int, int]
    model: str = ""
    group_z: float = 0.0
    residual_px: float = float("nan")
    misfit_px: float = float("nan")
    note: str = ""
    bend: DisplacementField | None = None

    @property
    def shift_px(self) -> tuple[float, float]:
        """How far the middle of the field moves, (dy, dx) in pixels of the reference."""
        centre = (np.array(self.shape, dtype=float) - 1) / 2
        dy, dx = self.moved[:2, :2] @ centre + self.moved[:2, 2] - centre
        return float(dy), float(dx)

    @property
    def rotation_deg(self) -> float:
        """Turn from x towards y (clockwise on the screen)."""
        return turn_zoom_and_shear(self.moved)[0]

    @property
    def scale(self) -> float:
        """Zoom over that which the numbers of pixels give; 1 = none."""
        return turn_zoom_and_shear(self.moved)[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationResult:
    """All maps of a field on their reference.

    Attributes
    ----------
    rows : tuple of MapRegistration
        In the order in which the maps were given.
    pixel_size_um : float
        Side of a pixel of the reference; 0 = unknown.
    """

    rows: tuple[MapRegistration, ...]
    pixel_size_um: float = 0.0

    def table(self) -> pd.DataFrame:
        """Return one row a map; columns in µm only where the pixel size is known."""
        records = []
        for row in self.rows:
            dy, dx = row.shift_px
            record = {
                "map": row.name,
                "group": row.group,
                "dy_px": dy,
                "dx_px": dx,
                "rotation_deg": row.rotation_deg,
                "scale": row.scale,
                "z": row.transform.z,
                "group_z": row.group_z,
                "residual_px": row.residual_px,
                "misfit_px": row.misfit_px,
                "verdict": row.transform.verdict,
                "note": row.note,
            }
            if self.pixel_size_um:
                record["dy_um"] = dy * self.pixel_size_um
                record["dx_um"] = dx * self.pixel_size_um
            records.append(record)
        return pd.DataFrame(records)

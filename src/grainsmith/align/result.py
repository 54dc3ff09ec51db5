"""Represent the result of a registration."""

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
"""Verdict of a `Transform` -> text in the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRegistration:
    """Registration of one image.

    Attributes
    ----------
    name : str
        Name of the map.
    group : str
        Acquisition pass; "" = unknown.
    transform : Transform
        From pixels of the map to pixels of the reference, with confidence and verdict.
    moved : (3, 3) float array
        Change from the initial transform, in pixels of the reference.
    shape : (int, int)
        Shape (Y, X) of the reference.
    model : str
        "shift", "similarity", "affine", or "" = not moved.
    group_z : float
        Confidence of the pass.
    residual_px : float
        Median residual between its pairs with other maps and their positions; NaN = no pairs.
    misfit_px : float
        Median distance of the tiles from the transform; NaN = unknown.
    note : str
        Remark for the user.
    bend : DisplacementField or None
        Displacements beyond the transform, if requested and found.
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
        """Shift of the centre of the field, (dy, dx) in pixels of the reference."""
        centre = (np.array(self.shape, dtype=float) - 1) / 2
        dy, dx = self.moved[:2, :2] @ centre + self.moved[:2, 2] - centre
        return float(dy), float(dx)

    @property
    def rotation_deg(self) -> float:
        """Rotation from x towards y (clockwise on the screen)."""
        return turn_zoom_and_shear(self.moved)[0]

    @property
    def scale(self) -> float:
        """Scale relative to the initial transform; 1 = none."""
        return turn_zoom_and_shear(self.moved)[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationResult:
    """Registration of all maps of a field.

    Attributes
    ----------
    rows : tuple of MapRegistration
        One row per map, in order.
    pixel_size_um : float
        Pixel size of the reference; 0 = unknown.
    """

    rows: tuple[MapRegistration, ...]
    pixel_size_um: float = 0.0

    def table(self) -> pd.DataFrame:
        """Return one row per map; columns in µm only if the pixel size is known."""
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

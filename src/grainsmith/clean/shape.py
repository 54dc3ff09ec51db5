"""Compute solidity and ellipse misfit of grains for clean-up and review."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.spatial import ConvexHull, QhullError

from grainsmith.data import no_progress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grainsmith.clean.index import GrainIndex
    from grainsmith.clean.patch import Labels, Mask
    from grainsmith.data import OnProgress


def solidity(
    labels: Labels,
    index: GrainIndex,
    grains: Iterable[int],
    *,
    on_progress: OnProgress = no_progress,
) -> pd.Series[float]:
    """Compute the solidity (area over convex hull area) of each grain, by label.

    Notes
    -----
    The hull encloses pixel corners, not centres, so that rectangles of any size have a solidity of
    1.
    """
    grains = list(grains)
    values = {}
    for done, grain in enumerate(grains):
        mask = labels[index.box(grain).slices] == grain
        values[grain] = np.count_nonzero(mask) / _hull_area_px(mask)
        on_progress(done + 1, len(grains))
    return pd.Series(values, dtype=float, name="solidity")


def ellipse_misfit(mask: Mask) -> float:
    """Compute 1 - IoU of a mask, (h, w), with the ellipse of the same second moments.

    An ellipse has 0, two touching discs about 0.2, a cross 0.4.
    """
    y, x = np.nonzero(mask)
    dy, dx = y - y.mean(), x - x.mean()
    # The second moment of a square pixel is 1/12.
    covariance = np.cov(np.stack([dy, dx]), bias=True) + np.eye(2) / 12
    inverse = np.linalg.inv(covariance)
    grid_y, grid_x = np.indices(mask.shape)
    ry, rx = grid_y - y.mean(), grid_x - x.mean()
    distance = inverse[0, 0] * ry**2 + 2 * inverse[0, 1] * ry * rx + inverse[1, 1] * rx**2
    inside = distance <= 4  # a filled ellipse has its outline at twice the standard deviation
    return float(1 - np.count_nonzero(mask & inside) / np.count_nonzero(mask | inside))


def _hull_area_px(mask: Mask) -> float:
    """Compute the area of the convex hull of a mask."""
    rows = np.flatnonzero(mask.any(axis=1))
    first = mask[rows].argmax(axis=1)
    last = mask.shape[1] - mask[rows, ::-1].argmax(axis=1)
    corners = [
        np.stack([rows + down, column], axis=1) for down in (0, 1) for column in (first, last)
    ]
    try:
        return float(ConvexHull(np.concatenate(corners)).volume)  # in 2-D, `volume` is the area
    except QhullError:
        return float(np.count_nonzero(mask))

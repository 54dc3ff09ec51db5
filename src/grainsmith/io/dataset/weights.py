"""Select the grains and pixels of a field that are used for training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from grainsmith.io.exchange.outlines import fill_rings, parse_ring

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from grainsmith.data import LabelImage

RIM_PX = 3
"""Width of the background around an accepted grain that was checked together with it."""


def select_trusted(
    labels: LabelImage,
    states: Mapping[int, str],
    *,
    only_accepted: bool = False,
    region: npt.NDArray[np.bool_] | None = None,
) -> tuple[LabelImage, npt.NDArray[np.bool_]]:
    """Select the trusted grains and pixels of a field.

    Parameters
    ----------
    labels : (Y, X) int32 array
    states : mapping of int to str
        State of the grains; missing ones are "auto".
    only_accepted : bool
        Trust only accepted grains and a rim of `RIM_PX` of background around them. Otherwise all
        grains and all background are trusted except rejected grains, which may be background or
        badly outlined.
    region : (Y, X) bool array, optional
        Trust nothing outside this region.

    Returns
    -------
    labels : (Y, X) int32 array
        Without grains that have no trusted pixel. A grain on the edge of the region is kept whole,
        because its flows depend on its true shape.
    trust : (Y, X) bool array
    """
    if only_accepted:
        accepted_labels = [label for label, state in states.items() if state == "accepted"]
        accepted = np.isin(labels, accepted_labels) & (labels > 0)
        rim = ndimage.binary_dilation(accepted, iterations=RIM_PX) & (labels == 0)
        trust = accepted | rim
    else:
        rejected = [label for label, state in states.items() if state == "rejected"]
        trust = ~np.isin(labels, rejected)
    if region is not None:
        trust &= region
    kept = np.unique(labels[trust])
    return np.where(np.isin(labels, kept), labels, 0).astype(np.int32), trust


def polygons_to_mask(
    shape: tuple[int, int], shapes: Iterable[npt.ArrayLike]
) -> npt.NDArray[np.bool_]:
    """Return a mask of the pixels whose centres lie in any of the polygons.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    shapes : iterable of (N, 2) arrays
        Corners (y, x) with pixel centres at whole numbers, as in napari.
    """
    region = np.zeros(shape, bool)
    for corners in shapes:
        ring = parse_ring(np.asarray(corners, float) + 0.5, xy=False)
        box, mask = fill_rings([ring], shape)
        region[box] |= mask
    return region

"""What of a field may be learnt from."""

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
"""Background so near to an accepted grain was looked at together with it: its edge is learnt."""


def select_trusted(
    labels: LabelImage,
    states: Mapping[int, str],
    *,
    only_accepted: bool = False,
    region: npt.NDArray[np.bool_] | None = None,
) -> tuple[LabelImage, npt.NDArray[np.bool_]]:
    """Return the grains to learn from, and where anything may be learnt.

    Parameters
    ----------
    labels : (Y, X) int32 array
    states : mapping of int to str
        State of the grains that have one other than "auto".
    only_accepted : bool
        Nothing but accepted grains and a rim of `RIM_PX` of background round them is trusted. Else
        all grains and all background are, but for rejected grains: whether those are background or
        badly drawn nobody has said.
    region : (Y, X) bool array, optional
        Nothing outside it is trusted.

    Returns
    -------
    labels : (Y, X) int32 array
        Without the grains of which no pixel is trusted. A grain on the edge of the region stays
        whole: its flows need its true shape.
    trust : (Y, X) bool array
    """
    if only_accepted:
        good = [label for label, state in states.items() if state == "accepted"]
        accepted = np.isin(labels, good) & (labels > 0)
        rim = ndimage.binary_dilation(accepted, iterations=RIM_PX) & (labels == 0)
        trust = accepted | rim
    else:
        bad = [label for label, state in states.items() if state == "rejected"]
        trust = ~np.isin(labels, bad)
    if region is not None:
        trust &= region
    kept = np.unique(labels[trust])
    return np.where(np.isin(labels, kept), labels, 0).astype(np.int32), trust


def polygons_to_mask(
    shape: tuple[int, int], shapes: Iterable[npt.ArrayLike]
) -> npt.NDArray[np.bool_]:
    """Return the pixels whose centres lie in any of some polygons.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    shapes : iterable of (N, 2) arrays
        Corners (y, x) where pixel centres are at whole numbers, as in napari.
    """
    region = np.zeros(shape, bool)
    for corners in shapes:
        ring = parse_ring(np.asarray(corners, float) + 0.5, xy=False)
        place, mask = fill_rings([ring], shape)
        region[place] |= mask
    return region

"""Fill holes and keep one connected piece per grain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np
from skimage.measure import label as connected

if TYPE_CHECKING:
    from grainsmith.data import LabelImage


def fill_label_holes(labels: LabelImage) -> LabelImage:
    """Fill background enclosed by a single grain; pores between several grains stay.

    Parameters
    ----------
    labels : (Y, X) int32 array

    Returns
    -------
    (Y, X) int32 array
        A new array.
    """
    pores = connected(labels == 0, connectivity=1)
    owner = _owners(labels, pores, int(pores.max()))
    filled: LabelImage = np.where(labels == 0, np.maximum(owner[pores], 0), labels).astype(np.int32)
    return filled


def keep_largest_pieces(labels: LabelImage, *, min_area_px: int = 1) -> LabelImage:
    """Keep the largest 4-connected piece of every grain, if it has at least `min_area_px`."""
    pieces = connected(labels, connectivity=1)
    areas = np.bincount(pieces.ravel())
    label_of_piece = np.zeros(len(areas), np.int32)
    label_of_piece[pieces.ravel()] = labels.ravel()
    # The last write wins, so ascending area selects the largest piece.
    best = np.zeros(int(labels.max(initial=0)) + 1, np.intp)
    order = np.argsort(areas, kind="stable")
    best[label_of_piece[order]] = order
    keep = np.zeros(len(areas), bool)
    keep[best[1:]] = areas[best[1:]] >= min_area_px
    keep[0] = False
    kept: LabelImage = np.where(keep[pieces], labels, 0).astype(np.int32)
    return kept


@nb.njit(cache=True, nogil=True)
def _owners(labels, pores, n):  # type: ignore[no-untyped-def]
    """Find the only grain around each pore; -1 with several, or at the image edge."""
    owner = np.zeros(n + 1, np.int32)
    height, width = labels.shape
    for y in range(height):
        for x in range(width):
            p = pores[y, x]
            if p == 0:
                continue
            if y == 0 or x == 0 or y == height - 1 or x == width - 1:
                owner[p] = -1
                continue
            for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                k = labels[v, u]
                if k > 0 and owner[p] == 0:
                    owner[p] = k
                elif k > 0 and owner[p] != k:
                    owner[p] = -1
    return owner

"""Compute bounding box, area and moments of every grain in one pass over the labels."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from grainsmith.parallel import compiled, map_threads, thread_count

if TYPE_CHECKING:
    from grainsmith.data import LabelImage

_AREA, _Y, _X, _YY, _XX, _YX, _TOP, _LEFT, _BOTTOM, _RIGHT = range(10)


@dataclass(frozen=True, slots=True)
class RegionMoments:
    """Exact integer sums over the pixels of every grain.

    Attributes
    ----------
    ids : (N,) int32 array
        Labels, ascending.
    area : (N,) int64 array
        Number of pixels.
    sums : (N, 5) int64 array
        Sums of y, x, y * y, x * x and y * x.
    boxes : (N, 4) int64 array
        Top, left, bottom and right; bottom and right are exclusive.
    """

    ids: npt.NDArray[np.int32]
    area: npt.NDArray[np.int64]
    sums: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)


def present_labels(labels: LabelImage) -> npt.NDArray[np.int32]:
    """List the labels of a (Y, X) image in ascending order, without 0."""
    highest = int(labels.max(initial=0))
    # One flag per possible label is ten times faster than sorting, unless labels are huge.
    if highest > 4 * labels.size + 1_000_000:
        present = np.unique(labels)
        return present[present > 0].astype(np.int32)
    flags = np.zeros(highest + 1, np.uint8)
    _flag(np.ascontiguousarray(labels, dtype=np.int32), flags)
    flags[0] = 0
    return np.flatnonzero(flags).astype(np.int32)


def region_moments(
    labels: LabelImage, ids: npt.NDArray[np.int32], *, rows: tuple[int, int] = (0, 0)
) -> RegionMoments:
    """Compute the region moments of the grains `ids`; labels without pixels are left out.

    Parameters
    ----------
    labels : (Y, X) int32 array
        Contiguous.
    ids : (N,) int32 array
        Labels to measure, ascending.
    rows : (int, int)
        First row and row after the last that can contain them; (0, 0) means all rows.
    """
    first, last = rows if rows[1] else (0, labels.shape[0])
    workers = thread_count()
    edges = np.linspace(first, last, workers + 1).astype(int)
    bands = list(pairwise(edges))
    dense = bool(len(ids)) and int(ids[-1]) <= 4 * labels.size + 1_000_000
    ranks = np.full(int(ids[-1]) + 1, -1, np.int32) if dense else np.empty(0, np.int32)
    if dense:
        ranks[ids] = np.arange(len(ids), dtype=np.int32)

    def scan_band(band: tuple[int, int]) -> npt.NDArray[np.int64]:
        out = np.zeros((len(ids), 10), np.int64)
        out[:, _TOP] = out[:, _LEFT] = np.iinfo(np.int64).max
        _scan(labels, ids, ranks, band[0], band[1], out)
        return out

    parts = np.stack(map_threads(scan_band, bands))
    sums = parts[..., :_TOP].sum(axis=0)
    low, high = parts[..., _TOP:_BOTTOM].min(axis=0), parts[..., _BOTTOM:].max(axis=0)
    present = sums[:, _AREA] > 0
    boxes = np.concatenate([low, high], axis=1)[present]
    return RegionMoments(ids[present], sums[present, _AREA], sums[present, 1:], boxes)


@compiled
def _flag(labels: npt.NDArray[np.int32], flags: npt.NDArray[np.uint8]) -> None:
    for value in labels.ravel():
        if value > 0:
            flags[value] = 1


@compiled
def _scan(
    labels: npt.NDArray[np.int32],
    ids: npt.NDArray[np.int32],
    ranks: npt.NDArray[np.int32],
    first: int,
    last: int,
    out: npt.NDArray[np.int64],
) -> None:
    previous = rank = -1
    for y in range(first, last):
        for x in range(labels.shape[1]):
            value = labels[y, x]
            if value <= 0:
                continue
            if value != previous:
                previous, rank = value, _rank(value, ids, ranks)
            if rank < 0:
                continue
            row = out[rank]
            row[0] += 1
            row[1] += y
            row[2] += x
            row[3] += y * y
            row[4] += x * x
            row[5] += y * x
            row[6] = min(row[6], y)
            row[7] = min(row[7], x)
            row[8] = y + 1
            row[9] = max(row[9], x + 1)


@compiled
def _rank(value: int, ids: npt.NDArray[np.int32], ranks: npt.NDArray[np.int32]) -> int:
    if len(ranks):
        return ranks[value] if value < len(ranks) else -1
    index = int(np.searchsorted(ids, value))
    return index if index < len(ids) and ids[index] == value else -1

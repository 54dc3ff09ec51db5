"""Flow fields of labelled grains, and their difference from predicted ones.

The flow at a pixel is the unit gradient of the temperature after heat has diffused from the grain's
center (Stringer et al. 2021, doi 10.1038/s41592-020-01018-x), so trajectories along it end at the
center. All functions work per grain and in parallel: their cost is proportional to grain area.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numba as nb
import numpy as np
import numpy.typing as npt

from grainsmith.segment._numba import kernel_lock, parallel_jit

if TYPE_CHECKING:
    from grainsmith.data import LabelImage

Flows = npt.NDArray[np.float32]
"""(2, Y, X): unit vectors (dy, dx)."""


@dataclass(frozen=True, slots=True)
class Boxes:
    """Bounding boxes of the grains of a label image.

    Attributes
    ----------
    ids : (N,) int32 array
        Labels in ascending order; there may be gaps.
    edges : (N, 4) int32 array
        Start row, stop row, start column, stop column; the stops are exclusive.
    """

    ids: npt.NDArray[np.int32]
    edges: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.ids)


def find_boxes(labels: LabelImage) -> Boxes:
    """Compute the bounding boxes of all grains of a (Y, X) label image."""
    highest = int(labels.max(initial=0))
    if highest > labels.size:  # avoids a table as long as the largest label
        ids, ranks = np.unique(labels, return_inverse=True)
        ranked = find_boxes(ranks.reshape(labels.shape).astype(np.int32) + np.int32(ids[0] > 0))
        return Boxes(ids[ids > 0].astype(np.int32), ranked.edges)
    edges = _scan_boxes(np.ascontiguousarray(labels, dtype=np.int32), highest)
    present = edges[:, 1] > 0
    return Boxes(np.flatnonzero(present).astype(np.int32), edges[present])


def flows_from_labels(labels: LabelImage) -> Flows:
    """Compute the flows of every grain.

    Parameters
    ----------
    labels : (Y, X) int array
        0 is background; there may be gaps in the labels. Pieces that are not connected to the
        grain's center get zero flows.

    Returns
    -------
    (2, Y, X) float32 array
        Unit vectors (dy, dx) inside grains, 0 outside.
    """
    labels = np.ascontiguousarray(labels, dtype=np.int32)
    boxes = find_boxes(labels)
    out = np.zeros((2, *labels.shape), np.float32)
    with kernel_lock:
        _diffuse(labels, boxes.ids, boxes.edges, out)
    return out


def flow_errors(labels: LabelImage, flows: Flows) -> tuple[npt.NDArray[np.int32], npt.NDArray[Any]]:
    """Compute the flow error of every grain.

    The flow error is the mean squared difference between the predicted flows and those computed
    from the grain's shape, as defined by Cellpose.

    Parameters
    ----------
    labels : (Y, X) int array
        Grains derived from the predicted flows.
    flows : (2, Y, X) float array
        Predicted flows as unit vectors.

    Returns
    -------
    ids : (N,) int32 array
        Labels in ascending order.
    errors : (N,) float64 array
        0 is perfect; above about 0.4 a grain is doubtful.
    """
    labels = np.ascontiguousarray(labels, dtype=np.int32)
    boxes = find_boxes(labels)
    ideal = np.zeros((2, *labels.shape), np.float32)
    with kernel_lock:
        _diffuse(labels, boxes.ids, boxes.edges, ideal)
        errors = _mean_square_difference(labels, boxes.ids, boxes.edges, ideal, flows)
    return boxes.ids, errors


@nb.njit(cache=True, nogil=True)
def _scan_boxes(labels, highest):  # type: ignore[no-untyped-def]
    edges = np.empty((highest + 1, 4), np.int32)
    edges[:, 0] = labels.shape[0]
    edges[:, 1] = 0
    edges[:, 2] = labels.shape[1]
    edges[:, 3] = 0
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            k = labels[y, x]
            if k > 0:
                edges[k, 0] = min(edges[k, 0], y)
                edges[k, 1] = max(edges[k, 1], y + 1)
                edges[k, 2] = min(edges[k, 2], x)
                edges[k, 3] = max(edges[k, 3], x + 1)
    return edges


@nb.njit(cache=True, nogil=True)
def _center(inside, height, width):  # type: ignore[no-untyped-def]
    """Find the pixel of the grain nearest its center of mass, in a box padded by 1."""
    area, sum_y, sum_x = 0.0, 0.0, 0.0
    for y in range(1, height + 1):
        for x in range(1, width + 1):
            if inside[y, x] > 0:
                area += 1
                sum_y += y
                sum_x += x
    mean_y, mean_x = sum_y / area, sum_x / area
    best, best_y, best_x = 1e30, 1, 1
    for y in range(1, height + 1):
        for x in range(1, width + 1):
            if inside[y, x] > 0:
                distance = (y - mean_y) ** 2 + (x - mean_x) ** 2
                if distance < best:
                    best, best_y, best_x = distance, y, x
    return best_y, best_x


@nb.njit(cache=True, nogil=True, fastmath=True)
def _heat(inside, height, width):  # type: ignore[no-untyped-def]
    """Diffuse heat from the center until it has crossed the grain."""
    center_y, center_x = _center(inside, height, width)
    heat = np.zeros((height + 2, width + 2))
    sums = np.zeros((height + 2, width + 2))
    for _ in range(2 * (height + width + 2)):
        heat[center_y, center_x] += 1
        # Separable 3 x 3 mean.
        for y in range(1, height + 1):
            for x in range(width + 2):
                sums[y, x] = heat[y - 1, x] + heat[y, x] + heat[y + 1, x]
        for y in range(1, height + 1):
            for x in range(1, width + 1):
                heat[y, x] = inside[y, x] * (sums[y, x - 1] + sums[y, x] + sums[y, x + 1]) / 9.0
    return heat


@parallel_jit
def _diffuse(labels, ids, edges, out):  # type: ignore[no-untyped-def]
    for k in nb.prange(len(ids)):
        y0, y1, x0, x1 = edges[k]
        height, width = y1 - y0, x1 - x0
        inside = np.zeros((height + 2, width + 2))
        for y in range(height):
            for x in range(width):
                if labels[y0 + y, x0 + x] == ids[k]:
                    inside[y + 1, x + 1] = 1.0
        heat = _heat(inside, height, width)
        for y in range(1, height + 1):
            for x in range(1, width + 1):
                if inside[y, x] > 0:
                    dy = heat[y + 1, x] - heat[y - 1, x]
                    dx = heat[y, x + 1] - heat[y, x - 1]
                    norm = np.sqrt(dy * dy + dx * dx) + 1e-60
                    out[0, y0 + y - 1, x0 + x - 1] = dy / norm
                    out[1, y0 + y - 1, x0 + x - 1] = dx / norm


@parallel_jit
def _mean_square_difference(labels, ids, edges, ideal, flows):  # type: ignore[no-untyped-def]
    errors = np.zeros(len(ids))
    for k in nb.prange(len(ids)):
        y0, y1, x0, x1 = edges[k]
        area, total = 0, 0.0
        for y in range(y0, y1):
            for x in range(x0, x1):
                if labels[y, x] == ids[k]:
                    area += 1
                    total += (ideal[0, y, x] - flows[0, y, x]) ** 2
                    total += (ideal[1, y, x] - flows[1, y, x]) ** 2
        errors[k] = total / area
    return errors

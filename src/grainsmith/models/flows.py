"""Flows: from labels (what a network learns), and back to labels (what it says).

A grain's flows are the directions in which heat set free at its centre would have spread, turned
round: followed pixel by pixel they lead every pixel of the grain to its centre (Stringer et al.
2021, doi 10.1038/s41592-020-01018-x). Everything here works per grain or per point, in parallel,
so the cost goes with the area of the grains and not with the largest of them times the image.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numba as nb
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from grainsmith.data import LabelImage

Flows = npt.NDArray[np.float32]
"""(2, Y, X): unit steps along y and x."""

_jit = nb.njit(cache=True, nogil=True, parallel=True)

one_at_a_time = threading.Lock()
"""Held round every parallel kernel: numba's own thread pool, the only one on some machines, aborts
the program when two Python threads enter it at once (a redraw beside a running segmentation)."""


@dataclass(frozen=True, slots=True)
class Boxes:
    """Where the grains of a label image lie.

    Attributes
    ----------
    ids : (N,) int32 array
        Labels that occur, rising; numbers may have gaps.
    edges : (N, 4) int32 array
        First row, row after the last, first column, column after the last.
    """

    ids: npt.NDArray[np.int32]
    edges: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.ids)


def find_boxes(labels: LabelImage) -> Boxes:
    """Return the bounding boxes of all grains of a (Y, X) label image."""
    highest = int(labels.max(initial=0))
    if highest > labels.size:  # a few huge numbers would ask for a huge table
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
        0 is background; numbers may have gaps. A grain in several pieces flows in the piece that
        holds its centre; its other pieces keep flows of 0.

    Returns
    -------
    (2, Y, X) float32 array
        Unit vectors (dy, dx) inside grains, 0 outside.
    """
    labels = np.ascontiguousarray(labels, dtype=np.int32)
    boxes = find_boxes(labels)
    out = np.zeros((2, *labels.shape), np.float32)
    with one_at_a_time:
        _diffuse(labels, boxes.ids, boxes.edges, out)
    return out


def flow_errors(labels: LabelImage, flows: Flows) -> tuple[npt.NDArray[np.int32], npt.NDArray[Any]]:
    """Say how far the network's flows are from those that its grains should have.

    Parameters
    ----------
    labels : (Y, X) int array
        Grains drawn from the flows.
    flows : (2, Y, X) float array
        The network's flows, in steps (not times 5).

    Returns
    -------
    ids : (N,) int32 array
        Labels that occur.
    errors : (N,) float64 array
        Mean squared difference to the flows computed from the grain, as Cellpose defines its flow
        error; 0 is perfect, above about 0.4 a grain is doubtful.
    """
    labels = np.ascontiguousarray(labels, dtype=np.int32)
    boxes = find_boxes(labels)
    ideal = np.zeros((2, *labels.shape), np.float32)
    with one_at_a_time:
        _diffuse(labels, boxes.ids, boxes.edges, ideal)
        errors = _mean_square_difference(labels, boxes.ids, boxes.edges, ideal, flows)
    return boxes.ids, errors


def follow(
    flows: Flows,
    inside: npt.NDArray[np.bool_],
    *,
    scale: float = 1.0,
    offset: tuple[float, float] = (0.0, 0.0),
    max_steps: int = 300,
) -> npt.NDArray[np.float32]:
    """Follow the flows from every pixel that lies inside a grain until it stands still.

    Parameters
    ----------
    flows : (2, H, W) float array
        Steps on the grid of the network.
    inside : (Y, X) bool array
        Pixels to follow, on the grid of the image.
    scale : float
        Network pixels per image pixel. The paths run on the network's grid whatever the size of the
        image: outlines keep the image's sharpness and no flow is ever resampled.
    offset : (float, float)
        Network pixels (y, x) by which the image begins inside the grid, where both are pieces of
        something larger.
    max_steps : int
        A path ends here at the latest.

    Returns
    -------
    (N, 2) float32 array
        Ends (y, x) on the network's grid, in the order of `np.nonzero(inside)`.
    """
    starts = np.stack(np.nonzero(inside), axis=1).astype(np.float32)
    # Pixel centres of the image on the network's grid.
    starts = (starts + np.float32(0.5)) * np.float32(scale) - np.float32(0.5)
    starts += np.array(offset, np.float32)
    # Interleaved, the four values of a bilinear look-up share cache lines.
    field = np.ascontiguousarray(np.moveaxis(flows, 0, -1), dtype=np.float32)
    with one_at_a_time:
        return _walk(field, starts, max_steps)


def gather(
    ends: npt.NDArray[np.float32],
    inside: npt.NDArray[np.bool_],
    grid_shape: tuple[int, int],
    *,
    min_points: int,
) -> LabelImage:
    """Make one grain of all pixels whose paths end together.

    The ends are counted on the network's grid; from every cell one climbs to the fullest cell of
    its 5 x 5 neighbourhood until none is fuller. Pixels that arrive at one peak are one grain.

    Parameters
    ----------
    ends : (N, 2) float32 array
        From `follow`.
    inside : (Y, X) bool array
        The pixels that were followed.
    grid_shape : (H, W)
        Shape of the network's grid.
    min_points : int
        Peaks in whose 5 x 5 neighbourhood fewer paths end are no grain.

    Returns
    -------
    (Y, X) int32 array
        Labels 1..n in reading order of the peaks.
    """
    cells = np.rint(ends).astype(np.int32)
    np.clip(cells, 0, np.array(grid_shape, np.int32) - 1, out=cells)
    flat = cells[:, 0].astype(np.int64) * grid_shape[1] + cells[:, 1]
    counts = np.bincount(flat, minlength=grid_shape[0] * grid_shape[1]).reshape(grid_shape)
    peak_of_cell = _climb(counts.astype(np.int32))
    peak = peak_of_cell.ravel()[flat]
    gathered = np.bincount(peak, minlength=counts.size)
    number = np.zeros(counts.size, np.int32)
    good = np.flatnonzero(gathered >= max(1, min_points))
    number[good] = np.arange(1, len(good) + 1)
    labels = np.zeros(inside.shape, np.int32)
    labels[inside] = number[peak]
    return labels


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
def _centre(inside, height, width):  # type: ignore[no-untyped-def]
    """Pixel of the grain nearest its centre of mass (in a box padded by 1)."""
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
    """Temperature after the heat of the centre has crossed the grain."""
    centre_y, centre_x = _centre(inside, height, width)
    heat = np.zeros((height + 2, width + 2))
    sums = np.zeros((height + 2, width + 2))
    for _ in range(2 * (height + width + 2)):
        heat[centre_y, centre_x] += 1
        # The 3 x 3 mean, columns first, then rows.
        for y in range(1, height + 1):
            for x in range(width + 2):
                sums[y, x] = heat[y - 1, x] + heat[y, x] + heat[y + 1, x]
        for y in range(1, height + 1):
            for x in range(1, width + 1):
                heat[y, x] = inside[y, x] * (sums[y, x - 1] + sums[y, x] + sums[y, x + 1]) / 9.0
    return heat


@_jit
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


@_jit
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


@_jit
def _walk(field, starts, max_steps):  # type: ignore[no-untyped-def]
    height, width = field.shape[0], field.shape[1]
    ends = np.empty_like(starts)
    for i in nb.prange(starts.shape[0]):
        y = min(max(starts[i, 0], np.float32(0)), np.float32(height - 1))
        x = min(max(starts[i, 1], np.float32(0)), np.float32(width - 1))
        check_y, check_x = y, x
        for step in range(1, max_steps + 1):
            y0, x0 = int(y), int(x)
            y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
            fy, fx = y - np.float32(y0), x - np.float32(x0)
            a = (np.float32(1) - fy) * (np.float32(1) - fx)
            b = (np.float32(1) - fy) * fx
            c = fy * (np.float32(1) - fx)
            d = fy * fx
            f00, f01, f10, f11 = field[y0, x0], field[y0, x1], field[y1, x0], field[y1, x1]
            y += a * f00[0] + b * f01[0] + c * f10[0] + d * f11[0]
            x += a * f00[1] + b * f01[1] + c * f10[1] + d * f11[1]
            y = min(max(y, np.float32(0)), np.float32(height - 1))
            x = min(max(x, np.float32(0)), np.float32(width - 1))
            # At its sink a path circles within a pixel: when eight steps lead nowhere, it is there.
            if step % 8 == 0:
                if abs(y - check_y) + abs(x - check_x) < np.float32(0.05):
                    break
                check_y, check_x = y, x
        ends[i, 0], ends[i, 1] = y, x
    return ends


@nb.njit(cache=True, nogil=True)
def _climb(counts):  # type: ignore[no-untyped-def]  # noqa: C901
    """Flat index of the peak that every non-empty cell leads to."""
    height, width = counts.shape
    target = np.arange(height * width)
    for y in range(height):
        for x in range(width):
            if counts[y, x] == 0:
                continue
            best, best_count = y * width + x, counts[y, x]
            for v in range(max(0, y - 2), min(height, y + 3)):
                for u in range(max(0, x - 2), min(width, x + 3)):
                    # Of equals the first wins, so that no two cells point at each other.
                    better = counts[v, u] > best_count
                    tie = counts[v, u] == best_count and v * width + u < best
                    if better or tie:
                        best, best_count = v * width + u, counts[v, u]
            target[y * width + x] = best
    for i in range(len(target)):
        while target[target[i]] != target[i]:
            target[i] = target[target[i]]
    return target.reshape(height, width)

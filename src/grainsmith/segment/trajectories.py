"""Trajectories along the flow field, and the grains formed by those that end together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np
import numpy.typing as npt

from grainsmith.segment._numba import kernel_lock, parallel_jit

if TYPE_CHECKING:
    from grainsmith.data import LabelImage
    from grainsmith.segment.flows import Flows


class TrajectoryCache:
    """Cached end points of the trajectories of one prediction.

    Following the trajectories takes four fifths of the time from flows to labels and does not
    depend on the thresholds, which only select pixels. The cache takes eight bytes per pixel.
    """

    def __init__(self) -> None:
        self._ends: npt.NDArray[np.float32] | None = None

    def ends(
        self,
        flows: Flows,
        inside: npt.NDArray[np.bool_],
        scale: float,
        offset: tuple[float, float] = (0.0, 0.0),
    ) -> npt.NDArray[np.float32]:
        """Return the end points as `follow` does, computing only those not cached yet."""
        if self._ends is None:
            self._ends = np.full((*inside.shape, 2), np.nan, np.float32)
        new = inside & np.isnan(self._ends[..., 0])
        if new.any():
            self._ends[new] = follow(flows, new, scale=scale, offset=offset)
        ends: npt.NDArray[np.float32] = self._ends[inside]
        return ends


def follow(
    flows: Flows,
    inside: npt.NDArray[np.bool_],
    *,
    scale: float = 1.0,
    offset: tuple[float, float] = (0.0, 0.0),
    max_steps: int = 300,
) -> npt.NDArray[np.float32]:
    """Follow the flows from every selected pixel to where its trajectory ends.

    Parameters
    ----------
    flows : (2, H, W) float array
        Unit steps on the network's grid.
    inside : (Y, X) bool array
        Pixels to follow, on the image's grid.
    scale : float
        Network pixels per image pixel. Trajectories start at the pixels of the image but run on
        the network's grid, so no flow is resampled and outlines keep the image's resolution.
    offset : (float, float)
        Position (y, x) of the image's origin on the network's grid.
    max_steps : int
        Maximum length of a trajectory.

    Returns
    -------
    (N, 2) float32 array
        End points (y, x) on the network's grid, in the order of `np.nonzero(inside)`.
    """
    starts = np.stack(np.nonzero(inside), axis=1).astype(np.float32)
    # Pixel centers of the image on the network's grid.
    starts = (starts + np.float32(0.5)) * np.float32(scale) - np.float32(0.5)
    starts += np.array(offset, np.float32)
    # Interleaved, the four values of a bilinear look-up share cache lines.
    field = np.ascontiguousarray(np.moveaxis(flows, 0, -1), dtype=np.float32)
    with kernel_lock:
        return _walk(field, starts, max_steps)


def gather(
    ends: npt.NDArray[np.float32],
    inside: npt.NDArray[np.bool_],
    grid_shape: tuple[int, int],
    *,
    min_points: int,
) -> LabelImage:
    """Label pixels whose trajectories end at the same peak.

    End points are counted on the network's grid. Every cell is linked to the fullest cell of its
    5 x 5 neighbourhood until a local maximum is reached; all pixels that end in cells linked to one
    maximum form one grain.

    Parameters
    ----------
    ends : (N, 2) float32 array
        From `follow`.
    inside : (Y, X) bool array
        The pixels that were followed.
    grid_shape : (H, W)
        Shape of the network's grid.
    min_points : int
        Peaks with fewer trajectories are discarded.

    Returns
    -------
    (Y, X) int32 array
        Labels 1..n in reading order of the peaks.
    """
    cells = np.rint(ends).astype(np.int32)
    np.clip(cells, 0, np.array(grid_shape, np.int32) - 1, out=cells)
    flat = cells[:, 0].astype(np.int64) * grid_shape[1] + cells[:, 1]
    counts = np.bincount(flat, minlength=grid_shape[0] * grid_shape[1]).reshape(grid_shape)
    peak_of_cell = _link_to_peaks(counts.astype(np.int32))
    peak = peak_of_cell.ravel()[flat]
    gathered = np.bincount(peak, minlength=counts.size)
    label_of_peak = np.zeros(counts.size, np.int32)
    large = np.flatnonzero(gathered >= max(1, min_points))
    label_of_peak[large] = np.arange(1, len(large) + 1)
    labels = np.zeros(inside.shape, np.int32)
    labels[inside] = label_of_peak[peak]
    return labels


@parallel_jit
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
            # At its end a trajectory circles within a pixel.
            if step % 8 == 0:
                if abs(y - check_y) + abs(x - check_x) < np.float32(0.05):
                    break
                check_y, check_x = y, x
        ends[i, 0], ends[i, 1] = y, x
    return ends


@nb.njit(cache=True, nogil=True)
def _link_to_peaks(counts):  # type: ignore[no-untyped-def]  # noqa: C901
    """Find the flat index of the local maximum that every non-empty cell is linked to."""
    height, width = counts.shape
    target = np.arange(height * width)
    for y in range(height):
        for x in range(width):
            if counts[y, x] == 0:
                continue
            best, best_count = y * width + x, counts[y, x]
            for v in range(max(0, y - 2), min(height, y + 3)):
                for u in range(max(0, x - 2), min(width, x + 3)):
                    # Ties go to the first cell, so that no two cells point at each other.
                    better = counts[v, u] > best_count
                    tie = counts[v, u] == best_count and v * width + u < best
                    if better or tie:
                        best, best_count = v * width + u, counts[v, u]
            target[y * width + x] = best
    for i in range(len(target)):
        while target[target[i]] != target[i]:
            target[i] = target[target[i]]
    return target.reshape(height, width)

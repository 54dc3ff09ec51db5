"""Add a grain by one click, from the flows of the network or from grey values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from grainsmith.clean.grains import add_mask
from grainsmith.clean.patch import Box
from grainsmith.errors import MismatchError
from grainsmith.parallel import compiled

if TYPE_CHECKING:
    from grainsmith.clean.index import GrainIndex
    from grainsmith.clean.patch import Labels, Mask, Patch

_STEPS = 400  # steps of half a pixel, as far as Cellpose follows its flows
_MIN_PROBABILITY = 0.02  # pixels with less are never part of a candidate


@dataclass(frozen=True, eq=False)
class Candidate:
    """Possible grain around a clicked pixel; a threshold turns it into a mask.

    Attributes
    ----------
    box : Box
        Window around the click.
    likeness : (h, w) float32 array
        Likelihood of belonging to the clicked grain, 0..1.
    point : (int, int)
        The clicked pixel (y, x).
    start : float
        Initial threshold.
    """

    box: Box
    likeness: npt.NDArray[np.float32]
    point: tuple[int, int]
    start: float

    def mask(self, threshold: float) -> Mask:
        """Return the connected (h, w) mask under the click, at least as likely as `threshold`.

        It always contains the clicked pixel, and its holes are filled.
        """
        here = self.point[0] - self.box.y0, self.point[1] - self.box.x0
        likely = self.likeness >= max(threshold, 1e-6)
        likely[here] = True
        pieces, _ = ndimage.label(likely)
        return np.asarray(ndimage.binary_fill_holes(pieces == pieces[here]))


def candidate_from_flows(
    labels: Labels,
    point: tuple[int, int],
    logit: npt.NDArray[Any],
    flows: npt.NDArray[Any],
    *,
    reach_px: float,
    scale: float = 1.0,
) -> Candidate:
    """Find the pixels whose flows end where the flow of the clicked pixel ends.

    Parameters
    ----------
    labels : (Y, X) int array
        Pixels of other grains are excluded.
    point : (int, int)
        The clicked pixel (y, x).
    logit : (H, W) array
        Logit of the grain probability on the grid of the network.
    flows : (2, H, W) array
        Flows (dy, dx) towards the centre of the grain, of any length, on that grid.
    reach_px : float
        Half the side of the window; twice a typical diameter is enough.
    scale : float
        Pixels of the grid per pixel of the labels.

    Raises
    ------
    MismatchError
        The click is outside the image or on a grain.
    """
    box = _window_at(labels, point, reach_px)
    chance = 1 / (1 + np.exp(-on_labels(logit, box, scale)))
    chance[labels[box.slices] != 0] = 0
    clicked = point[0] - box.y0, point[1] - box.x0
    offered = chance >= _MIN_PROBABILITY
    offered[clicked] = True
    steps = np.stack([on_labels(part, box, scale) for part in flows])
    ends = _follow(steps, offered, _STEPS)
    away = np.hypot(ends[0] - ends[0][clicked], ends[1] - ends[1][clicked])
    # Flows of one grain end within a few pixels of its centre, whatever its size.
    same = away <= max(3.0, 0.06 * reach_px)
    likeness = np.where(same, chance, 0).astype(np.float32)
    return Candidate(box, likeness, point, min(0.5, 0.8 * float(chance[clicked])))


def candidate_from_grey(
    labels: Labels, point: tuple[int, int], image: npt.NDArray[Any], *, reach_px: float
) -> Candidate:
    """Find pixels that contrast with the background like the clicked one, without a prediction.

    Parameters
    ----------
    labels : (Y, X) int array
    point : (int, int)
        The clicked pixel (y, x).
    image : (Y, X) or (Y, X, 3) array
    reach_px : float
        Half the side of the window.

    Notes
    -----
    The background is the 5th or 95th percentile of the uncovered grey values in the window,
    whichever is farther from the clicked grey value; the grain ends halfway between the two.
    """
    box = _window_at(labels, point, reach_px)
    grey = image[box.slices].astype(np.float32)
    grey = grey.mean(axis=-1) if grey.ndim == 3 else grey
    grey = ndimage.gaussian_filter(grey, 1)
    bare = labels[box.slices] == 0
    here = float(grey[point[0] - box.y0, point[1] - box.x0])
    ends = np.percentile(grey[bare], [5, 95])
    background = float(ends[np.argmax(np.abs(ends - here))])
    likeness = (grey - background) / (here - background if here != background else 1.0)
    likeness[~bare] = 0
    return Candidate(box, np.clip(likeness, 0, 1).astype(np.float32), point, 0.5)


def add_candidate(
    labels: Labels, index: GrainIndex, candidate: Candidate, threshold: float
) -> tuple[Patch, ...]:
    """Add the candidate as a grain; see `add_mask`."""
    return add_mask(labels, index, candidate.box, candidate.mask(threshold))


def _window_at(labels: Labels, point: tuple[int, int], reach_px: float) -> Box:
    y, x = point
    if not (0 <= y < labels.shape[0] and 0 <= x < labels.shape[1]):
        raise MismatchError("the point is outside the image")
    if labels[y, x] != 0:
        raise MismatchError(f"grain {int(labels[y, x])} is here already; choose a point beside it")
    return Box(y, x, y + 1, x + 1).grown(max(8, round(reach_px)), labels.shape)


def on_labels(grid: npt.NDArray[Any], box: Box, scale: float) -> npt.NDArray[np.float32]:
    """Interpolate a grid of the network at the pixels of a box of the labels, (h, w)."""
    if scale == 1:
        return grid[box.slices].astype(np.float32)
    # Align pixel centres, not corners.
    places = [(np.arange(*side) + 0.5) * scale - 0.5 for side in zip(box[:2], box[2:], strict=True)]
    at = np.meshgrid(*places, indexing="ij")
    values = ndimage.map_coordinates(grid.astype(np.float32), at, order=1, mode="nearest")
    return np.asarray(values, np.float32)


@compiled
def _follow(flows: npt.NDArray[np.float32], offered: Mask, steps: int) -> npt.NDArray[np.float32]:
    """Follow the flows from every candidate pixel in steps of half a pixel.

    flows is (2, h, w), offered (h, w); returns the end points (2, h, w), far outside for others.
    """
    height, width = offered.shape
    ends = np.full((2, height, width), np.float32(1e6), np.float32)
    for row in range(height):
        for column in range(width):
            if not offered[row, column]:
                continue
            y, x = float(row), float(column)
            for _ in range(steps):
                iy, ix = int(y + 0.5), int(x + 0.5)
                dy, dx = flows[0, iy, ix], flows[1, iy, ix]
                size = (dy * dy + dx * dx) ** 0.5
                if size < 1e-6:
                    break
                y = min(max(y + 0.5 * dy / size, 0.0), height - 1.0)
                x = min(max(x + 0.5 * dx / size, 0.0), width - 1.0)
            ends[0, row, column], ends[1, row, column] = y, x
    return ends

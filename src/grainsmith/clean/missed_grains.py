"""Places that look like grain but that no grain covers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from grainsmith.clean.index import GrainIndex
from grainsmith.clean.patch import Box
from grainsmith.clean.seed_grain import on_labels

if TYPE_CHECKING:
    from grainsmith.clean.patch import Labels

_SMALLEST = 0.2  # of the median grain's area: smaller places are seams and dirt
_MOST = 1000  # a queue that nobody would walk to its end


@dataclass(frozen=True, slots=True)
class MissedGrain:
    """A bare place that may be a missed grain.

    Attributes
    ----------
    point : (int, int)
        The pixel (y, x) deepest inside it, for a click.
    area_px : int
    box : Box
    """

    point: tuple[int, int]
    area_px: int
    box: Box


def find_missed(
    labels: Labels, likeness: npt.NDArray[Any], *, threshold: float = 0.5
) -> list[MissedGrain]:
    """Find bare places that may be missed grains.

    Parameters
    ----------
    labels : (Y, X) int array
    likeness : (Y', X) array
        How much a pixel looks like grain, 0..1; Y' may be less than Y where there is a data bar.
    threshold : float
        From which likeness on a place looks like grain.

    Returns
    -------
    list of Missed
        The largest first, at most 1,000.
    """
    labels = labels[: likeness.shape[0]]
    areas = list(GrainIndex(labels).areas_px.values())
    smallest = max(9.0, _SMALLEST * float(np.median(areas)) if areas else 9.0)
    bare = (likeness >= threshold) & (labels == 0)
    # A seam along grains is no missed grain: only what survives one pixel of erosion counts.
    places, count = ndimage.label(ndimage.binary_opening(bare, np.ones((3, 3), bool)))
    sizes = np.bincount(places.ravel(), minlength=count + 1)[1:]
    boxes = ndimage.find_objects(places)
    order = [int(k) for k in np.argsort(-sizes, kind="stable") if sizes[k] >= smallest][:_MOST]
    return [
        MissedGrain(
            _deepest(places, boxes[k], k + 1),
            int(sizes[k]),
            Box(boxes[k][0].start, boxes[k][1].start, boxes[k][0].stop, boxes[k][1].stop),
        )
        for k in order
    ]


def likeness_from_logit(
    logit: npt.NDArray[Any], shape: tuple[int, int], scale: float
) -> npt.NDArray[np.float32]:
    """Return the model's probability on the pixels of the labels.

    Parameters
    ----------
    logit : (H, W) array
        On the grid of the network.
    shape : (int, int)
        Of the field in pixels of the labels.
    scale : float
        Pixels of the grid per pixel of the labels.
    """
    chance = 1 / (1 + np.exp(-on_labels(logit, Box(0, 0, *shape), scale)))
    return np.asarray(chance, np.float32)


def likeness_from_grey(labels: Labels, image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return how far each pixel is on the way from the grey of the background to that of grains.

    Parameters
    ----------
    labels : (Y, X) int array
    image : (Y, X) or (Y, X, 3) array

    Returns
    -------
    (Y, X) float32 array
        0 at the median of the background, 1 at that of the grains; 0 everywhere where there is
        nothing to tell them apart by.
    """
    grey = image.mean(axis=-1) if image.ndim == 3 else image
    grey = ndimage.gaussian_filter(grey.astype(np.float32), 1)
    covered = labels > 0
    if not covered.any() or covered.all():
        return np.zeros(labels.shape, np.float32)
    low, high = float(np.median(grey[~covered])), float(np.median(grey[covered]))
    if abs(high - low) < 1e-6:
        return np.zeros(labels.shape, np.float32)
    return np.clip((grey - low) / (high - low), 0, 1).astype(np.float32)


def _deepest(places: npt.NDArray[Any], box: tuple[slice, slice], number: int) -> tuple[int, int]:
    """Return the pixel of a place that is farthest from its outline."""
    depth = ndimage.distance_transform_edt(np.pad(places[box] == number, 1))
    y, x = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return int(y) - 1 + box[0].start, int(x) - 1 + box[1].start

"""Find background regions that look like missed grains."""

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

_MIN_AREA_SHARE = 0.2  # of the median grain area; smaller regions are seams and dirt
_MAX_REGIONS = 1000  # more are too many to review


@dataclass(frozen=True, slots=True)
class MissedGrain:
    """A background region that may be a missed grain.

    Attributes
    ----------
    point : (int, int)
        Pixel (y, x) farthest from the outline, to seed a grain.
    area_px : int
    box : Box
    """

    point: tuple[int, int]
    area_px: int
    box: Box


def find_missed(
    labels: Labels, likeness: npt.NDArray[Any], *, threshold: float = 0.5
) -> list[MissedGrain]:
    """Find background regions that may be missed grains.

    Parameters
    ----------
    labels : (Y, X) int array
    likeness : (Y', X) array
        Likelihood of being grain per pixel, 0..1, without the rows of a data bar.
    threshold : float
        Minimum likelihood of a grain.

    Returns
    -------
    list of MissedGrain
        Largest first, at most 1,000.
    """
    labels = labels[: likeness.shape[0]]
    areas = list(GrainIndex(labels).areas_px.values())
    smallest = max(9.0, _MIN_AREA_SHARE * float(np.median(areas)) if areas else 9.0)
    candidates = (likeness >= threshold) & (labels == 0)
    # Thin seams along grains are removed by an opening.
    regions, count = ndimage.label(ndimage.binary_opening(candidates, np.ones((3, 3), bool)))
    sizes = np.bincount(regions.ravel(), minlength=count + 1)[1:]
    boxes = ndimage.find_objects(regions)
    order = [int(k) for k in np.argsort(-sizes, kind="stable") if sizes[k] >= smallest][
        :_MAX_REGIONS
    ]
    return [
        MissedGrain(
            _deepest(regions, boxes[k], k + 1),
            int(sizes[k]),
            Box(boxes[k][0].start, boxes[k][1].start, boxes[k][0].stop, boxes[k][1].stop),
        )
        for k in order
    ]


def likeness_from_logit(
    logit: npt.NDArray[Any], shape: tuple[int, int], scale: float
) -> npt.NDArray[np.float32]:
    """Resample the model's probability to the pixels of the labels.

    Parameters
    ----------
    logit : (H, W) array
        Logit on the grid of the network.
    shape : (int, int)
        Shape of the field in pixels of the labels.
    scale : float
        Pixels of the grid per pixel of the labels.
    """
    chance = 1 / (1 + np.exp(-on_labels(logit, Box(0, 0, *shape), scale)))
    return np.asarray(chance, np.float32)


def likeness_from_grey(labels: Labels, image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Scale grey values from 0 at the median of the background to 1 at that of the grains.

    Parameters
    ----------
    labels : (Y, X) int array
    image : (Y, X) or (Y, X, 3) array

    Returns
    -------
    (Y, X) float32 array
        Clipped to 0..1; 0 everywhere if background and grains have the same median.
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


def _deepest(regions: npt.NDArray[Any], box: tuple[slice, slice], number: int) -> tuple[int, int]:
    """Return the pixel of a region that is farthest from its outline."""
    depth = ndimage.distance_transform_edt(np.pad(regions[box] == number, 1))
    y, x = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return int(y) - 1 + box[0].start, int(x) - 1 + box[1].start

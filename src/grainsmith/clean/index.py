"""Keep the bounding box and area of every grain up to date, without scanning the image per edit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from grainsmith.clean.patch import Box
from grainsmith.errors import MismatchError
from grainsmith.parallel import compiled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grainsmith.clean.patch import Labels
    from grainsmith.clean.run_length_delta import Change

_REBUILD = 2000  # with more changed grains, rebuilding is faster than updating


class GrainIndex:
    """Bounding box and area of every grain of a label image.

    Parameters
    ----------
    labels : (Y, X) int array
        0 is background; the array is not kept.

    Attributes
    ----------
    boxes : dict of int to Box
        Bounding box of each grain.
    areas_px : dict of int to int
        Number of pixels of each grain.
    """

    def __init__(self, labels: Labels) -> None:
        if labels.ndim != 2:
            raise MismatchError(
                f"grains are edited on one (Y, X) image, these labels are {labels.shape}; "
                "take one slice of them"
            )
        self._highest = 0
        self._build(labels)

    def __contains__(self, label: int) -> bool:
        return label in self.boxes

    def __len__(self) -> int:
        return len(self.boxes)

    def box(self, label: int) -> Box:
        """Return the box of a grain.

        Raises
        ------
        MismatchError
            The grain does not exist.
        """
        try:
            return self.boxes[label]
        except KeyError:
            raise MismatchError(f"there is no grain {label} in these labels") from None

    def new_labels(self, count: int, labels: Labels) -> list[int]:
        """Return labels that were not used since this index was built.

        Raises
        ------
        MismatchError
            The dtype of the labels has no more values.
        """
        first = self._highest + 1
        if first + count - 1 > np.iinfo(labels.dtype).max:
            raise MismatchError(
                f"{labels.dtype} has no number left for a new grain (the highest is "
                f"{self._highest}); convert the labels to int32 or renumber the grains"
            )
        return list(range(first, first + count))

    def update(self, labels: Labels, change: Change) -> set[int]:
        """Update the index for a change that was written to the labels.

        Parameters
        ----------
        labels : (Y, X) int array
            Labels after the change.
        change : Change
            The change.

        Returns
        -------
        set of int
            Grains that lost or gained pixels, including deleted ones.
        """
        touched = change.touched
        if len(touched) > _REBUILD:
            self._build(labels)
            return touched
        for label in touched:
            self._update_one(labels, change, label)
        self._highest = max(self._highest, max(touched, default=0))
        return touched

    def _update_one(self, labels: Labels, change: Change, label: int) -> None:
        lost, gained = change.old == label, change.new == label
        area = self.areas_px.get(label, 0)
        area += int(change.length[gained].sum()) - int(change.length[lost].sum())
        if area <= 0:
            self.areas_px.pop(label, None)
            self.boxes.pop(label, None)
            return
        box = self.boxes.get(label)
        if gained.any():
            more = change.box_of(gained)
            box = more if box is None else box.union(more)
        if lost.any() and box is not None:
            box = _tight(labels, box, label)
        self.areas_px[label] = area
        self.boxes[label] = box or change.box_of(gained)

    def _build(self, labels: Labels) -> None:
        highest = int(labels.max(initial=0))
        if highest <= 2 * labels.size + 1024:
            numbers, compact = np.arange(1, highest + 1), labels
        else:  # huge labels: avoid an array of that length
            every, inverse = np.unique(np.append(labels.ravel(), 0), return_inverse=True)
            numbers, compact = every[1:], inverse[:-1].reshape(labels.shape)
        boxes, areas = _boxes_and_areas(compact, len(numbers))
        present = areas > 0
        names = numbers[present].tolist()
        corners = boxes[present].tolist()
        self.boxes = {label: Box(*corner) for label, corner in zip(names, corners, strict=True)}
        self.areas_px: dict[int, int] = dict(zip(names, areas[present].tolist(), strict=True))
        self._highest = max(self._highest, highest)

    def union(self, labels: Iterable[int]) -> Box:
        """Return the bounding box of several grains."""
        first, *rest = (self.box(label) for label in labels)
        for box in rest:
            first = first.union(box)
        return first


def _tight(labels: Labels, box: Box, label: int) -> Box:
    """Return the bounding box of a grain within `box`."""
    inside = labels[box.slices] == label
    rows = np.flatnonzero(inside.any(axis=1))
    columns = np.flatnonzero(inside.any(axis=0))
    return Box(
        box.y0 + int(rows[0]),
        box.x0 + int(columns[0]),
        box.y0 + int(rows[-1]) + 1,
        box.x0 + int(columns[-1]) + 1,
    )


@compiled
def _boxes_and_areas(
    labels: Labels, count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Compute boxes (count, 4) and areas (count,) of the labels 1..count in one pass."""
    height, width = labels.shape
    areas = np.zeros(count, np.int64)
    boxes = np.zeros((count, 4), np.int64)
    boxes[:, 0], boxes[:, 1] = height, width
    for y in range(height):
        for x in range(width):
            if labels[y, x] > 0:
                grain = labels[y, x] - 1
                areas[grain] += 1
                boxes[grain, 0] = min(boxes[grain, 0], y)
                boxes[grain, 1] = min(boxes[grain, 1], x)
                boxes[grain, 2] = max(boxes[grain, 2], y + 1)
                boxes[grain, 3] = max(boxes[grain, 3], x + 1)
    return boxes, areas

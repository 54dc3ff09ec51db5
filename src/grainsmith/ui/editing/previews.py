"""What the editor shows over the grains, as marks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grainsmith.clean import Box
from grainsmith.clean.grains import pixels_under
from grainsmith.ui.editing.overlays import CHOSEN, N_PARTS, PREVIEW, Marks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Labels

    from grainsmith.clean import GrainIndex, Patch
    from grainsmith.clean.patch import Labels as LabelArray

    Point = tuple[float, float]

_LARGEST_PX = 70_000_000  # beyond it even a mask of bytes would be felt
_MARGIN_PX = 3  # the outline of a chosen grain is drawn around it, not on it


class Shown(Marks):
    """Marks for chosen grains, for what an edit would do and for the line being drawn."""

    def chosen(self, layer: Labels, index: GrainIndex, grains: Sequence[int]) -> None:
        """Outline grains."""
        grains = [grain for grain in grains if grain in index]
        if not grains:
            self.hide(CHOSEN)
            return
        box = index.union(grains).grown(_MARGIN_PX, layer.data.shape)
        if box.size <= _LARGEST_PX:
            values = np.isin(layer.data[box.slices], grains).astype(np.uint8)
            self.show(CHOSEN, values, box[:2], layer)

    def cleaned(self, layer: Labels, labels: LabelArray) -> None:
        """Colour what a clean-up that gives these labels, (Y, X), would remove and fill."""
        here, then = layer.data > 0, labels > 0
        values = 2 * (here & ~then).astype(np.uint8) + 3 * (then & ~here).astype(np.uint8)
        self.show(PREVIEW, values, (0, 0), layer)

    def patches(self, layer: Labels, patches: Sequence[Patch]) -> None:
        """Colour the parts that an edit would make."""
        self.stroke(layer, (), patches, closed=False)

    def stroke(
        self, layer: Labels, points: Sequence[Point], patches: Sequence[Patch], *, closed: bool
    ) -> None:
        """Show a line that is being drawn, and the parts that it would make."""
        line = np.reshape(np.asarray([*points, *points[:1]] if closed else points, float), (-1, 2))
        pixels = pixels_under(line, layer.data.shape) if len(line) else np.zeros((0, 2), int)
        boxes = [patch.box for patch in patches]
        if len(pixels):
            (y0, x0), (y1, x1) = pixels.min(axis=0).tolist(), pixels.max(axis=0).tolist()
            boxes.append(Box(y0, x0, y1 + 1, x1 + 1))
        if not boxes:
            self.hide(PREVIEW)
            return
        box = boxes[0]
        for other in boxes[1:]:
            box = box.union(other)
        box = box.grown(1, layer.data.shape)
        values = np.zeros((box.y1 - box.y0, box.x1 - box.x0), np.uint8)
        for patch in patches:
            _paint_parts(values, patch, box)
        for down in (0, 1):  # two pixels wide: one is hard to see
            y = np.minimum(pixels[:, 0] - box.y0 + down, values.shape[0] - 1)
            values[y, pixels[:, 1] - box.x0] = 1
        self.show(PREVIEW, values, box[:2], layer)


def _paint_parts(values: np.ndarray, patch: Patch, box: Box) -> None:
    """Give each part that a patch makes another colour."""
    place = values[
        patch.box.y0 - box.y0 : patch.box.y1 - box.y0, patch.box.x0 - box.x0 : patch.box.x1 - box.x0
    ]
    cut = np.unique(patch.old[patch.changed])
    parts = [*cut.tolist(), *np.unique(patch.new[patch.changed]).tolist()]
    for number, grain in enumerate(dict.fromkeys(parts)):
        if grain != 0:
            place[patch.new == grain] = 3 + number % N_PARTS

"""Overlays on the grains: selection outlines, previews of edits, uncovered area.

Every kind of overlay is one uint8 labels layer as large as the grains, so that an update redraws
only the pixels that changed; moving or replacing a small layer is ten times slower in napari 0.9.
The layers have the role "marks", which no panel takes for grains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from qtpy.QtCore import QTimer

from grainsmith.clean import Box
from grainsmith.clean.grains import pixels_under
from grainsmith.errors import GrainsmithError
from grainsmith.ui.editing.history import history_of
from grainsmith.ui.layers.geometry import place_of
from grainsmith.ui.layers.metadata import OverlayMetadata, Role, role_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from napari.layers import Layer

    from grainsmith.clean import Patch
    from grainsmith.clean.patch import Labels as LabelArray
    from grainsmith.ui.session import Session

    Point = tuple[float, float]

SELECTION, PREVIEW, UNCOVERED = "chosen grains", "preview", "not covered"
"""Kinds of overlays, which name their layers too."""

_SELECTED, _REMOVED, _FIRST_PART, _N_PARTS = 1, 2, 3, 4
_COLORS: dict[int | None, str] = {
    None: "transparent",
    0: "transparent",
    _SELECTED: "#ffe14d",
    _REMOVED: "#ff4d4d",
    _FIRST_PART: "#33d6ff",
    _FIRST_PART + 1: "#ff8af3",
    _FIRST_PART + 2: "#7dff7a",
    _FIRST_PART + 3: "#ffa64d",
}
_STYLES: dict[str, dict[str, Any]] = {
    SELECTION: {"contour": 2, "opacity": 1.0},
    PREVIEW: {"contour": 0, "opacity": 0.8},
    UNCOVERED: {"contour": 0, "opacity": 0.55},
}
_FULL_REDRAW_PX = 500_000
"""From so many changed pixels on, redrawing the whole view is faster."""

_MAX_OUTLINE_PX = 70_000_000
"""In a larger box outlines are left out: computing the mask would delay the selection."""

_OUTLINE_MARGIN_PX = 3
"""The outline of a selected grain is drawn around the grain, not on it."""


class Overlays:
    """The overlays of one viewer; a part of its session.

    The outlines of the selected grains follow the selection.
    """

    def __init__(self, session: Session) -> None:
        self._layers = session.layers
        self._active = session.active
        self._selection = session.selection
        self._boxes: dict[str, Box] = {}
        session.selection.changed.connect(self.outline_selection)
        session.active.grains_changed.connect(self._on_grains)

    # --- what is shown

    def outline_selection(self) -> None:
        """Draw the outlines of the selected grains at their present place."""
        grains, selected = self._active.grains, self._selection.labels
        if grains is None or not selected:
            self.hide(SELECTION)
            return
        try:
            index = history_of(grains).index
        except GrainsmithError:  # labels that cannot be edited have no index
            self.hide(SELECTION)
            return
        present = [label for label in selected if label in index]
        if not present:
            self.hide(SELECTION)
            return
        box = index.union(present).grown(_OUTLINE_MARGIN_PX, grains.data.shape)
        if box.size <= _MAX_OUTLINE_PX:
            mask = np.isin(grains.data[box.slices], present).astype(np.uint8)
            self.show(SELECTION, mask, box[:2], grains)

    def preview_cleanup(self, layer: Labels, labels: LabelArray) -> None:
        """Color what a clean-up would remove and what it would fill.

        Parameters
        ----------
        layer : Labels layer
        labels : (Y, X) int array
            The labels after the clean-up.
        """
        before, after = layer.data > 0, labels > 0
        values = _REMOVED * (before & ~after).astype(np.uint8)
        values += _FIRST_PART * (after & ~before).astype(np.uint8)
        self.show(PREVIEW, values, (0, 0), layer)

    def preview_patches(self, layer: Labels, patches: Sequence[Patch]) -> None:
        """Color the parts that an edit would make."""
        self.preview_stroke(layer, (), patches, closed=False)

    def preview_stroke(
        self, layer: Labels, points: Sequence[Point], patches: Sequence[Patch], *, closed: bool
    ) -> None:
        """Show a line that is being drawn, and the parts that it would make.

        Parameters
        ----------
        layer : Labels layer
        points : sequence of (float, float)
            The line as (y, x) in pixels.
        patches : sequence of Patch
            The edit that the line would do.
        closed : bool
            Whether the line ends where it begins.
        """
        line = np.reshape(np.asarray([*points, *points[:1]] if closed else points, float), (-1, 2))
        pixels = pixels_under(line, layer.data.shape) if len(line) else np.zeros((0, 2), int)
        box = _bounding_box(pixels, patches)
        if box is None:
            self.hide(PREVIEW)
            return
        box = box.grown(1, layer.data.shape)
        values = np.zeros((box.y1 - box.y0, box.x1 - box.x0), np.uint8)
        for patch in patches:
            _color_parts(values, patch, box)
        for down in (0, 1):  # two pixels wide: a single one is hard to see
            y = np.minimum(pixels[:, 0] - box.y0 + down, values.shape[0] - 1)
            values[y, pixels[:, 1] - box.x0] = _SELECTED
        self.show(PREVIEW, values, box[:2], layer)

    def show_uncovered(self, layer: Labels) -> None:
        """Color the background of the grains."""
        self.show(UNCOVERED, _REMOVED * (layer.data == 0).astype(np.uint8), (0, 0), layer)

    # --- one kind of overlay

    def show(
        self, kind: str, values: npt.NDArray[np.uint8], corner: tuple[int, int], grains: Labels
    ) -> None:
        """Show an overlay in place of the last one of its kind.

        Parameters
        ----------
        kind : str
            SELECTION, PREVIEW or UNCOVERED.
        values : (h, w) uint8 array
            0 nothing, 1 selected, 2 removed, 3 to 6 parts.
        corner : (int, int)
            Row and column of the first pixel in the grains.
        grains : Labels layer
            The overlay lies exactly on it.
        """
        box = Box(*corner, corner[0] + values.shape[0], corner[1] + values.shape[1])
        layer = self._layer_on(kind, grains)
        last_box = self._boxes.pop(kind, box)
        if last_box != box:
            _clear(layer, last_box)
        _write(layer, box, values)
        self._boxes[kind] = box

    def hide(self, kind: str) -> None:
        """Clear the overlay of a kind; its layer stays in the list."""
        layer, box = self.layer(kind), self._boxes.pop(kind, None)
        if layer is not None and box is not None:
            _clear(layer, box)

    def is_shown(self, kind: str) -> bool:
        """Return whether an overlay of this kind is on the image."""
        return kind in self._boxes

    def remove(self, *kinds: str) -> None:
        """Remove overlays of these kinds from the layer list."""
        for kind in kinds:
            self._boxes.pop(kind, None)
            layer = self.layer(kind)
            if layer is not None:
                self._layers.remove(layer)

    def _on_grains(self, grains: Labels | None) -> None:
        if grains is None:
            # Not at once: napari may still be removing the grains from the list.
            QTimer.singleShot(0, self._remove_without_grains)

    def _remove_without_grains(self) -> None:
        if self._active.grains is None:
            self.remove(SELECTION, PREVIEW, UNCOVERED)

    def layer(self, kind: str) -> Labels | None:
        """Return the layer of a kind of overlay; None before it is first shown."""
        return next((layer for layer in self._layers if _is_overlay(layer, kind)), None)

    def _layer_on(self, kind: str, grains: Labels) -> Labels:
        """Return the layer of a kind, replaced where it does not lie on the grains."""
        layer = self.layer(kind)
        if layer is not None and not _lies_on(layer, grains):
            self._layers.remove(layer)
            layer = None
        if layer is None:
            self._boxes.pop(kind, None)
            layer = self._add_layer(kind, grains)
        return layer

    def _add_layer(self, kind: str, grains: Labels) -> Labels:
        style = _STYLES[kind]
        layer = Labels(
            np.zeros(grains.data.shape, np.uint8),
            name=kind,
            colormap=DirectLabelColormap(color_dict=_COLORS),
            opacity=style["opacity"],
            metadata=OverlayMetadata(kind=kind).for_layer(Role.MARKS),
            **place_of(grains),
        )
        layer.contour = style["contour"]
        self._layers.append(layer)
        layer.editable = False
        # napari makes a new layer the active one, but nobody draws into an overlay.
        self._layers.selection.active = grains
        return layer


def _bounding_box(pixels: npt.NDArray[np.intp], patches: Sequence[Patch]) -> Box | None:
    """Return the box around pixels (N, 2) and patches; None where both are empty."""
    boxes = [patch.box for patch in patches]
    if len(pixels):
        (y0, x0), (y1, x1) = pixels.min(axis=0).tolist(), pixels.max(axis=0).tolist()
        boxes.append(Box(y0, x0, y1 + 1, x1 + 1))
    if not boxes:
        return None
    union = boxes[0]
    for box in boxes[1:]:
        union = union.union(box)
    return union


def _color_parts(values: npt.NDArray[np.uint8], patch: Patch, box: Box) -> None:
    """Give each part that a patch makes its own color; `values` lies on `box`."""
    window = values[
        patch.box.y0 - box.y0 : patch.box.y1 - box.y0, patch.box.x0 - box.x0 : patch.box.x1 - box.x0
    ]
    old, new = np.unique(patch.old[patch.changed]), np.unique(patch.new[patch.changed])
    parts = dict.fromkeys([*old.tolist(), *new.tolist()])
    for number, grain in enumerate(parts):
        if grain != 0:
            window[patch.new == grain] = _FIRST_PART + number % _N_PARTS


def _write(layer: Labels, box: Box, values: npt.NDArray[np.uint8]) -> None:
    """Set the pixels of a box, redrawing only those that changed."""
    window = layer.data[box.slices]
    rows, columns = np.nonzero(window != values)
    if len(rows) > _FULL_REDRAW_PX:
        window[...] = values
        layer.refresh()
    elif len(rows):
        layer.data_setitem((rows + box.y0, columns + box.x0), values[rows, columns])


def _clear(layer: Labels, box: Box) -> None:
    _write(layer, box, np.zeros((box.y1 - box.y0, box.x1 - box.x0), np.uint8))


def _lies_on(layer: Labels, grains: Labels) -> bool:
    return bool(layer.data.shape == grains.data.shape and _place(layer) == _place(grains))


def _place(layer: Labels) -> list[Any]:
    return [np.asarray(value).tolist() for value in place_of(layer).values()]


def _is_overlay(layer: Layer, kind: str) -> bool:
    return role_of(layer) == Role.MARKS and OverlayMetadata.of(layer).kind == kind

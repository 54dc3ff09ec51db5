"""Marks over the grains: what is chosen, what would change, what no grain covers.

One layer of bytes per kind of mark, as large as the labels, so that changing marks draws only what
changed: moving or replacing a small layer costs ten times as much in napari 0.9. They have the role
"marks": no panel takes them for grains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from grainsmith.clean import Box
from grainsmith.ui.layers.geometry import place_of
from grainsmith.ui.layers.metadata import OverlayMetadata, Role, role_of

if TYPE_CHECKING:
    import numpy.typing as npt
    from napari.layers import Layer

CHOSEN, PREVIEW, UNCOVERED = "chosen grains", "preview", "not covered"

_COLOURS: dict[int | None, str] = {
    None: "transparent",
    0: "transparent",
    1: "#ffe14d",  # chosen
    2: "#ff4d4d",  # goes, or is not covered
    3: "#33d6ff",  # parts of a preview
    4: "#ff8af3",
    5: "#7dff7a",
    6: "#ffa64d",
}
N_PARTS = 4
_MANY_PX = 500_000  # from so many changed pixels on the whole view is drawn anew
_LOOKS: dict[str, dict[str, Any]] = {
    CHOSEN: {"contour": 2, "opacity": 1.0},
    PREVIEW: {"contour": 0, "opacity": 0.8},
    UNCOVERED: {"contour": 0, "opacity": 0.55},
}


class Marks:
    """The marks in one list of layers."""

    def __init__(self, layers: Any) -> None:
        self._layers = layers
        self._boxes: dict[str, Box] = {}

    def show(
        self, kind: str, values: npt.NDArray[np.uint8], corner: tuple[int, int], on: Labels
    ) -> None:
        """Show marks of one kind, in place of those before.

        Parameters
        ----------
        kind : str
            CHOSEN, PREVIEW or UNCOVERED.
        values : (h, w) uint8 array
            0 nothing, 1 chosen, 2 goes, 3 to 6 parts.
        corner : (int, int)
            Row and column of the labels at which the first pixel lies.
        on : Labels layer
            The grains: the marks lie exactly on them.
        """
        box = Box(*corner, corner[0] + values.shape[0], corner[1] + values.shape[1])
        layer = self._layer_on(kind, on)
        before = self._boxes.pop(kind, box)
        if before != box:
            _put(layer, before, np.zeros((before.y1 - before.y0, before.x1 - before.x0), np.uint8))
        _put(layer, box, values)
        self._boxes[kind] = box

    def hide(self, kind: str) -> None:
        """Show no marks of this kind."""
        layer, box = self.layer(kind), self._boxes.pop(kind, None)
        if layer is not None and box is not None:
            _put(layer, box, np.zeros((box.y1 - box.y0, box.x1 - box.x0), np.uint8))

    def is_shown(self, kind: str) -> bool:
        """Say whether there are marks of this kind on the image."""
        return kind in self._boxes

    def remove(self, *kinds: str) -> None:
        """Take marks of these kinds out of the layer list."""
        for kind in kinds:
            self._boxes.pop(kind, None)
            layer = self.layer(kind)
            if layer is not None:
                self._layers.remove(layer)

    def layer(self, kind: str) -> Labels | None:
        """Return the layer of a kind of marks, None where it was never shown."""
        return next((one for one in self._layers if _is_mark(one, kind)), None)

    def _layer_on(self, kind: str, on: Labels) -> Labels:
        """Return the layer of a kind, lying on the grains; a new one where it does not fit."""
        layer = self.layer(kind)
        if layer is not None and (layer.data.shape, _place(layer)) != (on.data.shape, _place(on)):
            self._layers.remove(layer)
            layer = None
        if layer is None:
            self._boxes.pop(kind, None)
            layer = self._make(kind, on)
        return layer

    def _make(self, kind: str, on: Labels) -> Labels:
        look = _LOOKS[kind]
        layer = Labels(
            np.zeros(on.data.shape, np.uint8),
            name=kind,
            colormap=DirectLabelColormap(color_dict=_COLOURS),
            opacity=look["opacity"],
            metadata=OverlayMetadata(kind=kind).for_layer(Role.MARKS),
            **place_of(on),
        )
        layer.contour = look["contour"]
        self._layers.append(layer)
        layer.editable = False
        # Nobody draws into marks: the grains stay the active layer.
        self._layers.selection.active = on
        return layer


def _put(layer: Labels, box: Box, values: npt.NDArray[np.uint8]) -> None:
    """Set the pixels of a box, drawing only what changed."""
    window = layer.data[box.slices]
    rows, columns = np.nonzero(window != values)
    if len(rows) > _MANY_PX:
        window[...] = values
        layer.refresh()
    elif len(rows):
        layer.data_setitem((rows + box.y0, columns + box.x0), values[rows, columns])


def _place(layer: Labels) -> list[Any]:
    return [np.asarray(value).tolist() for value in place_of(layer).values()]


def _is_mark(layer: Layer, kind: str) -> bool:
    return role_of(layer) == Role.MARKS and OverlayMetadata.of(layer).kind == kind

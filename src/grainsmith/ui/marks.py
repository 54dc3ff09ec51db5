"""Marks over the grains: what is chosen, what would change, what no grain covers.

One layer per kind of mark, as small as the box that it marks, so that it costs nothing to move.
They have the role "marks": no panel takes them for grains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from grainsmith.ui.layers import place_of, role_of

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
_LOOKS: dict[str, dict[str, Any]] = {
    CHOSEN: {"contour": 2, "opacity": 1.0},
    PREVIEW: {"contour": 0, "opacity": 0.6},
    UNCOVERED: {"contour": 0, "opacity": 0.55},
}


class Marks:
    """The marks in one list of layers."""

    def __init__(self, layers: Any) -> None:
        self._layers = layers

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
        place = place_of(on)
        step = np.asarray(place["rotate"]) @ (np.asarray(place["scale"]) * corner)
        place["translate"] = tuple(np.asarray(place["translate"]) + step)
        layer = self.layer(kind)
        if layer is None:
            self._make(kind, values, place, on)
            return
        layer.data = values
        layer.scale, layer.units, layer.affine = place["scale"], place["units"], place["affine"]
        layer.translate = place["translate"]
        layer.visible = True

    def hide(self, kind: str) -> None:
        """Show no marks of this kind."""
        layer = self.layer(kind)
        if layer is not None and layer.visible:
            layer.visible = False

    def remove(self) -> None:
        """Take all marks out of the layer list."""
        for kind in _LOOKS:
            layer = self.layer(kind)
            if layer is not None:
                self._layers.remove(layer)

    def layer(self, kind: str) -> Labels | None:
        """Return the layer of a kind of marks, None where it was never shown."""
        return next((one for one in self._layers if _is_mark(one, kind)), None)

    def _make(
        self, kind: str, values: npt.NDArray[np.uint8], place: dict[str, Any], on: Labels
    ) -> None:
        look = _LOOKS[kind]
        layer = Labels(
            values,
            name=kind,
            colormap=DirectLabelColormap(color_dict=_COLOURS),
            opacity=look["opacity"],
            metadata={"grainsmith": {"role": "marks", "kind": kind}},
            **place,
        )
        layer.contour = look["contour"]
        self._layers.append(layer)
        layer.editable = False
        # Nobody draws into marks: the grains stay the active layer.
        self._layers.selection.active = on


def _is_mark(layer: Layer, kind: str) -> bool:
    return role_of(layer) == "marks" and layer.metadata["grainsmith"].get("kind") == kind

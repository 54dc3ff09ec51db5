"""The grains that are chosen together in table, scatter and picture, with outlines round them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from psygnal import Signal

from grainsmith.clean import Box
from grainsmith.ui.layers import place_of, role_of
from grainsmith.ui.roles import roles_of
from grainsmith.ui.view import zoom_to

if TYPE_CHECKING:
    from collections.abc import Iterable

    import napari

    from grainsmith.ui.roles import Roles

_NAME = "chosen in the table"
_COLOUR = "#ffe14d"
_OF_VIEWER: WeakKeyDictionary[Any, Chosen] = WeakKeyDictionary()


def chosen_of(viewer: napari.viewer.Viewer) -> Chosen:
    """Return the chosen grains of a viewer: the same object to every panel."""
    real = getattr(viewer, "__wrapped__", viewer)
    if real not in _OF_VIEWER:
        _OF_VIEWER[real] = Chosen(real.layers, roles_of(viewer))
    return _OF_VIEWER[real]


class Chosen:
    """Labels that are chosen.

    Attributes
    ----------
    changed : psygnal signal
        Sent with the tuple of labels.
    """

    changed = Signal(tuple)

    def __init__(self, layers: Any, roles: Roles) -> None:
        self._layers = layers
        self._roles = roles
        self._labels: tuple[int, ...] = ()
        roles.grains_changed.connect(lambda _: self.choose(()))

    @property
    def labels(self) -> tuple[int, ...]:
        """The chosen grains."""
        return self._labels

    def choose(self, labels: Iterable[int]) -> None:
        """Choose these grains instead of those before; a single one becomes the selected label."""
        new = tuple(dict.fromkeys(int(label) for label in labels))
        if new == self._labels:
            return
        self._labels = new
        grains = self._roles.grains
        if grains is not None and len(new) == 1:
            grains.selected_label = new[0]
        self.mark()
        self.changed.emit(new)

    def mark(self) -> None:
        """Draw the outlines of the chosen grains where they are now."""
        grains, layer = self._roles.grains, self._mark_layer()
        if grains is None or not self._labels:
            if layer is not None:
                layer.visible = False
            return
        crop, corner = _cut_out(grains, self._labels)
        place = place_of(grains)
        step = np.asarray(place["rotate"]) @ (np.asarray(place["scale"]) * corner)
        place["translate"] = tuple(np.asarray(place["translate"]) + step)
        if layer is None:
            self._make(crop, place, grains)
            return
        layer.data, layer.visible = crop, True
        layer.scale, layer.units, layer.affine = place["scale"], place["units"], place["affine"]
        layer.translate = place["translate"]

    def _mark_layer(self) -> Labels | None:
        return next(
            (one for one in self._layers if role_of(one) == "marks" and one.name == _NAME), None
        )

    def _make(self, crop: Any, place: dict[str, Any], grains: Labels) -> None:
        layer = Labels(
            crop,
            name=_NAME,
            colormap=DirectLabelColormap(
                color_dict={None: "transparent", 0: "transparent", 1: _COLOUR}
            ),
            opacity=1.0,
            metadata={"grainsmith": {"role": "marks", "kind": _NAME}},
            **place,
        )
        layer.contour = 2
        self._layers.append(layer)
        layer.editable = False
        self._layers.selection.active = grains


def zoom_to_grains(viewer: napari.viewer.Viewer, grains: Labels, labels: Iterable[int]) -> None:
    """Bring grains into the middle of the view, with their surroundings."""
    crop, (top, left) = _cut_out(grains, tuple(labels))
    height, width = crop.shape
    if crop.size:
        zoom_to(viewer, grains, Box(top, left, top + height, left + width))


def _cut_out(grains: Labels, labels: tuple[int, ...]) -> tuple[Any, tuple[int, int]]:
    # The smallest box round the grains, 1 where they are; and its corner.
    table = grains.features
    rows = table[table["index"].isin(labels)] if "top_px" in table else table.iloc[:0]
    data = np.asarray(grains.data)
    box = (slice(0, data.shape[0]), slice(0, data.shape[1]))
    if len(rows) and not rows["top_px"].isna().any():
        top, left = int(rows.top_px.min()), int(rows.left_px.min())
        bottom = int((rows.top_px + rows.height_px).max())
        right = int((rows.left_px + rows.width_px).max())
        box = (slice(top, bottom), slice(left, right))
    crop = np.isin(data[box], labels)
    return crop.astype(np.uint8), (box[0].start, box[1].start)

"""The one grain that is looked at: napari's selected label, followed and set by a click."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grainsmith.errors import MismatchError
from grainsmith.gallery.map_readout import grain_box
from grainsmith.ui.editing.clicks import on_click
from grainsmith.ui.session.active_layers import active_layers_of, connect_while_alive

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari
    from napari.layers import Labels
    from qtpy.QtWidgets import QWidget


class CurrentGrain:
    """Follows the grain that is looked at, for as long as a widget lives.

    A click on a grain picks it while the widget can be seen and no drawing tool has the mouse.
    """

    def __init__(
        self, viewer: napari.viewer.Viewer, widget: QWidget, slot: Callable[[int], None]
    ) -> None:
        self._viewer = viewer
        self._slot = slot
        self._roles = active_layers_of(viewer)
        self._watched: Labels | None = None
        on_click(viewer, widget, self._on_click)
        widget.destroyed.connect(lambda: self._watch(None))
        connect_while_alive(widget, self._roles.grains_changed, self._watch)
        self._watch(self._roles.grains)

    @property
    def label(self) -> int:
        """The grain, 0 without grains."""
        return int(self._watched.selected_label) if self._watched is not None else 0

    def pick(self, label: int, *, centre: bool = False) -> None:
        """Look at a grain; `centre` brings it into the middle of the view."""
        if self._watched is None:
            return
        if label == self.label:
            self._slot(label)
        self._watched.selected_label = label
        if centre:
            self._centre(self._watched, label)

    def _watch(self, grains: Labels | None) -> None:
        if self._watched is not None:
            self._watched.events.selected_label.disconnect(self._on_selected)
        self._watched = grains
        if grains is not None:
            grains.events.selected_label.connect(self._on_selected)

    def _on_selected(self, _event: object) -> None:
        self._slot(self.label)

    def _on_click(self, label: int, _more: bool) -> None:
        if label:
            self.pick(label)

    def _centre(self, grains: Labels, label: int) -> None:
        try:
            top, left, bottom, right = grain_box(np.asarray(grains.data), label)
        except MismatchError:
            return  # the number of a grain that is not there moves nothing
        middle = grains.data_to_world(((top + bottom) / 2, (left + right) / 2))
        self._viewer.scene.camera.center = (0.0, float(middle[-2]), float(middle[-1]))

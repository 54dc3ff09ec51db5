"""A click on a grain in the image, told from the drag that moves the view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from grainsmith.ui.session.active_layers import active_layers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import napari
    from qtpy.QtWidgets import QWidget

_CLICK_PX = 4
"""A mouse that moves less on the screen between press and release has clicked."""


def on_click(
    viewer: napari.viewer.Viewer, widget: QWidget, slot: Callable[[int, bool], None]
) -> None:
    """Call slot(label, more) when a grain is clicked, for as long as a widget lives and is seen.

    Parameters
    ----------
    viewer : napari viewer
    widget : QWidget
        A hidden panel does not react; nor does any while a tool of napari has the mouse.
    slot : callable
        Gets the label, 0 beside all grains, and whether Ctrl or Shift was held.
    """
    roles = active_layers_of(viewer)

    def on_drag(_viewer: object, event: Any) -> Iterator[None]:
        grains = roles.grains
        active = viewer.layers.selection.active
        drawing = str(getattr(active, "mode", "pan_zoom")) != "pan_zoom"
        if grains is None or event.button != 1 or drawing or not widget.isVisible():
            return
        pressed = np.asarray(event.pos, dtype=float)
        yield
        while event.type == "mouse_move":
            yield
        if np.hypot(*(np.asarray(event.pos) - pressed)) < _CLICK_PX:
            y, x = (round(float(value)) for value in grains.world_to_data(event.position)[-2:])
            inside = 0 <= y < grains.data.shape[0] and 0 <= x < grains.data.shape[1]
            slot(int(grains.data[y, x]) if inside else 0, bool(event.modifiers))

    callbacks = viewer.mouse_drag_callbacks
    callbacks.append(on_drag)
    widget.destroyed.connect(lambda: callbacks.remove(on_drag) if on_drag in callbacks else None)

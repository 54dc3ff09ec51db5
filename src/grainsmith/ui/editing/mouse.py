"""Clicks and strokes of the mouse on the grains, in pixels of the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from grainsmith.ui.session.active_layers import active_layers_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import napari
    from napari.layers import Labels

    Point = tuple[float, float]

_CLICK_PX = 4  # a mouse that moves less on the screen between press and release has clicked


class Listener(Protocol):
    """Who wants to know of gestures."""

    @property
    def draws(self) -> bool:
        """Whether dragging draws a line now, and does not move the image."""

    def on_click(self, point: Point, *, more: bool) -> None:
        """Take a click at (y, x); `more` with Shift: it adds to what was chosen."""

    def on_stroke(self, points: list[Point], *, done: bool) -> None:
        """Take a line that is being drawn, or is done."""

    def on_wheel(self, steps: float) -> bool:
        """Take a turn of the wheel; True where it is used and must not zoom."""


def at_work(viewer: napari.viewer.Viewer) -> Gestures | None:
    """Return who has the viewer's mouse: a click counts once, however many panels are open."""
    owners = (getattr(one, "__self__", None) for one in viewer.mouse_drag_callbacks)
    return next((owner for owner in owners if isinstance(owner, Gestures)), None)


class Gestures:
    """Watches one viewer's mouse for as long as it is connected; of several, the first does."""

    def __init__(self, viewer: napari.viewer.Viewer, listener: Listener) -> None:
        self._viewer = viewer
        self._roles = active_layers_of(viewer)
        self._listener = listener

    def connect(self) -> None:
        """Begin to listen."""
        if self._on_drag not in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.append(self._on_drag)
            self._viewer.mouse_wheel_callbacks.append(self._on_wheel)

    def disconnect(self) -> None:
        """Listen no more."""
        if self._on_drag in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._on_drag)
            self._viewer.mouse_wheel_callbacks.remove(self._on_wheel)

    def _on_drag(self, _viewer: object, event: Any) -> Iterator[None]:
        grains = self._roles.grains
        if grains is None or event.button != 1 or not self._is_ours(grains):
            return
        more, strokes = "Shift" in event.modifiers, self._listener.draws
        first = np.asarray(event.pos, dtype=float)
        points, moved = [_point(grains, event.position)], False
        yield
        while event.type == "mouse_move":
            moved = moved or bool(np.hypot(*(np.asarray(event.pos) - first)) >= _CLICK_PX)
            if strokes and moved:
                points.append(_point(grains, event.position))
                self._listener.on_stroke(points, done=False)
                event.handled = True
            yield
        if strokes and moved:
            self._listener.on_stroke(points, done=True)
        elif not moved:
            self._listener.on_click(points[0], more=more)

    def _on_wheel(self, _viewer: object, event: Any) -> None:
        grains = self._roles.grains
        mine = grains is not None and self._is_ours(grains)
        if mine and self._listener.on_wheel(float(event.delta[1])):
            event.handled = True

    def _is_ours(self, grains: Labels) -> bool:
        """Say whether neither a drawing tool of napari nor another panel has the mouse."""
        if at_work(self._viewer) is not self:
            return False
        active = self._viewer.layers.selection.active
        return grains.visible and str(getattr(active, "mode", "pan_zoom")) == "pan_zoom"


def _point(grains: Labels, position: Any) -> Point:
    y, x = grains.world_to_data(position)[-2:]
    return float(y), float(x)

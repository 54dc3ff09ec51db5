"""The mouse on the grains: clicks, strokes and wheel turns in pixels of the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from psygnal import Signal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.layers import Labels

    from grainsmith.ui.session import Session

    Point = tuple[float, float]

_CLICK_PX = 4
"""A mouse that moves less on the screen between press and release has clicked."""


class MouseTool(Protocol):
    """What a tool needs to work with the mouse."""

    @property
    def draws(self) -> bool:
        """Whether dragging draws a line instead of moving the view."""

    def on_click(self, point: Point, *, additive: bool) -> None:
        """Handle a click at (y, x); `additive` with Shift or Ctrl."""

    def on_stroke(self, points: list[Point], *, done: bool) -> None:
        """Handle a line that is being drawn, or is done."""

    def on_wheel(self, steps: float) -> bool:
        """Handle a turn of the wheel; return whether it was used and must not zoom."""


class GrainMouse:
    """Watches the mouse of one viewer; a part of its session.

    Nothing is reported while a drawing tool of napari has the mouse.

    Attributes
    ----------
    clicked : psygnal signal
        Sent with the label under a click (0 beside all grains) and whether Shift or Ctrl was held.
    """

    clicked = Signal(int, bool)

    def __init__(self, session: Session) -> None:
        self._layers = session.layers
        self._active = session.active
        self._tools: list[MouseTool] = []
        viewer = session.viewer
        viewer.mouse_drag_callbacks.append(self._on_drag)
        viewer.mouse_wheel_callbacks.append(self._on_wheel)

    @property
    def tool(self) -> MouseTool | None:
        """The tool that handles clicks and strokes; None while no tool claims them."""
        return self._tools[0] if self._tools else None

    def claim(self, tool: MouseTool) -> None:
        """Let a tool handle the mouse until it is released as often as it claimed it."""
        self._tools.append(tool)

    def release(self, tool: MouseTool) -> None:
        """Undo one `claim` of a tool."""
        if tool in self._tools:
            self._tools.remove(tool)

    def _on_drag(self, _viewer: object, event: Any) -> Iterator[None]:
        grains = self._active.grains
        if grains is None or event.button != 1 or self._napari_tool_is_active():
            return
        tool = self.tool if grains.visible else None
        draws = tool is not None and tool.draws
        start = np.asarray(event.pos, dtype=float)
        points, moved = [_point(grains, event.position)], False
        yield
        while event.type == "mouse_move":
            moved = moved or bool(np.hypot(*(np.asarray(event.pos) - start)) >= _CLICK_PX)
            if tool is not None and draws and moved:
                points.append(_point(grains, event.position))
                tool.on_stroke(points, done=False)
                event.handled = True
            yield
        moved = moved or bool(np.hypot(*(np.asarray(event.pos) - start)) >= _CLICK_PX)
        if not moved:
            additive = bool({"Shift", "Control"} & {*event.modifiers})
            label = label_at(grains, points[0])
            if tool is not None:
                tool.on_click(points[0], additive=additive)
            self.clicked.emit(label, additive)
        elif tool is not None and draws:
            tool.on_stroke(points, done=True)

    def _on_wheel(self, _viewer: object, event: Any) -> None:
        grains, tool = self._active.grains, self.tool
        if grains is None or tool is None or not grains.visible or self._napari_tool_is_active():
            return
        if tool.on_wheel(float(event.delta[1])):
            event.handled = True

    def _napari_tool_is_active(self) -> bool:
        active = self._layers.selection.active
        return str(getattr(active, "mode", "pan_zoom")) != "pan_zoom"


def label_at(grains: Labels, point: Point) -> int:
    """Return the label at (y, x); 0 outside the labels, in a stack and in a pyramid."""
    if grains.multiscale or grains.ndim != 2:
        return 0
    y, x = (round(value) for value in point)
    height, width = grains.data.shape
    return int(grains.data[y, x]) if 0 <= y < height and 0 <= x < width else 0


def _point(grains: Labels, position: Any) -> Point:
    y, x = grains.world_to_data(position)[-2:]
    return float(y), float(x)

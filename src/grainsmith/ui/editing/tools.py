"""Mouse tools of the editor: their modes, and the one that is active."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Labels

    from grainsmith.ui.editing.insertion import Insertion
    from grainsmith.ui.session import Session

    Point = tuple[float, float]

MODES = {
    "choose": "Click a grain, shift-click more",
    "cut": "Draw a line across a grain to cut it",
    "join": "Draw a line over grains to make one of them",
    "insert": "Click where a grain was missed; the wheel makes it larger or smaller",
    "copy": "Click a grain of another labels layer of this field to copy it",
    "box": "Drag a box around grains",
    "lasso": "Draw around grains",
    "seeds": "Click one point in each part, then cut",
}
"""Modes of the mouse, each with its instruction for the user."""

DRAWING_MODES = ("cut", "join", "box", "lasso")
"""Modes in which dragging draws a line."""


class ActiveTool:
    """The mode of the mouse, with the points or the insertion that it works on.

    Attributes
    ----------
    mode_changed : psygnal signal
        Sent with the new mode, one of `MODES`.
    seeds : list of (float, float)
        Points (y, x) that a split at seeds has collected.
    insertion : Insertion or None
        The grain that was inserted last and can still be resized by the wheel.
    """

    mode_changed = Signal(str)

    def __init__(self, session: Session) -> None:
        self._layers = session.layers
        self._active = session.active
        self._mode = "choose"
        self._layer: Labels | None = None  # whose mouse the mode has taken
        self.seeds: list[Point] = []
        self.insertion: Insertion | None = None

    @property
    def mode(self) -> str:
        """The mode, one of `MODES`."""
        return self._mode

    @property
    def draws(self) -> bool:
        """Whether dragging draws a line."""
        return self._mode in DRAWING_MODES

    def set_mode(self, mode: str) -> None:
        """Set the mode; the present one again returns to selecting."""
        mode = "choose" if mode == self._mode else mode
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
        self._mode, self.seeds, self.insertion = mode, [], None
        grains = self._layer = self._active.grains
        if grains is not None:
            grains.mode = "pan_zoom"
            self._layers.selection.active = grains
            grains.mouse_pan = not self.draws
            grains.mouse_zoom = True
        self.mode_changed.emit(mode)

    def reset(self) -> None:
        """Return to selecting and give the mouse back to the layer, because it is not active."""
        layer, self._layer = self._layer, None
        if layer is not None and layer.mode == "pan_zoom":  # else napari's own tool has its mouse
            layer.mouse_pan = layer.mouse_zoom = True
        self._mode, self.seeds, self.insertion = "choose", [], None
        self.mode_changed.emit(self._mode)

    def begin_insertion(self, insertion: Insertion, layer: Labels) -> None:
        """Let the wheel resize an inserted grain instead of zooming."""
        self.insertion = insertion
        layer.mouse_zoom = False

    def end_insertion(self) -> None:
        """Let the wheel zoom again: the insertion was followed by other work, or undone."""
        if self.insertion is not None:
            self.insertion = None
            if self._active.grains is not None:
                self._active.grains.mouse_zoom = True


def box_corners(points: Sequence[Point]) -> list[Point]:
    """Return the corners of the box between the ends of a line."""
    (y0, x0), (y1, x1) = points[0], points[-1]
    return [(y0, x0), (y0, x1), (y1, x1), (y1, x0)]


def step_name(verb: str, grains: Sequence[int]) -> str:
    """Return the name of a step: "Merge 4, 7" or "Delete 12 grains"."""
    if len(grains) > 3:
        return f"{verb} {len(grains)} grains"
    return f"{verb} {', '.join(map(str, grains))}"

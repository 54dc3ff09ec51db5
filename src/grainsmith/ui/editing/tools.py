"""What the mouse can be for, and what steps are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

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
"""Modes of the mouse, each with what the user is told to do."""

DRAWING = ("cut", "join", "box", "lasso")
"""Modes in which dragging draws a line."""


def box_of(points: Sequence[Point]) -> list[Point]:
    """Return the corners of the box between the ends of a line."""
    (y0, x0), (y1, x1) = points[0], points[-1]
    return [(y0, x0), (y0, x1), (y1, x1), (y1, x0)]


def called(verb: str, grains: Sequence[int]) -> str:
    """Return what a step is called: "Merge 4, 7" or "Delete 12 grains"."""
    if len(grains) > 3:
        return f"{verb} {len(grains)} grains"
    return f"{verb} {', '.join(map(str, grains))}"

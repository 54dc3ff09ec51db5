"""Arrow keys that move a map on its reference."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image

_ARROWS = {"Up": (-1, 0), "Down": (1, 0), "Left": (0, -1), "Right": (0, 1)}
_STEPS_PX = {"": 1.0, "Shift-": 10.0, "Alt-": 0.1}
"""By modifier of the arrow key."""


class ArrowKeys:
    """Binds the arrow keys to one layer at a time."""

    def __init__(self, move: Callable[[float, float], None]) -> None:
        self._move = move
        self._layer: Image | None = None

    @property
    def layer(self) -> Image | None:
        """The layer that the keys move; None for none."""
        return self._layer

    def bind(self, layer: Image | None) -> None:
        """Bind the keys to a layer; None unbinds them."""
        if self._layer is layer:
            return
        if self._layer is not None:
            for key in _all_keys():
                self._layer.bind_key(key, None)
        self._layer = layer
        if layer is not None:
            for key, (dy, dx) in _all_keys().items():
                layer.bind_key(key, partial(self._on_key, dy, dx), overwrite=True)

    def _on_key(self, dy: float, dx: float, _layer: Any) -> None:
        self._move(dy, dx)


def _all_keys() -> dict[str, tuple[float, float]]:
    return {
        f"{modifier}{arrow}": (dy * step, dx * step)
        for modifier, step in _STEPS_PX.items()
        for arrow, (dy, dx) in _ARROWS.items()
    }

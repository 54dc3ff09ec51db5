"""See whether a map fits: flicker, checkerboard, red and cyan, before. Nothing is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from grainsmith.align.compare import before_after, checkerboard
from grainsmith.data import Transform
from grainsmith.ui.layers.geometry import place_map, place_of, transform_of
from grainsmith.ui.layers.metadata import MapMetadata, OverlayMetadata, Role

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

_LOOK = ("visible", "colormap", "blending", "opacity")
MODES = ("flicker", "checkerboard", "red-cyan", "before", "before | after")
"""Ways of looking."""


class Comparison:
    """One way of looking at a map on its reference; `stop` gives back what was there before."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        self._viewer = viewer
        self._kept: dict[Any, dict[str, Any]] = {}
        self._made: Image | None = None
        self._placed: tuple[Image, Image, Transform] | None = None
        self._camera: tuple[Any, float] | None = None
        self.mode = ""

    def show(self, mode: str, reference: Image, moving: Image) -> None:
        """Look at a map in one of the `MODES`; flicker changes sides each time."""
        if mode == self.mode == "flicker" and moving in self._viewer.layers:
            moving.visible = not moving.visible
            return
        again = mode == self.mode
        self.stop()
        if again:
            return
        self.mode = mode
        if mode == "before":
            self._show_before(reference, moving)
            return
        self._alone(reference, moving)
        if mode == "flicker":
            moving.blending = "translucent_no_depth"
        elif mode == "red-cyan":
            self._colour(reference, moving)
        elif mode == "before | after":
            self._show_both(reference, moving)
        else:
            self._show_squares(reference, moving)

    def stop(self) -> None:
        """Give every layer back its look."""
        if self._made is not None and self._made in self._viewer.layers:
            self._viewer.layers.remove(self._made)
        for layer, look in self._kept.items():
            if layer in self._viewer.layers:
                for name, value in look.items():
                    setattr(layer, name, value)
        if self._placed is not None:
            place_map(*self._placed)
        if self._camera is not None:
            self._viewer.scene.camera.center, self._viewer.scene.camera.zoom = self._camera
            self._camera = None
        self._made, self._kept, self._placed, self.mode = None, {}, None, ""

    def _alone(self, reference: Image, moving: Image) -> None:
        for layer in self._viewer.layers:
            names = [name for name in _LOOK if hasattr(layer, name)]
            self._kept[layer] = {name: getattr(layer, name) for name in names}
            layer.visible = layer in (reference, moving)
        moving.opacity = 1.0

    def _colour(self, reference: Image, moving: Image) -> None:
        for layer, colour in ((reference, "cyan"), (moving, "red")):
            layer.blending = "additive"
            if not layer.rgb:
                layer.colormap = colour

    def _show_squares(self, reference: Image, moving: Image) -> None:
        board = checkerboard(
            np.asarray(reference.data), np.asarray(moving.data), transform_of(moving, reference)
        )
        self._add("checkerboard", board, reference, moving)

    def _show_both(self, reference: Image, moving: Image) -> None:
        start = Transform(matrix=np.array(MapMetadata.of(moving).start))
        both = before_after(
            np.asarray(reference.data),
            np.asarray(moving.data),
            start,
            transform_of(moving, reference),
        )
        self._add("before | after", both, reference, moving)
        # Twice as wide as the field: show all of it, and give the view back at the end.
        self._camera = (self._viewer.scene.camera.center, self._viewer.scene.camera.zoom)
        self._viewer.reset_view()

    def _add(self, name: str, picture: Any, reference: Image, moving: Image) -> None:
        """Show an image made for looking instead of the two it was made of."""
        self._made = self._viewer.add_image(
            picture,
            name=name,
            metadata=OverlayMetadata().for_layer(Role.COMPARISON),
            **place_of(reference),
        )
        reference.visible = moving.visible = False

    def _show_before(self, reference: Image, moving: Image) -> None:
        start = MapMetadata.of(moving).start
        if start is None:
            self.mode = ""
            return
        now = transform_of(moving, reference)
        self._placed = (moving, reference, now)
        place_map(moving, reference, type(now)(matrix=np.array(start), verdict="not aligned"))

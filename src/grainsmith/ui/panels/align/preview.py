"""Temporary views of a map on its reference: flicker, checkerboard, red-cyan, before and after."""

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

_STYLE = ("visible", "colormap", "blending", "opacity")
PREVIEW_MODES = ("flicker", "checkerboard", "red-cyan", "before", "before | after")


class MapPreview:
    """Shows a map on its reference in one of `PREVIEW_MODES`; `stop` restores all layers."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        self._viewer = viewer
        self._styles: dict[Any, dict[str, Any]] = {}
        self._layer: Image | None = None
        self._placement: tuple[Image, Image, Transform] | None = None
        self._camera: tuple[Any, float] | None = None
        self.mode = ""

    def show(self, mode: str, reference: Image, moving: Image) -> None:
        """Show a map in one of `PREVIEW_MODES`; the same one again ends it, or flickers."""
        if mode == self.mode == "flicker" and moving in self._viewer.layers:
            moving.visible = not moving.visible
            return
        same = mode == self.mode
        self.stop()
        if same:
            return
        self.mode = mode
        if mode == "before":
            self._show_before(reference, moving)
            return
        self._hide_others(reference, moving)
        if mode == "flicker":
            moving.blending = "translucent_no_depth"
        elif mode == "red-cyan":
            self._colorize(reference, moving)
        elif mode == "before | after":
            self._show_before_and_after(reference, moving)
        else:
            self._show_checkerboard(reference, moving)

    def stop(self) -> None:
        """Restore the style and place of all layers."""
        if self._layer is not None and self._layer in self._viewer.layers:
            self._viewer.layers.remove(self._layer)
        for layer, style in self._styles.items():
            if layer in self._viewer.layers:
                for name, value in style.items():
                    setattr(layer, name, value)
        if self._placement is not None:
            place_map(*self._placement)
        if self._camera is not None:
            self._viewer.scene.camera.center, self._viewer.scene.camera.zoom = self._camera
            self._camera = None
        self._layer, self._styles, self._placement, self.mode = None, {}, None, ""

    def _hide_others(self, reference: Image, moving: Image) -> None:
        for layer in self._viewer.layers:
            names = [name for name in _STYLE if hasattr(layer, name)]
            self._styles[layer] = {name: getattr(layer, name) for name in names}
            layer.visible = layer in (reference, moving)
        moving.opacity = 1.0

    def _colorize(self, reference: Image, moving: Image) -> None:
        for layer, color in ((reference, "cyan"), (moving, "red")):
            layer.blending = "additive"
            if not layer.rgb:
                layer.colormap = color

    def _show_checkerboard(self, reference: Image, moving: Image) -> None:
        board = checkerboard(
            np.asarray(reference.data), np.asarray(moving.data), transform_of(moving, reference)
        )
        self._add("checkerboard", board, reference, moving)

    def _show_before_and_after(self, reference: Image, moving: Image) -> None:
        start = Transform(matrix=np.array(MapMetadata.of(moving).start))
        both = before_after(
            np.asarray(reference.data),
            np.asarray(moving.data),
            start,
            transform_of(moving, reference),
        )
        self._add("before | after", both, reference, moving)
        # Twice as wide as the field: show all of it; `stop` restores the camera.
        self._camera = (self._viewer.scene.camera.center, self._viewer.scene.camera.zoom)
        self._viewer.reset_view()

    def _add(self, name: str, pixels: Any, reference: Image, moving: Image) -> None:
        """Show a combined image instead of the two layers."""
        self._layer = self._viewer.add_image(
            pixels,
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
        self._placement = (moving, reference, now)
        place_map(moving, reference, type(now)(matrix=np.array(start), verdict="not aligned"))

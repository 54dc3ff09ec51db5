"""Layers that show which true grains a tuned model gained, lost and changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.colormaps import DirectLabelColormap

from grainsmith.ui.layers.metadata import OverlayMetadata, Role

if TYPE_CHECKING:
    from napari.layers import Layer

    from grainsmith.io.dataset import LoadedField
    from grainsmith.train.comparison import FieldComparison

COLOURS = {"gained": "#2ecc40", "lost": "#ff4136", "changed": "#ffdc00"}
_OPACITY = 0.55


class GainedLost:
    """A judged field in place of the layers that were there; `stop` gives these back."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._made: list[Layer] = []
        self._seen: list[Layer] = []

    def show(self, found: FieldComparison, loaded: LoadedField) -> None:
        """Show image, and grains by what became of them; their numbers are the truth's."""
        self.stop()
        self._seen = [layer for layer in self._viewer.layers if layer.visible]
        for layer in self._seen:
            layer.visible = False
        rgb = loaded.image.ndim == 3
        self._add("image", loaded.image, name=f"{found.name} judged", rgb=rgb)
        for name, colour in COLOURS.items():
            mask = np.isin(loaded.labels, getattr(found, name))
            colours = DirectLabelColormap(color_dict={None: colour, 0: "transparent"})
            self._add(
                "labels",
                np.where(mask, loaded.labels, 0),
                name=f"{name} ({len(getattr(found, name))})",
                colormap=colours,
                opacity=_OPACITY,
            )
        self._viewer.reset_view()

    def stop(self) -> None:
        """Take the comparison away and show again what was hidden for it."""
        for layer in self._made:
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        for layer in self._seen:
            if layer in self._viewer.layers:
                layer.visible = True
        self._made, self._seen = [], []

    def _add(self, kind: str, data: Any, **options: Any) -> None:
        metadata = OverlayMetadata().for_layer(Role.COMPARISON)
        layer = getattr(self._viewer, f"add_{kind}")(data, metadata=metadata, **options)
        self._made.append(getattr(layer, "__wrapped__", layer))

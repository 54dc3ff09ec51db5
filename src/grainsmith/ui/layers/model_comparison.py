"""Layers that compare two models: true grains that were gained, lost or changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.colormaps import DirectLabelColormap

from grainsmith.ui.layers.metadata import OverlayMetadata, Role

if TYPE_CHECKING:
    from napari.layers import Layer

    from grainsmith.io.dataset import LoadedField
    from grainsmith.train.comparison import FieldComparison

COLORS = {"gained": "#2ecc40", "lost": "#ff4136", "changed": "#ffdc00"}
_OPACITY = 0.55


class ModelComparisonLayers:
    """Layers of one compared field, shown in place of all others."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._added: list[Layer] = []
        self._hidden: list[Layer] = []

    def show(self, comparison: FieldComparison, loaded: LoadedField) -> None:
        """Show the image, and its true grains by what the new model does with them."""
        self.hide()
        self._hidden = [layer for layer in self._viewer.layers if layer.visible]
        for layer in self._hidden:
            layer.visible = False
        rgb = loaded.image.ndim == 3
        self._add("image", loaded.image, name=f"{comparison.name} compared", rgb=rgb)
        for name, color in COLORS.items():
            grain_ids = getattr(comparison, name)
            self._add(
                "labels",
                np.where(np.isin(loaded.labels, grain_ids), loaded.labels, 0),
                name=f"{name} ({len(grain_ids)})",
                colormap=DirectLabelColormap(color_dict={None: color, 0: "transparent"}),
                opacity=_OPACITY,
            )
        self._viewer.reset_view()

    def hide(self) -> None:
        """Remove the comparison and show the layers that it had hidden."""
        for layer in self._added:
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        for layer in self._hidden:
            if layer in self._viewer.layers:
                layer.visible = True
        self._added, self._hidden = [], []

    def _add(self, kind: str, data: Any, **options: Any) -> None:
        metadata = OverlayMetadata().for_layer(Role.COMPARISON)
        layer = getattr(self._viewer, f"add_{kind}")(data, metadata=metadata, **options)
        self._added.append(getattr(layer, "__wrapped__", layer))

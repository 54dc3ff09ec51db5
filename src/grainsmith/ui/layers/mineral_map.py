"""The mineral layer: one label per mineral, over the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from napari.utils.colormaps import DirectLabelColormap

from grainsmith.ui.layers.geometry import place_of
from grainsmith.ui.layers.labels import features_of
from grainsmith.ui.layers.metadata import MineralMapMetadata, Role, role_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import napari
    from napari.layers import Labels

_OPACITY = 0.65
_FAINT = "18"
"""Alpha of the minerals that are not shown, as two hexadecimal digits."""


def show_minerals(
    viewer: napari.viewer.Viewer, grains: Labels, naming: pd.DataFrame, colors: Mapping[str, str]
) -> Labels:
    """Show grains in the colours of their minerals, in the mineral layer of these grains.

    Parameters
    ----------
    viewer : napari viewer
        Gets the layer, above the grains, if it has none yet.
    grains : Labels layer
        Gives shape and place.
    naming : DataFrame
        Index `label`, column `mineral`.
    colors : mapping of str to str
        Mineral -> "#rrggbb".
    """
    minerals = list(dict.fromkeys(naming["mineral"].astype(str)))
    lookup = np.zeros(int(max(np.max(grains.data), naming.index.max())) + 1, np.uint8)
    lookup[naming.index.to_numpy()] = [minerals.index(name) + 1 for name in naming["mineral"]]
    codes = lookup[np.asarray(grains.data)]
    layer = mineral_layer_of(viewer, grains)
    if layer is None:
        layer = viewer.add_labels(
            codes,
            name=f"{grains.name} minerals",
            opacity=_OPACITY,
            metadata=MineralMapMetadata(grains=grains.name).for_layer(),
            **place_of(grains),
        )
        layer = getattr(layer, "__wrapped__", layer)
        grains.contour = 1
    else:
        layer.data = codes
    names = pd.DataFrame({"mineral": minerals}, index=pd.RangeIndex(1, len(minerals) + 1))
    layer.features = features_of(names)
    MineralMapMetadata.update(layer, colors={name: colors[name] for name in minerals})
    show_mineral(layer, "")
    viewer.layers.selection.active = grains
    return layer


def show_mineral(layer: Labels, mineral: str) -> None:
    """Show the grains of one mineral and make the others faint; "" shows all."""
    colors = MineralMapMetadata.of(layer).colors
    table: dict[int | None, str] = {None: "#00000000", 0: "#00000000"}
    for code, name in zip(layer.features["index"], layer.features["mineral"], strict=True):
        table[int(code)] = colors[name] if mineral in ("", name) else f"{colors[name]}{_FAINT}"
    layer.colormap = DirectLabelColormap(color_dict=table)


def mineral_layer_of(viewer: napari.viewer.Viewer, grains: Labels) -> Labels | None:
    """Return the mineral layer of these grains, or None."""
    for layer in viewer.layers:
        if role_of(layer) == Role.MINERALS and MineralMapMetadata.of(layer).grains == grains.name:
            minerals: Labels = getattr(layer, "__wrapped__", layer)
            return minerals
    return None

"""The coloured mineral layer: one label per mineral, over the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from napari.utils.colormaps import DirectLabelColormap

from grainsmith.ui.layers.convert import features_of, place_of
from grainsmith.ui.layers.metadata import MineralMapMetadata, Role, role_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import napari
    from napari.layers import Labels


def show_minerals(
    viewer: napari.viewer.Viewer, grains: Labels, naming: pd.DataFrame, colours: Mapping[str, str]
) -> Labels:
    """Show grains in the colours of their minerals, in the layer made for that.

    Parameters
    ----------
    viewer : napari viewer
        Where the layer is, or is added, above the grains.
    grains : Labels layer
        Gives shape and place.
    naming : DataFrame
        Index `label`, column `mineral`.
    colours : mapping of str to str
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
            opacity=0.65,
            metadata=MineralMapMetadata(grains=grains.name).for_layer(),
            **place_of(grains),
        )
        layer = getattr(layer, "__wrapped__", layer)
        grains.contour = 1
    else:
        layer.data = codes
    names = pd.DataFrame({"mineral": minerals}, index=pd.RangeIndex(1, len(minerals) + 1))
    layer.features = features_of(names)
    MineralMapMetadata.update(layer, colors={name: colours[name] for name in minerals})
    show_only(layer, "")
    viewer.layers.selection.active = grains
    return layer


def show_only(layer: Labels, mineral: str) -> None:
    """Show the grains of one mineral alone; "" shows all."""
    colours = MineralMapMetadata.of(layer).colors
    shown: dict[int | None, str] = {None: "#00000000", 0: "#00000000"}
    for code, name in zip(layer.features["index"], layer.features["mineral"], strict=True):
        shown[int(code)] = colours[name] if mineral in ("", name) else f"{colours[name]}18"
    layer.colormap = DirectLabelColormap(color_dict=shown)


def mineral_layer_of(viewer: napari.viewer.Viewer, grains: Labels) -> Labels | None:
    """Return the mineral layer of these grains, or None."""
    for layer in viewer.layers:
        if role_of(layer) == Role.MINERALS and MineralMapMetadata.of(layer).grains == grains.name:
            found: Labels = getattr(layer, "__wrapped__", layer)
            return found
    return None

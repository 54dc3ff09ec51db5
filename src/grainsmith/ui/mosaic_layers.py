"""Mosaics as layers: pyramids that napari reads piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from grainsmith.io.mosaic import labels_beside, open_mosaic

if TYPE_CHECKING:
    from pathlib import Path

    from grainsmith.ui.layers import LayerData


def mosaic_layers(path: Path) -> list[LayerData]:
    """Open a mosaic, and the grains that lie in its folder, without loading them.

    They are shown only: the panels work on single pictures, so the layers have no role there.
    """
    mosaic = open_mosaic(path)
    size = mosaic.pixel_size_um
    unit = "um" if size > 0 else "pixel"
    place: dict[str, Any] = {
        "scale": (size or 1.0,) * 2,
        "units": (unit, unit),
        "multiscale": True,
        "metadata": {"grainsmith": {"role": "mosaic", "source": mosaic.source}},
    }
    coarsest = np.asarray(mosaic.levels[-1][:1024, :1024])
    low, high = (float(n) for n in np.nanpercentile(coarsest, (0.5, 99.5)))
    picture: dict[str, Any] = {"name": path.stem, **place}
    if coarsest.ndim == 2:
        picture |= {"colormap": "gray", "contrast_limits": (low, max(high, low + 1e-6))}
    layers: list[LayerData] = [(list(mosaic.levels), picture, "image")]
    for name, labels in labels_beside(path).items():
        options = {"name": f"{path.stem} {name}", **place}
        layers.append((list(labels.levels), options, "labels"))
    return layers

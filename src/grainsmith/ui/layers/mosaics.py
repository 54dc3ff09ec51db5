"""Mosaics as multiscale layers, of which napari reads only what is in view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.notifications import show_warning

from grainsmith.io.mosaics.reader import fill_unreadable, open_labels
from grainsmith.ui.layers.geometry import scale_options
from grainsmith.ui.layers.metadata import MosaicMetadata, Role, role_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from napari.layers import Layer

    from grainsmith.io.mosaics.reader import Mosaic
    from grainsmith.ui.layers import LayerData

_EDITABLE = "grains"
"""Name of the labels that `segment_mosaic` writes; only these can be edited."""

_CONTRAST_PERCENTILES = (0.5, 99.5)
_CONTRAST_WINDOW_PX = 1024


def layers_of_mosaic(mosaic: Mosaic, path: Path) -> list[LayerData]:
    """Return a mosaic and the labels beside it as layers; unreadable blocks are shown as 0.

    Panels work on single images. The layers are shown only, and a region of them is opened for
    editing.
    """
    mosaic = fill_unreadable(mosaic, _WarnOnce())
    coarsest = np.asarray(mosaic.levels[-1][:_CONTRAST_WINDOW_PX, :_CONTRAST_WINDOW_PX])
    options = _options(mosaic, mosaic, name=path.stem)
    if coarsest.ndim == 2:
        low, high = (float(value) for value in np.nanpercentile(coarsest, _CONTRAST_PERCENTILES))
        options |= {"colormap": "gray", "contrast_limits": (low, max(high, low + 1e-6))}
    layers: list[LayerData] = [(_pyramid(mosaic), options, "image")]
    for name, labels in open_labels(path).items():
        if labels.shape != mosaic.shape or labels.levels[0].dtype.kind not in "iu":
            show_warning(
                f"The labels '{name}' of {path.name} are left out: {labels.shape} "
                f"{labels.levels[0].dtype} does not fit the image, {mosaic.shape}."
            )
            continue
        options = _options(mosaic, labels, name=f"{path.stem} {name}", labels=name)
        pyramid = _pyramid(fill_unreadable(labels, _WarnOnce()))
        layers.append((pyramid, options | {"opacity": 0.5}, "labels"))
    return layers


def editable_mosaic(layers: Iterable[Layer]) -> Labels | None:
    """Return the labels layer of the topmost mosaic whose grains can be edited."""
    editable = [
        layer
        for layer in layers
        if isinstance(layer, Labels)
        and role_of(layer) == Role.MOSAIC
        and MosaicMetadata.of(layer).labels == _EDITABLE
    ]
    return editable[-1] if editable else None


def image_of_mosaic(grains: Labels, layers: Iterable[Layer]) -> Image | None:
    """Return the image of the mosaic that grains lie on."""
    source = MosaicMetadata.of(grains).source
    images = [
        layer
        for layer in layers
        if isinstance(layer, Image)
        and role_of(layer) == Role.MOSAIC
        and MosaicMetadata.of(layer).source == source
    ]
    return images[-1] if images else None


def reload_labels(grains: Labels) -> None:
    """Show the grains of a mosaic as they are on disk now."""
    metadata = MosaicMetadata.of(grains)
    # New arrays, because napari may have cached blocks of the old ones.
    labels = open_labels(metadata.source)[metadata.labels]
    grains.data = _pyramid(fill_unreadable(labels, _WarnOnce()))


def mosaic_shape(layer: Layer) -> tuple[int, int]:
    """Return the height and width of a mosaic in pixels."""
    finest = layer.data[0] if layer.multiscale else layer.data
    return finest.shape[0], finest.shape[1]


class _WarnOnce:
    """Warn of the first unreadable block only: moving the view may meet it again and again."""

    def __init__(self) -> None:
        self._has_warned = False

    def __call__(self, problem: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            show_warning(f"{problem} What cannot be read is shown as background.")


def _options(mosaic: Mosaic, levels: Mosaic, *, name: str, labels: str = "") -> dict[str, Any]:
    return {
        "name": name,
        "multiscale": len(levels.levels) > 1,
        "metadata": MosaicMetadata(source=mosaic.source, labels=labels).for_layer(),
        **scale_options(mosaic.pixel_size_um),
    }


def _pyramid(mosaic: Mosaic) -> Any:
    """Return the levels as napari takes them: a single level is not a list."""
    return list(mosaic.levels) if len(mosaic.levels) > 1 else mosaic.levels[0]

"""Move the camera of a viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grainsmith.errors import MismatchError
from grainsmith.gallery.map_readout import grain_box

if TYPE_CHECKING:
    import napari
    from napari.layers import Labels

    from grainsmith.clean import Box

_VIEW_PER_BOX = 4.0
"""The view is that many times as wide as the box: a grain is judged among its neighbours."""

_MIN_BOX_PX = 12.0


def zoom_to(viewer: napari.viewer.Viewer, layer: Labels, box: Box) -> None:
    """Center the view on a box of a layer, with its surroundings.

    Parameters
    ----------
    viewer : napari viewer
    layer : Labels layer
    box : Box
        In pixels of the layer.
    """
    low, high = (np.asarray(layer.data_to_world(corner)) for corner in (box[:2], box[2:]))
    camera = viewer.scene.camera
    center = (low[-2:] + high[-2:]) / 2
    camera.center = (0.0, *center.tolist())
    pixel = float(np.abs(layer.data_to_world((1, 1))[-1] - layer.data_to_world((0, 0))[-1]))
    side = max(float(np.abs(high - low)[-2:].max()), _MIN_BOX_PX * pixel)
    camera.zoom = float(min(viewer.canvas.size)) / (side * _VIEW_PER_BOX)


def center_on(viewer: napari.viewer.Viewer, layer: Labels, label: int) -> None:
    """Centre a grain in the view without zooming; no effect without such a grain."""
    try:
        top, left, bottom, right = grain_box(np.asarray(layer.data), label)
    except MismatchError:
        return
    middle = layer.data_to_world(((top + bottom) / 2, (left + right) / 2))
    viewer.scene.camera.center = (0.0, float(middle[-2]), float(middle[-1]))

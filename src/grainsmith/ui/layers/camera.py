"""Move the view to a place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import napari
    from napari.layers import Labels

    from grainsmith.clean import Box

_AROUND = 4.0  # the box fills a quarter of the view: its neighbours must be seen
_SMALLEST_PX = 12.0


def zoom_to(viewer: napari.viewer.Viewer, layer: Labels, box: Box) -> None:
    """Centre a box of a layer and zoom so that it can be judged among its neighbours.

    Parameters
    ----------
    viewer : napari viewer
    layer : Labels layer
    box : Box
        In pixels of the layer.
    """
    low, high = (np.asarray(layer.data_to_world(corner)) for corner in (box[:2], box[2:]))
    camera = viewer.scene.camera
    centre = (low[-2:] + high[-2:]) / 2
    camera.center = (0.0, *centre.tolist())
    pixel = float(np.abs(layer.data_to_world((1, 1))[-1] - layer.data_to_world((0, 0))[-1]))
    side = max(float(np.abs(high - low)[-2:].max()), _SMALLEST_PX * pixel)
    camera.zoom = float(min(viewer.canvas.size)) / (side * _AROUND)

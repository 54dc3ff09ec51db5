"""A data bar is marked in the view, so that nobody wonders why no grain is found there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grainsmith.ui.layers.convert import LayerData, place_of
from grainsmith.ui.layers.metadata import ImageMetadata, OverlayMetadata, Role, role_of

if TYPE_CHECKING:
    import napari
    from napari.layers import Image, Layer

_LOOK = {
    "edge_color": "#f5c542",
    "face_color": [0.96, 0.77, 0.26, 0.12],
    "edge_width": 2,
}


def bar_layer(name: str, shape: tuple[int, ...], rows: int, place: dict[str, object]) -> LayerData:
    """Return the mark of a data bar as a shapes layer.

    Parameters
    ----------
    name : str
        Of the image's layer.
    shape : (Y, X) or (Y, X, 3)
        Of the image, data bar included.
    rows : int
        Height of the bar in pixels, at the bottom.
    place : dict
        Scale, units and so on of the image.
    """
    top, bottom, right = shape[0] - rows - 0.5, shape[0] - 0.5, shape[1] - 0.5
    corners = [[top, -0.5], [top, right], [bottom, right], [bottom, -0.5]]
    options = {
        "name": f"{name} data bar",
        "shape_type": "rectangle",
        "metadata": OverlayMetadata(image=name).for_layer(Role.DATA_BAR),
        **_LOOK,
        **place,
    }
    return [corners], options, "shapes"


def mark_data_bar(viewer: napari.viewer.Viewer, image: Image) -> None:
    """Draw, move or remove the mark of an image's data bar."""
    rows = ImageMetadata.of(image).data_bar_rows
    for layer in [one for one in viewer.layers if _marks(one, image)]:
        viewer.layers.remove(layer)
    if rows > 0:
        corners, options, _ = bar_layer(image.name, image.data.shape, rows, place_of(image))
        selected = set(viewer.layers.selection)
        viewer.add_shapes(corners, **options)
        viewer.layers.selection = selected


def _marks(layer: Layer, image: Image) -> bool:
    return role_of(layer) == Role.DATA_BAR and OverlayMetadata.of(layer).image == image.name

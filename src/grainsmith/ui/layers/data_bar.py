"""Mark the data bar of an image, where no grains are looked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grainsmith.ui.layers.geometry import place_of
from grainsmith.ui.layers.metadata import ImageMetadata, OverlayMetadata, Role, role_of

if TYPE_CHECKING:
    import napari
    from napari.layers import Image, Layer

    from grainsmith.ui.layers import LayerData

_STYLE = {
    "edge_color": "#f5c542",
    "face_color": [0.96, 0.77, 0.26, 0.12],
    "edge_width": 2,
}


def data_bar_layer(
    name: str, shape: tuple[int, ...], rows: int, place: dict[str, Any]
) -> LayerData:
    """Return a rectangle over a data bar as a shapes layer.

    Parameters
    ----------
    name : str
        Name of the image's layer.
    shape : (Y, X) or (Y, X, 3)
        Shape of the image with its data bar.
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
        **_STYLE,
        **place,
    }
    return [corners], options, "shapes"


def mark_data_bar(viewer: napari.viewer.Viewer, image: Image) -> None:
    """Draw, move or remove the mark of an image's data bar."""
    rows = ImageMetadata.of(image).data_bar_rows
    for layer in [layer for layer in viewer.layers if _marks(layer, image)]:
        viewer.layers.remove(layer)
    if rows > 0:
        corners, options, _ = data_bar_layer(image.name, image.data.shape, rows, place_of(image))
        selected = set(viewer.layers.selection)
        viewer.add_shapes(corners, **options)
        viewer.layers.selection = selected


def _marks(layer: Layer, image: Image) -> bool:
    return role_of(layer) == Role.DATA_BAR and OverlayMetadata.of(layer).image == image.name

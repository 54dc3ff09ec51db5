"""Messages that several panels show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Labels

from grainsmith.ui.layers.metadata import role_of
from grainsmith.ui.widgets.hints import message_of

if TYPE_CHECKING:
    from napari.layers import Image

    from grainsmith.ui.session.active_layers import ActiveLayers

NO_IMAGE = "No image yet: open one in the tab Open, or drop a file into the window."
NO_GRAINS = "No grains yet: find them in the tab Segment, or drop a labels file into the window."
NO_MAPS = "No element maps yet: drop their folder into the window, or open it in the tab Align."
NOT_MEASURED = "The grains are not measured yet: press Measure in the tab Table."

_NO_REGION = "A mosaic is open: zoom in, then press 'Edit this region'."
_MOSAIC_WITHOUT_GRAINS = (
    "A mosaic without grains is open: find them with `grainsmith mosaic` in a shell."
)


def missing_text(active: ActiveLayers, text: str) -> str:
    """Return the message about a missing image or grains.

    It differs beside a mosaic, and beside grains that belong to no open image.

    Parameters
    ----------
    active : ActiveLayers
    text : str
        The message where no mosaic is open.
    """
    unmatched = active.unmatched_grains
    if active.image is not None and active.grains is None and unmatched:
        return _unmatched_text(unmatched[-1], active.image)
    mosaics = [layer for layer in active.viewer_layers if role_of(layer) == "mosaic"]
    if active.image is not None or not mosaics:
        return text
    has_grains = any(isinstance(layer, Labels) for layer in mosaics)
    return _NO_REGION if has_grains else _MOSAIC_WITHOUT_GRAINS


def _unmatched_text(grains: Labels, image: Image) -> str:
    height, width = grains.data.shape[-2:]
    image_height, image_width = image.data.shape[:2]
    return (
        f"The grains '{grains.name}' ({width} × {height} px) belong to no open image; "
        f"'{image.name}' is {image_width} × {image_height} px. Open their image."
    )


def error_text(error: Exception) -> str:
    """Return what a panel shows of an error."""
    return message_of(error) or type(error).__name__

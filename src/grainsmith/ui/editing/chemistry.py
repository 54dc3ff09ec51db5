"""The maps or channels that can tell two compositions apart, with the way to the labels' pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from grainsmith.data import Transform
from grainsmith.ui.layers.geometry import transform_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt
    from napari.layers import Image, Labels


def channels_for(
    image: Image | None, maps: Iterable[Image], grains: Labels
) -> list[tuple[npt.NDArray[Any], Transform]]:
    """Return the element maps with their transforms, or where there are none the image.

    Parameters
    ----------
    image : Image layer or None
        The image that the grains lie on.
    maps : iterable of Image layers
        Element maps.
    grains : Labels layer
    """
    found = [
        (np.asarray(one.data), transform_of(one, image if image is not None else grains))
        for one in maps
        if not one.rgb
    ]
    if found or image is None:
        return found
    pixels = np.asarray(image.data)
    channels = [pixels] if pixels.ndim == 2 else list(np.moveaxis(pixels, -1, 0)[:3])
    return [(channel, Transform()) for channel in channels]

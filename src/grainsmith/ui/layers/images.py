"""Convert between `SemImage` and image layers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grainsmith.data import SemImage
from grainsmith.errors import MismatchError
from grainsmith.ui.layers.geometry import pixel_size_um_of, scale_options
from grainsmith.ui.layers.metadata import ImageMetadata, Role

if TYPE_CHECKING:
    import numpy.typing as npt
    from napari.layers import Image

    from grainsmith.ui.layers import LayerData

_CONTRAST_PERCENTILES = (0.1, 99.9)
_CONTRAST_STEP = 4
"""Every fourth pixel is enough to find the contrast limits."""


def image_layer(image: SemImage, *, name: str = "", role: Role = Role.IMAGE) -> LayerData:
    """Return an image as a layer; the inverse of `sem_image_of`."""
    metadata = ImageMetadata(
        source=image.source,
        pixel_size_um=image.pixel_size_um,
        pixel_size_source=image.pixel_size_source,
        data_bar_rows=image.data_bar_rows,
        notes=image.notes,
    )
    options: dict[str, Any] = {
        "name": name or Path(image.source).stem or "image",
        "metadata": metadata.for_layer(role),
        **scale_options(image.pixel_size_um),
    }
    if image.image.ndim == 2:
        options["contrast_limits"] = _contrast_limits(image.cropped)
        options["colormap"] = "gray"
    return image.image, options, "image"


def sem_image_of(layer: Image) -> SemImage:
    """Return the image in an image layer of any reader.

    Raises
    ------
    MismatchError
        The layer is a stack or a pyramid.
    """
    if layer.multiscale or layer.ndim != 2:
        n_axes = layer.data[0].ndim if layer.multiscale else layer.ndim
        raise MismatchError(
            f"'{layer.name}' has {n_axes} axes or several resolutions, but a single image is "
            "needed. Right-click the layer and split the stack."
        )
    metadata = ImageMetadata.of(layer)
    pixels = np.asarray(layer.data)
    return SemImage(
        image=pixels[..., :3] if layer.rgb else pixels,
        pixel_size_um=pixel_size_um_of(layer),
        pixel_size_source=metadata.pixel_size_source,
        data_bar_rows=metadata.data_bar_rows,
        source=metadata.source or layer.name,
        notes=metadata.notes,
    )


def folder_of(layer: Image) -> str:
    """Return the folder of the file that an image was read from, "" if it is not known."""
    source = ImageMetadata.of(layer).source or layer.source.path or ""
    folder = Path(source).parent
    return str(folder.absolute()) if folder.name and folder.is_dir() else ""


def _contrast_limits(image: npt.NDArray[Any]) -> tuple[float, float]:
    # Without outliers: one bright speck must not make the whole image black.
    sample = image[::_CONTRAST_STEP, ::_CONTRAST_STEP]
    finite = sample[np.isfinite(sample)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, _CONTRAST_PERCENTILES)
    return (float(low), float(high)) if high > low else (float(low), float(low) + 1.0)

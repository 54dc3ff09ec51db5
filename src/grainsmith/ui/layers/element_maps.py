"""Convert between `ElementMap` and additive image layers in the hue of the element.

Maps are hidden at first: ten of them in additive colours would hide the image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Layer
from napari.utils.colormaps import Colormap
from napari.utils.notifications import show_warning

from grainsmith.align import initial_transform
from grainsmith.data import ElementMap, SemImage
from grainsmith.gallery.colors import hue_of
from grainsmith.ui.layers.geometry import place_map, world_matrix
from grainsmith.ui.layers.images import image_layer, sem_image_of
from grainsmith.ui.layers.metadata import MapMetadata, RegistrationMetadata, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image

    from grainsmith.data import Transform
    from grainsmith.io.maps.reader import MapFolder
    from grainsmith.ui.layers import LayerData

_CONTRAST_PERCENTILES = (1, 99.7)
_CONTRAST_STEP = 4
"""Every fourth pixel is enough to find the contrast limits."""

_ASPECT_TOLERANCE = 0.05
"""Beyond that a map cannot show the same field as the image; rounding of the map size is less."""


def map_layer(
    element_map: ElementMap, reference: Image, transform: Transform, **metadata: Any
) -> LayerData:
    """Return an element map as a layer; the inverse of `element_map_of`.

    Parameters
    ----------
    element_map : ElementMap
        In its native pixels.
    reference : Image layer
        Image that the map lies on.
    transform : Transform
        From pixels of the map to pixels of the image.
    **metadata
        Further fields of `MapMetadata`.
    """
    options = {
        "name": element_map.name,
        "metadata": MapMetadata(
            element=element_map.element,
            line=element_map.line,
            kind=element_map.kind,
            pixel_size_um=element_map.pixel_size_um,
            source=element_map.source,
            window=element_map.window,
            registration=RegistrationMetadata(verdict=transform.verdict, z=transform.z),
            **metadata,
        ).for_layer(),
        "units": tuple(str(unit) for unit in reference.units),
        "affine": world_matrix(reference) @ transform.matrix,
        "visible": False,
        **map_style(element_map),
    }
    return element_map.values, options, "image"


def element_map_of(layer: Image) -> ElementMap:
    """Return the element map in a layer."""
    metadata = MapMetadata.of(layer)
    return ElementMap(
        values=np.asarray(layer.data),
        element=metadata.element or layer.name,
        line=metadata.line,
        kind=metadata.kind,
        pixel_size_um=metadata.pixel_size_um,
        source=metadata.source,
        window=metadata.window,
    )


def unaligned_map_layer(
    element_map: ElementMap, reference: Image, image: SemImage, **metadata: Any
) -> LayerData:
    """Return an element map as a layer where its file places it.

    Parameters
    ----------
    element_map : ElementMap
    reference : Image layer
        Layer of the image that the map lies on.
    image : SemImage
        That image.
    **metadata
        Further fields of `MapMetadata`.
    """
    return map_layer(element_map, reference, initial_transform(element_map, image), **metadata)


def map_folder_layers(opened: MapFolder, image: Image | None) -> list[LayerData]:
    """Return images and maps as layers; warn of maps that cannot show the field of the image.

    Parameters
    ----------
    opened : MapFolder
        From `io.maps.open_maps`.
    image : Image layer or None
        Image in the viewer, on which the maps are placed if the folder has none.
    """
    layers = []
    for index, sem_image in enumerate(opened.images):
        # Of BSE and SE images of one field, the first is the one that grains are found in.
        role = Role.OTHER_IMAGE if index else Role.IMAGE
        data, options, kind = image_layer(sem_image, name=_image_name(sem_image), role=role)
        layers.append((data, {**options, "visible": index == 0}, kind))
    if opened.images:
        reference, base = Layer.create(*layers[0]), opened.images[0]
    elif image is not None:
        reference, base = image, sem_image_of(image)
    elif opened.maps:
        reference, base = _substitute_image(opened.maps[0])
    else:
        return layers
    for warning in aspect_warnings(opened.maps, base):
        show_warning(warning)
    maps = [unaligned_map_layer(element_map, reference, base) for element_map in opened.maps]
    return [*layers, *maps]


def aspect_warnings(maps: Sequence[ElementMap], image: SemImage) -> list[str]:
    """Return a warning for each size of maps of which the aspect ratio is not that of the image.

    Maps with a known place in the image, or with a known pixel size, may cover a part of it.
    """
    height, width = image.cropped.shape[:2]
    names: dict[tuple[int, int], list[str]] = {}
    for element_map in maps:
        is_placed = element_map.pixel_size_um > 0 and image.pixel_size_um > 0
        rows, columns = element_map.values.shape
        ratio = (columns / rows) / (width / height)
        if not (element_map.window or is_placed) and abs(np.log(ratio)) > _ASPECT_TOLERANCE:
            names.setdefault((columns, rows), []).append(element_map.name)
    return [
        f"{', '.join(group)}: {columns} x {rows} pixels have another aspect ratio than the image, "
        f"{width} x {height}. The maps are laid on its full width; align them before use."
        for (columns, rows), group in names.items()
    ]


def map_style(element_map: ElementMap) -> dict[str, Any]:
    """Return colormap, contrast and blending of a map: from black to the hue of its element."""
    hue = np.array(hue_of(element_map.element)) / 255
    sample = element_map.values[::_CONTRAST_STEP, ::_CONTRAST_STEP]
    finite = sample[np.isfinite(sample)]
    low, high = np.percentile(finite, _CONTRAST_PERCENTILES) if finite.size else (0.0, 1.0)
    return {
        "colormap": Colormap([(0, 0, 0, 1), (*hue, 1)], name=f"black to {element_map.element}"),
        "contrast_limits": (float(low), float(high if high > low else low + 1)),
        "blending": "additive",
    }


def attach_maps(layers: Sequence[Image], image: Image) -> None:
    """Place layers of another reader on an image and style them as maps."""
    base = sem_image_of(image)
    for layer in layers:
        if MapMetadata.of(layer).registration is not None:
            continue
        element_map = element_map_of(layer)
        place_map(layer, image, initial_transform(element_map, base))
        for name, value in map_style(element_map).items():
            setattr(layer, name, value)


def _image_name(image: SemImage) -> str:
    return image.source.rsplit(":", 1)[-1] if ".h5oina:" in image.source else ""


def _substitute_image(element_map: ElementMap) -> tuple[Image, SemImage]:
    """Return a map as the image that the other maps lie on, with its layer."""
    image = SemImage(
        image=element_map.values,
        pixel_size_um=element_map.pixel_size_um,
        source=element_map.source,
    )
    return Layer.create(*image_layer(image)), image

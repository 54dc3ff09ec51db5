"""Opened maps as layers: additive, each in its element's hue, where their files say they lie."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Layer
from napari.utils.colormaps import Colormap
from napari.utils.notifications import show_error, show_info

from grainsmith.align import initial_transform
from grainsmith.data import SemImage
from grainsmith.gallery.colors import hue_of
from grainsmith.io.maps.filenames import parse_map_name
from grainsmith.io.maps.reader import SUFFIXES, guess_maps, open_maps
from grainsmith.io.mosaics.reader import is_mosaic
from grainsmith.ui.layers.convert import element_map_of, image_layer, map_layer, sem_image_of
from grainsmith.ui.layers.metadata import MapMetadata, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grainsmith.data import ElementMap
    from grainsmith.io.maps.reader import MapFolder
    from grainsmith.ui.layers.convert import LayerData

_SAMPLE_STEP = 4  # every fourth pixel tells the range


def get_maps_reader(path: str | Sequence[str]) -> Any:
    """Return the reader of a folder of maps, or of files that can be nothing but maps."""
    paths = [Path(path)] if isinstance(path, str) else [Path(one) for one in path]
    if len(paths) == 1 and paths[0].is_dir():
        if is_mosaic(paths[0]):
            from grainsmith.ui.plugin.reader import read

            return read
        return read_maps
    return read_maps if all(one.suffix.lower() in SUFFIXES for one in paths) else None


def is_surely_a_map(path: Path) -> bool:
    """Return whether an image's name says element and line or unit, or ends with the element.

    An image by itself may be called anything; in a folder of maps less is enough.
    """
    name = parse_map_name(path)
    says_more = bool(name.line or name.unit)
    return name.what == "element" and (says_more or path.stem.endswith(name.element))


def read_maps(path: str | Sequence[str]) -> list[LayerData]:
    """Open a folder, or files, as it guesses; what was left out is said."""
    opened = open_maps(guess_maps(path))
    tell(opened)
    nothing: list[Any] = [(None,)]  # napari's way of saying: dealt with
    return layers_of(opened, _image_of_viewer()) or nothing


def tell(opened: MapFolder) -> None:
    """Say what was opened and what was not."""
    names = ", ".join(one.name for one in opened.maps) or "no maps"
    show_info("\n".join((f"{len(opened.images)} image(s); maps: {names}.", *opened.notes)))
    for problem in opened.problems:
        show_error(str(problem))


def _image_of_viewer() -> Image | None:
    """Return the image that is worked on in the viewer at hand, if there is one."""
    import napari

    from grainsmith.ui.session.active_layers import active_layers_of

    viewer = napari.current_viewer()
    return active_layers_of(viewer).image if viewer is not None else None


def layers_of(opened: MapFolder, image: Image | None) -> list[LayerData]:
    """Return images and maps as layers.

    Parameters
    ----------
    opened : MapFolder
        From `io.maps.open_maps`.
    image : Image layer or None
        The image in the viewer, on which the maps are laid where the folder has none.
    """
    layers = []
    for index, one in enumerate(opened.images):  # BSE and SE of one field: the first is active
        role = Role.OTHER_IMAGE if index else Role.IMAGE
        data, options, kind = image_layer(one, name=_image_name(one), role=role)
        layers.append((data, {**options, "visible": index == 0}, kind))
    if opened.images:
        reference, still = Layer.create(*layers[0]), opened.images[0]
    elif image is not None:
        reference, still = image, sem_image_of(image)
    elif opened.maps:
        reference, still = _plain(opened.maps[0])
    else:
        return layers
    return [*layers, *(styled(one, reference, still) for one in opened.maps)]


def styled(
    element_map: ElementMap, reference: Image, still: SemImage, **metadata: Any
) -> LayerData:
    """Return a map as an additive layer in its hue, unaligned."""
    start = initial_transform(element_map, still)
    data, options, kind = map_layer(element_map, reference, start, **metadata)
    return data, {**options, **look_of(element_map)}, kind


def look_of(element_map: ElementMap) -> dict[str, Any]:
    """Return colour and contrast of a map: black to its element's hue, without outliers."""
    hue = np.array(hue_of(element_map.element)) / 255
    sample = element_map.values[::_SAMPLE_STEP, ::_SAMPLE_STEP]
    known = sample[np.isfinite(sample)]
    low, high = np.percentile(known, (1, 99.7)) if known.size else (0.0, 1.0)
    return {
        "colormap": Colormap([(0, 0, 0, 1), (*hue, 1)], name=f"black to {element_map.element}"),
        "contrast_limits": (float(low), float(high if high > low else low + 1)),
        "blending": "additive",
    }


def adopt_maps(layers: Sequence[Image], image: Image) -> None:
    """Make maps of layers that another reader opened: lay them on the image, in their hues."""
    from grainsmith.ui.layers.convert import place_map

    still = sem_image_of(image)
    for layer in layers:
        if MapMetadata.of(layer).registration is not None:
            continue
        element_map = element_map_of(layer)
        place_map(layer, image, initial_transform(element_map, still))
        for name, value in look_of(element_map).items():
            setattr(layer, name, value)


def _image_name(image: SemImage) -> str:
    return image.source.rsplit(":", 1)[-1] if ".h5oina:" in image.source else ""


def _plain(element_map: ElementMap) -> tuple[Image, SemImage]:
    """Return an image of the first map's grid, for maps that come without an image."""
    still = SemImage(
        image=element_map.values,
        pixel_size_um=element_map.pixel_size_um,
        source=element_map.source,
    )
    return Layer.create(*image_layer(still)), still

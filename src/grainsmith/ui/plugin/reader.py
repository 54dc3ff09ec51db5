"""Read images, label files, element maps and mosaics."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari
from napari.utils.notifications import show_error, show_info

from grainsmith.errors import GrainsmithError
from grainsmith.io.images.reader import SUFFIXES as IMAGE_SUFFIXES
from grainsmith.io.images.reader import read_image
from grainsmith.io.labels.label_image import read_label_file
from grainsmith.io.labels.review_states import read_naming, read_states
from grainsmith.io.maps.filenames import parse_map_name
from grainsmith.io.maps.reader import SUFFIXES as MAP_SUFFIXES
from grainsmith.io.maps.reader import guess_maps, open_maps
from grainsmith.io.mosaics.reader import is_mosaic
from grainsmith.ui.layers.data_bar import data_bar_layer
from grainsmith.ui.layers.element_maps import map_folder_layers
from grainsmith.ui.layers.geometry import scale_options
from grainsmith.ui.layers.images import image_layer
from grainsmith.ui.layers.label_colors import grain_colormap
from grainsmith.ui.layers.labels import features_of
from grainsmith.ui.layers.metadata import GrainsMetadata
from grainsmith.ui.session import session_of
from grainsmith.ui.widgets.hints import message_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.layers import Image

    from grainsmith.data import SemImage
    from grainsmith.io.maps.reader import MapFolder
    from grainsmith.ui.layers import LayerData

_LABEL_STEMS = ("_masks", "_labels", "_grains")
"""Endings of the names of label files; the first is that of Cellpose."""

_NO_LAYERS: list[Any] = [(None,)]
"""Tells napari that the file has been dealt with and there is no layer."""


def get_reader(path: str | Sequence[str]) -> Callable[[Any], list[LayerData]] | None:
    """Return the reader of one or several images; None for other files."""
    paths = [path] if isinstance(path, str) else list(path)
    if all(Path(file).suffix.lower() in IMAGE_SUFFIXES for file in paths):
        return read
    return None


def get_maps_reader(path: str | Sequence[str]) -> Callable[[Any], list[LayerData]] | None:
    """Return the reader of a mosaic, a folder of maps or files of maps; None for other files."""
    paths = [Path(path)] if isinstance(path, str) else [Path(file) for file in path]
    if len(paths) == 1 and paths[0].is_dir():
        return read if is_mosaic(paths[0]) else read_maps
    return read_maps if all(file.suffix.lower() in MAP_SUFFIXES for file in paths) else None


def read(path: str | Sequence[str]) -> list[LayerData]:
    """Read images and label files as layers; report those that cannot be read."""
    layers: list[LayerData] = []
    for file in [path] if isinstance(path, str) else path:
        try:
            layers += _read_file(Path(file))
        except GrainsmithError as error:
            show_error(message_of(error))
    return layers or _NO_LAYERS


def read_maps(path: str | Sequence[str]) -> list[LayerData]:
    """Read a folder or files of element maps; report what was left out."""
    opened = open_maps(guess_maps(path))
    report_opened(opened)
    return map_folder_layers(opened, _active_image()) or _NO_LAYERS


def report_opened(opened: MapFolder) -> None:
    """Show which images and maps were opened, and which files could not be read."""
    names = ", ".join(element_map.name for element_map in opened.maps) or "no maps"
    show_info("\n".join((f"{len(opened.images)} image(s); maps: {names}.", *opened.notes)))
    for problem in opened.problems:
        show_error(str(problem))


def image_layers(image: SemImage, *, name: str = "") -> list[LayerData]:
    """Return an image and the mark of its data bar as layers."""
    data, options, kind = image_layer(image, name=name)
    layers: list[LayerData] = [(data, options, kind)]
    if image.data_bar_rows:
        place = {key: options[key] for key in ("scale", "units")}
        layers.append(data_bar_layer(options["name"], data.shape, image.data_bar_rows, place))
    return layers


def _read_file(path: Path) -> list[LayerData]:
    if is_mosaic(path):
        from grainsmith.ui.plugin.mosaic_reader import read_mosaic

        return read_mosaic(path)
    if path.stem.endswith(_LABEL_STEMS):
        return [_read_labels(path)]
    if _is_named_as_map(path):
        return read_maps(str(path))
    image = read_image(path)
    # What the reader guessed or left out is always shown.
    show_info(" ".join((f"{path.name}:", *image.notes)))
    return image_layers(image)


def _read_labels(path: Path) -> LayerData:
    file = read_label_file(path)
    if file.notes:
        show_info(" ".join((f"{path.name}:", *file.notes)))
    naming, examples = read_naming(path)
    metadata = GrainsMetadata(source=str(path), states=read_states(path), examples=examples)
    options: dict[str, Any] = {
        "name": path.stem,
        "metadata": metadata.for_layer(),
        "colormap": grain_colormap(),
        **scale_options(file.metadata.pixel_size_um),
    }
    if len(naming):
        options["features"] = features_of(naming)
    return file.labels, options, "labels"


def _is_named_as_map(path: Path) -> bool:
    """Return whether a name has element and line or unit, or ends with the element.

    A single image may have any name; in a folder of maps less is enough.
    """
    name = parse_map_name(path)
    has_line_or_unit = bool(name.line or name.unit)
    return name.what == "element" and (has_line_or_unit or path.stem.endswith(name.element))


def _active_image() -> Image | None:
    """Return the active image of the current viewer, or None."""
    viewer = napari.current_viewer()
    return session_of(viewer).active.image if viewer is not None else None

"""What the manifest calls: reader, writers, samples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari.layers import Layer
from napari.utils.notifications import show_error, show_info

from grainsmith.errors import GrainsmithError
from grainsmith.ui.layers.convert import image_layer
from grainsmith.ui.layers.data_bar import bar_layer
from grainsmith.ui.layers.metadata import GrainsMetadata, OverlayMetadata, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grainsmith.samples import SampleField
    from grainsmith.ui.layers.convert import LayerData

_LABEL_STEMS = ("_masks", "_labels", "_grains")
"""A file called so holds labels: Cellpose's word, and ours."""

_NOTHING: list[Any] = [(None,)]
"""napari's way of saying: dealt with, but there is no layer."""


def get_reader(path: str | Sequence[str]) -> Callable[[Any], list[LayerData]] | None:
    """Return the reader of one or several images; None for what cannot be one."""
    from grainsmith.io.images.reader import SUFFIXES

    paths = [path] if isinstance(path, str) else list(path)
    if all(Path(one).suffix.lower() in SUFFIXES for one in paths):
        return read
    return None


def read(path: str | Sequence[str]) -> list[LayerData]:
    """Read images and label files as layers; what cannot be read is said, the rest opens."""
    layers: list[LayerData] = []
    for one in [path] if isinstance(path, str) else path:
        try:
            layers += _read_one(Path(one))
        except GrainsmithError as error:
            show_error(str(error))
    return layers or _NOTHING


def _read_one(path: Path) -> list[LayerData]:
    from grainsmith.io.mosaics.reader import is_mosaic

    if is_mosaic(path):
        from grainsmith.ui.layers.mosaics import mosaic_layers

        return mosaic_layers(path)
    if path.stem.endswith(_LABEL_STEMS):
        return [_read_labels(path)]
    from grainsmith.io.images.reader import read_image
    from grainsmith.ui.layers.element_maps import is_surely_a_map, read_maps

    if is_surely_a_map(path):
        return read_maps(str(path))

    image = read_image(path)
    # Never silent about what was found, guessed or left out.
    show_info(" ".join((f"{path.name}:", *image.notes)))
    return _picture_layers(image)


def _picture_layers(image: Any, *, name: str = "") -> list[LayerData]:
    data, options, kind = image_layer(image, name=name)
    layers: list[LayerData] = [(data, options, kind)]
    if image.data_bar_rows:
        place = {key: options[key] for key in ("scale", "units")}
        layers.append(bar_layer(options["name"], data.shape, image.data_bar_rows, place))
    return layers


def _read_labels(path: Path) -> LayerData:
    from grainsmith.io.labels.label_image import read_labels
    from grainsmith.io.labels.review_states import read_states

    states = read_states(path)
    metadata = GrainsMetadata(source=str(path), states=states)
    return read_labels(path), {"name": path.stem, "metadata": metadata.for_layer()}, "labels"


def write_labels_layer(path: str, data: Any, options: dict[str, Any]) -> list[str]:
    """Write a labels layer as a TIFF of the shape of its image; the pixel size goes with it."""
    import numpy as np

    from grainsmith.io.labels.label_image import write_labels
    from grainsmith.io.labels.review_states import write_states
    from grainsmith.ui.editing.history import mark_saved

    write_labels(path, np.asarray(data), pixel_size_um=_pixel_size_um(options))
    written = [path, *write_states(path, GrainsMetadata.from_options(options).states)]
    mark_saved(data)
    return written


def write_image_layer(path: str, data: Any, options: dict[str, Any]) -> list[str]:
    """Write an image layer as a TIFF; the pixel size goes with it."""
    import numpy as np

    from grainsmith.io.images.reader import write_image

    write_image(path, np.asarray(data), pixel_size_um=_pixel_size_um(options))
    return [path]


def _pixel_size_um(options: dict[str, Any]) -> float:
    from grainsmith.ui.layers.convert import length_um

    units = options.get("units", ("pixel",))
    return length_um(float(options["scale"][-1]), units[-1])


def sample_plain() -> list[LayerData]:
    """Open a made BSE field of some 300 grains with ten element maps and the true grains."""
    return _sample("plain")


def sample_hard() -> list[LayerData]:
    """Open the harder one: mixed sizes, noise, shading, a data bar, coarse turned maps."""
    return _sample("hard")


def _sample(difficulty: Literal["plain", "hard"]) -> list[LayerData]:
    from grainsmith.samples import sample_field

    return sample_layers(sample_field(difficulty), name=f"{difficulty} sample")


def sample_layers(sample: SampleField, *, name: str) -> list[LayerData]:
    """Return a made field as layers: image, maps as they come from the microscope, truth."""
    layers = _picture_layers(sample.image, name=name)
    return [layers[0], *_sample_maps(sample, layers[0]), *layers[1:], _truth(sample, name, layers)]


def _sample_maps(sample: SampleField, picture: LayerData) -> list[LayerData]:
    from grainsmith.ui.layers.element_maps import styled

    reference = Layer.create(*picture)
    maps = []
    for one in sample.maps:
        true = sample.transforms[one.element].matrix.tolist()
        data, options, kind = styled(one, reference, sample.image, true_transform=true)
        maps.append((data, {**options, "visible": False}, kind))
    return maps


def _truth(sample: SampleField, name: str, layers: list[LayerData]) -> LayerData:
    from grainsmith.ui.layers.convert import features_of

    place = {key: layers[0][1][key] for key in ("scale", "units")}
    options = {
        "name": "true grains",
        "visible": False,
        "metadata": OverlayMetadata(image=name).for_layer(Role.TRUTH),
        "features": features_of(sample.minerals),
        **place,
    }
    return sample.labels, options, "labels"

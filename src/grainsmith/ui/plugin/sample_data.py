"""Synthetic fields of view with element maps and true grains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from napari.layers import Layer

from grainsmith.samples import sample_field
from grainsmith.ui.layers.element_maps import unaligned_map_layer
from grainsmith.ui.layers.labels import features_of
from grainsmith.ui.layers.metadata import OverlayMetadata, Role
from grainsmith.ui.plugin.reader import image_layers

if TYPE_CHECKING:
    from grainsmith.samples import SampleField
    from grainsmith.ui.layers import LayerData


def sample_plain() -> list[LayerData]:
    """Return a synthetic BSE field of some 300 grains with ten element maps and true grains."""
    return _sample("plain")


def sample_hard() -> list[LayerData]:
    """Return a harder field: mixed sizes, noise, shading, a data bar, coarse rotated maps."""
    return _sample("hard")


def sample_layers(sample: SampleField, *, name: str) -> list[LayerData]:
    """Return image, maps as they come from the microscope, and true grains as layers."""
    image, *data_bar = image_layers(sample.image, name=name)
    return [image, *_map_layers(sample, image), *data_bar, _truth_layer(sample, image)]


def _sample(difficulty: Literal["plain", "hard"]) -> list[LayerData]:
    return sample_layers(sample_field(difficulty), name=f"{difficulty} sample")


def _map_layers(sample: SampleField, image: LayerData) -> list[LayerData]:
    reference = Layer.create(*image)
    layers = []
    for element_map in sample.maps:
        true = sample.transforms[element_map.element].matrix.tolist()
        layers.append(
            unaligned_map_layer(element_map, reference, sample.image, true_transform=true)
        )
    return layers


def _truth_layer(sample: SampleField, image: LayerData) -> LayerData:
    options = {
        "name": "true grains",
        "visible": False,
        "metadata": OverlayMetadata(image=image[1]["name"]).for_layer(Role.TRUTH),
        "features": features_of(sample.minerals),
        **{key: image[1][key] for key in ("scale", "units")},
    }
    return sample.labels, options, "labels"

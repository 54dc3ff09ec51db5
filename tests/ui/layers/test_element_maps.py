"""Element maps open hidden; those that cannot show the field of the image are reported."""

import numpy as np
import pytest
from napari.layers import Layer

from grainsmith.data import ElementMap, SemImage, Transform
from grainsmith.io.maps.reader import MapFolder
from grainsmith.ui.layers import element_maps
from grainsmith.ui.layers.element_maps import (
    aspect_warnings,
    element_map_of,
    map_folder_layers,
    map_layer,
)
from grainsmith.ui.layers.images import image_layer

IMAGE = SemImage(image=np.zeros((1024, 1536), np.uint8), source="field.tif")


def _map(shape, element="Si", **options):
    return ElementMap(values=np.ones(shape), element=element, line="Ka1", **options)


def test_map_layer_is_read_back():
    element_map = _map((64, 96), kind="wt%", source="Si.tif", window=(0.0, 0.5, 1.0, 0.5))
    reference = Layer.create(*image_layer(IMAGE))
    layer = Layer.create(*map_layer(element_map, reference, Transform.from_shift(1, 2)))
    restored = element_map_of(layer)
    np.testing.assert_array_equal(restored.values, element_map.values)
    assert (restored.element, restored.line, restored.kind) == ("Si", "Ka1", "wt%")
    assert (restored.source, restored.window) == ("Si.tif", (0.0, 0.5, 1.0, 0.5))


def test_maps_open_hidden_and_the_image_visible():
    opened = MapFolder(images=[IMAGE], maps=[_map((64, 96)), _map((64, 96), "Fe")], problems=[])
    layers = [Layer.create(*data) for data in map_folder_layers(opened, None)]
    assert [layer.visible for layer in layers] == [True, False, False]


def test_maps_of_another_aspect_ratio_are_reported_once_per_size(monkeypatch):
    warnings = []
    monkeypatch.setattr(element_maps, "show_warning", warnings.append)
    maps = [_map((77, 133)), _map((77, 133), "Fe"), _map((64, 96), "Ca")]
    map_folder_layers(MapFolder(images=[IMAGE], maps=maps, problems=[]), None)
    (warning,) = warnings
    assert warning.startswith("Si Ka1, Fe Ka1: 133 x 77 pixels have another aspect ratio")
    assert "1536 x 1024" in warning


@pytest.mark.parametrize(
    ("shape", "data_bar_rows", "options"),
    [
        ((85, 128), 0, {}),  # 1.506 instead of 1.5: rounded
        ((64, 100), 41, {}),  # of the image without its data bar
        ((77, 133), 0, {"window": (0.0, 0.0, 0.5, 0.5)}),
        ((77, 133), 0, {"pixel_size_um": 2.0}),
    ],
)
def test_maps_that_fit_or_are_placed_by_their_file_are_not_reported(shape, data_bar_rows, options):
    image = SemImage(image=IMAGE.image, pixel_size_um=0.5, data_bar_rows=data_bar_rows)
    assert aspect_warnings([_map(shape, **options)], image) == []

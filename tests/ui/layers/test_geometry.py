"""Pixel sizes, positions and transforms of layers."""

import numpy as np
import pytest
from napari.layers import Image, Labels, Layer

from grainsmith.data import ElementMap, SemImage, Transform
from grainsmith.ui.layers.element_maps import map_layer
from grainsmith.ui.layers.geometry import (
    length_um,
    pixel_size_um_of,
    place_map,
    set_pixel_size,
    transform_of,
)
from grainsmith.ui.layers.images import image_layer, sem_image_of
from grainsmith.ui.layers.labels import labels_options

IMAGE = SemImage(image=np.zeros((10, 20), np.uint16), pixel_size_um=0.25, source="field.tif")
IRON = ElementMap(values=np.ones((5, 10)), element="Fe", line="Ka1", pixel_size_um=0.5)
MATRIX = np.array([[1.9, 0.02, 3.0], [-0.02, 2.1, -7.0], [0, 0, 1]])


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [(250.0, "nm", 0.25), (0.25, "um", 0.25), (2.0, "mm", 2000.0), (0.25, "pixel", 0.0)],
)
def test_lengths_are_converted_to_micrometres(value, unit, expected):
    assert length_um(value, unit) == pytest.approx(expected)
    layer = Image(np.zeros((4, 4)), scale=(value, value), units=(unit, unit))
    assert pixel_size_um_of(layer) == pytest.approx(expected)


@pytest.mark.parametrize("place", [{}, {"translate": (3, 4), "affine": np.diag([2.0, 2.0, 1])}])
def test_transform_is_read_back_from_the_layer(place):
    image = Layer.create(*image_layer(IMAGE))
    for name, value in place.items():
        setattr(image, name, value)
    transform = Transform(matrix=MATRIX, z=12.0, verdict="aligned")
    iron = Layer.create(*map_layer(IRON, image, transform))
    for expected in (transform, Transform.from_shift(1, 2, z=3.0, verdict="unsure")):
        place_map(iron, image, expected)
        result = transform_of(iron, image)
        np.testing.assert_allclose(result.matrix, expected.matrix, atol=1e-9)
        assert (result.z, result.verdict) == (expected.z, expected.verdict)


@pytest.mark.parametrize("size_um", [0.5, 0.0])
def test_new_pixel_size_is_given_to_everything_on_the_image(size_um):
    image = Layer.create(*image_layer(IMAGE))
    grains = Labels(np.zeros((10, 20), np.int32), **labels_options(image, name="grains"))
    iron = Layer.create(*map_layer(IRON, image, Transform(matrix=MATRIX)))
    elsewhere = Labels(np.zeros((10, 20), np.int32), translate=(100, 100))
    set_pixel_size(image, size_um, "by hand", [image, grains, iron, elsewhere])
    assert pixel_size_um_of(image) == pixel_size_um_of(grains) == size_um
    np.testing.assert_allclose(transform_of(iron, image).matrix, MATRIX, atol=1e-9)
    assert tuple(elsewhere.scale) == (1.0, 1.0)
    assert sem_image_of(image).pixel_size_source == "by hand"

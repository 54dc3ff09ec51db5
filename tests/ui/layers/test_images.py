"""Images become layers and back; the folder of their file is found."""

import numpy as np
import pytest
from napari.layers import Image, Layer

from grainsmith.data import SemImage
from grainsmith.errors import MismatchError
from grainsmith.ui.layers.images import folder_of, image_layer, sem_image_of

IMAGE = SemImage(
    image=np.arange(200, dtype=np.uint16).reshape(10, 20),
    pixel_size_um=0.25,
    pixel_size_source="a tag",
    data_bar_rows=2,
    source="field.tif",
    notes=("a note",),
)


def test_image_layer_is_read_back():
    image = sem_image_of(Layer.create(*image_layer(IMAGE)))
    np.testing.assert_array_equal(image.image, IMAGE.image)
    for name in ("pixel_size_um", "pixel_size_source", "data_bar_rows", "source", "notes"):
        assert getattr(image, name) == getattr(IMAGE, name)


def test_stack_is_not_an_image():
    with pytest.raises(MismatchError, match="split the stack"):
        sem_image_of(Image(np.zeros((2, 4, 4)), name="stack"))


def test_image_without_finite_values_has_contrast_limits():
    image = SemImage(image=np.full((8, 8), np.nan, np.float32), source="x")
    assert image_layer(image)[1]["contrast_limits"] == (0.0, 1.0)


@pytest.mark.parametrize(
    ("source", "is_known"),
    [
        ("{folder}/field.tif", True),
        ("{folder}/field.h5oina:1/EDS", False),  # its parent is not a folder
        ("{folder}/deleted/field.tif", False),
        ("field 3", False),
        ("", False),
    ],
)
def test_folder_of_the_file_of_an_image(tmp_path, source, is_known):
    image = SemImage(image=IMAGE.image, source=source.format(folder=tmp_path))
    folder = folder_of(Layer.create(*image_layer(image, name="field")))
    assert folder == (str(tmp_path) if is_known else "")

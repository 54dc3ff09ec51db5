"""Layers are saved with their pixel size."""

import numpy as np
import pytest

pytest.importorskip("napari")

from grainsmith.io.images.reader import read_image
from grainsmith.io.labels.label_image import read_labels


def test_labels_are_saved_with_their_pixel_size(viewer, tmp_path):
    labels = np.eye(9, dtype=np.int32)
    layer = viewer.add_labels(labels, scale=(250, 250), units=("nm", "nm"))
    layer.save(str(tmp_path / "l.tif"), plugin="grainsmith")
    np.testing.assert_array_equal(read_labels(tmp_path / "l.tif"), labels)
    assert read_image(tmp_path / "l.tif").pixel_size_um == pytest.approx(0.25)


def test_image_is_saved_with_its_pixel_size(viewer, tmp_path):
    layer = viewer.add_image(np.eye(9, dtype=np.float32), scale=(0.25, 0.25), units=("um", "um"))
    layer.save(str(tmp_path / "i.tif"), plugin="grainsmith")
    image = read_image(tmp_path / "i.tif")
    np.testing.assert_array_equal(image.image, layer.data)
    assert image.pixel_size_um == pytest.approx(0.25)

"""Images and label files become layers, and nothing that was guessed or failed is silent."""

import numpy as np
import pytest
import tifffile

pytest.importorskip("napari")

from grainsmith.io.labels.label_image import write_labels
from grainsmith.ui.layers.geometry import pixel_size_um_of
from grainsmith.ui.layers.metadata import ImageMetadata
from grainsmith.ui.plugin import reader
from grainsmith.ui.session import session_of

ZEISS = "vendor_sem_tiff_metadata/test_tiff_Zeiss_SEM_512pix.tif"


@pytest.fixture
def messages(monkeypatch):
    messages = []
    monkeypatch.setattr(reader, "show_info", messages.append)
    monkeypatch.setattr(reader, "show_error", messages.append)
    return messages


def _write_tiff(path, shape=(40, 60), size_um=0.5):
    pixels = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    tifffile.imwrite(
        path, pixels, imagej=True, resolution=(1 / size_um, 1 / size_um), metadata={"unit": "um"}
    )
    return pixels


def test_image_opens_with_scale_units_and_metadata(viewer, tmp_path, messages):
    pixels = _write_tiff(tmp_path / "field.tif")
    (layer,) = viewer.open(tmp_path / "field.tif", plugin="grainsmith")
    np.testing.assert_array_equal(layer.data, pixels)
    assert layer.name == "field"
    assert tuple(layer.scale) == (0.5, 0.5)
    assert pixel_size_um_of(layer) == 0.5
    assert ImageMetadata.of(layer).pixel_size_source == "ImageJ metadata"
    assert len(messages) == 1
    assert "Pixel size 0.5 µm: ImageJ metadata." in messages[0]


def test_data_bar_is_marked_and_reported(viewer, shared_data, messages):
    viewer.open(shared_data / ZEISS, plugin="grainsmith")
    image, mark = viewer.layers
    assert image.data.shape == (384, 512)
    assert ImageMetadata.of(image).data_bar_rows == 34
    assert "34 rows are a data bar" in messages[0]
    np.testing.assert_allclose(mark.scale, image.scale)
    assert mark.data[0][:, 0].min() == 384 - 34 - 0.5


def test_unreadable_file_is_reported_and_the_others_open(viewer, tmp_path, messages):
    (tmp_path / "a.tif").write_bytes(b"")
    _write_tiff(tmp_path / "b.tif")
    viewer.open([tmp_path / "a.tif", tmp_path / "b.tif"], plugin="grainsmith")
    assert [layer.name for layer in viewer.layers] == ["b"]
    assert any("a.tif is empty" in message for message in messages)


@pytest.mark.parametrize("first", ["field.tif", "field_masks.tif"])
def test_label_file_opens_as_grains_of_its_image(viewer, tmp_path, messages, first):
    _write_tiff(tmp_path / "field.tif")
    labels = np.zeros((40, 60), np.int32)
    labels[3:9, 4:20] = 7
    tifffile.imwrite(tmp_path / "field_masks.tif", labels.astype(np.uint16))
    active = session_of(viewer).active
    for name in (first, "field_masks.tif" if first == "field.tif" else "field.tif"):
        viewer.open(tmp_path / name, plugin="grainsmith")
    np.testing.assert_array_equal(active.grains.data, labels)
    assert active.belongs(active.grains, active.image)
    np.testing.assert_array_equal(active.grains.scale, (0.5, 0.5))
    assert pixel_size_um_of(active.grains) == 0.5


def test_label_file_opens_with_its_pixel_size_and_notes(viewer, tmp_path, messages):
    mask = np.zeros((40, 60), np.uint8)
    for row in range(2, 40, 10):
        mask[row : row + 5, 5:50:2] = 255  # a binary mask: split into its pieces
    write_labels(tmp_path / "a_masks.tif", mask.astype(np.int32), pixel_size_um=0.5)
    (layer,) = viewer.open(tmp_path / "a_masks.tif", plugin="grainsmith")
    assert layer.data.max() > 1
    assert pixel_size_um_of(layer) == pytest.approx(0.5)
    assert len(messages) == 1
    assert messages[0].startswith("a_masks.tif: ")


@pytest.mark.parametrize("name", ["x.czi", "x.npy", "folder"])
def test_other_files_are_left_to_other_readers(name):
    assert reader.get_reader(name) is None

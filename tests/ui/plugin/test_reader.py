"""Files and samples become layers, layers become files; nothing is silent."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

pytest.importorskip("napari")

from grainsmith.io.images.reader import read_image
from grainsmith.io.labels.label_image import read_labels
from grainsmith.ui.layers.convert import pixel_size_um_of, sem_image_of, transform_of
from grainsmith.ui.layers.metadata import ImageMetadata, MapMetadata
from grainsmith.ui.plugin import reader
from grainsmith.ui.session.active_layers import active_layers_of

ROOT = Path(__file__).parents[3]
ZEISS = "vendor_sem_tiff_metadata/test_tiff_Zeiss_SEM_512pix.tif"


@pytest.fixture
def said(monkeypatch):
    messages = []
    monkeypatch.setattr(reader, "show_info", messages.append)
    monkeypatch.setattr(reader, "show_error", messages.append)
    return messages


def _tiff(path, shape=(40, 60), size_um=0.5):
    pixels = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    tifffile.imwrite(
        path, pixels, imagej=True, resolution=(1 / size_um, 1 / size_um), metadata={"unit": "um"}
    )
    return pixels


def test_a_picture_opens_with_scale_units_and_facts(viewer, tmp_path, said):
    pixels = _tiff(tmp_path / "field.tif")
    (layer,) = viewer.open(tmp_path / "field.tif", plugin="grainsmith")
    np.testing.assert_array_equal(layer.data, pixels)
    assert layer.name == "field"
    assert tuple(layer.scale) == (0.5, 0.5)
    assert pixel_size_um_of(layer) == 0.5
    assert ImageMetadata.of(layer).pixel_size_source == "ImageJ metadata"
    assert len(said) == 1
    assert "Pixel size 0.5 µm: ImageJ metadata." in said[0]


def test_a_data_bar_is_marked_and_said(viewer, shared_data, said):
    viewer.open(shared_data / ZEISS, plugin="grainsmith")
    image, mark = viewer.layers
    assert image.data.shape == (384, 512)
    assert ImageMetadata.of(image).data_bar_rows == 34
    assert "34 rows are a data bar" in said[0]
    np.testing.assert_allclose(mark.scale, image.scale)
    assert mark.data[0][:, 0].min() == 384 - 34 - 0.5


def test_a_broken_file_is_a_message_and_the_rest_opens(viewer, tmp_path, said):
    (tmp_path / "a.tif").write_bytes(b"")
    _tiff(tmp_path / "b.tif")
    viewer.open([tmp_path / "a.tif", tmp_path / "b.tif"], plugin="grainsmith")
    assert [layer.name for layer in viewer.layers] == ["b"]
    assert any("a.tif is empty" in message for message in said)


@pytest.mark.parametrize("first", ["field.tif", "field_masks.tif"])
def test_a_labels_file_opens_as_grains_of_its_picture(viewer, tmp_path, said, first):
    _tiff(tmp_path / "field.tif")
    labels = np.zeros((40, 60), np.int32)
    labels[3:9, 4:20] = 7
    tifffile.imwrite(tmp_path / "field_masks.tif", labels.astype(np.uint16))
    roles = active_layers_of(viewer)
    for name in (first, "field_masks.tif" if first == "field.tif" else "field.tif"):
        viewer.open(tmp_path / name, plugin="grainsmith")
    np.testing.assert_array_equal(roles.grains.data, labels)
    assert roles.belongs(roles.grains, roles.image)
    np.testing.assert_array_equal(roles.grains.scale, (0.5, 0.5))
    assert pixel_size_um_of(roles.grains) == 0.5


@pytest.mark.parametrize("name", ["x.czi", "x.npy", "folder"])
def test_other_files_are_left_to_others(name):
    assert reader.get_reader(name) is None


def test_layers_are_saved_with_their_pixel_size(viewer, tmp_path):
    labels = np.eye(9, dtype=np.int32)
    layer = viewer.add_labels(labels, scale=(250, 250), units=("nm", "nm"))
    layer.save(str(tmp_path / "l.tif"), plugin="grainsmith")
    np.testing.assert_array_equal(read_labels(tmp_path / "l.tif"), labels)
    assert read_image(tmp_path / "l.tif").pixel_size_um == pytest.approx(0.25)
    picture = viewer.add_image(np.eye(9, dtype=np.float32), scale=(0.25, 0.25), units=("um", "um"))
    picture.save(str(tmp_path / "i.tif"), plugin="grainsmith")
    back = read_image(tmp_path / "i.tif")
    np.testing.assert_array_equal(back.image, picture.data)
    assert back.pixel_size_um == pytest.approx(0.25)


def test_samples_open_with_maps_and_truth(viewer):
    viewer.open_sample("grainsmith", "hard")
    roles = active_layers_of(viewer)
    assert sem_image_of(roles.image).data_bar_rows > 0
    assert len(roles.maps) == 10
    assert roles.grains is None  # the truth is to compare with, not to work on
    truth = viewer.layers["true grains"]
    assert truth.data.shape == roles.image.data.shape
    start = transform_of(roles.maps[0], roles.image).matrix
    np.testing.assert_allclose(start[:2], [[2, 0, 0.5], [0, 2, 0.5]], atol=1e-9)
    assert not np.allclose(start, MapMetadata.of(roles.maps[0]).true_transform)


def test_manifest_is_valid_and_linked():
    from npe2 import PluginManifest

    manifest = PluginManifest.from_file(ROOT / "src" / "grainsmith" / "napari.yaml")
    manifest.validate_imports()
    assert (ROOT / "napari.yaml").read_text() == (ROOT / "src/grainsmith/napari.yaml").read_text()
    assert json.loads(manifest.json())["name"] == "grainsmith"

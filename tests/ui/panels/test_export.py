"""The Export panel in a real viewer: files there and back, a training set that grows."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("napari")

from grainsmith.data import SemImage
from grainsmith.io.dataset import read_dataset
from grainsmith.io.exchange import FORMATS, import_fields
from grainsmith.io.tables.grain_table import read_table
from grainsmith.ui.layers.images import image_layer
from grainsmith.ui.layers.labels import labels_options
from grainsmith.ui.layers.metadata import GrainsMetadata
from grainsmith.ui.panels.export import ExportPanel
from grainsmith.ui.panels.messages import NO_GRAINS
from grainsmith.ui.panels.train.training_set import TrainingSetPanel

WAIT_MS = 60_000
BAR = 10


def _labels(shape=(90, 120)):
    labels = np.zeros(shape, np.int32)
    labels[5:25, 10:40], labels[30:60, 20:50], labels[30:50, 70:110] = 1, 2, 7
    return labels


@pytest.fixture
def field(viewer):
    """An image with a data bar and three grains, one of them accepted."""
    labels = _labels()
    noise = np.random.default_rng(0).integers(0, 9, labels.shape)
    picture = SemImage(
        image=((labels > 0) * 180 + noise + 20).astype(np.uint8),
        pixel_size_um=0.5,
        data_bar_rows=BAR,
        source="/somewhere/sand 1.tif",
    )
    data, options, _ = image_layer(picture)
    image = viewer.add_image(data, **options)
    table = pd.DataFrame(
        {"area_px": [600, 900, 800], "mineral": ["quartz", "", "apatite"]},
        index=pd.Index([1, 2, 7], name="label"),
    )
    known = {"states": {2: "accepted"}, "model": {"name": "grains"}}
    viewer.add_labels(labels, **labels_options(image, name="g", table=table, **known))
    return image


def _panel(viewer, kind):
    widget = kind(viewer)
    viewer.window.add_dock_widget(widget, name="Export")
    return widget


@pytest.fixture
def files(viewer):
    return _panel(viewer, ExportPanel)


@pytest.fixture
def training(viewer):
    return _panel(viewer, TrainingSetPanel)


def _said(panel, qtbot, text):
    qtbot.waitUntil(lambda: text in panel.message, timeout=WAIT_MS)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_written_with_minerals_and_scale(name, files, field, tmp_path, qtbot):
    files.format.setCurrentIndex(files.format.findData(name))
    path = tmp_path / f"out{FORMATS[name].suffix}"
    files.export(str(path))
    _said(files, qtbot, "Saved")
    (back,) = import_fields(path, name, shape=field.data.shape, trust_pickle=True)
    assert np.array_equal(back.labels > 0, _labels() > 0)
    if name in ("coco", "geojson"):
        assert back.minerals == {1: "quartz", 7: "apatite"}
        assert back.pixel_size_um == 0.5


def test_table_and_picture(files, field, tmp_path, qtbot):
    from PIL import Image

    files.save_table(str(tmp_path / "t.csv"))
    _said(files, qtbot, "t.csv")
    assert read_table(tmp_path / "t.csv")["mineral"].to_dict()[7] == "apatite"
    files.save_image(str(tmp_path / "p.png"))
    _said(files, qtbot, "p.png")
    with Image.open(tmp_path / "p.png") as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (90, 120, 3)
    assert tuple(pixels[30, 20]) == (255, 200, 0)  # an unnamed grain's edge
    assert len(set(pixels[5, 10])) > 1  # quartz has its own colour
    assert pixels[8, 15].tolist() == [pixels[8, 15, 0]] * 3


def test_import_lies_on_the_picture_and_becomes_the_grains(files, field, viewer, tmp_path, qtbot):
    files.format.setCurrentIndex(files.format.findData("imagej"))
    files.export(str(tmp_path / "r.zip"))
    _said(files, qtbot, "Saved")
    files.import_grains(str(tmp_path / "r.zip"))
    _said(files, qtbot, "3 grains")
    layer = files.roles.grains
    assert layer.name == "r imported"
    np.testing.assert_array_equal(layer.data, _labels())
    np.testing.assert_array_equal(layer.scale, field.scale)
    assert list(layer.features["mineral"]) == ["quartz", "", "apatite"]
    assert GrainsMetadata.of(layer).image == field.name


def test_it_says_what_is_missing(files, training, viewer, tmp_path):
    assert files._source.text() == NO_GRAINS
    files.export(str(tmp_path / "x"))
    assert files.message == NO_GRAINS
    training.add_active_field()
    assert "Choose a folder" in training.message
    training.open(str(tmp_path / "new"))
    training.add_active_field()
    assert training.message == NO_GRAINS


def test_grains_of_another_image_are_not_mixed_up(files, field, viewer):
    viewer.add_labels(np.ones((8, 8), np.int32))
    files.roles.grains = viewer.layers[-1]
    assert files.roles.image is None


def test_a_set_grows_and_is_split_and_checked(training, field, viewer, tmp_path, qtbot):
    training.open(str(tmp_path / "set"))
    training.license.setText("CC-BY-4.0")
    training.add_active_field()
    qtbot.waitUntil(lambda: "validation" in training.problems, timeout=WAIT_MS)
    (one,) = read_dataset(tmp_path / "set").fields
    assert (one.name, one.n_grains, one.license) == ("sand_1", 3, "CC-BY-4.0")
    assert one.origins == {2: "accepted"}
    assert one.model == {"name": "grains"}
    assert one.load().image.shape == (80, 120)  # without the data bar
    assert training.rows.count() == 1
    assert "3 grains" in training.rows.item(0).text()
    assert not training.rows.item(0).icon().isNull()
    training.only_accepted.setChecked(True)
    training.add_active_field()
    _said(training, qtbot, "1 grains")
    assert training.rows.count() == 1  # the same image takes its own place
    training.role.setCurrentText("test")
    training.role.activated.emit(2)
    assert read_dataset(tmp_path / "set").fields[0].role == "test"
    qtbot.waitUntil(lambda: not training.checking, timeout=WAIT_MS)
    training.propose_split()
    qtbot.waitUntil(lambda: "No field is for training" in training.problems)
    qtbot.waitUntil(lambda: not training.checking, timeout=WAIT_MS)
    assert read_dataset(tmp_path / "set").fields[0].role == "test"
    training.remove()
    qtbot.waitUntil(lambda: "The set is empty" in training.problems, timeout=WAIT_MS)
    assert training.rows.count() == 0


def test_nothing_outside_a_drawn_region_is_trusted(training, field, viewer, tmp_path, qtbot):
    corners = np.array([[1.9, 1.9], [1.9, 32.4], [32.4, 32.4], [32.4, 1.9]])  # µm: 0.5 per px
    viewer.add_shapes([corners], shape_type="polygon", name="done", units=("um", "um"))
    training.open(str(tmp_path / "set"))
    training.region.setCurrentText("done")
    training.add_active_field()
    _said(training, qtbot, "% used")
    loaded = read_dataset(tmp_path / "set").fields[0].load()
    assert set(np.unique(loaded.labels)) == {0, 1, 2}
    trusted = np.argwhere(loaded.weight > 0)
    assert trusted.min(axis=0).tolist() == [4, 4]
    assert trusted.max(axis=0).tolist() == [64, 64]


def test_a_region_must_be_made_of_polygons(training, field, viewer, tmp_path):
    viewer.add_shapes([np.array([[2, 2], [9, 9]])], shape_type="line", name="line")
    training.open(str(tmp_path / "set"))
    training.region.setCurrentText("line")
    training.add_active_field()
    assert "rectangles or polygons" in training.message

"""The Open tab: facts of the image, mended by hand; samples; dropped files."""

import numpy as np
import pytest

pytest.importorskip("napari")

from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent

from grainsmith.data import SemImage
from grainsmith.ui.dock import GrainsmithDock
from grainsmith.ui.layers.geometry import pixel_size_um_of
from grainsmith.ui.layers.images import image_layer
from grainsmith.ui.layers.labels import labels_options
from grainsmith.ui.layers.metadata import ImageMetadata, role_of
from grainsmith.ui.panels.open import OpenPanel


@pytest.fixture
def panel(viewer):
    widget = OpenPanel(viewer)
    viewer.window.add_dock_widget(widget, name="Open")
    return widget


@pytest.fixture
def image(panel, viewer):
    data, options, _ = image_layer(
        SemImage(
            image=np.zeros((40, 60), np.uint8),
            pixel_size_um=0.5,
            pixel_size_source="Zeiss tag",
            data_bar_rows=4,
            source="field.tif",
            notes=("The lowest 4 rows are a data bar (detected in the image).",),
        )
    )
    return viewer.add_image(data, **options)


def test_it_invites_where_nothing_is_open(panel):
    assert "No image yet" in panel.description
    assert panel._form.isHidden()


def test_it_shows_the_facts(panel, image):
    assert "60 × 40 px, uint8 grey" in panel.description
    assert "30 × 20 µm" in panel.description
    assert panel._size.text() == "0.5 µm"
    assert panel._size_source.text() == "Zeiss tag"
    assert panel._bar.text() == "4 rows"
    assert "data bar" in panel._notes.text()


def test_a_pixel_size_by_hand_takes_the_grains_along(panel, image, viewer):
    labels = np.zeros((40, 60), np.int32)
    grains = viewer.add_labels(labels, **labels_options(image, name="grains"))
    panel._size.setValue(0.25)
    assert pixel_size_um_of(image) == pixel_size_um_of(grains) == 0.25
    assert panel._size_source.text() == "given by hand"
    panel._size.setValue(0)
    assert pixel_size_um_of(image) == 0
    assert panel._size.text() == "unknown"
    assert "set it here" in panel._size_source.text()


def _marks(viewer):
    return [layer for layer in viewer.layers if role_of(layer) == "data bar"]


def test_the_data_bar_can_be_mended(panel, image, viewer):
    panel._bar.setValue(10)
    (mark,) = _marks(viewer)
    assert mark.data[0][:, 0].min() == 40 - 10 - 0.5
    assert ImageMetadata.of(image).data_bar_rows == 10
    panel._bar.setValue(0)
    assert _marks(viewer) == []


def test_the_mark_follows_its_picture(panel, image, viewer, qtbot):
    dock = GrainsmithDock(viewer)
    qtbot.addWidget(dock)
    panel._bar.setValue(10)
    image.name = "renamed"
    panel._bar.setValue(12)
    assert len(_marks(viewer)) == 1
    viewer.layers.remove("renamed")
    qtbot.waitUntil(lambda: _marks(viewer) == [])


def test_a_sample_opens_without_blocking(panel, viewer, qtbot):
    panel.open_sample("plain")
    assert not panel._samples.isEnabled()
    qtbot.waitUntil(lambda: len(viewer.layers) == 12, timeout=60_000)
    assert panel.roles.image.name == "plain sample"
    assert len(panel.roles.maps) == 10


def test_files_dropped_on_the_dock_open_with_our_reader(viewer, tmp_path, qtbot):
    from PIL import Image

    Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / "a.png")
    dock = GrainsmithDock(viewer)
    viewer.window.add_dock_widget(dock, name="Grainsmith")
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(tmp_path / "a.png"))])
    event = QDropEvent(
        QPointF(1, 1),
        Qt.DropAction.CopyAction,
        mime,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    dock.dropEvent(event)
    assert role_of(viewer.layers[0]) == "image"

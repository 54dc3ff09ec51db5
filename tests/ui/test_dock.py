"""The dock: lazy tabs, shared roles, one line of status, at home in 320 px."""

import sys

import numpy as np
import pytest

pytest.importorskip("napari")

from qtpy.QtWidgets import QWidget

from grainsmith.data import SemImage
from grainsmith.ui import dock as dock_module
from grainsmith.ui.dock import PANELS, GrainsmithDock
from grainsmith.ui.layers.images import image_layer
from grainsmith.ui.panels.base import WIDTH_PX
from grainsmith.ui.status_bar import status_text


@pytest.fixture
def dock(viewer):
    widget = GrainsmithDock(viewer)
    viewer.window.add_dock_widget(widget, name="Grainsmith")
    return widget


def _open(viewer, **facts):
    image = SemImage(
        image=np.zeros((40, 60), np.uint8), source="a very long name of a field.tif", **facts
    )
    data, options, _ = image_layer(image)
    return viewer.add_image(data, **options)


def test_every_panel_opens_and_fits(dock, viewer):
    _open(viewer)
    for title, _ in PANELS:
        panel = dock.show_panel(title)
        assert panel.minimumSizeHint().width() <= WIDTH_PX, title
    assert dock.minimumSizeHint().width() <= WIDTH_PX


@pytest.mark.display
def test_the_dock_takes_the_whole_height_however_many_docks_there_were(shown_viewer, qtbot):
    for number in range(3):
        shown_viewer.window.add_dock_widget(QWidget(), name=f"before {number}", area="left")
    dock = GrainsmithDock(shown_viewer)
    shown_viewer.window.add_dock_widget(dock, name="Grainsmith")
    qtbot.waitUntil(lambda: dock._stack.height() > 0.6 * dock.height() > 300)


def test_a_panel_is_built_when_first_shown(viewer, monkeypatch):
    monkeypatch.setattr(
        dock_module, "PANELS", (PANELS[0], ("Later", "grainsmith.ui.later:LaterPanel"))
    )
    GrainsmithDock(viewer)
    assert "grainsmith.ui.later" not in sys.modules


def test_status_speaks_the_users_words(dock, viewer, qtbot):
    qtbot.waitUntil(lambda: "No image yet" in dock.status)
    _open(viewer, pixel_size_um=0.5, pixel_size_source="Zeiss tag (ap_width / 60 columns)")
    qtbot.waitUntil(lambda: dock.status == "0.5 µm/px (Zeiss tag)")
    labels = np.zeros((40, 60), np.int32)
    labels[:10, :10] = 1
    grains = viewer.add_labels(labels, scale=(0.5, 0.5), units=("um", "um"))
    qtbot.waitUntil(lambda: dock.status.startswith("1 grain · D50 5.64 µm (by number)"))
    grains.data_setitem(np.nonzero(labels[:30, :30] == 0), 2)
    qtbot.waitUntil(lambda: dock.status.startswith("2 grains"))
    grains.undo()
    qtbot.waitUntil(lambda: dock.status.startswith("1 grain "))


def test_unknown_pixel_size_is_said():
    from napari.layers import Image

    assert "pixels" in status_text(Image(np.zeros((4, 4))), None)


@pytest.mark.parametrize("dock_first", [True, False])
def test_the_opened_picture_is_selected_and_has_a_scale_bar(viewer, shared_data, qtbot, dock_first):
    path = shared_data / "vendor_sem_tiff_metadata/test_tiff_Zeiss_SEM_512pix.tif"
    docks = [GrainsmithDock(viewer)] if dock_first else []
    viewer.open(path, plugin="grainsmith")
    docks = docks or [GrainsmithDock(viewer)]
    qtbot.addWidget(docks[0])
    qtbot.waitUntil(lambda: viewer.layers.selection.active == viewer.layers[0])
    assert viewer.canvas.overlays.scale_bar.visible

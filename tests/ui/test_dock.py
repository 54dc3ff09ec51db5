"""The dock: lazy tabs, shared roles, one line of status, at home in 320 px."""

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("napari")

from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QAbstractButton, QFileDialog, QWidget
from tests.fixtures.layers import add_grains

from grainsmith.data import SemImage
from grainsmith.io.labels.label_image import read_labels
from grainsmith.ui import dock as dock_module
from grainsmith.ui.dock import PANELS, GrainsmithDock
from grainsmith.ui.editing.history import history_of
from grainsmith.ui.layers.images import image_layer
from grainsmith.ui.panels.base import WIDTH_PX
from grainsmith.ui.panels.keys import MAIN_KEYS
from grainsmith.ui.panels.layer_bar import LayerBar
from grainsmith.ui.panels.messages import NO_GRAINS, NO_IMAGE
from grainsmith.ui.panels.save_bar import SaveBar
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
    labels[5:15, 5:15] = 1  # whole: D50 leaves out what the edge cuts
    grains = viewer.add_labels(labels, scale=(0.5, 0.5), units=("um", "um"))
    qtbot.waitUntil(lambda: dock.status.startswith("1 grain · D50 5.64 µm (by number)"))
    grains.data_setitem(np.nonzero(labels[:30, :30] == 0), 2)
    qtbot.waitUntil(lambda: dock.status.startswith("2 grains"))
    grains.undo()
    qtbot.waitUntil(lambda: dock.status.startswith("1 grain "))


def test_status_and_statistics_show_the_same_d50(dock, viewer, qtbot):
    image = _open(viewer, pixel_size_um=0.5)
    labels = np.zeros((40, 60), np.int32)
    for label, (size, corner) in enumerate(((4, 2), (6, 10), (9, 20), (14, 40)), start=1):
        labels[5 : 5 + size, corner : corner + size] = label
    add_grains(viewer, image, labels)
    statistics = dock.show_panel("Statistics")
    qtbot.waitUntil(lambda: statistics.statistics is not None, timeout=120_000)
    d50 = statistics.statistics.values.value.d50_um_number
    qtbot.waitUntil(lambda: f"D50 {d50:.3g} µm (by number)" in dock.status, timeout=10_000)


@pytest.mark.parametrize("title", ["Segment", "Grains", "Train"])
def test_the_key_of_a_main_action_works_from_every_tab(dock, viewer, title, qtbot):
    dock.show_panel("Statistics")
    key = QKeySequence(MAIN_KEYS[title])
    (shortcut,) = [one for one in dock.findChildren(QShortcut) if one.key() == key]
    shortcut.activated.emit()
    panel = dock.show_panel(title)
    if title == "Segment":
        assert panel.message == NO_IMAGE
    elif title == "Grains":
        assert panel.currentIndex() == 1
        assert panel.minerals.message == NO_GRAINS
    else:
        assert panel.currentIndex() == 0
        assert "Choose a folder" in panel.training_set.message


def test_no_key_collides_with_napari_or_a_menu(dock, viewer):
    from napari._app_model import get_app_model
    from napari.utils.shortcuts import default_shortcuts

    taken = {QKeySequence(str(kb.keybinding)).toString() for kb in get_app_model().keybindings}
    taken |= {
        QKeySequence(str(key)).toString() for keys in default_shortcuts.values() for key in keys
    }
    letters = {
        action.text().split("&")[1][0].upper()
        for action in viewer.__wrapped__.window._qt_window.menuBar().actions()
        if "&" in action.text()
    }
    taken |= {f"Alt+{letter}" for letter in letters}
    for title, _ in PANELS:
        dock.show_panel(title)
    own = {widget.shortcut().toString() for widget in dock.findChildren(QAbstractButton)}
    own |= {shortcut.key().toString() for shortcut in dock.findChildren(QShortcut)}
    only_in_layers = {"Esc"}  # napari's polygon tools, which Esc leaves here, too
    assert len(own & set(MAIN_KEYS.values())) == len(MAIN_KEYS)
    with_modifier = {key for key in own if "+" in key and not key.startswith("Shift+")}
    assert not (with_modifier | only_in_layers) & taken - only_in_layers


def test_save_is_offered_while_grains_are_unsaved(dock, viewer, qtbot, monkeypatch, tmp_path):
    image = _open(viewer)
    labels = np.zeros((40, 60), np.int32)
    labels[5:10, 5:10] = 1
    grains = add_grains(viewer, image, labels)
    bar = dock.findChild(SaveBar)
    history_of(grains).set_states("Accept 1", {1: "accepted"})
    qtbot.waitUntil(lambda: not bar.save_button.isHidden())
    target = tmp_path / "out.tif"
    asked = []

    def ask(_parent, _title, proposed, _kinds):
        asked.append(proposed)
        return str(target), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", ask)
    bar.save()
    assert Path(asked[0]).name == "a very long name of a field_masks.tif"
    assert (read_labels(target) == labels).all()
    qtbot.waitUntil(lambda: bar.save_button.isHidden())


def test_a_long_layer_name_keeps_its_end(dock, viewer):
    _open(viewer)
    bar = dock.findChild(LayerBar)
    bar._image.resize(120, 24)
    assert bar._image.elided_text().startswith("a ve")
    assert "…" in bar._image.elided_text()
    assert bar._image.elided_text().endswith("eld")


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

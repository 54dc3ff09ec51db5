"""The panel Clean: buttons, keys, parts, and that it leaves nothing behind."""

import numpy as np
import pytest

pytest.importorskip("napari")

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from skimage.draw import disk
from tests.fixtures.labels import disks

from grainsmith.ui.editing.history import history_of
from grainsmith.ui.editing.mouse import GrainMouse
from grainsmith.ui.editing.overlays import PREVIEW, SELECTION, UNCOVERED
from grainsmith.ui.editing.shortcuts import KEYS, keys_text
from grainsmith.ui.layers.metadata import ImageMetadata
from grainsmith.ui.panels.edit.panel import CleanPanel
from grainsmith.ui.panels.messages import NO_GRAINS
from grainsmith.ui.session import session_of

SHAPE = (200, 260)
CENTRES = [(40, 40), (40, 110), (40, 180), (110, 40), (110, 110), (110, 180), (170, 60)]


def field():
    labels = disks(SHAPE, CENTRES, 20)
    labels[disk((110, 200), 12)] = 6  # grain 6 is odd
    labels[38:42, 38:42] = 0
    labels[190:193, 200:203] = 8
    return labels


@pytest.fixture
def panel(viewer, qtbot):
    labels = field()
    picture = np.where(labels > 0, 190, 40).astype(np.uint8)
    picture[disk((165, 140), 18)] = 180
    viewer.add_image(picture, name="field")
    viewer.add_labels(labels, name="grains")
    panel = CleanPanel(viewer)
    qtbot.addWidget(panel)
    panel.show()
    panel.layer = viewer.layers["grains"].__wrapped__
    return panel


def press(layer, key):
    """Press a key as napari does when the layer is active."""
    for known, action in layer.keymap.items():
        if str(known) == key:
            action(layer)
            return
    raise KeyError(key)


def test_every_button_acts(panel):
    panel.editor.select([1])
    panel.manual.buttons["fill_holes"].click()
    panel.manual.buttons["grow"].click()
    panel.manual.buttons["delete"].click()
    names = [step.name for step in history_of(panel.layer).steps]
    assert names == ["Fill holes 1", "Grow 1", "Delete 1"]
    panel.manual.buttons["cut"].click()
    assert panel.editor.tool.mode == "cut"
    assert not panel.layer.mouse_pan
    panel.manual.buttons["cut"].click()
    assert panel.editor.tool.mode == "choose"
    assert panel.layer.mouse_pan


def test_keys_are_bound_on_the_layer_and_given_back(panel, viewer):
    from napari.layers import Labels

    bound = {str(key) for key in panel.layer.keymap}
    assert len(bound) == len({key.key for key in KEYS})
    taken = {str(key) for key in Labels.class_keymap} | {str(key) for key in viewer.keymap}
    assert not bound & taken
    panel.editor.select([2])
    press(panel.layer, "D")
    assert not (panel.layer.data == 2).any()
    press(panel.layer, "R")
    assert panel.editor.tool.mode == "box"
    press(panel.layer, "Q")
    assert panel.editor.tool.mode == "choose"
    panel.hide()
    assert not panel.layer.keymap


def test_letters_rest_where_points_are_active_from_the_beginning(viewer, qtbot):
    viewer.add_labels(field(), name="grains")
    viewer.add_points([[1, 1]], name="points")
    panel = CleanPanel(viewer)
    qtbot.addWidget(panel)
    assert not any(letter.isEnabled() for letter in panel._keys._letters)
    viewer.layers.selection.active = viewer.layers["grains"]
    assert all(letter.isEnabled() for letter in panel._keys._letters)


def test_help_lists_every_key(panel, qtbot):
    text = keys_text()
    assert all(f"<b>{key.key}</b>" in text and key.text in text for key in KEYS)


def test_preview_counts_and_colours_and_changes_nothing(panel, qtbot):
    before = panel.layer.data.copy()
    panel.clean_up.form["min_area_px"].value = 50
    panel.clean_up.form["fill_holes"].value = True
    panel.clean_up.preview()
    qtbot.waitUntil(lambda: "would be removed" in panel.clean_up.result, timeout=10_000)
    said = "1 of 8 grains would be removed: 8 (area 9 px < 50 px). Holes filled in 1."
    assert panel.clean_up.result == said
    marks = panel.editor.overlays.layer(PREVIEW)
    np.testing.assert_array_equal(marks.data == 2, before == 8)
    hole = np.zeros(SHAPE, bool)
    hole[38:42, 38:42] = True
    np.testing.assert_array_equal(marks.data == 3, hole)
    np.testing.assert_array_equal(panel.layer.data, before)


def test_clean_up_is_one_step_and_spares_the_accepted(panel, qtbot):
    before = panel.layer.data.copy()
    history = history_of(panel.layer)
    history.set_states("Accept 1", {1: "accepted"})
    panel.clean_up.form["min_area_px"].value = 50
    panel.clean_up.form["fill_holes"].value = True
    panel.clean_up.apply()
    qtbot.waitUntil(lambda: history.position == 2, timeout=10_000)
    assert panel.clean_up.result == "1 removed. Ctrl+Z undoes it."
    assert 8 not in history.index
    assert panel.layer.data[40, 40] == 0  # the hole of the accepted grain
    panel.layer.undo()
    np.testing.assert_array_equal(panel.layer.data, before)


@pytest.mark.parametrize("start", ["apply", "preview"])
def test_a_clean_up_that_other_work_overtook_is_not_done(panel, qtbot, start):
    history = history_of(panel.layer)
    panel.editor.select([1])
    panel.editor.delete()
    panel.clean_up.form["min_area_px"].value = 50
    getattr(panel.clean_up, start)()
    panel.editor.undo()
    panel.editor.select([2])
    panel.editor.delete()  # another step at the same place of the history
    after = panel.layer.data.copy()
    qtbot.waitUntil(lambda: "edited meanwhile" in panel.clean_up.result, timeout=10_000)
    np.testing.assert_array_equal(panel.layer.data, after)
    assert [step.name for step in history.steps] == ["Delete 2"]


def test_review_walks_from_the_worst_and_counts(panel, qtbot):
    review = panel.review
    review.find()
    qtbot.waitUntil(lambda: bool(review.queue.entries), timeout=10_000)
    panel.tabs.setCurrentWidget(review)
    first = review.queue.entries[0]
    assert first.grain in (6, 8)
    press(panel.layer, "N")
    assert panel.editor.selected == (first.grain,)
    press(panel.layer, "K")
    assert first.grain not in history_of(panel.layer).index
    assert review.queue.present.grain == 0  # a bare place comes before grains that are merely odd
    press(panel.layer, "A")
    assert panel.editor.selected == (panel.layer.data[165, 140],)
    press(panel.layer, "A")
    assert panel.editor.selected == (review.queue.present.grain,)
    press(panel.layer, "A")
    qtbot.waitUntil(lambda: review.progress_text == "3 of 9 reviewed")


def test_coverage_shows_what_no_grain_covers(panel, qtbot):
    press(panel.layer, "G")
    marks = panel.editor.overlays.layer(UNCOVERED)
    np.testing.assert_array_equal(marks.data > 0, panel.layer.data == 0)
    panel.editor.select([1])
    panel.editor.delete()
    qtbot.waitUntil(lambda: bool(marks.data[50, 50]))
    press(panel.layer, "G")
    assert not marks.data.any()


def test_history_list_goes_to_a_step(panel, qtbot):
    before = panel.layer.data.copy()
    for grain in (1, 2, 3):
        panel.editor.select([grain])
        panel.editor.delete()
    rows = panel.history.rows
    qtbot.waitUntil(lambda: rows.count() == 4)
    assert [rows.item(row).text() for row in range(4)][1:] == ["Delete 1", "Delete 2", "Delete 3"]
    panel.history.go_to(1)
    assert set(np.unique(panel.layer.data)) == {0, 2, 3, 4, 5, 6, 7, 8}
    qtbot.waitUntil(lambda: rows.currentRow() == 1)
    panel.history.go_to(0)
    np.testing.assert_array_equal(panel.layer.data, before)


def test_grains_can_be_changed_and_tell_once(panel, viewer):
    told = []
    panel.editor.message.connect(told.append)
    first, other = panel.layer, viewer.add_labels(field(), name="other").__wrapped__
    for layer in (other, first, other, first):
        session_of(viewer).active.grains = layer
    assert told == []
    history_of(first).message.emit("locked")
    assert told == ["locked"]
    viewer.layers.remove("grains")
    assert panel.editor.layer is other


def test_a_hidden_panel_leaves_no_marks_and_no_mouse(panel, viewer):
    panel.editor.select([1])
    panel.editor.set_mode("cut")
    panel.editor.on_stroke([(10, 40), (60, 40)], done=False)
    assert panel.editor.overlays.is_shown(PREVIEW)
    mouse = panel.session.part(GrainMouse)
    assert mouse.tool is panel.editor
    panel.hide()
    assert [layer.name for layer in viewer.layers] == ["field", "grains", SELECTION]
    assert not panel.editor.overlays.is_shown(PREVIEW)
    assert mouse.tool is None
    panel.show()
    assert mouse.tool is panel.editor


def test_without_grains_the_panel_says_so(viewer, qtbot):
    panel = CleanPanel(viewer)
    qtbot.addWidget(panel)
    panel.show()
    assert panel.message == NO_GRAINS
    QTest.keyClick(panel, Qt.Key.Key_D)


def test_at_home_in_320_px(panel):
    assert panel.minimumSizeHint().width() <= 320


def test_the_message_about_missing_grains_goes_when_there_are_some(viewer, qtbot):
    panel = CleanPanel(viewer)
    qtbot.addWidget(panel)
    panel.show()
    viewer.add_labels(field(), name="grains")
    assert panel.message == ""
    qtbot.waitUntil(lambda: panel.manual.text == "8 grains, none selected")


def test_suspicious_grains_are_counted_without_missed_ones(panel, qtbot):
    panel.review.find()
    qtbot.waitUntil(lambda: bool(panel.review.queue.entries), timeout=10_000)
    missed = sum(entry.grain == 0 for entry in panel.review.queue.entries)
    assert missed
    assert f" of 8 grains are suspicious, {missed} may be missing." in panel.review.note


def test_the_data_bar_is_not_uncovered(panel, viewer):
    ImageMetadata.update(panel.roles.image, data_bar_rows=20)
    press(panel.layer, "G")
    overlay = panel.editor.overlays.layer(UNCOVERED)
    assert overlay.data[:-20].any()
    assert not overlay.data[-20:].any()


def test_escape_leaves_any_mode(panel, qtbot):
    QApplication.setActiveWindow(panel)  # no window manager does it in the tests
    panel.editor.set_mode("cut")
    QTest.keyClick(panel, Qt.Key.Key_Escape)
    assert panel.editor.tool.mode == "choose"
    panel.layer.mode = "paint"
    QTest.keyClick(panel, Qt.Key.Key_Escape)
    assert str(panel.layer.mode) == "pan_zoom"

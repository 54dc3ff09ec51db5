"""Corrections by real events of mouse and keyboard, in a window that is shown."""

import numpy as np
import pytest

pytest.importorskip("napari")

from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLineEdit, QMessageBox, QTableWidget, QTableWidgetItem
from skimage.draw import disk
from tests.fixtures.labels import disks

from grainsmith.ui.editing.history import history_of
from grainsmith.ui.layers.metadata import Role, set_role
from grainsmith.ui.panels.edit.panel import CleanPanel
from grainsmith.ui.panels.table import TablePanel

pytestmark = pytest.mark.display

SHAPE = (200, 260)
CENTRES = {1: (50, 50), 2: (50, 130), 3: (140, 60)}
MISSED = (140, 170)
SHIFT = Qt.KeyboardModifier.ShiftModifier
CONTROL = Qt.KeyboardModifier.ControlModifier
LEFT = Qt.MouseButton.LeftButton


class Hand:
    """A hand on the mouse and the keyboard of a window."""

    def __init__(self, viewer, panel):
        # Only the real viewer knows its canvas.
        self.window = viewer.window._qt_window
        self.canvas = viewer.window._qt_viewer.canvas.native
        self._scene = viewer.window._qt_viewer.canvas
        self.viewer, self.panel = viewer, panel
        self.layer = viewer.layers["grains"]
        self.settle()

    def settle(self):
        for _ in range(5):
            QTest.qWait(20)

    def place(self, point):
        """Return where (y, x) of the labels is on the canvas."""
        camera, scale = self.viewer.scene.camera, self.layer.scale[0]
        height, width = self._scene.size
        offset = (np.multiply(point, scale) - np.asarray(camera.center)[-2:]) * camera.zoom
        return QPoint(round(width / 2 + offset[1]), round(height / 2 + offset[0]))

    def click(self, point, modifiers=Qt.KeyboardModifier.NoModifier):
        # What was drawn under the cursor is looked up when it moves, as with a real mouse.
        QTest.mouseMove(self.canvas, self.place(point))
        self.settle()
        QTest.mouseClick(self.canvas, LEFT, modifiers, self.place(point))
        self.settle()

    def drag(self, start, end):
        start, end = self.place(start), self.place(end)
        QTest.mouseMove(self.canvas, start)
        QTest.mousePress(self.canvas, LEFT, Qt.KeyboardModifier.NoModifier, start)
        for step in range(1, 11):
            QTest.mouseMove(self.canvas, start + (end - start) * (step / 10))
            QTest.qWait(10)
        self.during = [layer.name for layer in self.viewer.layers]
        QTest.mouseRelease(self.canvas, LEFT, Qt.KeyboardModifier.NoModifier, end)
        self.settle()

    def turn(self, point, steps):
        place = QPointF(self.place(point))
        event = QWheelEvent(
            place,
            QPointF(self.canvas.mapToGlobal(place.toPoint())),
            QPoint(0, 0),
            QPoint(0, 120 * steps),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(self.canvas, event)
        self.settle()

    def press(self, widget, key, modifiers=Qt.KeyboardModifier.NoModifier):
        widget.setFocus()
        QTest.keyClick(widget, key, modifiers)
        self.settle()


def field():
    return disks(SHAPE, CENTRES.values(), 30)


@pytest.fixture
def hand(shown_viewer):
    viewer = shown_viewer.__wrapped__
    labels = field()
    picture = np.where(labels > 0, 190, 40).astype(np.uint8)
    picture[disk(MISSED, 25)] = 180
    place = {"scale": (0.25, 0.25), "units": ("um", "um")}
    viewer.add_image(picture, name="field", **place)
    viewer.add_labels(labels, name="grains", **place)
    panel = CleanPanel(shown_viewer)
    viewer.window.add_dock_widget(panel, name="Clean")
    viewer.reset_view()
    viewer.window.activate()
    hand = Hand(viewer, panel)
    yield hand
    vars(hand).clear()  # what holds the window would keep it alive


def test_clicks_choose_and_shift_adds_and_takes_away(hand):
    hand.click(CENTRES[1])
    assert hand.panel.editor.selected == (1,)
    hand.click(CENTRES[2], SHIFT)
    assert hand.panel.editor.selected == (1, 2)
    hand.click(CENTRES[1], SHIFT)
    assert hand.panel.editor.selected == (2,)
    hand.click((5, 5))
    assert hand.panel.editor.selected == ()


def test_a_click_counts_once_with_other_panels_beside(hand, shown_viewer):
    hand.viewer.window.add_dock_widget(TablePanel(shown_viewer), name="Table")
    hand.viewer.window.add_dock_widget(CleanPanel(shown_viewer), name="Clean again")
    hand.settle()
    hand.viewer.reset_view()
    hand.click(CENTRES[1])
    hand.click(CENTRES[2], SHIFT)
    assert hand.panel.editor.selected == (1, 2)
    hand.click(CENTRES[2], SHIFT)
    assert hand.panel.editor.selected == (1,)
    hand.press(hand.viewer.window._qt_viewer.layers, Qt.Key.Key_U)
    assert [step.name for step in history_of(hand.layer).steps] == ["Grow 1"]


def test_a_dragged_line_splits_and_keys_undo_it(hand):
    before = hand.layer.data.copy()
    centre = hand.viewer.scene.camera.center
    hand.press(hand.canvas, Qt.Key.Key_S)
    assert hand.panel.editor.tool.mode == "cut"
    hand.drag((15, 50), (85, 50))
    assert set(np.unique(hand.layer.data)) == {0, 1, 2, 3, 4}
    np.testing.assert_array_equal(hand.layer.data > 0, before > 0)
    assert hand.viewer.scene.camera.center == centre  # the image did not move along
    after = hand.layer.data.copy()
    hand.press(hand.canvas, Qt.Key.Key_Z, CONTROL)
    np.testing.assert_array_equal(hand.layer.data, before)
    hand.press(hand.canvas, Qt.Key.Key_Z, CONTROL | SHIFT)
    np.testing.assert_array_equal(hand.layer.data, after)


def test_one_click_adds_a_grain_and_the_wheel_sizes_it(hand):
    zoom = hand.viewer.scene.camera.zoom
    hand.press(hand.canvas, Qt.Key.Key_I)
    hand.click(MISSED)
    (grain,) = hand.panel.editor.selected
    areas = [np.count_nonzero(hand.layer.data == grain)]
    assert areas[0] == pytest.approx(np.pi * 25**2, rel=0.2)
    for steps in (-3, 3):
        hand.turn(MISSED, steps)
        areas.append(np.count_nonzero(hand.layer.data == grain))
    assert areas[1] < areas[0]
    assert areas[2] > areas[1]
    assert hand.viewer.scene.camera.zoom == zoom
    assert len(history_of(hand.layer).steps) == 1
    hand.press(hand.canvas, Qt.Key.Key_Q)
    hand.turn(MISSED, 3)
    assert hand.viewer.scene.camera.zoom != zoom


def test_a_box_is_dragged(hand):
    hand.press(hand.canvas, Qt.Key.Key_R)
    hand.drag((12, 12), (90, 175))
    assert hand.panel.editor.selected == (1, 2)


@pytest.mark.parametrize(
    "where", ["canvas", "panel", "list of steps", "layer list", "button", "number", "table"]
)
def test_keys_work_whatever_has_the_focus(hand, where):
    hand.click(CENTRES[3])
    before = hand.layer.data.copy()
    if where == "list of steps":
        hand.panel.tabs.setCurrentWidget(hand.panel.history)
    if where == "number":
        hand.panel.tabs.setCurrentWidget(hand.panel.clean_up)
    table = QTableWidget(2, 2, hand.panel)
    table.setItem(0, 0, QTableWidgetItem("d"))
    table.show()
    widget = {
        "canvas": hand.canvas,
        "panel": hand.panel,
        "list of steps": hand.panel.history.rows,
        "layer list": hand.viewer.window._qt_viewer.layers,
        "button": hand.panel.manual.buttons["grow"],
        "number": hand.panel.clean_up.form["min_area_px"].native,
        "table": table,
    }[where]
    hand.press(widget, Qt.Key.Key_D)
    assert [step.name for step in history_of(hand.layer).steps] == ["Delete 3"]
    hand.press(widget, Qt.Key.Key_Z, CONTROL)
    np.testing.assert_array_equal(hand.layer.data, before)
    hand.press(widget, Qt.Key.Key_Z, CONTROL | SHIFT)
    assert not (hand.layer.data == 3).any()


@pytest.mark.parametrize("active", ["field", "truth", "points"])
def test_undo_needs_no_active_grains(hand, active):
    if active == "truth":
        other = hand.viewer.add_labels(field(), name="truth", scale=(0.25, 0.25), units=("um",) * 2)
        set_role(other, Role.TRUTH)
        other.paint((5, 5), 8)
    if active == "points":
        hand.viewer.add_points([CENTRES[1]], name="points")
        hand.viewer.layers.selection.active = hand.layer
    hand.click(CENTRES[3])
    hand.press(hand.canvas, Qt.Key.Key_D)
    hand.viewer.layers.selection.active = hand.viewer.layers[active]
    hand.press(hand.canvas, Qt.Key.Key_Z, CONTROL)
    assert (hand.layer.data == 3).any() == (active != "truth")
    if active == "truth":
        assert not (other.data == 8).any()  # Ctrl+Z is of the labels that are active


def test_a_field_of_numbers_gives_letters_away_and_keeps_its_own_undo(hand):
    hand.click(CENTRES[3])
    hand.panel.tabs.setCurrentWidget(hand.panel.clean_up)
    number = hand.panel.clean_up.form["min_area_px"].native
    hand.press(number, Qt.Key.Key_D)
    assert not (hand.layer.data == 3).any()
    hand.press(number, Qt.Key.Key_Z, CONTROL)
    assert (hand.layer.data == 3).any()
    number.selectAll()
    QTest.keyClicks(number, "12")
    assert number.text().startswith("12")
    hand.press(number, Qt.Key.Key_Z, CONTROL)
    assert not number.text().startswith("12")  # what was typed goes, the grains stay
    hand.press(number, Qt.Key.Key_Delete)
    assert (hand.layer.data == 3).any()


def test_a_field_of_text_keeps_its_letters(hand):
    hand.click(CENTRES[3])
    text = QLineEdit(hand.panel)
    text.show()
    text.setFocus()
    QTest.keyClicks(text, "dust")
    assert text.text() == "dust"
    assert (hand.layer.data == 3).any()


def test_the_question_mark_shows_all_keys(hand):
    QTest.keyClicks(hand.canvas, "?")
    hand.settle()
    (box,) = [box for box in hand.panel.findChildren(QMessageBox) if box.isVisible()]
    assert "Split by drawn lines" in box.text()
    box.close()

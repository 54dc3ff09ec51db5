"""The Segment panel in a real viewer, with a quick model in place of the network."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("napari")

from qtpy.QtWidgets import QPushButton
from tests.fakes import BrightIsGrain

from grainsmith.data import SemImage
from grainsmith.segment import draw_grains
from grainsmith.ui.dock import GrainsmithDock
from grainsmith.ui.editing.history import history_of
from grainsmith.ui.layers.geometry import pixel_size_um_of
from grainsmith.ui.layers.images import image_layer
from grainsmith.ui.layers.metadata import GrainsMetadata, Role, role_of
from grainsmith.ui.panels import segment as segment_module
from grainsmith.ui.panels.segment import SegmentPanel

ZEISS = "vendor_sem_tiff_metadata/test_tiff_Zeiss_SEM_512pix.tif"
WAIT_MS = 60_000
"""The first drawing compiles; a busy machine takes its time."""


class QuickModel(BrightIsGrain):
    """May take its time over a tile."""

    pause_s = 0.0

    def predict(self, tile):
        time.sleep(self.pause_s)
        return super().predict(tile)


@pytest.fixture
def model(monkeypatch):
    quick = QuickModel()
    monkeypatch.setattr("grainsmith.models.registry.load_model", lambda _name, **_kwargs: quick)
    return quick


@pytest.fixture
def panel(viewer, model):
    widget = SegmentPanel(viewer)
    viewer.window.add_dock_widget(widget, name="Segment")
    return widget


def _discs(shape=(160, 200), bar=20):
    y, x = np.mgrid[: shape[0], : shape[1]]
    picture = np.full(shape, 20, np.uint8)
    for cy, cx in ((30, 40), (30, 120), (90, 60), (90, 150)):
        picture[(y - cy) ** 2 + (x - cx) ** 2 < 18**2] = 210
    picture[-bar:] = 255
    return SemImage(
        image=picture,
        pixel_size_um=0.5,
        pixel_size_source="a tag",
        data_bar_rows=bar,
        source="d.tif",
    )


@pytest.fixture
def image(viewer):
    data, options, _ = image_layer(_discs())
    layer = viewer.add_image(data, **options)
    layer.translate = (7, 9)
    return layer


def _find(panel, qtbot):
    panel.find()
    qtbot.waitUntil(lambda: not panel.finding, timeout=WAIT_MS)


def _grains(panel):
    return panel.roles.grains


def test_one_press_gives_grains_where_the_picture_is(panel, image, qtbot):
    _find(panel, qtbot)
    grains = _grains(panel)
    assert grains.data.shape == image.data.shape
    assert set(np.unique(grains.data)) == {0, 1, 2, 3, 4}
    assert not grains.data[-20:].any()  # the data bar is background
    for name in ("scale", "translate"):
        np.testing.assert_array_equal(getattr(grains, name), getattr(image, name))
    assert grains.units == image.units
    assert pixel_size_um_of(grains) == 0.5
    assert list(grains.features["index"]) == [1, 2, 3, 4]
    assert grains.features["confidence"].between(0, 1).all()
    assert role_of(grains) == Role.GRAINS
    assert GrainsMetadata.of(grains).image == image.name
    assert GrainsMetadata.of(grains).model["name"] == "bright"
    assert panel.message.startswith("4 grains in ")


def test_it_says_what_is_missing(panel, viewer, qtbot):
    panel.find()
    assert "No image yet" in panel.message
    viewer.add_image(np.zeros((3, 8, 8)))
    panel.find()
    assert "split the stack" in panel.message
    assert not panel.progress.running


def test_thresholds_redraw_without_the_network(panel, image, model, qtbot):
    _find(panel, qtbot)
    asked, grains = model.calls, _grains(panel)
    panel.sliders["probability_threshold"].setValue(5.5)
    qtbot.waitUntil(lambda: grains.data.max() == 0, timeout=WAIT_MS)
    assert "try a lower probability" in panel.message
    panel.sliders["probability_threshold"].setValue(0.0)
    qtbot.waitUntil(lambda: grains.data.max() == 4, timeout=WAIT_MS)
    assert model.calls == asked
    assert _grains(panel) is grains
    assert GrainsMetadata.of(grains).settings["segment"]["probability_threshold"] == 0.0


def test_outdated_grains_are_dimmed_until_the_last_value_is_drawn(panel, image, qtbot, monkeypatch):
    _find(panel, qtbot)
    grains, release, drawn = _grains(panel), threading.Event(), []

    def draw(prediction, settings):
        drawn.append(settings.probability_threshold)
        release.wait(60)
        return draw_grains(prediction, settings)

    monkeypatch.setattr(segment_module, "draw_grains", draw)
    opacity = grains.opacity
    panel.sliders["probability_threshold"].setValue(5.5)
    qtbot.waitUntil(lambda: drawn == [5.5], timeout=WAIT_MS)
    assert grains.opacity < opacity
    assert panel.hint == "Drawing the grains …"
    panel.sliders["probability_threshold"].setValue(0.5)
    qtbot.waitUntil(lambda: panel._redraw_again, timeout=WAIT_MS)
    seen = []
    grains.events.set_data.connect(lambda _event: seen.append(int(grains.data.max())))
    release.set()
    qtbot.waitUntil(lambda: grains.opacity == opacity, timeout=WAIT_MS)
    assert drawn == [5.5, 0.5]
    assert 0 not in seen  # the result of 5.5 was outdated and never shown
    assert panel.message == "4 grains."
    assert "Reset restores the default" in panel.hint


def test_reset_restores_the_default_threshold(panel):
    slider = panel.sliders["flow_threshold"]
    default = slider.value()
    slider.setValue(2.0)
    for button in panel.findChildren(QPushButton):
        if button.text() == "Reset":
            button.click()
    assert slider.value() == default


def test_cancel_stops_within_one_tile_and_changes_nothing(panel, image, model, viewer, qtbot):
    model.pause_s = 0.05
    panel.form["tile_px"].value = 96
    panel.find()
    qtbot.waitUntil(lambda: model.calls > 0, timeout=WAIT_MS)
    pressed_at = model.calls
    panel.progress.cancel()
    qtbot.waitUntil(lambda: not panel.finding, timeout=WAIT_MS)
    assert model.calls <= pressed_at + 1
    assert len(viewer.layers) == 1
    assert panel.message == "Cancelled. Nothing was changed."
    model.pause_s = 0.0
    _find(panel, qtbot)
    assert _grains(panel).data.max() == 4


def test_an_untouched_result_is_replaced_and_undo_is_clean(panel, image, viewer, qtbot):
    _find(panel, qtbot)
    grains = _grains(panel)
    grains.data_setitem(np.nonzero(grains.data == 1), 9)
    grains.undo()  # touched, and made undone: the redo step must not survive the next run
    _find(panel, qtbot)
    assert _grains(panel) is grains
    assert len(viewer.layers) == 2
    before = grains.data.copy()
    grains.redo()
    grains.undo()
    np.testing.assert_array_equal(grains.data, before)


def _paint(grains):
    grains.data_setitem(np.nonzero(grains.data == 1), 2)


def _accept(grains):
    GrainsMetadata.update(grains, states={1: "accepted"})


def _name(grains):
    grains.features = grains.features.assign(mineral=["quartz"] * 4)


def _run_again(panel, again):
    if again == "button":
        panel.find()
    else:
        panel.sliders["probability_threshold"].setValue(-1.0)


@pytest.mark.parametrize("again", ["button", "slider"])
def test_named_grains_are_hidden_and_kept_at_another_run(panel, image, viewer, qtbot, again):
    _find(panel, qtbot)
    mine = _grains(panel)
    _name(mine)
    kept, kept_features = mine.data.copy(), mine.features.copy()
    _run_again(panel, again)
    qtbot.waitUntil(lambda: len(viewer.layers) == 3, timeout=WAIT_MS)
    assert _grains(panel) is not mine
    np.testing.assert_array_equal(mine.data, kept)
    assert mine.features.equals(kept_features)
    assert "is kept as it is" in panel.message


@pytest.mark.parametrize(("work", "grain"), [(_paint, 2), (_accept, 1)])
@pytest.mark.parametrize("again", ["button", "slider"])
def test_painted_and_accepted_grains_stay_at_another_run(
    panel, image, viewer, qtbot, work, grain, again
):
    _find(panel, qtbot)
    mine = _grains(panel)
    work(mine)
    kept = mine.data == grain
    _run_again(panel, again)
    qtbot.waitUntil(lambda: "of yours" in panel.message, timeout=WAIT_MS)
    assert _grains(panel) is mine
    assert len(viewer.layers) == 2
    np.testing.assert_array_equal(mine.data == grain, kept)


def test_corrected_grains_stay_where_they_are_and_the_rest_is_found_anew(
    panel, image, viewer, qtbot
):
    _find(panel, qtbot)
    grains = _grains(panel)
    history = history_of(grains)
    grains.paint((30, 40), 9)  # inside grain 1
    before, features = grains.data.copy(), grains.features.copy()
    _find(panel, qtbot)
    assert _grains(panel) is grains
    assert len(viewer.layers) == 2
    np.testing.assert_array_equal(grains.data == 9, before == 9)
    assert "of yours were kept; Ctrl+Z brings back" in panel.message
    assert [step.name for step in history.steps] == ["Edit", "Segment again"]
    after = grains.data.copy()
    grains.undo()
    np.testing.assert_array_equal(grains.data, before)
    assert grains.features["index"].tolist() == features["index"].tolist()
    grains.undo()
    assert set(np.unique(grains.data)) == {0, 1, 2, 3, 4}
    grains.redo()
    grains.redo()
    np.testing.assert_array_equal(grains.data, after)


def test_a_moving_slider_makes_one_step_of_the_history(panel, image, viewer, qtbot):
    _find(panel, qtbot)
    grains = _grains(panel)
    history = history_of(grains)
    history.set_states("Accept 1", {1: "accepted"})
    before = grains.data.copy()
    for value, left in ((5.5, 1), (0.0, 4), (5.5, 1)):
        panel.sliders["probability_threshold"].setValue(value)
        qtbot.waitUntil(lambda left=left: len(np.unique(grains.data)) == 1 + left, timeout=WAIT_MS)
    assert [step.name for step in history.steps] == ["Accept 1", "Segment again"]
    np.testing.assert_array_equal(grains.data == 1, before == 1)
    grains.undo()
    np.testing.assert_array_equal(grains.data, before)
    assert history.states == {1: "accepted"}


def test_new_measurements_alone_are_not_the_users_work(panel, image, viewer, qtbot):
    _find(panel, qtbot)
    grains = _grains(panel)
    grains.features = grains.features.assign(area_px=[1.0, 2, 3, 4])
    _find(panel, qtbot)
    assert _grains(panel) is grains
    assert len(viewer.layers) == 2


def test_sliders_show_what_the_chosen_grains_were_drawn_with(panel, image, viewer, qtbot):
    panel.sliders["flow_threshold"].setValue(1.5)
    _find(panel, qtbot)
    first = _grains(panel)
    _name(first)  # so that the next result becomes a layer of its own
    panel.sliders["flow_threshold"].setValue(2.5)
    qtbot.waitUntil(lambda: len(viewer.layers) == 3, timeout=WAIT_MS)
    panel.roles.grains = first
    assert panel.sliders["flow_threshold"].value() == 1.5


def test_diameter_is_shown_with_its_unit_and_can_be_set(panel, image, qtbot):
    assert panel.diameter.text() == "auto"
    panel.diameter.setValue(36)
    assert panel.diameter_note == "36 px = 18 µm"
    assert panel.settings().diameter_px == 36


def test_every_control_has_a_tooltip_and_the_button_its_key(panel):
    from qtpy.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox

    for kind in (QAbstractSpinBox, QComboBox):
        for control in panel.findChildren(kind):
            assert control.toolTip() or control.parentWidget().toolTip(), control
    assert "Ctrl+Shift+G" in panel._find.text() or sys.platform == "darwin"
    assert panel._find.shortcut().toString() == "Ctrl+Shift+G"
    assert [b for b in panel.findChildren(QAbstractButton) if b.shortcut().toString()] == [
        panel._find
    ]


def test_opening_the_panel_does_not_load_torch():
    code = "import sys, grainsmith.ui.panels.segment; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


@pytest.mark.display
def test_from_file_to_grains_in_a_real_window(shown_viewer, model, shared_data, screenshots, qtbot):
    viewer = shown_viewer
    dock = GrainsmithDock(viewer)
    viewer.window.add_dock_widget(dock, name="Grainsmith")
    viewer.open(shared_data / ZEISS, plugin="grainsmith")
    image = viewer.layers[0]
    panel = dock.show_panel("Segment")
    model.pause_s = 0.05
    panel.diameter.setValue(24)
    panel.form["tile_px"].value = 128
    qtbot.mouseClick(panel._find, _left())
    qtbot.waitUntil(lambda: model.calls > 0, timeout=WAIT_MS)
    assert panel.progress.isVisible()
    qtbot.mouseClick(panel.progress._cancel, _left())
    qtbot.waitUntil(lambda: not panel.finding, timeout=WAIT_MS)
    assert panel.roles.grains is None
    model.pause_s = 0.0
    panel.form["tile_px"].value = 512
    qtbot.mouseClick(panel._find, _left())
    qtbot.waitUntil(lambda: panel.roles.grains is not None, timeout=WAIT_MS)
    grains = panel.roles.grains
    assert grains.data.shape == (384, 512)
    assert grains.data.max() > 10
    assert not grains.data[-34:].any()
    assert pixel_size_um_of(grains) == pytest.approx(5.965 / 512)
    np.testing.assert_allclose(grains.scale, image.scale)
    assert grains.units == image.units
    qtbot.waitUntil(lambda: "grains" in dock.status)
    qtbot.wait(200)  # until it is laid out
    viewer.screenshot(str(screenshots / "segment.png"), canvas_only=False, flash=False)
    assert not panel.progress.isVisible()


def _left():
    from qtpy.QtCore import Qt

    return Qt.MouseButton.LeftButton

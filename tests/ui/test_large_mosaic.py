"""A mosaic of 10,000 x 10,000 pixels in a window that is shown: opened, moved, edited."""

import time

import numpy as np
import pytest
from tests.pipeline.mosaics import repeated_mosaic

pytest.importorskip("napari")
pytest.importorskip("zarr")

from qtpy.QtCore import QTimer
from qtpy.QtTest import QTest

import grainsmith.clean as clean
from grainsmith.io.files.provenance import write_json
from grainsmith.io.mosaics.ome_zarr import open_levels
from grainsmith.pipeline.mosaic.summary import grains_folder
from grainsmith.ui.dock import GrainsmithDock
from grainsmith.ui.editing.history import history_of
from grainsmith.ui.layers.camera import zoom_to
from grainsmith.ui.panels.mosaic_region import RegionPanel
from grainsmith.ui.session import session_of

pytestmark = [pytest.mark.display, pytest.mark.slow, pytest.mark.timeout(900)]

SIZE_PX = 10_000
PIXEL_UM = 1.5
LONGEST_PAUSE_S = 1.0
SEAM = 2048


class Pauses:
    """The longest time for which the window answered nothing, by the clock and by the processor.

    The processor time of all threads is the longer of the two where several work, and is little
    disturbed by what else the machine does.
    """

    def __init__(self):
        self._set_back()
        self._timer = QTimer(interval=5)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def _tick(self):
        now, used = time.perf_counter(), time.process_time()
        self.longest_s = max(self.longest_s, now - self._last)
        self.longest_cpu_s = max(self.longest_cpu_s, used - self._used)
        self._last, self._used = now, used

    def restart(self):
        QTest.qWait(50)
        self._set_back()

    def _set_back(self):
        self.longest_s = self.longest_cpu_s = 0.0
        self._last, self._used = time.perf_counter(), time.process_time()

    def found(self):
        return {"clock": round(self.longest_s, 3), "processor": round(self.longest_cpu_s, 3)}


def _move_about(viewer, pauses):
    """Zoom in on the middle, pan across, zoom out again; return the longest pause of each."""
    found = {}
    camera = viewer.scene.camera
    pauses.restart()
    for step in np.geomspace(0.06, 2, 30):
        camera.zoom = float(step)
        QTest.qWait(15)
    found["zoom in"] = pauses.found()
    pauses.restart()
    for x in np.linspace(3000, 12000, 60):
        camera.center = (0, 7500, float(x))
        QTest.qWait(15)
    found["pan at full resolution"] = pauses.found()
    camera.zoom = 0.3
    pauses.restart()
    for y in np.linspace(3000, 12000, 60):
        camera.center = (0, float(y), 7500)
        QTest.qWait(15)
    found["pan at a coarse level"] = pauses.found()
    pauses.restart()
    for step in np.geomspace(0.3, 0.06, 15):
        camera.zoom = float(step)
        QTest.qWait(15)
    found["zoom out"] = pauses.found()
    return found


def test_ten_thousand_pixels_are_moved_about_and_edited(
    shown_viewer, qtbot, tmp_path, screenshots, monkeypatch
):
    monkeypatch.setenv("GRAINSMITH_AUTOSAVE", str(tmp_path / "autosave"))
    viewer, folder = shown_viewer, tmp_path / "sample.zarr"
    repeated_mosaic(folder, SIZE_PX)
    dock = GrainsmithDock(viewer)
    viewer.window.add_dock_widget(dock, name="Grainsmith", area="right")
    start = time.perf_counter()
    viewer.open(str(folder), plugin="grainsmith")
    opened_s = time.perf_counter() - start
    viewer.scene.camera.zoom = 0.2
    QTest.qWait(500)
    viewer.screenshot(str(screenshots / "mosaic.png"), canvas_only=False, flash=False)
    pauses = Pauses()
    moved = _move_about(viewer, pauses)
    figures = {"opened_s": opened_s, "longest_pause_s": moved}
    assert max(one["processor"] for one in moved.values()) < LONGEST_PAUSE_S

    panel = dock.findChild(RegionPanel)
    viewer.scene.camera.center = (0, SEAM * PIXEL_UM, 3000)
    viewer.scene.camera.zoom = 0.6
    QTest.qWait(300)
    pauses.restart()
    panel.edit()
    qtbot.waitUntil(lambda: session_of(viewer).mosaic_piece.piece is not None, timeout=60_000)
    piece = session_of(viewer).mosaic_piece.piece
    dock.show_panel("Clean")
    QTest.qWait(500)
    figures["pause_of_edit_s"] = pauses.found()
    figures["piece"] = piece.grains.data.shape
    viewer.screenshot(str(screenshots / "mosaic-region.png"), canvas_only=False, flash=False)

    labels, history = piece.grains.data, history_of(piece.grains)
    seam = SEAM - piece.region.window[0]
    over = np.intersect1d(labels[seam - 2], labels[seam + 1])
    grain = max(
        (int(n) for n in over if n and n not in piece.region.locked),
        key=lambda n: history.index.areas_px[n],
    )
    top, left, bottom, right = history.index.boxes[grain]
    middle = (left + right) / 2
    line = [(top - 5, middle), (bottom + 5, middle)]
    history.apply("Split", clean.split_by_line(labels, history.index, line, [grain]))
    zoom_to(viewer, piece.grains, history.index.boxes[grain])
    QTest.qWait(500)
    viewer.screenshot(str(screenshots / "mosaic-split.png"), canvas_only=False, flash=False)
    expected, window = piece.grains.data.copy(), piece.region.window

    pauses.restart()
    start = time.perf_counter()
    panel.write_back()
    qtbot.waitUntil(lambda: session_of(viewer).mosaic_piece.piece is None, timeout=120_000)
    figures["write_back_s"] = time.perf_counter() - start
    figures["pause_of_write_back_s"] = pauses.found()
    QTest.qWait(500)
    viewer.screenshot(str(screenshots / "mosaic-written.png"), canvas_only=False, flash=False)
    y0, y1, x0, x1 = window
    again = np.asarray(open_levels(grains_folder(folder))[0][y0:y1, x0:x1])
    assert np.array_equal(again > 0, expected > 0)
    assert len(np.unique(again)) == len(np.unique(expected))
    write_json(screenshots / "mosaic.json", figures)
    viewer.layers.clear()
    viewer.open(str(folder), plugin="grainsmith")
    assert np.array_equal(np.asarray(viewer.layers[-1].data[0][y0:y1, x0:x1]), again)

"""A piece of a mosaic is opened, corrected with the ordinary tools, and written back."""

from collections import Counter

import numpy as np
import pytest
from tests.pipeline.mosaics import discs, made_mosaic

pytest.importorskip("napari")
pytest.importorskip("zarr")

from qtpy.QtWidgets import QAbstractButton

import grainsmith.clean as clean
from grainsmith.io.labels.autosave import find_recoverable
from grainsmith.io.mosaics.ome_zarr import open_levels
from grainsmith.pipeline.mosaic import region as region_module
from grainsmith.pipeline.mosaic import summary
from grainsmith.pipeline.mosaic.summary import grains_folder
from grainsmith.ui.dock import PANELS, GrainsmithDock
from grainsmith.ui.editing.autosave import AutosaveManager
from grainsmith.ui.editing.history import history_of
from grainsmith.ui.layers.metadata import states_of
from grainsmith.ui.panels.edit.recovery import restored_layer
from grainsmith.ui.panels.mosaic_region import RegionPanel
from grainsmith.ui.session import session_of

SHAPE = (1200, 1100)


@pytest.fixture
def mosaic(tmp_path, monkeypatch):
    monkeypatch.setattr(region_module, "GROWTH_PX", 60)
    monkeypatch.setattr(summary, "_RESAMPLINGS", (3, 3))
    monkeypatch.setenv("GRAINSMITH_AUTOSAVE", str(tmp_path / "autosave"))
    labels = discs(SHAPE)
    made_mosaic(tmp_path / "m.zarr", labels)
    return tmp_path / "m.zarr", labels


def _look_at(viewer, point_px, side_px, pixel=0.5):
    viewer.scene.camera.center = (0, *(n * pixel for n in point_px))
    viewer.scene.camera.zoom = max(viewer.canvas.size) / (side_px * pixel)


def _opened(viewer, qtbot, mosaic, point_px=(520, 520)):
    viewer.open(str(mosaic[0]), plugin="grainsmith")
    panel = RegionPanel(viewer)
    qtbot.addWidget(panel)
    _look_at(viewer, point_px, 300)
    panel.edit()
    qtbot.waitUntil(lambda: session_of(viewer).mosaic_piece.piece is not None, timeout=10_000)
    return panel, session_of(viewer).mosaic_piece.piece


def _written(viewer, qtbot, panel):
    panel.write_back()
    qtbot.waitUntil(lambda: session_of(viewer).mosaic_piece.piece is None, timeout=20_000)


def _labels(mosaic):
    return np.asarray(open_levels(grains_folder(mosaic[0]))[0][:])


def test_a_grain_over_the_seam_of_two_blocks_is_split_and_written_back(viewer, qtbot, mosaic):
    panel, piece = _opened(viewer, qtbot, mosaic)
    roles = session_of(viewer).active
    assert (roles.image, roles.grains) == (piece.image, piece.grains)
    assert not viewer.layers["m grains"].visible
    y0, _, x0, _ = piece.region.window
    assert np.allclose(piece.grains.translate, (y0 * 0.5, x0 * 0.5))
    assert states_of(piece.grains) == dict.fromkeys(sorted(piece.region.locked), "accepted")
    labels = piece.grains.data
    seam = 512 - y0  # chunks of the file, and blocks of the mosaic, end here
    over = [n for n in np.intersect1d(labels[seam - 1], labels[seam]) if n]
    grain = int(next(n for n in over if n not in piece.region.locked))
    history = history_of(piece.grains)
    ys, xs = np.nonzero(labels == grain)
    line = [(ys.min() - 3, xs.mean()), (ys.max() + 3, xs.mean())]
    history.apply("Split", clean.split_by_line(labels, history.index, line, [grain]))
    expected = piece.grains.data.copy()
    _written(viewer, qtbot, panel)
    assert "2 grains changed or new, 0 gone" in panel.message
    now = _labels(mosaic)
    new = mosaic[1].max() + 1
    part = now[y0 : y0 + expected.shape[0], x0 : x0 + expected.shape[1]]
    assert np.array_equal(part > 0, expected > 0)
    assert set(np.unique(now[mosaic[1] == grain])) == {grain, new}
    assert np.array_equal(now[mosaic[1] != grain], mosaic[1][mosaic[1] != grain])
    shown = viewer.layers["m grains"]
    assert shown.visible
    assert np.array_equal(np.asarray(shown.data[0]), now)
    assert [layer.name for layer in viewer.layers] == ["m", "m grains"]
    panel.undo()
    qtbot.waitUntil(lambda: "was undone" in panel.message, timeout=20_000)
    assert np.array_equal(_labels(mosaic), mosaic[1])
    assert np.array_equal(np.asarray(shown.data[0]), mosaic[1])


def test_what_is_too_large_or_missing_is_said(viewer, qtbot, mosaic, monkeypatch):
    panel = RegionPanel(viewer)
    qtbot.addWidget(panel)
    assert "No mosaic with grains is open" in panel.status
    assert not panel.edit_button.isEnabled()
    viewer.open(str(mosaic[0]), plugin="grainsmith")
    monkeypatch.setattr("grainsmith.ui.panels.mosaic_region.MAX_REGION_PX", 100)
    _look_at(viewer, (500, 500), 400)
    panel.refresh()
    assert "zoom in to at most 100" in panel.status
    assert panel.edit_button.isEnabled()
    for beside in ((90_000, 500), (-90_000, 500), (500, 90_000), (500, -90_000)):
        _look_at(viewer, beside, 400)
        panel.refresh()
        assert panel.status.endswith("The window does not show it.")


def test_the_dock_shows_it_only_with_a_mosaic(viewer, qtbot, mosaic):
    dock = GrainsmithDock(viewer)
    qtbot.addWidget(dock)
    panel = dock.findChild(RegionPanel)
    assert panel.isHidden()
    viewer.open(str(mosaic[0]), plugin="grainsmith")
    assert not panel.isHidden()


def test_no_key_is_taken_twice_in_any_tab(viewer, qtbot, mosaic):
    dock = GrainsmithDock(viewer)
    qtbot.addWidget(dock)
    viewer.open(str(mosaic[0]), plugin="grainsmith")
    for title, _ in PANELS:
        dock.show_panel(title)
        keys = Counter(
            one.shortcut().toString()
            for one in dock.findChildren(QAbstractButton)
            if one.isVisibleTo(dock) and one.shortcut().toString()
        )
        assert keys["Ctrl+Shift+R"] == 1  # edit this region
        assert set(keys.values()) == {1}, (title, keys)


def test_edits_are_asked_for_before_they_are_dropped(viewer, qtbot, mosaic, monkeypatch):
    panel, piece = _opened(viewer, qtbot, mosaic)
    history = history_of(piece.grains)
    grain = next(n for n in history.index.boxes if n not in piece.region.locked)
    history.apply("Delete", clean.delete(piece.grains.data, history.index, [grain]))
    kept = session_of(viewer).part(AutosaveManager).of_layer(piece.grains)
    kept.save()
    qtbot.waitUntil(lambda: not kept._writing, timeout=10_000)
    folder = kept.folder.folder
    assert folder.is_dir()
    monkeypatch.setattr(panel, "may_discard", lambda: False)
    panel.close_piece()
    assert session_of(viewer).mosaic_piece.piece is piece
    monkeypatch.setattr(panel, "may_discard", lambda: True)
    panel.close_piece()
    assert session_of(viewer).mosaic_piece.piece is None
    assert np.array_equal(_labels(mosaic), mosaic[1])
    assert not folder.exists()  # what was dropped is not offered again


def test_edits_made_while_it_is_written_stay_open(viewer, qtbot, mosaic):
    panel, piece = _opened(viewer, qtbot, mosaic)
    history = history_of(piece.grains)
    first, later = [n for n in history.index.boxes if n not in piece.region.locked][:2]
    history.apply("Delete", clean.delete(piece.grains.data, history.index, [first]))
    panel.write_back()
    history.apply("Delete", clean.delete(piece.grains.data, history.index, [later]))
    qtbot.waitUntil(lambda: session_of(viewer).mosaic_piece.piece is None, timeout=20_000)
    assert "was edited meanwhile and stays open" in panel.message
    assert piece.grains in list(viewer.layers)
    assert not (_labels(mosaic) == first).any()
    assert (_labels(mosaic) == later).any()


def test_another_edit_at_the_same_place_of_the_history_stays_open_too(viewer, qtbot, mosaic):
    panel, piece = _opened(viewer, qtbot, mosaic)
    history = history_of(piece.grains)
    first, later = [n for n in history.index.boxes if n not in piece.region.locked][:2]
    history.apply("Delete", clean.delete(piece.grains.data, history.index, [first]))
    panel.write_back()
    history.undo()
    history.apply("Delete", clean.delete(piece.grains.data, history.index, [later]))
    qtbot.waitUntil(lambda: session_of(viewer).mosaic_piece.piece is None, timeout=20_000)
    assert "was edited meanwhile and stays open" in panel.message
    assert piece.grains in list(viewer.layers)
    assert not (_labels(mosaic) == first).any()


def test_the_work_on_a_piece_outlives_a_crash(viewer, qtbot, mosaic, monkeypatch):
    panel, piece = _opened(viewer, qtbot, mosaic)
    history = history_of(piece.grains)
    grain = next(n for n in history.index.boxes if n not in piece.region.locked)
    history.apply("Delete", clean.delete(piece.grains.data, history.index, [grain]))
    kept = session_of(viewer).part(AutosaveManager).of_layer(piece.grains)
    kept.save()
    qtbot.waitUntil(lambda: not kept._writing, timeout=10_000)
    monkeypatch.setattr("grainsmith.io.labels.autosave._alive", lambda _pid, _started: False)
    (found,) = find_recoverable()
    # The next session: the mosaic is open, and the work was restored.
    viewer.layers.remove(piece.grains)
    viewer.layers.remove(piece.image)
    layer = viewer.add_layer(restored_layer(found, viewer))
    session_of(viewer).active.grains = layer
    panel.edit()
    qtbot.waitUntil(lambda: session_of(viewer).mosaic_piece.piece is not None, timeout=10_000)
    assert layer not in viewer.layers
    _written(viewer, qtbot, panel)
    assert not (_labels(mosaic) == grain).any()
    assert (_labels(mosaic) > 0).sum() == (mosaic[1] > 0).sum() - (mosaic[1] == grain).sum()

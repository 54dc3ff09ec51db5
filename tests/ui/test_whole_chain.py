"""From the sample to files in one window: segment, align, click grains, name, take home."""

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

pytest.importorskip("napari")

from qtpy.QtWidgets import QFileDialog
from tests.ui.panels.edit.test_real_mouse import Hand

from grainsmith.ui.layers.geometry import transform_of
from grainsmith.ui.layers.metadata import MapMetadata
from grainsmith.ui.layers.mineral_map import mineral_layer_of
from grainsmith.ui.session import session_of
from grainsmith.ui.session.gallery_field import naming_of

pytestmark = [pytest.mark.display, pytest.mark.slow, pytest.mark.timeout(900)]

WAIT_MS = 400_000
"""The network, ten maps and all that compiles: a busy machine takes its time."""
LEAST_EXAMPLE_PX = 300


class GrainClicker(Hand):
    """Clicks grains of the layer in the middle of their largest disc."""

    def __init__(self, viewer, layer):
        self.window = viewer.window._qt_window
        self.canvas = viewer.window._qt_viewer.canvas.native
        self._scene = viewer.window._qt_viewer.canvas
        self.viewer, self.layer = viewer, layer
        self.settle()

    def click_grain(self, label):
        depth = ndimage.distance_transform_edt(np.asarray(self.layer.data) == label)
        self.click(np.unravel_index(depth.argmax(), depth.shape))


def true_minerals(found, truth):
    """Name of the mineral under most of each found grain; "" under two or a stranger."""
    minerals = truth.features.set_index("index")
    labels, true = np.asarray(found.data), np.asarray(truth.data)
    names = {}
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        if box is None:
            continue
        under = np.bincount(true[box][labels[box] == label])
        main = int(under.argmax())
        plain = main and minerals.loc[main, "planted"] == ""
        clear = under[main] >= 0.9 * under.sum() and under.sum() >= LEAST_EXAMPLE_PX
        names[label] = minerals.loc[main, "mineral"] if plain and clear else ""
    return pd.Series(names)


def align(panel, roles, qtbot):
    """Align all maps by the button, and hold what is found against the truth."""
    panel.align()
    qtbot.waitUntil(lambda: not panel.running, timeout=WAIT_MS)
    for layer in roles.maps:
        true = np.array(MapMetadata.of(layer).true_transform)
        found = transform_of(layer, roles.image)
        assert found.verdict in ("aligned", "inherited")
        assert np.abs(found.matrix - true)[:2, 2].max() < 0.5


def test_from_the_sample_to_files(make_napari_viewer, qtbot, screenshots, tmp_path, monkeypatch):
    viewer = make_napari_viewer(show=True)  # the real one: a plugin's proxy hides the canvas
    viewer.window.resize(1600, 950)

    def look(name):
        qtbot.wait(300)
        viewer.screenshot(str(screenshots / f"chain_{name}.png"), canvas_only=False, flash=False)

    viewer.open_sample("grainsmith", "plain")
    _, dock = viewer.window.add_plugin_dock_widget("grainsmith", "Grainsmith")
    roles = session_of(viewer).active

    dock.show_panel("Segment").find()
    qtbot.waitUntil(lambda: roles.grains is not None, timeout=WAIT_MS)
    grains = roles.grains
    assert 200 <= len(grains.features) <= 340
    align(dock.show_panel("Align"), roles, qtbot)

    panel = dock.show_panel("Grains")
    viewer.layers.selection.active = grains
    viewer.reset_view()
    hand = GrainClicker(viewer, grains)
    true = true_minerals(grains, viewer.layers["true grains"])
    for label in true.index[true != ""][:3]:
        hand.click_grain(label)
        assert panel.combo.grain == label
        assert not panel.combo.view.pixmap().isNull()
    look("combo")

    panel.setCurrentIndex(1)
    known = true[true != ""]
    for label, mineral in known.groupby(known).head(3).items():
        hand.click_grain(label)
        panel.minerals.mineral.setCurrentText(mineral)
        panel.minerals.add_example()
    panel.minerals.name_grains()
    qtbot.waitUntil(lambda: not panel.minerals.running, timeout=WAIT_MS)
    naming = naming_of(grains)
    assert (naming["mineral"].loc[known.index] == known).mean() >= 0.97
    assert mineral_layer_of(viewer, grains).visible
    look("minerals")
    panel.minerals.show_view("Confusion of examples")
    look("confusion")

    by_hand = int(naming.index[naming["mineral"] == "unknown"][0])
    hand.click_grain(by_hand)
    panel.minerals.mineral.setCurrentText("monazite")
    panel.minerals.name_by_hand()
    assert panel.minerals.views["Modal percentages"].loc["monazite", "by_hand"] == 1
    before = panel.combo.view.pixmap().cacheKey()
    panel.setCurrentIndex(0)
    qtbot.waitUntil(lambda: panel.combo.view.pixmap().cacheKey() != before, timeout=WAIT_MS)
    look("named_combo")

    combos = panel.combo.export
    saves = {"sheet.png": combos.save_sheet, "one.png": combos.save, "one.pdf": combos.save}
    for name, save in saves.items():
        target = str(tmp_path / name)
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, target=target: (target, ""))
        save()
        qtbot.waitUntil((tmp_path / name).exists, timeout=WAIT_MS)
        qtbot.waitUntil(combos.save_all_button.isEnabled, timeout=WAIT_MS)
    for name in ("sheet.png", "one.png"):
        (screenshots / f"chain_{name}").write_bytes((tmp_path / name).read_bytes())
    files = dock.show_panel("Export")
    for name, save in (("grains.csv", files.save_table), ("picture.png", files.save_image)):
        save(str(tmp_path / name))
        qtbot.waitUntil((tmp_path / name).exists, timeout=WAIT_MS)
    table = pd.read_csv(tmp_path / "grains.csv", comment="#", index_col="label")
    assert table.loc[by_hand, ["mineral", "verdict"]].tolist() == ["monazite", "by hand"]
    qtbot.waitUntil(files._image.isEnabled, timeout=WAIT_MS)

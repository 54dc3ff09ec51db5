"""Unsaved work: saved in the background, offered again, told of when the window closes."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QMainWindow

from grainsmith import clean
from grainsmith.io.autosave import recoverable
from grainsmith.ui import keeper as keeper_module
from grainsmith.ui.history import history_of
from grainsmith.ui.hooks import get_reader, write_labels_layer
from grainsmith.ui.keeper import keeper_of
from grainsmith.ui.layers import facts
from grainsmith.ui.recovery import RecoveryLine


def grains():
    labels = np.zeros((700, 900), np.int32)
    labels[100:200, 100:200], labels[480:560, 480:700] = 1, 2
    return labels


@pytest.fixture
def root(tmp_path, monkeypatch, qtbot):
    monkeypatch.setenv("GRAINSMITH_AUTOSAVE", str(tmp_path / "autosave"))
    monkeypatch.setattr(keeper_module, "_QUIET_MS", 20)
    return tmp_path / "autosave"


@pytest.fixture
def model(root):
    model = ViewerModel()
    table = pd.DataFrame({"index": [1, 2], "mineral": ["quartz", "zircon"]})
    model.add_labels(grains(), name="grains", features=table, scale=(0.5, 0.5), units=("um", "um"))
    return model


def delete(layer, grain):
    history = history_of(layer)
    history.apply(f"Delete {grain}", clean.delete(layer.data, history.index, [grain]))


def as_if_killed(root):
    for manifest in root.glob("*/manifest.json"):
        facts = json.loads(manifest.read_text()) | {"pid": 2**22 + 999}
        manifest.write_text(json.dumps(facts))
    return recoverable(root)


def manifests(root):
    return [json.loads(one.read_text()) for one in root.glob("*/manifest.json")]


def test_edits_are_saved_in_the_background_and_restored(model, root, qtbot):
    keeper_of(model)
    layer = model.layers["grains"]
    delete(layer, 1)
    history_of(layer).set_states("Accept 2", {2: "accepted"})
    qtbot.waitUntil(lambda: [m["edits"] for m in manifests(root)] == [2], timeout=10_000)
    as_if_killed(root)
    other = ViewerModel()
    line = RecoveryLine(other)
    qtbot.addWidget(line)
    assert line.text.startswith("Unsaved work was found: 'grains', 2 edits")
    line.restore()
    restored = other.layers["grains (restored)"]
    np.testing.assert_array_equal(restored.data, layer.data)
    assert facts(restored)["states"] == {2: "accepted"}
    assert restored.features["mineral"].tolist() == ["zircon"]
    assert restored.scale.tolist() == [0.5, 0.5]
    # the old save goes only once the work is saved anew
    qtbot.waitUntil(lambda: recoverable(root) == [] and len(manifests(root)) == 1, timeout=10_000)


def test_undoing_everything_leaves_nothing_to_recover(model, root, qtbot):
    keeper_of(model)
    layer = model.layers["grains"]
    delete(layer, 1)
    qtbot.waitUntil(lambda: len(manifests(root)) == 1, timeout=10_000)
    layer.undo()
    qtbot.waitUntil(lambda: manifests(root) == [], timeout=10_000)


def test_saving_to_a_file_ends_the_warning_and_keeps_the_states(model, root, tmp_path, qtbot):
    keeper = keeper_of(model)
    layer = model.layers["grains"]
    delete(layer, 1)
    history_of(layer).set_states("Accept 2", {2: "accepted"})
    assert keeper.unsaved() == [("grains", 2)]
    path = str(tmp_path / "field_masks.tif")
    data, options, _ = layer.as_layer_data_tuple()
    write_labels_layer(path, data, options)
    assert keeper.unsaved() == []
    (again,) = get_reader(path)(path)
    np.testing.assert_array_equal(again[0], layer.data)
    assert again[1]["metadata"]["grainsmith"]["states"] == {2: "accepted"}


def test_a_folder_that_cannot_be_written_is_told_once(model, root, monkeypatch, qtbot):
    said = []
    monkeypatch.setattr(keeper_module, "show_warning", said.append)
    root.write_text("a file where the folder should be")
    keeper_of(model)
    layer = model.layers["grains"]
    delete(layer, 1)
    qtbot.waitUntil(lambda: bool(said), timeout=10_000)
    assert "in memory" in said[0]
    assert not (layer.data == 1).any()
    kept = keeper_of(model).kept(layer)
    qtbot.waitUntil(lambda: not kept._writing)
    root.unlink()
    layer.undo()
    delete(layer, 2)
    qtbot.waitUntil(lambda: [m["edits"] for m in manifests(root)] == [1], timeout=10_000)
    np.testing.assert_array_equal(as_if_killed(root)[0].load()[0], layer.data)
    assert len(said) == 1


@pytest.mark.parametrize("may", [True, False])
def test_closing_names_what_is_unsaved(model, root, qtbot, monkeypatch, may):
    window = QMainWindow()
    qtbot.addWidget(window)
    keeper = keeper_of(model)
    keeper.watch_window(window)
    asked = []
    monkeypatch.setattr(keeper, "may_close", lambda unsaved: asked.append(unsaved) or may)
    delete(model.layers["grains"], 1)
    window.show()
    loop = QEventLoop()  # a user closes it from within the event loop
    QTimer.singleShot(0, window.close)
    QTimer.singleShot(50, loop.quit)
    loop.exec()
    assert asked == [[("grains", 1)]]
    assert window.isVisible() is not may


WORKER = """
import sys
import numpy as np
from napari.components import ViewerModel
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication
from grainsmith import clean
from grainsmith.ui.history import history_of
from grainsmith.ui.keeper import keeper_of
import time

app = QApplication([])
model = ViewerModel()
labels = np.kron(np.arange(1, 901, dtype=np.int32).reshape(30, 30), np.ones((30, 30), np.int32))
layer = model.add_labels(labels)
keeper_of(model)
history = history_of(layer)
log = open(sys.argv[1], "a", buffering=1)

def edit():
    number = history.position + 1
    history.apply(str(number), clean.delete(layer.data, history.index, [number]))
    log.write(f"{number} {time.time()}\\n")

timer = QTimer(interval=40)
timer.timeout.connect(edit)
timer.start()
app.exec()
"""


def _kill_the_program(tmp_path, seed):
    root, log = tmp_path / f"root{seed}", tmp_path / f"log{seed}"
    environment = {**os.environ, "GRAINSMITH_AUTOSAVE": str(root), "QT_QPA_PLATFORM": "offscreen"}
    process = subprocess.Popen([sys.executable, "-c", WORKER, str(log)], env=environment)
    try:
        while not list(root.glob("*/manifest.json")):
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(random.Random(seed).uniform(0, 6))
    finally:
        process.kill()
        process.wait()
    killed_at = time.time()
    (found,) = recoverable(root)
    labels, _, _ = found.load()
    lines = [line.split() for line in Path(log).read_text().splitlines()]
    times = {int(line[0]): float(line[1]) for line in lines if len(line) == 2}
    expected = np.arange(1, 901, dtype=np.int32)
    expected[: found.edits] = 0
    whole = np.kron(expected.reshape(30, 30), np.ones((30, 30), np.int32))
    np.testing.assert_array_equal(labels, whole)
    lost = [done for number, done in times.items() if number > found.edits]
    return killed_at - min(lost, default=killed_at)


def test_a_killed_program_loses_five_seconds_at_most(tmp_path):
    assert _kill_the_program(tmp_path, 1) < 5


@pytest.mark.slow
def test_a_program_killed_fifty_times_loses_five_seconds_at_most(tmp_path):
    assert max(_kill_the_program(tmp_path, seed) for seed in range(50)) < 5

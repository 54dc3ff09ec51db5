"""Unsaved work: saved in the background, offered again, told of when the window closes."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pandas as pd
import psutil
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel
from qtpy.QtCore import QEventLoop, QThreadPool, QTimer
from qtpy.QtWidgets import QFileDialog, QMainWindow, QMessageBox

import grainsmith.clean as clean
from grainsmith.io.labels.autosave import AutosaveFolder, find_recoverable
from grainsmith.io.labels.label_image import read_labels
from grainsmith.ui.editing import autosave as autosave_module
from grainsmith.ui.editing.autosave import AutosaveManager
from grainsmith.ui.editing.history import history_of
from grainsmith.ui.editing.segmentation_result import add_or_update_grains, is_untouched
from grainsmith.ui.layers.metadata import GrainsMetadata, examples_of, states_of
from grainsmith.ui.panels.close_guard import CloseGuard
from grainsmith.ui.panels.edit.panel import CleanPanel
from grainsmith.ui.panels.edit.recovery import RecoveryBar, restored_layer
from grainsmith.ui.plugin.reader import get_reader
from grainsmith.ui.plugin.writer import write_labels_layer
from grainsmith.ui.session import session_of
from grainsmith.ui.session.gallery_field import put_columns


def grains():
    labels = np.zeros((700, 900), np.int32)
    labels[100:200, 100:200], labels[480:560, 480:700] = 1, 2
    return labels


@pytest.fixture
def root(tmp_path, monkeypatch, qtbot):
    monkeypatch.setenv("GRAINSMITH_AUTOSAVE", str(tmp_path / "autosave"))
    monkeypatch.setattr(autosave_module, "_QUIET_MS", 20)
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
    return find_recoverable(root)


def manifests(root):
    return [json.loads(one.read_text()) for one in root.glob("*/manifest.json")]


def test_edits_are_saved_in_the_background_and_restored(model, root, qtbot):
    session_of(model).part(AutosaveManager)
    layer = model.layers["grains"]
    delete(layer, 1)
    history_of(layer).set_states("Accept 2", {2: "accepted"})
    qtbot.waitUntil(lambda: [m["edits"] for m in manifests(root)] == [2], timeout=10_000)
    as_if_killed(root)
    other = ViewerModel()
    line = RecoveryBar(other)
    qtbot.addWidget(line)
    assert line.text.startswith("Unsaved grains were found: 'grains', 2 edits")
    line.restore()
    restored = other.layers["grains (restored)"]
    np.testing.assert_array_equal(restored.data, layer.data)
    assert states_of(restored) == {2: "accepted"}
    assert restored.features["mineral"].tolist() == ["zircon"]
    assert restored.scale.tolist() == [0.5, 0.5]
    # the old save goes only once the work is saved anew
    qtbot.waitUntil(
        lambda: find_recoverable(root) == [] and len(manifests(root)) == 1, timeout=10_000
    )


def test_undoing_everything_leaves_nothing_to_recover(model, root, qtbot):
    session_of(model).part(AutosaveManager)
    layer = model.layers["grains"]
    delete(layer, 1)
    qtbot.waitUntil(lambda: len(manifests(root)) == 1, timeout=10_000)
    layer.undo()
    qtbot.waitUntil(lambda: manifests(root) == [], timeout=10_000)


def test_saving_to_a_file_ends_the_warning_and_keeps_the_states(model, root, tmp_path, qtbot):
    keeper = session_of(model).part(AutosaveManager)
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
    assert GrainsMetadata.from_options(again[1]).states == {2: "accepted"}


def test_a_folder_that_cannot_be_written_is_told_once(model, root, monkeypatch, qtbot):
    said = []
    monkeypatch.setattr(autosave_module, "show_warning", said.append)
    root.write_text("a file where the folder should be")
    session_of(model).part(AutosaveManager)
    layer = model.layers["grains"]
    delete(layer, 1)
    qtbot.waitUntil(lambda: bool(said), timeout=10_000)
    assert "in memory" in said[0]
    assert not (layer.data == 1).any()
    kept = session_of(model).part(AutosaveManager).of_layer(layer)
    qtbot.waitUntil(lambda: not kept._writing)
    kept.save()  # tried again
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
    guard = session_of(model).part(CloseGuard)
    guard.watch(window)
    asked = []
    monkeypatch.setattr(guard, "may_close", lambda *question: asked.append(question) or may)
    monkeypatch.setattr(autosave_module, "_QUIET_MS", 60_000)  # it closes before the next save
    delete(model.layers["grains"], 1)
    assert manifests(root) == []
    close(window)
    assert asked == [([("grains", 1)], "")]
    assert window.isVisible() is not may
    assert [one["edits"] for one in manifests(root)] == [1]


def close(window):
    window.show()
    loop = QEventLoop()  # a user closes it from within the event loop
    QTimer.singleShot(0, window.close)
    QTimer.singleShot(50, loop.quit)
    loop.exec()


def test_closing_says_where_the_work_cannot_be_kept(model, root, qtbot, monkeypatch):
    said, asked = [], []
    monkeypatch.setattr(autosave_module, "show_warning", said.append)
    guard = session_of(model).part(CloseGuard)
    monkeypatch.setattr(guard, "ask", lambda text: asked.append(text) or QMessageBox.Cancel)
    root.write_text("a file where the folder should be")
    window = QMainWindow()
    qtbot.addWidget(window)
    guard.watch(window)
    delete(model.layers["grains"], 1)
    close(window)
    assert "'grains' (1 edit)" in asked[0]
    assert "Without saving they are lost" in asked[0]
    assert str(root) in asked[0]
    assert window.isVisible()


@pytest.mark.parametrize("target", ["saved.tif", ""])
def test_closing_offers_to_save(model, root, qtbot, monkeypatch, tmp_path, target):
    window = QMainWindow()
    qtbot.addWidget(window)
    guard = session_of(model).part(CloseGuard)
    guard.watch(window)
    monkeypatch.setattr(guard, "ask", lambda _text: QMessageBox.Save)
    path = str(tmp_path / target) if target else ""
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (path, ""))
    delete(model.layers["grains"], 1)
    close(window)
    assert window.isVisible() is not bool(target)  # a cancelled dialog keeps the window open
    if target:
        np.testing.assert_array_equal(read_labels(path), model.layers["grains"].data)


def test_the_panel_clean_alone_keeps_warns_and_offers(model, root, qtbot, monkeypatch):
    asked = []
    window = QMainWindow()
    qtbot.addWidget(window)
    window.setCentralWidget(CleanPanel(model))
    window.show()
    delete(model.layers["grains"], 1)
    qtbot.waitUntil(lambda: [one["edits"] for one in manifests(root)] == [1], timeout=10_000)
    guard = session_of(model).part(CloseGuard)
    monkeypatch.setattr(guard, "may_close", lambda *question: bool(asked.append(question)))
    close(window)
    assert asked == [([("grains", 1)], "")]
    as_if_killed(root)
    other = ViewerModel()
    panel, second = CleanPanel(other), RecoveryBar(other)
    for widget in (panel, second):
        qtbot.addWidget(widget)
    (line,) = panel.findChildren(RecoveryBar)
    assert line.text.startswith("Unsaved grains were found: 'grains', 1 edit,")
    assert second.text == ""  # it is offered once


def test_exchanged_labels_are_unsaved_and_kept(model, root, qtbot):
    session_of(model).part(AutosaveManager)
    layer = model.layers["grains"]
    delete(layer, 1)
    history_of(layer).set_states("Accept 2", {2: "accepted"})
    qtbot.waitUntil(lambda: [one["edits"] for one in manifests(root)] == [2], timeout=10_000)
    told = []
    history_of(layer).message.connect(told.append)
    new = np.full((600, 640), 7, np.uint16)
    layer.data = new.copy()
    assert not history_of(layer).is_saved
    assert history_of(layer).states == {}
    assert "replaced" in told[0]
    qtbot.waitUntil(lambda: [one["dtype"] for one in manifests(root)] == ["uint16"], timeout=10_000)
    np.testing.assert_array_equal(as_if_killed(root)[0].load()[0], new)


def test_long_jobs_do_not_hold_up_the_autosave(model, root, qtbot):
    pool, done = QThreadPool.globalInstance(), threading.Event()
    for _ in range(pool.maxThreadCount()):
        pool.start(lambda: done.wait(30))
    try:
        session_of(model).part(AutosaveManager)
        delete(model.layers["grains"], 1)
        qtbot.waitUntil(lambda: [one["edits"] for one in manifests(root)] == [1], timeout=10_000)
    finally:
        done.set()
        pool.waitForDone()


def test_a_save_that_does_not_end_is_told_on_closing(model, root, qtbot, monkeypatch):
    done = threading.Event()
    monkeypatch.setattr(autosave_module, "_CLOSE_TIMEOUT_S", 0.05)
    monkeypatch.setattr(AutosaveFolder, "write", lambda _folder, _taken: done.wait(30))
    layer = model.layers["grains"]
    kept = session_of(model).part(AutosaveManager).of_layer(layer)
    delete(layer, 1)
    kept.save()
    try:
        assert "has not finished" in kept.flush()
    finally:
        done.set()
    assert kept.flush() == ""


def result_in(model, active):
    image = model.add_image(
        np.zeros((700, 900)), name="field", scale=(0.5, 0.5), units=("um", "um")
    )
    table = pd.DataFrame({"area_px": [10_000, 17_600]}, index=pd.Index([1, 2], name="label"))
    provenance = {"model": {"name": "grains"}, "settings": {"segment": {"min_area_px": 9}}}
    return add_or_update_grains(model, active, image, grains(), table, **provenance)[0]


def test_a_result_is_saved_and_restored_without_any_edit(root, qtbot):
    model = ViewerModel()
    session = session_of(model)
    session.part(AutosaveManager)
    layer = result_in(model, session.active)
    assert session.part(AutosaveManager).unsaved() == [("field grains", 0)]
    qtbot.waitUntil(lambda: len(manifests(root)) == 1, timeout=10_000)
    (offer,) = as_if_killed(root)
    assert (offer.edits, offer.image) == (0, "field")
    other = ViewerModel()
    other.add_image(np.zeros((700, 900)), name="another field")
    image = other.add_image(np.zeros((700, 900)), name="field")
    restored = restored_layer(offer, other)
    np.testing.assert_array_equal(restored.data, layer.data)
    metadata = GrainsMetadata.of(restored)
    assert metadata.image == image.name
    assert metadata.model == {"name": "grains"}
    assert metadata.settings == {"segment": {"min_area_px": 9}}
    assert is_untouched(restored)  # a new segmentation may replace it


def test_a_new_result_replaces_the_autosave_of_the_last_one(root, qtbot):
    model = ViewerModel()
    session = session_of(model)
    session.part(AutosaveManager)
    layer = result_in(model, session.active)
    qtbot.waitUntil(lambda: len(manifests(root)) == 1, timeout=10_000)
    new = np.zeros_like(layer.data)
    new[300:400, 300:400] = 5
    table = pd.DataFrame({"area_px": [10_000]}, index=pd.Index([5], name="label"))
    image = session.active.image
    assert add_or_update_grains(model, session.active, image, new, table)[0] is layer
    assert not history_of(layer).is_saved
    assert session.part(AutosaveManager).flush() == ""
    (offer,) = as_if_killed(root)
    assert np.unique(offer.load()[0]).tolist() == [0, 5]


def test_minerals_and_examples_are_saved_without_any_edit(model, root, qtbot):
    session_of(model).part(AutosaveManager)
    layer = model.layers["grains"]
    put_columns(layer, pd.DataFrame({"mineral": ["garnet"]}, index=pd.Index([1], name="label")))
    examples_of(layer)[1] = "garnet"
    history_of(layer).mark_annotated()
    qtbot.waitUntil(lambda: len(manifests(root)) == 1, timeout=10_000)
    (offer,) = as_if_killed(root)
    restored = restored_layer(offer, ViewerModel())
    assert restored.features["mineral"].tolist() == ["garnet"]
    assert examples_of(restored) == {1: "garnet"}


def test_new_measures_alone_are_not_unsaved_work(model, root):
    layer = model.layers["grains"]
    history = history_of(layer)
    put_columns(layer, pd.DataFrame({"area_px": [1, 2]}, index=pd.Index([1, 2], name="label")))
    assert history.is_saved


def test_a_restored_session_keeps_counting_its_edits(model, root, qtbot):
    session_of(model).part(AutosaveManager)
    layer = model.layers["grains"]
    delete(layer, 1)
    history_of(layer).set_states("Accept 2", {2: "accepted"})
    qtbot.waitUntil(lambda: [m["edits"] for m in manifests(root)] == [2], timeout=10_000)
    as_if_killed(root)
    other = ViewerModel()
    bar = RecoveryBar(other)
    qtbot.addWidget(bar)
    bar.restore()
    restored = other.layers["grains (restored)"]
    assert history_of(restored).unsaved_edits == 2
    history_of(restored).set_states("Unlock 2", {2: "edited"})
    qtbot.waitUntil(lambda: [m["edits"] for m in manifests(root)] == [3], timeout=10_000)


NURSERY = """
import os, signal, sys, time
import numpy as np
from napari.components import ViewerModel
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication
from grainsmith.clean import Patch
from grainsmith.ui.editing.history import history_of
from grainsmith.ui.editing.autosave import AutosaveManager
from grainsmith.ui.session import session_of

def work(folder):
    os.environ["GRAINSMITH_AUTOSAVE"] = f"{folder}/root"
    app = QApplication([])
    model = ViewerModel()
    labels = np.kron(np.arange(1, 901, dtype=np.int32).reshape(30, 30), np.ones((30, 30), np.int32))
    layer = model.add_labels(labels)
    session_of(model).part(AutosaveManager)
    history = history_of(layer)
    log = open(f"{folder}/log", "a", buffering=1)

    def edit():  # a grain goes, another one takes its place; no pause: a kill lands in an edit
        number = history.position + 1
        box = history.index.box(labels[number % 30 * 30, number // 30 % 30 * 30])
        old = layer.data[box.slices].copy()
        history.apply(str(number), [Patch(box, old, np.full_like(old, 900 + number))])
        log.write(f"{number} {time.time()}\\n")

    timer = QTimer(interval=0)
    timer.timeout.connect(edit)
    timer.start()
    app.exec()

signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the killed are gone at once
print("ready", flush=True)
for line in sys.stdin:
    child = os.fork()
    if not child:
        work(line.strip())
    print(child, flush=True)
"""
"""Makes programs that edit without a pause, in no time: imported once, then forked."""


@pytest.fixture
def nursery():
    if not hasattr(os, "fork"):
        pytest.skip("needs fork()")
    with subprocess.Popen(
        [sys.executable, "-c", NURSERY],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        yield process


def _born(nursery, folder):
    folder.mkdir()
    nursery.stdin.write(f"{folder}\n")
    nursery.stdin.flush()
    return int(nursery.stdout.readline())


def _seconds_lost(folder, killed_at):
    """Check that what is recovered is the work as it once was; return how old it is."""
    (found,) = find_recoverable(folder / "root")
    labels, states, _ = found.load()
    expected = np.arange(1, 901, dtype=np.int32).reshape(30, 30)
    for number in range(1, found.edits + 1):
        expected[number % 30, number // 30 % 30] = 900 + number
    np.testing.assert_array_equal(labels, np.kron(expected, np.ones((30, 30), np.int32)))
    assert set(states) == {number for number in expected.ravel().tolist() if number > 900}
    lines = [line.split() for line in (folder / "log").read_text().splitlines()]
    times = {int(line[0]): float(line[1]) for line in lines if len(line) == 2}
    return killed_at - min((at for n, at in times.items() if n > found.edits), default=killed_at)


def _kill(child):
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    while psutil.pid_exists(child):
        time.sleep(0.01)


def _kill_some(nursery, tmp_path, seeds):
    """Kill programs at random moments in the middle of their edits; return the seconds lost."""
    folders = [tmp_path / str(seed) for seed in seeds]
    children = [_born(nursery, folder) for folder in folders]
    lost = []
    try:
        for seed, folder, child in zip(seeds, folders, children, strict=True):
            until = time.monotonic() + 60
            while not list(folder.glob("root/*/manifest.json")):
                assert time.monotonic() < until
                time.sleep(0.02)
            time.sleep(random.Random(seed).uniform(0, 2))
            killed_at = time.time()
            _kill(child)
            lost.append(_seconds_lost(folder, killed_at))
    finally:
        for child in children:
            _kill(child)
    return lost


def test_a_killed_program_loses_five_seconds_at_most(nursery, tmp_path):
    assert max(_kill_some(nursery, tmp_path, [1])) < 5


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_program_killed_fifty_times_loses_five_seconds_at_most(nursery, tmp_path):
    lost = [
        seconds
        for first in range(0, 50, 2)
        for seconds in _kill_some(nursery, tmp_path, [first, first + 1])
    ]
    assert len(lost) == 50
    assert max(lost) < 5

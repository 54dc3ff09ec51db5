"""Nothing is lost: a killed process leaves a whole save, at most seconds old."""

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

from grainsmith.errors import ReadError, WriteError
from grainsmith.io.labels.autosave import (
    TILE_PX,
    AutosaveFolder,
    find_recoverable,
    snapshot,
    tiles_at,
)

SHAPE = (TILE_PX + 100, 2 * TILE_PX + 30)


def edited(labels, number):
    """One edit that spans tiles, so that half of it would be seen. Deterministic."""
    chance = random.Random(number)
    y, x = chance.randrange(SHAPE[0] - 60), chance.randrange(SHAPE[1] - 60)
    labels[y : y + 60, x : x + 60] = number
    y0, y1, x0, x1 = y, y + 59, x, x + 59
    return tiles_at(np.array([y0, y0, y1, y1]), np.array([x0, x1, x0, x1]))


WORKER = f"""
import sys, threading, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
import numpy as np
from test_autosave import SHAPE, edited
from grainsmith.io.labels.autosave import AutosaveFolder, snapshot

labels, tiles, number = np.zeros(SHAPE, np.int32), None, 0
folder = AutosaveFolder(SHAPE, labels.dtype, {{"name": "grains"}})
writing = threading.Thread(target=lambda: None)
writing.start()
while True:
    number += 1
    changed = edited(labels, number)
    tiles = changed if tiles is not None and not tiles else (tiles and tiles | changed)
    with open(sys.argv[1], "a") as log:
        log.write(f"{{number}} {{time.time()}}\\n")
    if not writing.is_alive():
        taken = snapshot(labels, tiles, states={{number: "drawn"}}, edits=number)
        tiles = set()
        writing = threading.Thread(target=folder.write, args=(taken,))
        writing.start()
"""


def _kill_at_random(tmp_path, seed):
    root, log = tmp_path / f"root{seed}", tmp_path / f"log{seed}"
    environment = {**os.environ, "GRAINSMITH_AUTOSAVE": str(root)}
    process = subprocess.Popen([sys.executable, "-c", WORKER, str(log)], env=environment)
    try:
        while not list(root.glob("*/manifest.json")):
            assert process.poll() is None
            time.sleep(0.01)
        assert find_recoverable(root) == []  # it is still at work
        time.sleep(random.Random(seed).uniform(0, 0.4))
    finally:
        process.kill()
        process.wait()
    killed_at = time.time()
    (found,) = find_recoverable(root)
    labels, states, _ = found.load()
    expected = np.zeros(SHAPE, np.int32)
    for number in range(1, found.edits + 1):
        edited(expected, number)
    np.testing.assert_array_equal(labels, expected)
    assert states == {found.edits: "drawn"}
    lines = [line.split() for line in log.read_text().splitlines()]
    times = {int(line[0]): float(line[1]) for line in lines if len(line) == 2}
    lost = [done for number, done in times.items() if number > found.edits]
    assert killed_at - min(lost, default=killed_at) < 5


def test_killed_at_random_moments_nothing_is_corrupt(tmp_path):
    for seed in range(3):
        _kill_at_random(tmp_path, seed)


@pytest.mark.slow
def test_killed_fifty_times(tmp_path):
    for seed in range(50):
        _kill_at_random(tmp_path, seed)


@pytest.fixture
def folder(tmp_path):
    about = {"name": "grains", "source": "/a/field.tif", "pixel_size_um": 0.5}
    return AutosaveFolder(SHAPE, np.int32, about, root=tmp_path)


def dead(folder):
    """Make a session look like one whose process has ended."""
    manifest = folder.folder / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"pid": 2**22 + 12345}))
    return find_recoverable(folder.folder.parent)


def test_round_trip_of_labels_states_and_table(folder):
    labels = np.zeros(SHAPE, np.int32)
    edited(labels, 7)
    table = pd.DataFrame({"index": [7], "mineral": ["quartz"], "area_px": [3600]})
    folder.write(snapshot(labels, None, states={7: "drawn"}, table=table, edits=1))
    changed = edited(labels, 8)
    folder.write(snapshot(labels, changed, states={7: "accepted"}, edits=2))
    (found,) = dead(folder)
    again, states, rows = found.load()
    np.testing.assert_array_equal(again, labels)
    assert states == {7: "accepted"}
    pd.testing.assert_frame_equal(rows, table)
    assert (found.name, found.source, found.pixel_size_um) == ("grains", "/a/field.tif", 0.5)
    found.discard()
    assert find_recoverable(folder.folder.parent) == []


def test_only_changed_tiles_are_written_and_old_ones_swept(folder):
    labels = np.ones(SHAPE, np.int32)
    folder.write(snapshot(labels, None, states={}))
    before = {file.name for file in folder.folder.iterdir()}
    labels[0, 0] = 2
    folder.write(snapshot(labels, {(0, 0)}, states={}))
    after = {file.name for file in folder.folder.iterdir()}
    assert after - before == {"0-0.2.z"}
    assert before - after == {"0-0.1.z"}


def test_a_session_at_work_is_not_offered(folder):
    folder.write(snapshot(np.ones(SHAPE, np.int32), None, states={}))
    assert find_recoverable(folder.folder.parent) == []


def test_damage_is_told(folder):
    folder.write(snapshot(np.ones(SHAPE, np.int32), None, states={}))
    (found,) = dead(folder)
    (folder.folder / "0-0.1.z").write_bytes(b"rubbish")
    with pytest.raises(ReadError, match="is damaged"):
        found.load()


def test_a_full_disk_leaves_the_save_before_it(folder, monkeypatch):
    labels = np.ones(SHAPE, np.int32)
    folder.write(snapshot(labels, None, states={}, edits=1))

    write_bytes, room = Path.write_bytes, [2]

    def no_space(self, data):
        room[0] -= 1
        if room[0] < 0:
            raise OSError(28, "No space left on device")
        return write_bytes(self, data)

    later = labels * 2
    before = sorted(folder.folder.iterdir())
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", no_space)
        with pytest.raises(WriteError, match="No space left"):
            folder.write(snapshot(later, None, states={}, edits=2))
    assert room[0] == -1  # two tiles were written; they are gone again
    assert sorted(folder.folder.iterdir()) == before
    (found,) = dead(folder)
    np.testing.assert_array_equal(found.load()[0], labels)
    folder.write(snapshot(later, None, states={}, edits=2))  # there is space again
    (found,) = dead(folder)
    np.testing.assert_array_equal(found.load()[0], later)


def test_rubbish_in_the_root_is_passed_over(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    assert find_recoverable(tmp_path) == []
    assert find_recoverable(tmp_path / "missing") == []

import threading

import numpy as np
import pytest
from tests.pipeline.mosaics import discs, made_mosaic

from grainsmith.io.mosaics.edit_journal import Journal
from grainsmith.io.mosaics.ome_zarr import build_coarser_levels, create_pyramid, write_labels_group
from grainsmith.pipeline.mosaic import summary
from grainsmith.pipeline.mosaic.edit_replay import finish_interrupted
from grainsmith.ui.dock import GrainsmithDock
from grainsmith.ui.layers import mosaics
from grainsmith.ui.layers.element_maps import get_maps_reader
from grainsmith.ui.panels.open import OpenPanel
from grainsmith.ui.panels.segment import SegmentPanel
from grainsmith.ui.panels.table import TablePanel

pytest.importorskip("zarr")


def test_a_mosaic_opens_as_pyramids_with_its_grains(tmp_path):
    folder = tmp_path / "m.zarr"
    picture = np.arange(1500 * 1400, dtype=np.uint16).reshape(1500, 1400)
    for where, name, is_labels in (
        (folder, "m", False),
        (folder / "labels/grains", "grains", True),
    ):
        levels = create_pyramid(
            where, name=name, shape=picture.shape, dtype="i4" if is_labels else "u2",
            pixel_size_um=0.5, labels=is_labels,
        )  # fmt: skip
        levels[0][:] = picture
        build_coarser_levels(levels, labels=is_labels)
    write_labels_group(folder, ["grains"])
    image, grains = get_maps_reader(str(folder))(str(folder))
    assert (image[2], grains[2]) == ("image", "labels")
    assert [level.shape for level in image[0]] == [(1500, 1400), (750, 700)]
    assert image[1]["scale"] == grains[1]["scale"] == (0.5, 0.5)
    assert image[1]["units"] == ("um", "um")
    assert np.array_equal(np.asarray(grains[0][1]), picture[::2, ::2])
    assert not isinstance(image[0][0], np.ndarray)  # lazy


def test_a_mosaic_of_one_level_opens_in_the_viewer(viewer, tmp_path, monkeypatch):
    monkeypatch.setattr(summary, "_RESAMPLINGS", (3, 3))
    labels = discs((300, 280))
    made_mosaic(tmp_path / "m.zarr", labels)
    viewer.open(str(tmp_path / "m.zarr"), plugin="grainsmith")
    picture, grains = viewer.layers
    assert not grains.multiscale
    assert np.array_equal(np.asarray(grains.data), labels)
    mosaics.read_again(grains)
    assert np.array_equal(np.asarray(grains.data), labels)
    assert mosaics.mosaic_shape(picture) == labels.shape
    assert mosaics.mosaic_shape(grains) == labels.shape


@pytest.fixture
def mosaic(tmp_path, monkeypatch):
    monkeypatch.setattr(summary, "_RESAMPLINGS", (3, 3))
    made_mosaic(tmp_path / "m.zarr", discs((1200, 1100)))
    return tmp_path / "m.zarr"


@pytest.mark.parametrize("part", ["labels/grains", "."])
def test_a_broken_piece_is_shown_as_background_and_told_once(viewer, mosaic, monkeypatch, part):
    told = []
    monkeypatch.setattr(mosaics, "show_warning", told.append)
    chunk = mosaic / part / "0" / "c" / "1" / "0"
    chunk.write_bytes(chunk.read_bytes()[:20])
    viewer.open(str(mosaic), plugin="grainsmith")
    picture, grains = viewer.layers
    layer, other = (picture, grains) if part == "." else (grains, picture)
    for _ in range(2):
        seen = np.asarray(layer.data[0])
        assert not seen[512:1024, :512].any()
        assert seen[512:1024, 512:].any()
        assert np.asarray(other.data[0])[512:1024, :512].any()
    assert len(told) == 1
    assert str(mosaic) in told[0]
    assert told[0].endswith("Copy or export it again. What is broken is shown as background.")


def test_panels_and_status_say_what_is_true_beside_a_mosaic(viewer, qtbot, mosaic):
    dock = GrainsmithDock(viewer)
    qtbot.addWidget(dock)
    panels = [SegmentPanel(viewer), TablePanel(viewer), OpenPanel(viewer)]
    for panel in panels:
        qtbot.addWidget(panel)

    def said():
        segment, table, opened = panels
        return [segment.message, table.message, opened._what.text()]

    qtbot.waitUntil(lambda: "No image yet" in dock.status)
    assert ["No " in one for one in said()] == [True] * 3
    viewer.open(str(mosaic), plugin="grainsmith")
    word = "A mosaic is open and no piece of it: zoom in, then press 'Edit this region'."
    qtbot.waitUntil(lambda: dock.status == word)
    assert said() == [word] * 3
    assert not dock._roles.pictures  # it cannot be chosen as the image to work on
    viewer.layers.remove("m grains")
    qtbot.waitUntil(lambda: "A mosaic without grains is open" in dock.status)
    viewer.add_image(np.ones((40, 40)), name="picture")
    assert said()[0] == ""
    assert said()[1].startswith("No grains yet")


@pytest.fixture
def interrupted(tmp_path, monkeypatch):
    """A mosaic whose last write-back was noted and not done."""
    monkeypatch.setattr(summary, "_RESAMPLINGS", (3, 3))
    folder, labels = tmp_path / "m.zarr", discs((1200, 1100))
    table = made_mosaic(folder, labels)
    gone = int(labels.max())
    part = labels[1100:, 1000:]
    Journal(folder).note(
        (1100, 1200, 1000, 1100), (part, np.where(part == gone, 0, part)),
        (table.loc[[gone]], table.iloc[:0]), next_label=gone + 1,
    )  # fmt: skip
    return folder, gone


def test_an_interrupted_write_back_is_finished_while_the_window_goes_on(
    viewer, qtbot, interrupted, monkeypatch
):
    folder, gone = interrupted
    threads = []

    def finish(path):
        threads.append(threading.current_thread())
        return finish_interrupted(path)

    monkeypatch.setattr(mosaics, "finish_interrupted", finish)
    viewer.open(str(folder), plugin="grainsmith")
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=20_000)
    assert threads
    assert threading.main_thread() not in threads
    shown = np.asarray(viewer.layers["m grains"].data[0])
    assert not (shown == gone).any()
    assert (shown == gone - 1).any()


def test_a_mosaic_whose_write_back_cannot_be_finished_opens_with_a_reason(
    viewer, qtbot, interrupted, monkeypatch
):
    folder, _ = interrupted
    kept = folder / "edits" / "0001" / "labels.npz"
    kept.write_bytes(kept.read_bytes()[:40])
    told = []
    monkeypatch.setattr(mosaics, "show_warning", told.append)
    viewer.open(str(folder), plugin="grainsmith")
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=20_000)
    assert len(told) == 1
    assert told[0].startswith(f"An interrupted write-back could not be finished: {kept} is damaged")

"""Mosaics open lazily; interrupted write-backs are finished in the background."""

import threading

import numpy as np
import pytest
from tests.pipeline.mosaics import discs, made_mosaic

from grainsmith.io.mosaics.edit_journal import Journal
from grainsmith.io.mosaics.ome_zarr import build_coarser_levels, create_pyramid, write_labels_group
from grainsmith.pipeline.mosaic import summary
from grainsmith.pipeline.mosaic.edit_replay import finish_interrupted
from grainsmith.ui.layers import mosaics
from grainsmith.ui.plugin import mosaic_reader
from grainsmith.ui.plugin.reader import get_maps_reader

pytest.importorskip("zarr")


def test_mosaic_opens_as_pyramids_with_its_grains(tmp_path):
    folder = tmp_path / "m.zarr"
    pixels = np.arange(1500 * 1400, dtype=np.uint16).reshape(1500, 1400)
    for path, name, is_labels in (
        (folder, "m", False),
        (folder / "labels/grains", "grains", True),
    ):
        levels = create_pyramid(
            path, name=name, shape=pixels.shape, dtype="i4" if is_labels else "u2",
            pixel_size_um=0.5, labels=is_labels,
        )  # fmt: skip
        levels[0][:] = pixels
        build_coarser_levels(levels, labels=is_labels)
    write_labels_group(folder, ["grains"])
    image, grains = get_maps_reader(str(folder))(str(folder))
    assert (image[2], grains[2]) == ("image", "labels")
    assert [level.shape for level in image[0]] == [(1500, 1400), (750, 700)]
    assert image[1]["scale"] == grains[1]["scale"] == (0.5, 0.5)
    assert image[1]["units"] == ("um", "um")
    assert np.array_equal(np.asarray(grains[0][1]), pixels[::2, ::2])
    assert not isinstance(image[0][0], np.ndarray)  # lazy


def test_mosaic_of_one_level_opens_in_the_viewer(viewer, tmp_path, monkeypatch):
    monkeypatch.setattr(summary, "_RESAMPLINGS", (3, 3))
    labels = discs((300, 280))
    made_mosaic(tmp_path / "m.zarr", labels)
    viewer.open(str(tmp_path / "m.zarr"), plugin="grainsmith")
    image, grains = viewer.layers
    assert not grains.multiscale
    assert np.array_equal(np.asarray(grains.data), labels)
    mosaics.reload_labels(grains)
    assert np.array_equal(np.asarray(grains.data), labels)
    assert mosaics.mosaic_shape(image) == labels.shape
    assert mosaics.mosaic_shape(grains) == labels.shape


@pytest.fixture
def interrupted(tmp_path, monkeypatch):
    """Return a mosaic with an unfinished write-back, and the grain that it removes."""
    monkeypatch.setattr(summary, "_RESAMPLINGS", (3, 3))
    folder, labels = tmp_path / "m.zarr", discs((1200, 1100))
    table = made_mosaic(folder, labels)
    removed_id = int(labels.max())
    part = labels[1100:, 1000:]
    Journal(folder).note(
        (1100, 1200, 1000, 1100), (part, np.where(part == removed_id, 0, part)),
        (table.loc[[removed_id]], table.iloc[:0]), next_label=removed_id + 1,
    )  # fmt: skip
    return folder, removed_id


def test_interrupted_write_back_is_finished_in_the_background(
    viewer, qtbot, interrupted, monkeypatch
):
    folder, removed_id = interrupted
    threads = []

    def finish(path):
        threads.append(threading.current_thread())
        return finish_interrupted(path)

    monkeypatch.setattr(mosaic_reader, "finish_interrupted", finish)
    viewer.open(str(folder), plugin="grainsmith")
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=20_000)
    assert threads
    assert threading.main_thread() not in threads
    shown = np.asarray(viewer.layers["m grains"].data[0])
    assert not (shown == removed_id).any()
    assert (shown == removed_id - 1).any()


def test_mosaic_with_a_damaged_journal_opens_with_a_warning(
    viewer, qtbot, interrupted, monkeypatch
):
    folder, _ = interrupted
    saved = folder / "edits" / "0001" / "labels.npz"
    saved.write_bytes(saved.read_bytes()[:40])
    warnings = []
    monkeypatch.setattr(mosaic_reader, "show_warning", warnings.append)
    viewer.open(str(folder), plugin="grainsmith")
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=20_000)
    assert len(warnings) == 1
    assert warnings[0].startswith(
        f"An interrupted write-back could not be finished: {saved} is damaged"
    )

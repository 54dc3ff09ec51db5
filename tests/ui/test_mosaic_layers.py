import threading

import numpy as np
import pytest
from tests.pipeline.mosaics import discs, made_mosaic

from grainsmith.io.journal import Journal
from grainsmith.io.omezarr import create_pyramid, fill_coarser, name_labels
from grainsmith.pipeline import summary
from grainsmith.pipeline.edits import finish_interrupted
from grainsmith.ui import mosaic_layers
from grainsmith.ui.map_layers import get_maps_reader

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
        fill_coarser(levels, labels=is_labels)
    name_labels(folder, ["grains"])
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
    mosaic_layers.read_again(grains)
    assert np.array_equal(np.asarray(grains.data), labels)
    assert mosaic_layers.mosaic_shape(picture) == labels.shape
    assert mosaic_layers.mosaic_shape(grains) == labels.shape


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

    monkeypatch.setattr(mosaic_layers, "finish_interrupted", finish)
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
    monkeypatch.setattr(mosaic_layers, "show_warning", told.append)
    viewer.open(str(folder), plugin="grainsmith")
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=20_000)
    assert len(told) == 1
    assert told[0].startswith(f"An interrupted write-back could not be finished: {kept} is damaged")

import os
import shutil
import subprocess
import sys
import textwrap
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from tests.pipeline.mosaics import discs, made_mosaic

from grainsmith.errors import MismatchError, ReadError, WriteError
from grainsmith.io.files.provenance import read_json
from grainsmith.io.mosaics.edit_journal import Journal
from grainsmith.io.mosaics.ome_zarr import create_pyramid, open_levels
from grainsmith.io.tables.grain_table import read_table
from grainsmith.measure import measure_grains
from grainsmith.pipeline.mosaic import edit_replay, region, summary, write_back
from grainsmith.pipeline.mosaic.edit_replay import finish_interrupted
from grainsmith.pipeline.mosaic.region import open_region, reopen_region
from grainsmith.pipeline.mosaic.summary import grains_folder
from grainsmith.pipeline.mosaic.write_back import undo_write, write_region

pytest.importorskip("zarr")
SHAPE = (1300, 1200)
ASKED = (400, 700, 420, 720)  # over the seams of the chunks at 512


@pytest.fixture
def mosaic(tmp_path, monkeypatch):
    monkeypatch.setattr(region, "GROWTH_PX", 60)
    monkeypatch.setattr(summary, "_RESAMPLINGS", (3, 3))
    folder = tmp_path / "m.zarr"
    labels = discs(SHAPE)
    labels[555:560, 10:1190] = labels.max() + 1  # one that no piece can hold whole
    made_mosaic(folder, labels)
    return folder


def _all(folder):
    return [np.asarray(level[:]) for level in open_levels(grains_folder(folder))]


def _whole(folder):
    """Everything that a write-back changes."""
    return _all(folder), read_table(folder / "grains.csv"), read_json(folder / "statistics.json")


def _same(one, other):
    assert all(np.array_equal(a, b) for a, b in zip(one[0], other[0], strict=True))
    pd.testing.assert_frame_equal(one[1], other[1])
    assert one[2] == other[2]


def _edited(piece):
    """One grain split, one gone, one drawn, one larger."""
    labels = piece.labels.copy()
    free = sorted(set(np.unique(labels)) - {0} - piece.locked)
    middle = labels.shape[0] // 2, labels.shape[1] // 2
    split, gone, larger = free[len(free) // 2], free[3], free[8]
    ys, xs = np.nonzero(labels == split)
    labels[ys[xs > xs.mean()], xs[xs > xs.mean()]] = labels.max() + 1
    labels[labels == gone] = 0
    ys, xs = np.nonzero(labels == larger)
    labels[ys.max() + 1, xs.min() : xs.max()] = larger
    empty = np.argwhere(labels == 0)
    y, x = empty[np.abs(empty - middle).sum(axis=1).argmin()]
    labels[y, x] = labels.max() + 7
    return labels, split, gone, larger


def test_a_piece_holds_its_grains_whole_and_locks_what_its_edge_cuts(mosaic):
    everything = _all(mosaic)[0]
    piece = open_region(mosaic, ASKED)
    y0, y1, x0, x1 = piece.window
    assert y0 <= ASKED[0]
    assert x0 <= ASKED[2]
    assert y1 >= ASKED[1]
    assert x1 >= ASKED[3]
    assert np.array_equal(piece.labels, everything[y0:y1, x0:x1])
    outside = everything.copy()
    outside[y0:y1, x0:x1] = 0
    cut = (set(np.unique(outside)) & set(np.unique(piece.labels))) - {0}
    assert piece.locked == cut
    asked = everything[ASKED[0] : ASKED[1], ASKED[2] : ASKED[3]]
    assert cut & set(np.unique(asked)) == {everything.max()}  # only the one that is too long


def test_what_is_written_back_is_what_is_read_again(mosaic):
    piece = open_region(mosaic, ASKED)
    before = _all(mosaic)[0]
    labels, split, gone, larger = _edited(piece)
    written = write_region(piece, labels)
    levels, table, _ = _whole(mosaic)
    y0, y1, x0, x1 = piece.window
    outside = np.ones(SHAPE, bool)
    outside[y0:y1, x0:x1] = False
    assert np.array_equal(levels[0][outside], before[outside])  # the neighbours
    inside = levels[0][y0:y1, x0:x1]
    assert np.array_equal(inside > 0, labels > 0)
    assert len(written.new_labels) == 2
    assert min(written.new_labels.values()) == before.max() + 1
    for old, new in written.new_labels.items():
        assert np.array_equal(inside == new, labels == old)
    assert all(np.array_equal(levels[k + 1], levels[k][::2, ::2]) for k in range(len(levels) - 1))
    expected = measure_grains(
        levels[0], image=np.where(before > 0, 180, 30).astype(np.uint8), pixel_size_um=0.5
    )
    pd.testing.assert_frame_equal(
        table[expected.columns], expected, check_dtype=False, check_index_type=False, rtol=1e-9
    )
    edited = set(table.index[table["source"] == "edited"])
    assert edited == {split, larger, *written.new_labels.values()}
    assert gone not in table.index
    assert table.loc[list(edited), "confidence"].isna().all()
    facts = read_json(mosaic / "grains.json")
    assert (facts["n_grains"], facts["hand_edited"]) == (len(table), len(edited))


def test_undo_brings_everything_back_but_numbers_are_never_used_twice(mosaic):
    before = _whole(mosaic)
    first = write_region(piece := open_region(mosaic, ASKED), _edited(piece)[0])
    undo_write(mosaic)
    _same(before, _whole(mosaic))
    again = write_region(piece := open_region(mosaic, ASKED), _edited(piece)[0])
    assert not set(first.new_labels.values()) & set(again.new_labels.values())
    undo_write(mosaic)
    with pytest.raises(MismatchError, match="there is no write-back to undo"):
        undo_write(mosaic)


def test_the_last_edits_are_undone_first_and_their_numbers_stay_taken(mosaic):
    before = _whole(mosaic)
    for _ in range(2):
        last = write_region(piece := open_region(mosaic, ASKED), _edited(piece)[0])
    undo_write(mosaic)
    undo_write(mosaic)
    _same(before, _whole(mosaic))
    again = write_region(piece := open_region(mosaic, ASKED), _edited(piece)[0])
    assert min(again.new_labels.values()) > max(last.new_labels.values())


def test_locked_grains_keep_every_pixel_and_their_numbers_stay_theirs(mosaic):
    piece = open_region(mosaic, ASKED)
    long = max(piece.locked)
    labels = piece.labels.copy()
    labels[labels == long] = 0
    labels[2, 2] = long  # drawn with its number, beside it
    written = write_region(piece, labels)
    assert written.n_kept_px == int((piece.labels == long).sum())
    assert list(written.new_labels) == [long]
    assert (_all(mosaic)[0] == long).sum() == 5 * 1180


def test_numbers_of_any_size_may_be_drawn(mosaic):
    piece = open_region(mosaic, ASKED)
    labels = piece.labels.copy()
    empty = np.argwhere(labels == 0)[:2]
    largest = np.iinfo(np.int32).max
    labels[tuple(empty[0])], labels[tuple(empty[1])] = largest, largest - 9
    tracemalloc.start()
    written = write_region(piece, labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert set(written.new_labels) == {largest, largest - 9}
    assert max(written.new_labels.values()) < 10_000
    assert peak < 5e8


def test_nothing_changed_writes_nothing(mosaic):
    piece = open_region(mosaic, ASKED)
    assert write_region(piece, piece.labels.copy()).n_changed == 0
    assert Journal(mosaic).edits() == []


@pytest.mark.parametrize("after_steps", [3, 4, 5])
def test_a_write_back_that_breaks_off_is_finished_at_the_next_opening(
    mosaic, monkeypatch, after_steps
):
    class _GoneError(BaseException):
        pass

    def stop(done, total):
        if done == after_steps:
            raise _GoneError

    piece = open_region(mosaic, ASKED)
    labels = _edited(piece)[0]
    with pytest.raises(_GoneError):
        write_region(piece, labels, on_progress=stop)
    assert [one.state for one in Journal(mosaic).edits()] == ["wanted"]
    assert finish_interrupted(mosaic) == 1
    broken = _whole(mosaic)
    undo_write(mosaic)
    write_region(open_region(mosaic, ASKED), labels)
    again = _all(mosaic)[0]
    assert np.array_equal(again > 0, broken[0][0] > 0)
    assert finish_interrupted(mosaic) == 0


@pytest.mark.parametrize("at_step", range(2, 7))
def test_a_stop_after_the_note_comes_too_late_and_harms_nothing(mosaic, at_step):
    def stop(done, total):
        if done >= at_step:
            raise RuntimeError("stopped by the user")

    before = _whole(mosaic)
    piece = open_region(mosaic, ASKED)
    assert write_region(piece, _edited(piece)[0], on_progress=stop).n_changed == 4
    assert [one.state for one in Journal(mosaic).edits()] == ["done"]
    assert undo_write(mosaic, on_progress=stop).n_changed == 3
    _same(before, _whole(mosaic))


def test_a_stop_before_the_note_changes_nothing(mosaic):
    def stop(done, total):
        raise RuntimeError("stopped by the user")

    before = _whole(mosaic)
    piece = open_region(mosaic, ASKED)
    with pytest.raises(RuntimeError, match="by the user"):
        write_region(piece, _edited(piece)[0], on_progress=stop)
    _same(before, _whole(mosaic))
    write_region(piece, _edited(piece)[0])
    written = _whole(mosaic)
    with pytest.raises(RuntimeError, match="by the user"):
        undo_write(mosaic, on_progress=stop)
    _same(written, _whole(mosaic))


def test_a_process_that_is_killed_leaves_nothing_half_written(mosaic):
    before = _all(mosaic)[0]
    code = f"""
        import os, signal
        from grainsmith.io.mosaics import ome_zarr
        from grainsmith.pipeline.mosaic import edit_replay
        from grainsmith.pipeline.mosaic import region
        region.GROWTH_PX = 60
        def die(*args, **kwargs):
            os.kill(os.getpid(), signal.SIGKILL)
        edit_replay.build_coarser_levels = die
        piece = region.open_region({str(mosaic)!r}, {ASKED!r})
        labels = piece.labels.copy()
        label = max(set(labels.ravel().tolist()) - piece.locked)
        labels[labels == label] = 0
        from grainsmith.pipeline.mosaic.write_back import write_region
        write_region(piece, labels)
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=os.environ, check=False
    )
    assert ended.returncode != 0
    levels = _all(mosaic)
    assert not np.array_equal(levels[0], before)
    assert not np.array_equal(levels[1], levels[0][::2, ::2])
    piece = open_region(mosaic, ASKED)  # finishes it
    levels, table, _ = _whole(mosaic)
    assert np.array_equal(levels[1], levels[0][::2, ::2])
    assert len(table) == len(np.unique(levels[0])) - 1
    undo_write(mosaic)
    assert np.array_equal(_all(mosaic)[0], before)
    assert piece.address.startswith(str(mosaic))


def test_a_full_disk_changes_nothing_before_and_is_finished_after_the_note(mosaic, monkeypatch):
    before = _whole(mosaic)
    piece = open_region(mosaic, ASKED)
    labels = _edited(piece)[0]
    monkeypatch.setattr(
        write_back.shutil, "disk_usage", lambda _path: type("Usage", (), {"free": 1000})
    )
    with pytest.raises(WriteError, match="Nothing was changed"):
        write_region(piece, labels)
    _same(before, _whole(mosaic))
    monkeypatch.undo()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(edit_replay, "build_coarser_levels", full)
    monkeypatch.setattr(region, "GROWTH_PX", 60)
    with pytest.raises(WriteError) as raised:
        write_region(piece, labels)
    noted = mosaic / "edits" / "0001"
    text = (
        f"{mosaic} could not be written to the end: No space left on device. The change is noted "
        f"in {noted} and will be finished when the mosaic is opened next: free some space first"
    )
    assert str(raised.value) == text
    monkeypatch.undo()
    monkeypatch.setattr(
        "grainsmith.io.files.atomic_write.os.fsync", full
    )  # now the table does not fit
    with pytest.raises(WriteError) as raised:
        finish_interrupted(mosaic)
    assert str(raised.value) == text
    monkeypatch.undo()
    assert finish_interrupted(mosaic) == 1
    levels = _all(mosaic)
    assert np.array_equal(levels[1], levels[0][::2, ::2])


def test_a_damaged_file_under_a_noted_change_is_named_with_the_note(mosaic, monkeypatch):
    piece = open_region(mosaic, ASKED)
    chunk = grains_folder(mosaic) / "1" / "c" / "0" / "0"
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:40])
    with pytest.raises(ReadError, match=r"labels.grains is damaged .* noted in .*edits.0001"):
        write_region(piece, _edited(piece)[0])
    with pytest.raises(ReadError, match="is damaged"):
        finish_interrupted(mosaic)
    chunk.write_bytes(whole)
    assert finish_interrupted(mosaic) == 1
    levels = _all(mosaic)
    assert np.array_equal(levels[1], levels[0][::2, ::2])


def test_a_mosaic_that_was_changed_meanwhile_is_not_overwritten(mosaic):
    one, other = open_region(mosaic, ASKED), open_region(mosaic, ASKED)
    write_region(one, _edited(one)[0])
    with pytest.raises(MismatchError, match=r"ha(s|ve) (been )?changed since"):
        write_region(other, _edited(other)[0])
    with pytest.raises(MismatchError, match=r"ha(s|ve) (been )?changed since"):
        reopen_region(other.address)
    again = open_region(mosaic, ASKED)
    assert np.array_equal(reopen_region(again.address).labels, again.labels)


def test_one_program_writes_at_a_time(mosaic):
    piece = open_region(mosaic, ASKED)
    with (
        Journal(mosaic).exclusive_lock(),
        pytest.raises(WriteError, match="another program is writing"),
    ):
        write_region(piece, _edited(piece)[0])


def test_a_store_that_cannot_be_written_is_said_and_stays_as_it_is(mosaic, monkeypatch):
    before = _whole(mosaic)
    piece = open_region(mosaic, ASKED)

    def read_only(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("grainsmith.io.mosaics.edit_journal.Path.mkdir", read_only)
    with pytest.raises(WriteError, match="cannot be written: Permission denied"):
        write_region(piece, _edited(piece)[0])
    monkeypatch.undo()
    _same(before, _whole(mosaic))


def test_bad_pieces_are_refused_with_a_reason(mosaic, tmp_path, monkeypatch):
    with pytest.raises(MismatchError, match="beside the mosaic"):
        open_region(mosaic, (5000, 5100, 0, 10))
    monkeypatch.setattr(region, "MAX_REGION_PX", 100)
    with pytest.raises(MismatchError, match="open at most 100 x 100 px"):
        open_region(mosaic, ASKED)
    monkeypatch.undo()
    piece = open_region(mosaic, ASKED)
    with pytest.raises(MismatchError, match="write back the opened region"):
        write_region(piece, piece.labels[:-1])
    with pytest.raises(MismatchError, match="is not the address of a region"):
        reopen_region("somewhere")
    (mosaic / "grains.csv").unlink()
    with pytest.raises(ReadError, match=r"no grains\.csv: only mosaics segmented by"):
        open_region(mosaic, ASKED)


def test_grains_of_another_shape_or_kind_are_refused(tmp_path):
    labels = discs((300, 300))
    made_mosaic(tmp_path / "a.zarr", labels)
    shutil.rmtree(grains_folder(tmp_path / "a.zarr") / "0")
    create_pyramid(
        grains_folder(tmp_path / "a.zarr"), name="grains", shape=(310, 300), dtype="i4",
        pixel_size_um=0, labels=True,
    )  # fmt: skip
    with pytest.raises(MismatchError, match="on the same pixels"):
        open_region(tmp_path / "a.zarr", (0, 100, 0, 100))
    made_mosaic(tmp_path / "c.zarr", labels, picture=np.zeros((300, 300, 3), np.uint8))
    assert open_region(tmp_path / "c.zarr", (0, 100, 0, 100)).image.shape[2] == 3


def test_a_truncated_chunk_and_one_that_is_missing_are_named(mosaic):
    chunk = grains_folder(mosaic) / "0" / "c" / "0" / "1"
    chunk.write_bytes(chunk.read_bytes()[:40])
    with pytest.raises(ReadError, match="cannot be read"):
        open_region(mosaic, ASKED)
    chunk.unlink()
    with pytest.raises(ReadError, match="not in the labels; a file of the labels was lost"):
        open_region(mosaic, ASKED)

import numpy as np
import pytest

import grainsmith.clean as clean
from grainsmith.errors import MismatchError


def drawn(*rows):
    return np.array([[int(c, 36) if c != "." else 0 for c in row] for row in rows], np.int32)


def edited(labels, patches):
    after = labels.copy()
    clean.apply_patches(after, patches)
    return after


PAIR = drawn(
    ".........",
    ".11..222.",
    ".11..2.2.",
    ".11..222.",
    ".........",
    "3........",
    "3.33.....",
)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        pytest.param(
            lambda labels, index: clean.delete(labels, index, [1]),
            {(1, 1): 0, (1, 5): 2, (5, 0): 3},
            id="delete",
        ),
        pytest.param(
            lambda labels, index: clean.fill_holes(labels, index, [2, 1]),
            {(2, 6): 2, (2, 4): 0},
            id="fill-holes",
        ),
        pytest.param(
            lambda labels, index: clean.keep_largest(labels, index, [3]),
            {(5, 0): 3, (6, 0): 3, (6, 2): 0, (6, 3): 0},
            id="keep-largest",
        ),
        pytest.param(
            lambda labels, index: clean.grow(labels, index, [1], by_px=1),
            {(0, 1): 1, (2, 3): 1, (0, 0): 0, (4, 2): 1},
            id="grow",
        ),
        pytest.param(
            lambda labels, index: clean.merge(labels, index, [2, 1], gap_px=1),
            {(2, 1): 2, (2, 3): 2, (2, 4): 2, (5, 0): 3},
            id="merge-closes-the-gap",
        ),
        pytest.param(
            lambda labels, index: clean.merge(labels, index, [2, 1], gap_px=0),
            {(2, 1): 2, (2, 3): 0},
            id="merge-leaves-the-gap",
        ),
    ],
)
def test_operation(operation, expected):
    after = edited(PAIR, operation(PAIR, clean.GrainIndex(PAIR)))
    assert {place: after[place] for place in expected} == expected


def test_two_growing_grains_share_the_gap_and_never_overlap():
    labels = drawn("11...22", "11...22")
    after = edited(labels, clean.grow(labels, clean.GrainIndex(labels), [1, 2], by_px=3))
    assert after.tolist() == drawn("1111222", "1111222").tolist()


def test_a_grain_in_a_hole_stays():
    labels = drawn("11111", "1...1", "1.2.1", "1...1", "11111")
    after = edited(labels, clean.fill_holes(labels, clean.GrainIndex(labels), [1]))
    assert after[2, 2] == 2
    assert np.count_nonzero(after == 1) == 24


def test_shrinking_stops_before_a_grain_vanishes_and_at_the_image_edge():
    labels = drawn("1111", "1111", "1111", "....", "2...")
    index = clean.GrainIndex(labels)
    assert np.count_nonzero(edited(labels, clean.shrink(labels, index, [1]))) == 8 + 1
    with pytest.raises(MismatchError, match="grain 2 would vanish"):
        clean.shrink(labels, index, [2])


def test_smoothing_takes_a_spike_and_leaves_a_straight_edge():
    labels = np.zeros((40, 40), np.int32)
    labels[0:40, 0:20] = 1
    labels[0:40, 20:40] = 2
    labels[20, 12:30] = 1
    after = edited(labels, clean.smooth(labels, clean.GrainIndex(labels), [1], radius_px=2))
    assert set(after[20, 22:30].tolist()) == {0}  # the spike is gone, its place is free
    assert (after[:, :20] == 1).all()
    assert np.array_equal(after == 2, labels == 2)


def test_copy_takes_a_new_number_and_only_background():
    labels = drawn("11..", "11..")
    other = drawn(".55.", ".55.")
    after = edited(labels, clean.copy_grain(labels, clean.GrainIndex(labels), other, (1, 2)))
    assert after.tolist() == drawn("112.", "112.").tolist()
    for nowhere in ((0, 0), (-1, 2), (0, 4)):
        with pytest.raises(MismatchError, match="have no grain at this point"):
            clean.copy_grain(labels, clean.GrainIndex(labels), other, nowhere)
    with pytest.raises(MismatchError, match="not the same field"):
        clean.copy_grain(labels, clean.GrainIndex(labels), other[:1], (0, 1))


def test_a_copied_grain_is_whole_however_far_it_reaches():
    labels, other = np.zeros((2, 400, 500), np.int32)
    other[150:160, 3:500], other[20:390, 240:250] = 7, 7  # a cross; it ends at the image's edge
    other[10:14, 10:14] = 9
    after = edited(labels, clean.copy_grain(labels, clean.GrainIndex(labels), other, (155, 120)))
    assert np.array_equal(after == 1, other == 7)
    assert not after[other == 9].any()


def test_thousands_of_chosen_grains_are_edited_one_like_the_other():
    labels = np.kron(np.arange(1, 2501, dtype=np.int32).reshape(50, 50), np.ones((6, 6), np.int32))
    labels[::6], labels[:, ::6] = 0, 0
    index = clean.GrainIndex(labels)
    patches = clean.grow(labels, index, list(index.boxes), by_px=1.5)
    after = edited(labels, patches)
    claimed = sum(int(patch.changed.sum()) for patch in patches)
    assert claimed == np.count_nonzero(after != labels)  # no pixel was claimed twice
    assert (after > 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda i: clean.merge(PAIR, i, [2, 2]), "at least two grains"),
        (lambda i: clean.delete(PAIR, i, [8]), "no grain 8"),
        (lambda i: clean.split_by_line(PAIR, i, [(1, 1)]), "single point"),
        (lambda i: clean.split_by_seeds(PAIR, i, 1, [(1, 1), (0, 0)]), "two seeds inside it"),
    ],
)
def test_errors_say_what_is_wanted(call, message):
    with pytest.raises(MismatchError, match=message):
        call(clean.GrainIndex(PAIR))


def test_a_full_dtype_is_told():
    labels = np.full((2, 2), 255, np.uint8)
    with pytest.raises(MismatchError, match="uint8 has no number left"):
        clean.GrainIndex(labels).new_labels(1, labels)


def test_accepted_grains_are_locked():
    patches = clean.delete(PAIR, clean.GrainIndex(PAIR), [1, 2])
    with pytest.raises(MismatchError, match=r"grain 2 is accepted.*withdraw the acceptance"):
        clean.refuse_locked(patches, {2, 3})
    clean.refuse_locked(patches, {3})


def test_index_takes_huge_numbers():
    labels = np.zeros((4, 4), np.int64)
    labels[1, 1:3] = 2_000_000_000
    index = clean.GrainIndex(labels)
    assert index.boxes == {2_000_000_000: (1, 1, 2, 3)}
    assert index.areas_px == {2_000_000_000: 2}

"""What holds for every edit of every label image."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import grainsmith.clean as clean
from grainsmith.errors import GrainsmithError

DTYPES = st.sampled_from([np.int32, np.uint16, np.uint8, np.int64])


@st.composite
def label_images(draw):
    """Overlapping boxes with holes, on a small image, of any dtype."""
    shape = draw(st.tuples(st.integers(1, 24), st.integers(1, 24)))
    labels = np.zeros(shape, draw(DTYPES))
    for _ in range(draw(st.integers(0, 6))):
        y, x = draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))
        height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
        labels[y : y + height, x : x + width] = draw(st.integers(0, 9))
    return labels


def _line(draw, labels):
    places = st.tuples(st.integers(-3, labels.shape[0] + 3), st.integers(-3, labels.shape[1] + 3))
    return draw(st.lists(places, min_size=2, max_size=4))


def _spot(draw, labels):
    return tuple(draw(st.integers(0, side - 1)) for side in labels.shape)


def any_edit(draw, labels, index):
    """Return the grains that were given, and the patches of a random edit of them."""
    given_grains = draw(st.lists(st.sampled_from(sorted(index.boxes)), min_size=1, max_size=3))
    line = _line(draw, labels)
    edits = {
        "delete": lambda: clean.delete(labels, index, given_grains),
        "merge": lambda: clean.merge(labels, index, given_grains, gap_px=draw(st.integers(0, 3))),
        "holes": lambda: clean.fill_holes(labels, index, given_grains),
        "largest": lambda: clean.keep_largest(labels, index, given_grains),
        "smooth": lambda: clean.smooth(labels, index, given_grains, radius_px=1.5),
        "grow": lambda: clean.grow(labels, index, given_grains, by_px=draw(st.floats(0.5, 4))),
        "shrink": lambda: clean.shrink(labels, index, given_grains),
        "line": lambda: clean.split_by_line(labels, index, line, given_grains),
        "seeds": lambda: clean.split_by_seeds(labels, index, given_grains[0], line),
        "proposed": lambda: clean.split_by_seeds(
            labels, index, given_grains[0], clean.propose_seeds(labels, index, given_grains[0])
        ),
        "copy": lambda: clean.copy_grain(labels, index, np.fliplr(labels), _spot(draw, labels)),
    }
    name = draw(st.sampled_from(sorted(edits)))
    return name, set(given_grains), edits[name]()


def assert_index_is_right(index, labels):
    fresh = clean.GrainIndex(labels)
    assert index.boxes == fresh.boxes
    assert index.areas_px == fresh.areas_px


@settings(max_examples=150, deadline=None)
@given(st.data(), label_images())
def test_edits_touch_only_their_grains_and_undo_bit_for_bit(data, labels):
    first = labels.copy()
    index = clean.GrainIndex(labels)
    done, states = [], [labels.copy()]
    for _ in range(data.draw(st.integers(1, 4))):
        if not index.boxes:
            break
        before = labels.copy()
        try:
            name, grains, patches = any_edit(data.draw, labels, index)
        except GrainsmithError:
            assert np.array_equal(labels, before)
            continue
        assert np.array_equal(labels, before), f"{name} changed its input"
        change = clean.pack(patches, labels.shape)
        change.write(labels)
        assert labels.dtype == before.dtype
        others = (before != 0) & ~np.isin(before, sorted(grains))
        assert np.array_equal(labels[others], before[others]), f"{name} changed another grain"
        born = set(np.unique(labels).tolist()) - set(np.unique(before).tolist()) - {0}
        assert all(number > before.max() for number in born), f"{name} used a number again"
        assert clean.difference(before, labels).n_pixels == change.n_pixels
        index.update(labels, change)
        assert_index_is_right(index, labels)
        done.append(change)
        states.append(labels.copy())
    for change, state in zip(reversed(done), reversed(states[:-1]), strict=True):
        change.inverse().write(labels)
        index.update(labels, change.inverse())
        assert np.array_equal(labels, state)
        assert_index_is_right(index, labels)
    assert np.array_equal(labels, first)
    for change in done:
        change.write(labels)
    assert np.array_equal(labels, states[-1])


@settings(max_examples=60, deadline=None)
@given(label_images(), st.data())
def test_two_changes_compose_to_one(labels, data):
    shape = labels.shape
    numbers = st.integers(0, 9)
    states = [labels]
    for _ in range(2):
        after = states[-1].copy()
        y, x = data.draw(st.integers(0, shape[0] - 1)), data.draw(st.integers(0, shape[1] - 1))
        after[y:, x:] = data.draw(numbers)
        states.append(after)
    steps = [clean.difference(a, b) for a, b in pairwise(states)]
    both = clean.compose(steps)
    direct = clean.difference(states[0], states[2])
    for part in ("start", "length", "old", "new"):
        assert np.array_equal(getattr(both, part), getattr(direct, part))


@settings(max_examples=60, deadline=None)
@given(
    label_images(),
    st.builds(
        clean.CleanSettings,
        min_area_px=st.integers(0, 20).map(float),
        drop_border=st.booleans(),
        min_solidity=st.sampled_from([0.0, 0.7]),
        fill_holes=st.booleans(),
        keep_largest=st.booleans(),
        relabel=st.booleans(),
    ),
    st.sets(st.integers(1, 9)),
)
def test_bulk_says_what_it_did(labels, wanted, locked):
    before = labels.copy()
    done = clean.clean_labels(labels, wanted, locked=locked)
    assert np.array_equal(labels, before)
    assert not locked & set(done.removed)
    if not (wanted.fill_holes or wanted.keep_largest):
        unwanted = clean.find_unwanted(labels, wanted)
        assert done.removed == {k: v for k, v in unwanted.items() if k not in locked}
    left = set(np.unique(done.labels).tolist()) - {0}
    kept = set(np.unique(before).tolist()) - {0} - set(done.removed)
    assert left == {done.renumbered.get(label, label) for label in kept}
    if wanted.relabel:
        assert left == set(range(1, len(left) + 1))


def test_limits_in_um2_and_px_agree():
    labels = np.zeros((30, 30), np.int32)
    labels[2:6, 2:6], labels[10:20, 10:20] = 1, 2
    by_um2 = clean.CleanSettings(min_area_um2=10)
    assert set(clean.find_unwanted(labels, by_um2, pixel_size_um=0.5)) == {1}
    assert clean.find_unwanted(labels, by_um2, pixel_size_um=0.5)[1] == "area 4 µm² < 10 µm²"
    assert clean.find_unwanted(labels, clean.CleanSettings(max_area_px=50)) == {
        2: "area 100 px > 50 px"
    }


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (clean.CleanSettings(min_area_um2=1), "needs the pixel size"),
        (clean.CleanSettings(min_confidence=0.5), "carry no confidence"),
        (clean.CleanSettings(drop_data_bar=True), "the data bar of this image is unknown"),
    ],
)
def test_what_is_not_known_is_asked_for(wanted, message):
    with pytest.raises(GrainsmithError, match=message):
        clean.clean_labels(np.ones((3, 3), np.int32), wanted)


def test_confidence_and_data_bar():
    labels = np.zeros((20, 20), np.int32)
    labels[2:6, 2:6], labels[8:12, 8:12], labels[14:19, 2:6] = 1, 2, 3
    wanted = clean.CleanSettings(min_confidence=0.5, drop_data_bar=True)
    found = clean.find_unwanted(
        labels, wanted, data_bar_rows=4, confidence=pd.Series({1: 0.9, 2: 0.2})
    )
    assert found == {3: "in the data bar", 2: "confidence 0.2 < 0.5"}


@pytest.mark.parametrize(
    "bad",
    [
        {"min_area_px": -1},
        {"max_area_um2": np.nan},
        {"min_solidity": 1.5},
        {"min_area_px": 5, "max_area_px": 2},
    ],
)
def test_settings_check_themselves(bad):
    with pytest.raises(ValueError, match="must"):
        clean.CleanSettings(**bad)

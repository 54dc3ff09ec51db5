import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import label as connected

from grainsmith.segment.merging import Candidates, best_ious, merge_octaves
from grainsmith.segment.tidy import keep_largest_pieces


def candidates(labels, *confidence, scale=1.0):
    values = np.array(confidence, float)
    return Candidates(
        labels=labels.astype(np.int32),
        scale=scale,
        facts={"confidence": values, "flow_error": 1 - values, "probability": values},
    )


def disc(shape, y, x, radius):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def test_a_whole_grain_replaces_its_pieces_and_its_neighbour_keeps_all_pixels():
    fine = np.zeros((300, 400), np.int32)
    fine[50:150, 50:100] = 1
    fine[50:150, 100:150] = 2
    fine[60:140, 150:250] = 3
    coarse = np.zeros_like(fine)
    coarse[50:150, 50:152] = 1  # the whole grain, reaching 2 columns into its neighbour
    labels, facts = merge_octaves(
        [candidates(fine, 0.6, 0.6, 0.9), candidates(coarse, 0.9, scale=0.5)],
        min_area_px=15,
        min_quality=0,
    )
    assert len(facts["confidence"]) == 2
    areas = sorted(np.bincount(labels.ravel())[1:].tolist())
    assert areas[0] >= 8000 - 160
    assert sum(areas) == ((fine > 0) | (coarse > 0)).sum()


def test_a_neighbour_in_the_corner_of_the_bounding_box_is_untouched():
    shape = (300, 400)
    whole, neighbour = disc(shape, 150, 150, 80), disc(shape, 218, 218, 17)
    fine = np.zeros(shape, np.int32)
    columns = np.arange(shape[1])
    for k, zone in enumerate((columns < 120, (columns >= 120) & (columns < 180), columns >= 180)):
        fine[whole & zone] = k + 1
    fine[neighbour] = 4
    labels, _ = merge_octaves(
        [candidates(fine, 0.6, 0.6, 0.6, 0.8), candidates(whole, 0.9, scale=0.5)],
        min_area_px=15,
        min_quality=0,
    )
    assert len(np.unique(labels)) == 3
    assert (labels[neighbour & ~whole] > 0).all()
    assert (labels[whole | neighbour] > 0).all()


def test_the_better_of_two_outlines_of_one_grain_wins():
    shape = (60, 60)
    good, poor = disc(shape, 30, 30, 15), disc(shape, 31, 30, 17)
    labels, facts = merge_octaves(
        [candidates(poor, 0.6), candidates(good, 0.9, scale=0.5)], min_area_px=15, min_quality=0
    )
    assert np.array_equal(labels > 0, good)
    assert facts["confidence"].tolist() == [0.9]


def test_candidates_of_low_quality_are_dropped_unless_asked_for():
    grain = disc((60, 60), 30, 30, 15)
    octaves = [candidates(grain, 0.2), candidates(np.zeros_like(grain))]
    assert merge_octaves(octaves, min_area_px=15)[0].max() == 0
    assert merge_octaves(octaves, min_area_px=15, min_quality=0)[0].max() == 1


def test_best_ious_are_those_of_every_pair():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 5, (2, 30, 40)).astype(np.int32)
    first[first == 3] = 0  # a gap
    best, other = best_ious(first, second)
    for k in range(1, 5):
        ious = [
            ((first == k) & (second == m)).sum() / max(1, ((first == k) | (second == m)).sum())
            for m in range(1, 5)
        ]
        assert best[k] == pytest.approx(max(ious))
    assert len(other) == second.max() + 1


@st.composite
def label_images(draw, shape=(48, 64)):
    labels = np.zeros(shape, np.int32)
    n = draw(st.integers(0, 6))
    for k in range(n):
        y, x = draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))
        radius = draw(st.integers(2, 24))
        labels[disc(shape, y, x, radius) & (labels == 0)] = k + 1
    labels = keep_largest_pieces(labels)
    kept = np.unique(labels[labels > 0])
    number = np.zeros(n + 1, np.int32)
    number[kept] = np.arange(1, len(kept) + 1)
    confidences = draw(
        st.lists(st.floats(0.55, 1), min_size=len(kept), max_size=len(kept), unique=True)
    )
    return candidates(number[labels], *confidences)


@settings(max_examples=80, deadline=None)
@given(st.lists(label_images(), min_size=2, max_size=3))
def test_a_grain_loses_only_pixels_that_a_better_grain_covers(octaves):
    min_area_px = 15
    for i, octave in enumerate(octaves):
        octave.facts["probability"] = 100 * i + np.arange(len(octave))  # names the candidates
    labels, facts = merge_octaves(octaves, min_area_px=min_area_px)
    sources = {
        name: octave.labels == k + 1
        for octave in octaves
        for k, name in enumerate(octave.facts["probability"])
    }
    for label in np.unique(labels[labels > 0]):
        grain, source = labels == label, sources[facts["probability"][label - 1]]
        assert grain.sum() >= min_area_px
        assert connected(grain, connectivity=1).max() == 1
        # What is lost to the background is separated from the grain by better ones.
        pieces = connected(source & ((labels == 0) | grain), connectivity=1)
        own = pieces[grain & source]
        assert not ((pieces == own[0]) & (labels == 0)).any()

"""Grains of two scales are joined without a loss: no bites, no crumbs, no straight cuts."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from grainsmith.segment.masks import _join
from grainsmith.segment.tidy import keep_largest_pieces

LARGE_PX = 20.0


def facts(*confidence):
    values = np.array(confidence, float)
    return {"confidence": values, "flow_error": np.zeros(len(values)), "probability": values}


def test_a_neighbour_that_a_large_grain_touches_keeps_its_pixels():
    rows, columns = np.mgrid[:300, :400]
    disc = (rows - 150) ** 2 + (columns - 150) ** 2 <= 80**2
    neighbour = (rows - 218) ** 2 + (columns - 218) ** 2 <= 17**2  # half of it in the disc's box
    fine = np.zeros((300, 400), np.int32)
    fine[disc & (columns < 120)] = 1
    fine[disc & (columns >= 120) & (columns < 180)] = 2
    fine[disc & (columns >= 180)] = 4
    fine[neighbour] = 3
    joined, _ = _join(fine, facts(0.5, 0.5, 0.9, 0.5), disc.astype(np.int32), facts(0.9), LARGE_PX)
    np.testing.assert_array_equal(joined == 3, neighbour)
    np.testing.assert_array_equal(joined == 5, disc & ~neighbour)
    assert not np.isin(joined, (1, 2, 4)).any()


def test_a_piece_that_reaches_beyond_the_box_is_replaced_whole():
    fine = np.zeros((100, 120), np.int32)
    fine[20:60, 20:40], fine[20:60, 40:62] = 1, 2
    coarse = np.zeros_like(fine)
    coarse[20:60, 20:60] = 1
    joined, joined_facts = _join(fine, facts(0.4, 0.4), coarse, facts(0.9), LARGE_PX)
    assert np.unique(joined).tolist() == [0, 3]
    assert joined_facts["confidence"].tolist() == [0.4, 0.4, 0.9]


@st.composite
def rectangles(draw):
    labels = np.zeros((60, 60), np.int32)
    for number in range(1, draw(st.integers(1, 8)) + 1):
        top, left = draw(st.integers(0, 50)), draw(st.integers(0, 50))
        height, width = draw(st.integers(3, 40)), draw(st.integers(3, 40))
        labels[top : top + height, left : left + width] = number
    return keep_largest_pieces(labels, min_area_px=4)


@given(rectangles(), rectangles(), st.data())
@settings(max_examples=200, deadline=None)
def test_grains_that_are_not_mostly_covered_keep_every_pixel(fine, coarse, data):
    def confidences(labels):
        n = int(labels.max())
        return facts(*data.draw(st.lists(st.floats(0.1, 1.0), min_size=n, max_size=n)))

    joined, _ = _join(fine, confidences(fine), coarse, confidences(coarse), LARGE_PX)
    for number in np.unique(fine[fine > 0]):
        covered = (coarse > 0) & (fine == number)
        if (joined == number).any() or covered.sum() < 0.75 * (fine == number).sum():
            np.testing.assert_array_equal(joined == number, fine == number)

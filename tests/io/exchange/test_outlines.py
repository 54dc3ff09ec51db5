"""Outlines: exact both ways, valid polygons, any shape of grain."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from grainsmith.io.exchange.outlines import (
    Polygon,
    draw_polygons,
    fill_rings,
    join_rings,
    parse_ring,
    signed_area,
    trace_outlines,
)


def _drawn(rows):
    return np.array([[int(c) if c != "." else 0 for c in row] for row in rows], np.int32)


CASES = {
    "one pixel": ["1"],
    "whole field": ["11", "11"],
    "two neighbours": ["12", "12"],
    "ring with a hole": ["111", "1.1", "111"],
    "hole filled by another": ["111", "121", "111"],
    "diagonal pixels": ["1.", ".1"],
    "hole that meets the outside in a corner": ["111", "1.1", "11."],
    "two holes that meet in a corner": ["1111", "1.11", "11.1", "1111"],
    "two pieces": ["1.1", "1.1"],
    "island in a hole": ["11111", "1...1", "1.1.1", "1...1", "11111"],
    "large numbers": ["9.9", ".7.", "9.9"],
    "nothing": ["..", ".."],
}


@pytest.mark.parametrize("rows", CASES.values(), ids=CASES)
def test_there_and_back(rows):
    labels = _drawn(rows)
    back, overlapping = draw_polygons(labels.shape, trace_outlines(labels))
    np.testing.assert_array_equal(back, labels)
    assert overlapping == 0


@pytest.mark.parametrize("rows", CASES.values(), ids=CASES)
def test_one_ring_covers_the_same(rows):
    labels = _drawn(rows)
    for label, polygons in trace_outlines(labels).items():
        place, mask = fill_rings([join_rings(polygons)], labels.shape)
        whole = np.zeros(labels.shape, bool)
        whole[place] = mask
        np.testing.assert_array_equal(whole, labels == label)


@settings(max_examples=80, deadline=None)
@given(
    arrays(np.int32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3))
)
def test_any_labels_there_and_back(labels):
    shapely = pytest.importorskip("shapely")
    found = trace_outlines(labels)
    np.testing.assert_array_equal(draw_polygons(labels.shape, found)[0], labels)
    for label, polygons in found.items():
        areas = [sum(map(signed_area, polygon.rings)) for polygon in polygons]
        assert sum(areas) == np.count_nonzero(labels == label)
        for polygon in polygons:
            assert shapely.Polygon(polygon.exterior, polygon.holes).is_valid
        ring = join_rings(polygons)
        assert fill_rings([ring], labels.shape)[1].sum() == sum(areas)


def test_only_true_corners_are_kept():
    (square,) = trace_outlines(np.ones((50, 80), np.int32))[1]
    assert square.exterior.tolist() == [[0, 80], [50, 80], [50, 0], [0, 0]]


def test_a_pixel_belongs_to_whom_its_centre_belongs_to():
    triangle = Polygon(np.array([[0.0, 0.0], [0.0, 4.0], [4.0, 0.0]]))
    labels, _ = draw_polygons((4, 4), {1: [triangle]})
    assert labels.sum() == 6 or labels.sum() == 10  # the diagonal passes through centres
    assert labels[0, 0] == 1
    assert labels[3, 3] == 0


def test_the_smaller_lies_on_top_and_overlap_is_counted():
    large = Polygon(np.array([[0, 0], [0, 6], [6, 6], [6, 0]], float))
    small = Polygon(np.array([[2, 2], [2, 4], [4, 4], [4, 2]], float))
    labels, overlapping = draw_polygons((6, 6), {1: [small], 2: [large]})
    assert overlapping == 4
    assert (labels == 1).sum() == 4


def test_what_lies_outside_is_cut_off():
    beyond = Polygon(np.array([[-3, -3], [-3, 2], [2, 2], [2, -3]], float))
    labels, _ = draw_polygons((4, 4), {5: [beyond]})
    assert (labels == 5).sum() == 4
    far = Polygon(beyond.exterior + 100)
    assert not draw_polygons((4, 4), {5: [far]})[0].any()


@pytest.mark.parametrize(
    "points",
    [[(0, 0), (1, 1)], [(0, 0), (1, 1), (0, 0)], [1, 2, 3], [(0, 0), (0, 9), (9, float("nan"))]],
)
def test_what_is_no_polygon_is_refused(points):
    with pytest.raises(ValueError, match="a polygon needs"):
        parse_ring(points)

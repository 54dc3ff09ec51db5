"""Verdicts of maps whose pairs agree with, or contradict, their placements."""

import numpy as np
import pytest

from grainsmith.align import AlignSettings
from grainsmith.align.acquisition_groups import PairOffset
from grainsmith.align.coarse_search import Placement
from grainsmith.align.mutual_information import Peak
from grainsmith.align.quality import Evidence, Verdicts

CLEAR = Peak(dy_px=0.0, dx_px=0.0, z=40.0, runner_up=5.0, at_edge=False)


def row_of(number, residual_px, *, turned=False, pairs=3):
    """The row of a map of one of two passes that their pairs put `residual_px` apart."""
    matrix = np.eye(3)
    if turned:
        angle = np.radians(1.5)
        matrix[:2, :2] = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
        centre = np.full(2, 99.5)
        matrix[:2, 2] = centre - matrix[:2, :2] @ centre
    placements = {
        0: Placement(matrix=np.eye(3), peak=CLEAR, misfit_px=0.1),
        1: Placement(matrix=matrix, peak=CLEAR, misfit_px=0.1),
    }
    ends = [(0, 2), (0, 3), (1, 2)][:pairs]
    links = [
        PairOffset(first=a, second=b, dy_px=residual_px, dx_px=0.0, z=40.0, holds=True)
        for a, b in ends
    ]
    passes = np.array([0, 0, 1, 1])
    verdicts = Verdicts((200, 200), links, passes, placements, AlignSettings())
    return verdicts.row(number, ["a", "b"], "Si", np.eye(3), Evidence(pairs=[], peak=CLEAR))


def test_maps_whose_pairs_agree_are_aligned():
    row = row_of(0, 0.4)
    assert row.transform.verdict == "aligned"
    assert row.residual_px == pytest.approx(0.4)


@pytest.mark.parametrize("residual", [1.8, 2.7, 9.0])
def test_maps_whose_clear_pairs_contradict_them_are_never_aligned(residual):
    row = row_of(0, residual)
    assert row.transform.verdict == "unsure"
    assert f"contradict it by {residual:.1f} px" in row.note
    np.testing.assert_array_equal(row.moved, np.eye(3))


def test_a_single_pair_does_not_outvote_the_reference():
    assert row_of(0, 2.7, pairs=1).transform.verdict == "aligned"


def test_pairs_with_a_rotated_pass_may_differ_by_the_rotation():
    assert row_of(0, 2.7, turned=True).transform.verdict == "aligned"

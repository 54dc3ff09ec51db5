"""Contact lengths against the lengths from which the labels were made."""

import numpy as np
import pandas as pd
import pytest

from grainsmith.statistics import contact_lengths, contact_matrix


def two_grains(angle_deg, gap, length=160):
    """Two grains along a straight seam of a width and direction."""
    y, x = np.mgrid[:300, :300] - 149.7
    angle = np.radians(angle_deg)
    across = x * np.cos(angle) + y * np.sin(angle)
    along = y * np.cos(angle) - x * np.sin(angle)
    inside = (np.abs(along) <= length / 2) & (np.abs(across) < 60)
    return np.select(
        [inside & (across < -gap / 2), inside & (across >= gap / 2)], [1, 2], 0
    ).astype(np.int32)


@pytest.mark.parametrize("length", [7, 10, 33, 120])
@pytest.mark.parametrize("gap", [0, 1, 3])
def test_contact_along_the_axes_is_exact_with_and_without_a_seam(length, gap):
    labels = np.zeros((length + 30, 90), np.int32)
    labels[15 : 15 + length, 20:40] = 4
    labels[15 : 15 + length, 40 + gap : 60] = 9
    contacts = contact_lengths(labels)
    assert contacts.to_numpy().tolist() == [[4, 9, length]]
    turned = contact_lengths(np.ascontiguousarray(labels.T))
    assert turned["length_px"].tolist() == [length]


def test_contact_of_staggered_grains_is_their_common_side_only():
    labels = np.zeros((60, 60), np.int32)
    labels[10:30, 10:30] = 1
    labels[22:50, 30:50] = 2
    assert contact_lengths(labels)["length_px"].tolist() == [8]


@pytest.mark.parametrize("angle", [0, 10, 26.6, 45, 70])
@pytest.mark.parametrize("gap", [0, 1, 2])
def test_slanted_contacts_are_right_to_two_per_cent(angle, gap):
    (length,) = contact_lengths(two_grains(angle, gap))["length_px"]
    assert length == pytest.approx(160, rel=0.025)


def test_seams_wider_than_twice_the_gap_and_grains_between_are_no_contact():
    labels = np.zeros((40, 60), np.int32)
    labels[5:35, 5:20], labels[5:35, 26:40] = 1, 2
    assert contact_lengths(labels).empty
    labels[5:35, 22:24] = 3
    pairs = contact_lengths(labels)[["first", "second"]].to_numpy().tolist()
    assert pairs == [[1, 3], [2, 3]]


def test_contacts_of_minerals_are_symmetric_and_scaled():
    labels = np.zeros((40, 60), np.int32)
    labels[5:35, 5:20], labels[5:35, 20:40], labels[5:35, 40:55] = 1, 2, 3
    naming = pd.DataFrame({"mineral": ["a", "b", "b"]}, index=pd.Index([1, 2, 3], name="label"))
    matrix = contact_matrix(labels, naming, pixel_size_um=0.5)
    assert matrix.loc["a", "b"] == matrix.loc["b", "a"] == 15
    assert matrix.loc["b", "b"] == 30
    assert matrix.loc["a", "a"] == 0

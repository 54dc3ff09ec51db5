import pytest

from grainsmith.errors import ReadError
from grainsmith.io.labels.review_states import read_states, states_path, write_states


def test_states_round_trip_and_are_removed(tmp_path):
    labels = tmp_path / "field_masks.tif"
    assert read_states(labels) == {}
    assert write_states(labels, {12: "accepted", 3: "drawn"}) == [str(states_path(labels))]
    assert read_states(labels) == {3: "drawn", 12: "accepted"}
    assert write_states(labels, {}) == []
    assert not states_path(labels).exists()


def test_damaged_states_are_refused(tmp_path):
    labels = tmp_path / "field_masks.tif"
    states_path(labels).write_text("[1, 2]")
    with pytest.raises(ReadError, match="Move it away to open the labels"):
        read_states(labels)

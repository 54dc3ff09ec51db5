import pytest

from grainsmith.errors import ReadError
from grainsmith.io.labels.review_states import read_states, states_path, write_states


def test_states_come_back_and_go(tmp_path):
    labels = tmp_path / "field_masks.tif"
    assert read_states(labels) == {}
    assert write_states(labels, {12: "accepted", 3: "drawn"}) == [str(states_path(labels))]
    assert read_states(labels) == {3: "drawn", 12: "accepted"}
    assert write_states(labels, {}) == []
    assert not states_path(labels).exists()


def test_damage_is_told(tmp_path):
    labels = tmp_path / "field_masks.tif"
    states_path(labels).write_text("[1, 2]")
    with pytest.raises(ReadError, match="is damaged"):
        read_states(labels)

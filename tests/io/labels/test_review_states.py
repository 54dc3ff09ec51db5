import pandas as pd
import pytest

from grainsmith.errors import ReadError
from grainsmith.io.labels.review_states import (
    read_naming,
    read_states,
    states_path,
    write_states,
)


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


def test_minerals_and_examples_are_read_back(tmp_path):
    labels = tmp_path / "f_masks.tif"
    naming = pd.DataFrame(
        {"mineral": ["quartz"], "score": [0.9]}, index=pd.Index([7], name="label")
    )
    assert write_states(labels, {}, naming=naming, examples={7: "quartz"}) == [
        str(states_path(labels))
    ]
    read, examples = read_naming(labels)
    pd.testing.assert_frame_equal(read, naming)
    assert examples == {7: "quartz"}
    assert read_states(labels) == {}
    write_states(labels, {7: "accepted"})
    assert len(read_naming(labels)[0]) == 0

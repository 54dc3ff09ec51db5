import numpy as np
import pytest
from tests.fakes import BrightIsGrain

from grainsmith.io.dataset import LoadedField
from grainsmith.score import match_labels, score_labels
from grainsmith.train import evaluate_models, read_comparison
from grainsmith.train.comparison import compare_labels


def square(labels, label, y, x, side):
    labels[y : y + side, x : x + side] = label


@pytest.fixture
def truth():
    labels = np.zeros((60, 60), np.int32)
    for label, (y, x) in {3: (2, 2), 5: (2, 22), 7: (22, 2), 9: (40, 40)}.items():
        square(labels, label, y, x, 12)
    return labels


def test_grains_gained_lost_and_changed(truth):
    before, after = np.zeros_like(truth), np.zeros_like(truth)
    square(before, 1, 2, 2, 12), square(before, 2, 2, 22, 12), square(before, 3, 22, 2, 9)
    square(after, 1, 2, 2, 12), square(after, 8, 22, 2, 12), square(after, 2, 40, 40, 12)
    loaded = LoadedField(truth, truth, np.ones(truth.shape, np.float32))
    comparison = compare_labels("f", "test", loaded, before, after)
    assert (comparison.gained, comparison.lost, comparison.changed) == ([9], [5], [7])
    assert comparison.before.ap50 == comparison.after.ap50 == pytest.approx(3 / 4)
    assert match_labels(truth, before) == pytest.approx({3: 1, 5: 1, 7: 81 / 144})


def test_what_is_not_trusted_does_not_count(truth):
    weight = np.zeros(truth.shape, np.float32)
    weight[:36] = 1
    labels = np.where(truth == 9, 0, truth)
    square(labels, 50, 45, 2, 8)
    loaded = LoadedField(truth, truth, weight)
    comparison = compare_labels("f", "test", loaded, labels, labels)
    assert comparison.before.ap50 == 1.0
    assert score_labels(truth, labels).ap50 < 1


class Field:
    name, role = "one", "validation"

    def __init__(self, labels):
        self.labels = labels

    def load(self):
        image = np.where(self.labels > 0, 200.0, 20.0)
        return LoadedField(image, self.labels, np.ones(image.shape, np.float32))


class Blind:
    name, fingerprint, stride, tile_px, diameter_px = "blind", "", 8, 0, 0.0

    def predict(self, tile):
        return np.full((3, *tile.shape), -9, np.float32)


def test_a_comparison_of_two_models_is_written_and_read(truth, tmp_path):
    comparison = evaluate_models(Blind(), BrightIsGrain(0.0), [Field(truth)], synthetic=False)
    assert comparison.fields[0].gained == [3, 5, 7, 9]
    assert comparison.summary()["ap50"] == {"validation": {"before": 0.0, "after": 1.0}}
    comparison.write(tmp_path)
    again = read_comparison(tmp_path)
    assert again.summary()["fields"][0]["gained"] == [3, 5, 7, 9]
    np.testing.assert_array_equal(again.fields[0].labels_after, comparison.fields[0].labels_after)
    assert np.isnan(again.fields[0].before.d50_error_pct)

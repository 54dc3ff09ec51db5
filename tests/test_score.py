import numpy as np
import pytest

from grainsmith.errors import MismatchError
from grainsmith.score import score_labels


def field(*boxes, shape=(20, 30)):
    labels = np.zeros(shape, np.int32)
    for number, y0, y1, x0, x1 in boxes:
        labels[y0:y1, x0:x1] = number
    return labels


TWO = field((1, 2, 8, 2, 8), (7, 10, 16, 10, 16))


def test_equal_labels_score_one_whatever_their_numbers():
    renumbered = np.select([TWO == 1, TWO == 7], [500, 3], 0).astype(np.int32)
    result = score_labels(TWO, renumbered)
    assert (result.ap50, result.ap75, result.ap90, result.mean_iou) == (1, 1, 1, 1)
    assert (result.n_true, result.n_pred, result.d50_error_pct) == (2, 2, 0)


@pytest.mark.parametrize(
    ("labels", "ap50"),
    [
        pytest.param(field((1, 2, 8, 2, 8)), 1 / 2, id="one-missed"),
        pytest.param(field(), 0.0, id="all-missed"),
        pytest.param(
            field((1, 2, 8, 2, 8), (2, 10, 16, 10, 16), (3, 0, 2, 20, 24)), 2 / 3, id="one-false"
        ),
        pytest.param(field((1, 2, 16, 2, 16)), 0.0, id="merged"),
    ],
)
def test_missed_and_false_grains_count(labels, ap50):
    assert score_labels(TWO, labels).ap50 == pytest.approx(ap50)


def test_two_halves_of_one_grain_match_it_once():
    halves = field((1, 2, 5, 2, 8), (2, 5, 8, 2, 8))
    result = score_labels(field((1, 2, 8, 2, 8)), halves)
    assert result.ap50 == pytest.approx(1 / 2)  # one true, one false


def test_border_grains_and_what_lies_on_them_are_left_out():
    truth = field((1, 0, 6, 0, 6), (2, 10, 16, 10, 16))
    labels = field((5, 1, 6, 1, 6), (6, 10, 16, 10, 16), (7, 5, 9, 26, 30))
    result = score_labels(truth, labels, ignore_border=True)
    assert (result.n_true, result.n_pred, result.ap50) == (1, 1, 1)
    assert score_labels(truth, labels).n_pred == 3


def test_d50_error_has_a_sign():
    bigger = field((1, 2, 8, 2, 14), (7, 10, 16, 10, 22))
    assert score_labels(TWO, bigger).d50_error_pct == pytest.approx(100 * (2**0.5 - 1))


def test_no_grains_anywhere_is_not_a_number_and_no_crash():
    assert np.isnan(score_labels(field(), field()).ap50)


def test_other_shape_is_refused():
    with pytest.raises(MismatchError, match=r"truth is \(20, 30\) and labels are \(5, 5\)"):
        score_labels(TWO, np.zeros((5, 5), np.int32))

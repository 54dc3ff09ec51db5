import numpy as np
import pytest

from grainsmith.score import score_labels
from grainsmith.segment.flows import find_boxes, flow_errors, flows_from_labels
from grainsmith.segment.trajectories import follow, gather


def discs(*circles, shape=(80, 100)):
    labels = np.zeros(shape, np.int32)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    for number, y, x, radius in circles:
        labels[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = number
    return labels


# Numbers with gaps, one of them larger than the image has pixels; 3 and 9 touch.
FIELD = discs((3, 20, 20, 12), (9, 20, 43, 11), (2_000_000_000, 55, 60, 20))


def test_boxes_of_numbers_with_gaps():
    boxes = find_boxes(FIELD)
    assert boxes.ids.tolist() == [3, 9, 2_000_000_000]
    y0, y1, x0, x1 = boxes.edges[0]
    assert (FIELD[y0:y1, x0:x1] == 3).sum() == (FIELD == 3).sum()
    assert len(find_boxes(np.zeros((4, 5), np.int32))) == 0


def test_flows_are_unit_vectors_towards_the_centre():
    flows = flows_from_labels(FIELD)
    norm = np.hypot(*flows)
    assert (flows[:, FIELD == 0] == 0).all()
    assert np.quantile(norm[FIELD > 0], 0.05) == pytest.approx(1, abs=1e-6)
    rows, columns = np.nonzero(FIELD == 3)
    towards = np.stack([20 - rows, 20 - columns])
    far = np.hypot(*towards) > 2
    cosine = (flows[:, rows, columns] * towards).sum(0)[far] / np.hypot(*towards)[far]
    assert cosine.mean() > 0.98


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_following_the_flows_gives_the_grains_back(scale):
    coarse = np.repeat(np.repeat(FIELD, 2, 0), 2, 1) if scale == 2 else FIELD[:: int(1 / scale)]
    coarse = coarse[:, :: int(1 / scale)] if scale < 1 else coarse
    inside = FIELD > 0
    ends = follow(flows_from_labels(coarse), inside, scale=scale)
    labels = gather(ends, inside, coarse.shape, min_points=10)
    assert score_labels(FIELD, labels).ap90 == 1


def test_flow_errors_find_the_wrong_grain():
    flows = flows_from_labels(FIELD)
    merged = np.where(FIELD == 9, 3, FIELD)
    ids, errors = flow_errors(merged, flows)
    assert ids.tolist() == [3, 2_000_000_000]
    assert errors[0] > 0.4
    assert errors[1] == pytest.approx(0, abs=1e-6)


def test_one_pixel_grains_and_empty_images_do_no_harm():
    dot = np.zeros((1, 7), np.int32)
    dot[0, 3] = 5
    assert (flows_from_labels(dot) == 0).all()
    empty = np.zeros((6, 6), bool)
    ends = follow(np.zeros((2, 6, 6), np.float32), empty)
    assert gather(ends, empty, (6, 6), min_points=1).max() == 0

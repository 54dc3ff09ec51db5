import numpy as np
import pytest
from skimage.draw import disk

import grainsmith.clean as clean
from grainsmith.data import Transform
from grainsmith.errors import MismatchError


def edited(labels, patches):
    after = labels.copy()
    clean.apply_patches(after, patches)
    return after


def lobes(*centres, radius=15, shape=(80, 120)):
    labels = np.zeros(shape, np.int32)
    for centre in centres:
        labels[disk(centre, radius, shape=shape)] = 4
    return labels


DUMBBELL = lobes((40, 40), (40, 66))


@pytest.mark.parametrize(
    "line",
    [
        pytest.param([(20, 53), (60, 53)], id="straight"),
        pytest.param([(60, 53), (20, 53)], id="upwards"),
        pytest.param([(25, 50), (40, 55), (58, 50)], id="bent"),
        pytest.param([(34, 53), (46, 53)], id="too-short-is-carried-on"),
    ],
)
def test_line_cuts_without_losing_a_pixel(line):
    after = edited(DUMBBELL, clean.split_by_line(DUMBBELL, clean.GrainIndex(DUMBBELL), line))
    assert set(np.unique(after).tolist()) == {0, 4, 5}
    assert np.array_equal(after > 0, DUMBBELL > 0)
    assert min(np.bincount(after.ravel())[4:]) > 0.35 * np.count_nonzero(DUMBBELL)


def test_larger_part_keeps_the_number():
    labels = np.zeros((10, 30), np.int32)
    labels[2:8, 2:28] = 9
    after = edited(labels, clean.split_by_line(labels, clean.GrainIndex(labels), [(0, 8), (9, 8)]))
    assert after[5, 20] == 9
    assert after[5, 4] == 10


def test_line_across_several_grains_cuts_all_or_only_the_chosen():
    labels = np.zeros((30, 40), np.int32)
    labels[2:12, 5:35] = 1
    labels[16:28, 5:35] = 2
    index = clean.GrainIndex(labels)
    line = [(0, 20), (29, 20)]
    both = edited(labels, clean.split_by_line(labels, index, line))
    assert set(np.unique(both).tolist()) == {0, 1, 2, 3, 4}
    one = edited(labels, clean.split_by_line(labels, index, line, [2]))
    assert set(np.unique(one).tolist()) == {0, 1, 2, 3}
    assert np.array_equal(one == 1, labels == 1)


def test_line_beside_a_grain_does_nothing():
    assert clean.split_by_line(DUMBBELL, clean.GrainIndex(DUMBBELL), [(0, 0), (79, 3)]) == ()


def test_proposed_seeds_cut_at_the_neck():
    labels = lobes((40, 30), (40, 57), (40, 84))
    index = clean.GrainIndex(labels)
    seeds = clean.propose_seeds(labels, index, 4)
    assert len(seeds) == 3
    after = edited(labels, clean.split_by_seeds(labels, index, 4, seeds))
    sizes = np.bincount(after.ravel())
    sizes = sizes[sizes > 0][1:]
    assert len(sizes) == 3
    assert sizes.min() > 0.7 * sizes.max()


def test_a_disc_is_not_proposed_to_be_cut():
    labels = lobes((40, 50))
    assert len(clean.propose_seeds(labels, clean.GrainIndex(labels), 4)) == 1


def test_chemistry_cuts_where_compositions_meet():
    rng = np.random.default_rng(0)
    values = rng.normal(10, 1, (2, *DUMBBELL.shape))
    values[0, :, 53:] += 8
    values[1, :, 53:] -= 3
    # the second map has pixels of two and lies ten pixels to the right
    second = (
        values[1, ::2, 10::2],
        Transform(matrix=np.array([[2, 0, 0], [0, 2, 10], [0, 0, 1.0]])),
    )
    maps = [(values[0], Transform()), second]
    index = clean.GrainIndex(DUMBBELL)
    after = edited(DUMBBELL, clean.split_by_chemistry(DUMBBELL, index, 4, maps))
    left, right = after[40, 40], after[40, 66]
    assert left != right
    assert np.mean(after[:, :51][after[:, :51] > 0] == left) > 0.98


def test_one_composition_is_not_cut():
    values = np.random.default_rng(1).normal(10, 1, DUMBBELL.shape)
    with pytest.raises(MismatchError, match="of one composition"):
        clean.split_by_chemistry(DUMBBELL, clean.GrainIndex(DUMBBELL), 4, [(values, Transform())])


@pytest.mark.parametrize("scale", [1, 2])
def test_click_finds_the_grain_its_flows_lead_to(scale):
    truth = np.zeros((80, 120), np.int32)
    truth[disk((40, 40), 15)] = 1
    truth[disk((40, 69), 15)] = 2  # they touch: only the flows tell them apart
    y, x = np.indices(truth.shape).astype(float)
    flows = np.where(truth == 2, [40 - y, 69 - x], [40 - y, 40 - x])
    flows = flows / np.maximum(np.hypot(*flows), 1e-9)
    labels = np.zeros_like(truth)
    labels[:, :20] = 7
    logit = np.kron(np.where(truth > 0, 3.0, -5.0), np.ones((scale, scale)))
    flows = np.kron(flows, np.ones((1, scale, scale)))
    candidate = clean.candidate_from_flows(labels, (45, 70), logit, flows, reach_px=40, scale=scale)
    index = clean.GrainIndex(labels)
    after = edited(labels, clean.add_candidate(labels, index, candidate, candidate.start))
    found, wanted = after == 8, truth == 2
    assert np.count_nonzero(found & wanted) / np.count_nonzero(found | wanted) > 0.97


def test_threshold_makes_the_clicked_grain_larger_and_smaller():
    y, x = np.indices((60, 60))
    chance = np.clip(1 - np.hypot(y - 30, x - 30) / 25, 0, 1)
    flows = np.stack([30.0 - y, 30.0 - x])
    labels = np.zeros((60, 60), np.int32)
    logit = np.log(np.maximum(chance, 1e-6) / np.maximum(1 - chance, 1e-6))
    candidate = clean.candidate_from_flows(labels, (30, 30), logit, flows, reach_px=30)
    sizes = [np.count_nonzero(candidate.mask(t)) for t in (0.1, 0.5, 0.9)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 2 * sizes[1] > 4 * sizes[2]


def test_grey_click_stays_within_its_grey_and_out_of_grains():
    image = np.full((50, 50), 40.0)
    image[10:30, 10:30] = 200
    labels = np.zeros((50, 50), np.int32)
    labels[10:30, 25:30] = 3
    candidate = clean.candidate_from_grey(labels, (20, 15), image, reach_px=25)
    mask = candidate.mask(candidate.start)
    assert abs(np.count_nonzero(mask) - 20 * 15) < 60
    with pytest.raises(MismatchError, match="grain 3 is here"):
        clean.candidate_from_grey(labels, (20, 26), image, reach_px=25)

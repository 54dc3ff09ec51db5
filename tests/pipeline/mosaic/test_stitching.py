import numpy as np
import pytest

from grainsmith.pipeline.mosaic.blocks import describe_grains
from grainsmith.pipeline.mosaic.stitching import stitch

SIDE = 64


def _drawn():
    """Grains in one block, over one seam, over two, over the corner of four, and a long one."""
    y, x = np.mgrid[:192, :192]
    labels = np.zeros((192, 192), np.int32)
    discs = [(30, 30, 9), (30, 64, 8), (64, 64, 12), (64, 30, 7), (128, 128, 11), (100, 96, 9)]
    for number, (cy, cx, r) in enumerate(discs, 1):
        labels[(y - cy) ** 2 + (x - cx) ** 2 <= r * r] = number
    labels[160:165, 5:187] = 7  # crosses two seams, and is longer than any halo here
    labels[5:20, 120:140] = 8
    _, first = np.unique(labels, return_index=True)
    order = np.argsort(np.argsort(first[1:])) + 1
    return np.append(0, order).astype(np.int32)[labels]


def _blocks(labels, halo, rng):
    """Every block numbers what it sees in its own way."""
    blocks = {}
    for i in range(3):
        for j in range(3):
            core = (i * SIDE, (i + 1) * SIDE, j * SIDE, (j + 1) * SIDE)
            window = np.clip(np.add(core, (-halo, halo) * 2), 0, 192).tolist()
            seen = labels[window[0] : window[1], window[2] : window[3]]
            present = np.unique(seen[seen > 0])
            own = np.zeros(labels.max() + 1, np.int32)
            own[present] = rng.permutation(len(present)) + 1
            blocks[i, j] = describe_grains(own[seen], window, core, labels.shape)
    return blocks


def _put_together(blocks, joined):
    rows = [
        np.hstack([joined.numbers[i, j][blocks[i, j]["labels"]] for j in range(3)])
        for i in range(3)
    ]
    return np.vstack(rows)


@pytest.mark.parametrize("halo", [4, 16, 40])
def test_grains_over_seams_and_corners_are_one_and_numbered_in_reading_order(halo):
    labels = _drawn()
    blocks = _blocks(labels, halo, np.random.default_rng(1))
    assert np.array_equal(_put_together(blocks, stitch(blocks)), labels)


def test_neither_the_order_of_the_blocks_nor_their_own_numbers_matter():
    labels = _drawn()
    one = _blocks(labels, 16, np.random.default_rng(2))
    other = dict(reversed(_blocks(labels, 16, np.random.default_rng(3)).items()))
    assert np.array_equal(_put_together(one, stitch(one)), _put_together(other, stitch(other)))


def test_the_box_of_a_joined_grain_is_that_of_all_its_parts():
    labels = _drawn()
    joined = stitch(_blocks(labels, 4, np.random.default_rng(4)))
    long = int(labels[162, 100])
    assert joined.boxes[long - 1].tolist() == [160, 5, 165, 187]
    assert len(joined.owner) == labels.max()


def test_grains_that_only_touch_at_a_seam_stay_two():
    labels = np.zeros((192, 192), np.int32)
    labels[20:40, 40:64], labels[20:40, 64:90] = 1, 2
    blocks = _blocks(labels, 16, np.random.default_rng(5))
    assert np.array_equal(_put_together(blocks, stitch(blocks)), labels)


def test_a_mosaic_without_grains_has_none():
    blocks = _blocks(np.zeros((192, 192), np.int32), 16, np.random.default_rng(6))
    joined = stitch(blocks)
    assert len(joined.owner) == 0
    assert not _put_together(blocks, joined).any()

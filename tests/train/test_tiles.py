import numpy as np
import pytest
import torch

from grainsmith.samples import training_field
from grainsmith.segment.flows import flows_from_labels
from grainsmith.segment.normalize import MARGIN_PX, to_grey
from grainsmith.train import (
    Tile,
    augment,
    cut_tile,
    loss,
    training_targets,
)
from grainsmith.train.tiles import grain_weights


def field(seed=1, size=96):
    image, labels = training_field((11, seed), size)
    return Tile.from_field(to_grey(image)[0], labels)


def test_image_labels_and_weight_of_a_tile_rotate_together():
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:50, :60]
    image = (100 * rows + columns).astype(np.float32)
    flows = np.zeros((2, *image.shape), np.float32)
    plain = Tile(image, image.astype(np.int32), np.ones_like(image), flows)
    for _ in range(8):
        tile = cut_tile(rng, plain, size_px=32, scale=1.0)
        np.testing.assert_allclose(tile.image, tile.labels, atol=101)
    beyond = cut_tile(rng, plain, size_px=80, scale=1.0)
    assert 0 < beyond.weight.mean() < 1
    assert (beyond.labels[beyond.weight == 0] == 0).all()


def test_labels_outside_the_trusted_region_do_not_change_the_loss():
    tile = field()
    weight = tile.weight.copy()
    weight[:, 48:] = 0
    garbage = tile.labels.copy()
    garbage[:, 60:] = np.random.default_rng(0).integers(0, 99, garbage[:, 60:].shape)
    output = torch.randn(1, 3, *np.add(tile.labels.shape, 2 * MARGIN_PX))
    values = []
    for labels in (np.where(weight > 0, tile.labels, 0), np.where(weight > 0, garbage, 0)):
        trusted = Tile.from_field(tile.image, labels, weight)
        values.append(loss(output, torch.from_numpy(training_targets(trusted)[None])))
    assert values[0] == values[1]
    # The same garbage left in place, where the weight alone must silence it.
    wanted = training_targets(Tile.from_field(tile.image, tile.labels, weight))
    planted = wanted.copy()
    planted[:3, wanted[3] == 0] = 7.0
    planted[2, wanted[3] == 0] = 1.0
    assert loss(output, torch.from_numpy(wanted[None])) == loss(
        output, torch.from_numpy(planted[None])
    )


def test_weight_is_inversely_proportional_to_the_diameter():
    labels = np.zeros((80, 80), np.int32)
    labels[:40, :40], labels[50:60, 50:60], labels[70:72, 70:72], labels[50:70, :20] = 1, 3, 4, 7
    median = np.sqrt((100 + 400) / 2)  # of sides of 40, 20, 10 and 2 px, by their areas
    weights = grain_weights(labels, np.ones(labels.shape, bool))
    wanted = [1, median / 40, median / 10, 5, median / 20]
    np.testing.assert_allclose(weights[[0, 1, 3, 4, 7]], wanted, rtol=1e-6)
    trusted = np.ones(labels.shape, np.float32)
    trusted[:20] = 0
    weight = Tile.from_field(np.zeros(labels.shape, np.float32), labels, trusted).weight
    assert not weight[MARGIN_PX : MARGIN_PX + 20].any()
    assert weight[MARGIN_PX + 55, MARGIN_PX + 55] == weights[3]
    nothing = np.zeros((4, 4), np.int32)
    np.testing.assert_array_equal(grain_weights(nothing, nothing == 0), [1])


@pytest.mark.parametrize("seed", range(8))
def test_flows_rotate_with_the_tile_and_point_to_the_centre_of_whole_grains(seed):
    labels = np.zeros((60, 90), np.int32)
    labels[4:20, 6:30], labels[10:34, 50:70], labels[30:60, 10:40] = 1, 2, 3
    whole = Tile.from_field(np.zeros(labels.shape, np.float32), labels)
    tile = cut_tile(np.random.default_rng(seed), whole, size_px=48, scale=1.0)
    own = flows_from_labels(tile.labels)
    for label in np.unique(tile.labels[tile.labels > 0]):
        inside = tile.labels == label
        alike = (tile.flows[:, inside] * own[:, inside]).sum(axis=0)
        if inside.sum() == (whole.labels == label).sum():
            assert alike.mean() > 0.98  # but for ties of the middle pixel
        elif inside.sum() < 0.6 * (whole.labels == label).sum():
            assert alike.mean() < 0.9
    np.testing.assert_array_equal(tile.flows[:, tile.labels == 0], 0)


def test_a_field_is_mirrored_beyond_its_edges():
    labels = np.zeros((80, 100), np.int32)
    labels[:12, 40:60], labels[5:15, 3:13] = 1, 2
    image = np.random.default_rng(0).random(labels.shape, np.float32)
    tile = Tile.from_field(image, labels)
    np.testing.assert_array_equal(
        tile.image[MARGIN_PX - 12 : MARGIN_PX], tile.image[MARGIN_PX + 11 : MARGIN_PX - 1 : -1]
    )
    # The edge cuts grain 1: its middle lies on the edge, so its flows lead there.
    rows, columns = np.nonzero(tile.labels == 1)
    assert (rows.min(), rows.max()) == (MARGIN_PX - 12, MARGIN_PX + 11)
    side = columns == MARGIN_PX + 50
    up, down = rows[side] > MARGIN_PX + 2, rows[side] < MARGIN_PX - 3
    flow_y = tile.flows[0, rows[side], columns[side]]
    assert (flow_y[up] < 0).all()
    assert (flow_y[down] > 0).all()
    # Grain 2 is whole: its mirror images are grains of their own.
    assert (tile.labels == 2).sum() == 100
    assert len(np.unique(tile.labels)) == 1 + 1 + 4


def test_strong_noise_has_at_most_the_spread_of_the_image():
    image = field(4).image
    ratios = []
    for seed in range(20):
        plain = augment(np.random.default_rng(seed), image, inverted=0)
        noisy = augment(np.random.default_rng(seed), image, inverted=0, strong_noise=1)
        ratios.append(noisy.std() / plain.std())
    # Two independent spreads of the same size add up to sqrt(2); contrast varies by 15 %.
    assert 1.02 < np.median(ratios) < 1.5

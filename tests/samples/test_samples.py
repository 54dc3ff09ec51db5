import numpy as np
import pytest

from grainsmith.samples import sample_field, training_field
from grainsmith.samples.artefacts import record
from grainsmith.samples.modalities import LOOKS, Scene
from grainsmith.samples.shapes import Packing, generate_grains, pack_grains


def test_the_same_seed_gives_the_same_field():
    image, labels = training_field((7, 1), 128)
    again, again_labels = training_field((7, 1), 128)
    np.testing.assert_array_equal(image, again)
    np.testing.assert_array_equal(labels, again_labels)
    assert not np.array_equal(image, training_field((7, 2), 128)[0])


@pytest.mark.parametrize("seed", range(12))
def test_training_fields_are_finite_and_numbered_without_gaps(seed):
    image, labels = training_field((3, seed), 96)
    assert image.shape == labels.shape == (96, 96)
    assert image.dtype == np.float32
    assert np.isfinite(image).all()
    assert labels.dtype == np.int32


def test_apart_means_apart_and_packed_means_packed():
    rng = np.random.default_rng(0)
    packing = Packing(median_radius_px=8, spread=0.2, coverage=0.5)
    apart = generate_grains(rng, (150, 150), packing)
    pairs = np.stack([apart[:, :-1].ravel(), apart[:, 1:].ravel()])
    touching = (pairs[0] != pairs[1]) & (pairs > 0).all(0)
    assert apart.max() > 20
    assert touching.mean() < 0.002
    packed = pack_grains(
        rng, (150, 150), Packing(median_radius_px=8, spread=0.2, coverage=1.3), gap_px=0
    )
    assert (packed > 0).mean() > 0.7


@pytest.mark.parametrize(("difficulty", "binning"), [("plain", 1), ("hard", 2)])
def test_sample_tells_the_whole_truth(difficulty, binning):
    sample = sample_field(difficulty)
    rows = sample.image.image.shape[0] - sample.image.data_bar_rows
    assert sample.labels.shape == sample.image.image.shape
    assert sample.labels[rows:].max(initial=0) == 0
    assert sorted(np.unique(sample.labels)[1:]) == sample.minerals.index.tolist()
    assert {m.element for m in sample.maps} == set(sample.transforms)
    assert sample.maps[0].values.shape == (rows // binning, sample.image.image.shape[1] // binning)
    assert (sample.minerals["planted"] == "mixed").sum() >= 5


def test_true_transforms_put_the_maps_on_the_grains():
    """Zircon grains, looked up through the true transform, are where the Zr counts are."""
    sample = sample_field("plain")
    zr = next(m for m in sample.maps if m.element == "Zr").values
    ys, xs = np.nonzero(np.ones_like(zr))
    on_image = np.rint(sample.transforms["Zr"].apply(np.stack([ys, xs], 1))).astype(int)
    inside = ((on_image >= 0) & (on_image < sample.labels.shape)).all(1)
    label = sample.labels[tuple(on_image[inside].T)]
    counts = zr[ys[inside], xs[inside]]
    pure = sample.minerals[sample.minerals["planted"] == ""]
    zircon = np.isin(label, pure.index[pure["mineral"] == "zircon"])
    quartz = np.isin(label, pure.index[pure["mineral"] == "quartz"])
    assert counts[zircon].mean() > 15 * counts[quartz].mean()


def test_unknown_difficulty_is_refused():
    with pytest.raises(ValueError, match="'plain' or 'hard', got 'easy'"):
        sample_field("easy")


@pytest.mark.parametrize("look", sorted(LOOKS))
def test_every_look_of_a_field_without_grains_is_a_picture(look):
    empty = Scene.of(np.zeros((64, 64), np.int32))
    for seed in range(20):
        rng = np.random.default_rng(seed)
        picture = record(rng, LOOKS[look](rng, empty), empty)
        assert np.isfinite(picture).all()

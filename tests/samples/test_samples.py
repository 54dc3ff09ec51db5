import numpy as np
import pytest

from grainsmith.samples import arrangements, sample_field, textured_field, textures, training_field
from grainsmith.samples.artefacts import add_frame, burn_in, record
from grainsmith.samples.scene import Scene
from grainsmith.samples.shapes import Packing, generate_grains, pack_grains
from grainsmith.samples.training import MODALITIES


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
def test_sample_field_is_consistent(difficulty, binning):
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


@pytest.mark.parametrize("name", sorted(MODALITIES))
def test_every_modality_draws_a_finite_image_of_a_field_without_grains(name):
    empty = Scene.of(np.zeros((64, 64), np.int32))
    for seed in range(20):
        rng = np.random.default_rng(seed)
        image = record(rng, MODALITIES[name].draw(rng, empty), empty)
        assert np.isfinite(image).all()


def test_shares_of_modalities_and_arrangements_add_up():
    assert sum(modality.share for modality in MODALITIES.values()) == pytest.approx(1)
    for modality in MODALITIES.values():
        assert sum(modality.arrangements.values()) == pytest.approx(1)


def test_textured_fields_show_the_textures_inside_the_grains():
    rows = np.linspace(0, 1, 50, dtype=np.float32)
    textures = [np.tile(rows, (40, 1)), np.full((30, 30), 0.7, np.float32)]
    image, labels = textured_field((1, 4), textures, 128)
    again, _ = textured_field((1, 4), textures, 128)
    np.testing.assert_array_equal(image, again)
    assert image.shape == labels.shape == (128, 128)
    assert labels.max() > 3
    assert np.isfinite(image).all()


def test_two_size_classes_differ_in_width_and_keep_apart():
    ratios = []
    for seed in range(8):
        labels = arrangements.two_size_classes(np.random.default_rng(seed), (256, 256))
        diameters = np.sqrt(np.bincount(labels.ravel())[1:] * 4 / np.pi)
        ratios.append(np.percentile(diameters, 98) / np.percentile(diameters, 10))
    assert np.median(ratios) > 3
    assert max(ratios) > 8


def test_agglomerates_touch():
    touching = []
    for seed in range(6):
        labels = arrangements.agglomerated(np.random.default_rng(seed), (200, 200))
        ours, theirs = labels[:, :-1], labels[:, 1:]
        contact = (ours != theirs) & (ours > 0) & (theirs > 0)
        touching.append(len(np.unique(ours[contact])) / max(1, labels.max()))
    assert np.mean(touching) > 0.4


def _discs():
    """Two touching discs of different grey on one side of an empty field."""
    rows, columns = np.mgrid[:80, :80]
    labels = np.zeros((80, 80), np.int32)
    labels[(rows - 40) ** 2 + (columns - 20) ** 2 < 15**2] = 1
    labels[((rows - 40) ** 2 + (columns - 49) ** 2 < 15**2) & (labels == 0)] = 2
    return Scene.of(labels)


def test_weak_contacts_are_weak_and_outlines_stay():
    scene = _discs()
    image = scene.per_grain([0.0, 0.8, 0.8])
    image -= 0.4 * (scene.depth < 2) * scene.inside
    across = np.s_[40, 30:40]
    steps = []
    for seed in range(10):
        weakened = textures.weaken_contacts(np.random.default_rng(seed), scene, image)
        np.testing.assert_array_equal(weakened[~scene.inside], image[~scene.inside])
        steps.append(np.ptp(weakened[across]))
    assert np.median(steps) < 0.8 * np.ptp(image[across])


def test_film_is_faint_and_lies_on_the_background_only():
    scene = _discs()
    image = scene.per_grain([0.2, 0.8, 0.8])
    film = image.copy()
    textures.add_film(np.random.default_rng(2), scene, film)
    assert 0 < np.abs(film - image).max() < 0.6 * 0.6
    np.testing.assert_array_equal(film[scene.inside], image[scene.inside])


@pytest.mark.parametrize("add", textures.INTERIORS)
def test_interiors_change_grains_only(add):
    scene = _discs()
    image = scene.per_grain([0.2, 0.6, 0.7])
    changed = False
    for seed in range(12):
        after = image.copy()
        add(np.random.default_rng(seed), scene, after)
        np.testing.assert_array_equal(after[~scene.inside], image[~scene.inside])
        changed |= not np.array_equal(after, image)
    assert changed


def test_letters_leave_the_labels_and_frames_remove_them():
    for seed in range(20):
        image, labels = np.random.default_rng(0).random((96, 96)), np.ones((96, 96), np.int32)
        burn_in(np.random.default_rng(seed), image, labels)
        assert np.isfinite(image).all()
        assert (labels == 1).mean() > 0.3
    image, labels = np.random.default_rng(0).random((96, 96)), np.ones((96, 96), np.int32)
    add_frame(np.random.default_rng(1), image, labels)
    assert 0 < (labels == 0).mean() < 1
    assert np.ptp(image[labels == 0]) == 0

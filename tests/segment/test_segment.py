from dataclasses import replace

import numpy as np
import pytest
from tests.fakes import BrightIsGrain

from grainsmith.samples import sample_field
from grainsmith.score import score_labels
from grainsmith.segment import SegmentSettings, draw_grains, predict, segment_image
from grainsmith.segment.contrast import faint_grains
from grainsmith.segment.normalize import to_grey
from grainsmith.segment.prediction import typical_diameter_px

RNG = np.random.default_rng(0)


def discs(radius, pitch, shape):
    labels = np.zeros(shape, np.int32)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    number = 0
    for y in np.arange(pitch / 2, shape[0], pitch):
        for x in np.arange(pitch / 2, shape[1], pitch):
            number += 1
            labels[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = number
    return labels


def image_of(labels, bright=200, dark=20):
    return np.where(labels > 0, bright, dark).astype(np.uint8)


@pytest.mark.parametrize("radius", [8, 14, 40])
def test_grains_of_any_size_are_found_without_a_hint(radius):
    truth = discs(radius, 2.6 * radius, (300, 420))
    grains = segment_image(image_of(truth), model=BrightIsGrain())
    result = score_labels(truth, grains.labels)
    assert result.ap75 > 0.95
    assert abs(result.d50_error_pct) < 5
    assert grains.labels.dtype == np.int32
    assert grains.table.index.tolist() == list(range(1, len(grains.table) + 1))
    assert grains.table["confidence"].between(0, 1).all()


def test_tiles_leave_no_seam():
    truth = discs(14, 37, (400, 400))
    one = SegmentSettings(diameter_px=30, tile_px=512, two_scales=False)
    many = SegmentSettings(diameter_px=30, tile_px=160, two_scales=False)
    model = BrightIsGrain()
    whole = segment_image(image_of(truth), one, model=model)
    tiled = segment_image(image_of(truth), many, model=model)
    assert score_labels(whole.labels, tiled.labels).ap90 > 0.99


def test_a_huge_grain_among_small_ones_is_found_whole():
    truth = discs(9, 26, (420, 420))
    rows, columns = np.mgrid[:420, :420]
    near = (rows - 210) ** 2 + (columns - 210) ** 2
    truth[near < 110**2] = 0
    truth[near < 95**2] = truth.max() + 1
    grains = segment_image(image_of(truth), model=BrightIsGrain())
    assert score_labels(truth, grains.labels).ap75 > 0.95


@pytest.mark.parametrize("tile_px", [128, 256, 768])
def test_a_grain_across_many_tiles_stays_one(tile_px):
    truth = np.zeros((300, 700), np.int32)
    rows, columns = np.mgrid[:300, :700]
    truth[((rows - 150) / 60) ** 2 + ((columns - 350) / 320) ** 2 < 1] = 1
    settings = SegmentSettings(diameter_px=30, tile_px=tile_px)
    grains = segment_image(image_of(truth), settings, model=BrightIsGrain())
    assert score_labels(truth, grains.labels).ap75 == 1


def test_faint_outlines_are_left_out_with_a_note_and_can_be_kept():
    truth = discs(12, 40, (280, 400))
    faint = np.isin(truth, np.unique(truth)[1::2])
    image = np.where(faint, 96.0, np.where(truth > 0, 200.0, 90.0))
    model = BrightIsGrain(threshold=0.02)
    settings = SegmentSettings(diameter_px=30)
    grains = segment_image(image, settings, model=model)
    assert set(np.unique(truth[grains.labels > 0])) == set(np.unique(truth[~faint]))
    assert "35 faint outlines were left out" in grains.note
    kept = segment_image(image, replace(settings, contrast_gate=False), model=model)
    assert len(kept.table) == truth.max()
    assert "faint" not in kept.note


def test_grains_of_one_contrast_pass_the_gate():
    contrasts = RNG.normal(0.5, 0.1, 200)
    assert not faint_grains(contrasts).any()
    assert not faint_grains(np.append(contrasts, [0.02] * 3)[:9]).any()


def test_low_confidence_is_noted():
    truth = discs(14, 37, (200, 200))
    prediction = predict(
        image_of(truth), SegmentSettings(diameter_px=30), model=BrightIsGrain(logit=0.2)
    )
    grains = draw_grains(prediction, SegmentSettings(flow_threshold=0))
    assert "confidence is low" in grains.note


def test_the_diameter_is_estimated_from_the_grains():
    for radius in (7, 13, 25, 45, 80):
        truth = discs(radius, 2.7 * radius, (400, 600))
        estimate = predict(image_of(truth), SegmentSettings(), model=BrightIsGrain()).diameter_px
        assert estimate == pytest.approx(2 * radius, rel=0.15)


def test_thresholds_redraw_without_the_network():
    truth = discs(14, 37, (200, 200))
    model = BrightIsGrain()
    settings = SegmentSettings(diameter_px=30)
    prediction = predict(image_of(truth), settings, model=model)
    calls = model.calls
    all_grains = draw_grains(prediction, settings)
    none = draw_grains(prediction, SegmentSettings(probability_threshold=6.0))
    assert len(all_grains.table) == len(np.unique(truth)) - 1
    assert len(none.table) == 0
    assert "no grain was found" in none.note
    assert model.calls == calls


def test_drawing_again_gives_what_drawing_afresh_gives():
    image, model = image_of(discs(14, 37, (160, 200))), BrightIsGrain()
    kept = predict(image, SegmentSettings(diameter_px=30), model=model)
    for threshold in (2.0, -3.0, 0.0):
        settings = SegmentSettings(diameter_px=30, probability_threshold=threshold)
        again = draw_grains(kept, settings)
        afresh = draw_grains(predict(image, settings, model=model), settings)
        np.testing.assert_array_equal(again.labels, afresh.labels)
        assert again.table.equals(afresh.table)


def test_progress_is_true_and_raising_in_it_stops_at_once():
    truth = discs(14, 37, (300, 300))
    settings = SegmentSettings(diameter_px=30, tile_px=128)
    seen = []
    model = BrightIsGrain()
    predict(image_of(truth), settings, model=model, on_progress=lambda d, t: seen.append((d, t)))
    assert seen[-1] == (model.calls, model.calls)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)

    class StopError(Exception):
        pass

    def stop_after_two(done, total):
        if done == 2:
            raise StopError

    model = BrightIsGrain()
    with pytest.raises(StopError):
        predict(image_of(truth), settings, model=model, on_progress=stop_after_two)
    assert model.calls == 2


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        pytest.param(np.zeros((40, 50)), "constant", id="black"),
        pytest.param(np.full((40, 50), 7, np.uint16), "constant", id="constant"),
        pytest.param(np.full((40, 50), np.nan), "holds no number", id="nan"),
        pytest.param(np.arange(50.0)[None], "too small", id="one-pixel-high"),
        pytest.param(np.zeros((0, 5)), "empty", id="empty"),
        pytest.param(RNG.normal(100, 20, (300, 257)), "noise", id="normal-noise"),
        pytest.param(RNG.poisson(2, (64, 90)), "noise", id="counts"),
        pytest.param(RNG.random((200, 200)) < 0.02, "noise", id="salt"),
    ],
)
def test_images_without_grains_say_why(image, reason):
    model = BrightIsGrain()
    grains = segment_image(image, model=model)
    assert grains.labels.max(initial=0) == 0
    assert reason in grains.note
    assert model.calls == 0


def test_a_faint_grain_in_strong_noise_is_no_mere_noise():
    truth = discs(20, 256, (256, 256))
    assert to_grey((truth > 0) * 0.6 + RNG.normal(0, 1, truth.shape))[1] == ""


def test_a_few_bad_pixels_and_colour_do_no_harm():
    truth = discs(14, 37, (200, 200))
    image = np.repeat(image_of(truth)[..., None], 3, axis=2).astype(np.float32)
    image[5, 5] = np.nan, np.inf, 0
    grains = segment_image(image, SegmentSettings(diameter_px=30), model=BrightIsGrain())
    assert score_labels(truth, grains.labels).ap75 > 0.95


def test_one_large_grain_does_not_set_the_scale_and_crumbs_do_not_either():
    ordinary = np.full(100, np.pi * 15**2)
    assert typical_diameter_px(np.append(ordinary, np.pi * 300**2)) == pytest.approx(30)
    assert typical_diameter_px(np.append(ordinary, np.full(150, 4.0))) == pytest.approx(30)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"diameter_px": -1}, "diameter_px must be 0"),
        ({"min_area_px": 0}, "min_area_px must be 1"),
        ({"tile_px": 10}, "tile_px must be 64"),
    ],
)
def test_impossible_settings_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        SegmentSettings(**wrong)


def test_grains_that_the_edge_cuts_are_found_by_the_embedded_model():
    made = sample_field("plain", seed=1)
    truth = made.labels[:512, :512]
    found = segment_image(made.image.image[:512, :512]).labels
    cut = np.unique(np.concatenate([truth[0], truth[-1], truth[:, 0], truth[:, -1]]))
    shares = []
    for label in cut[cut > 0]:
        mask = truth == label
        if mask.sum() > 60:
            best = np.bincount(found[mask], minlength=2)[1:].argmax() + 1
            shares.append((mask & (found == best)).sum() / (mask | (found == best)).sum())
    assert np.mean(np.array(shares) > 0.5) > 0.85

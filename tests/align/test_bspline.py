"""What no matrix describes: found, recorded beside it, and shown by an explicit copy only."""

import numpy as np
import pytest
from scipy import ndimage

from grainsmith.align import (
    AlignSettings,
    DisplacementField,
    MovingImage,
    register_images,
    resample_bspline,
)
from grainsmith.data import Transform

SHAPE = (256, 240)


def constant_bend(dy, dx):
    return DisplacementField(
        knots_px=np.full((7, 7, 2), (dy, dx), float),
        origin_px=np.array([-60.0, -60.0]),
        spacing_px=np.array([60.0, 60.0]),
    )


@pytest.fixture(scope="module")
def drifted():
    """A reference, counts scanned with drift, and where each pixel of the reference went."""
    rng = np.random.default_rng(0)
    rates = ndimage.gaussian_filter(rng.normal(size=SHAPE), 4)
    rates = 2 + 18 * ndimage.gaussian_filter((rates > 0).astype(float), 0.8)
    y, x = np.indices(SHAPE).astype(float)
    drift = np.stack([3 * np.sin(np.pi * x / SHAPE[1]) - 2, 3 * (y / SHAPE[0]) ** 2])
    seen = ndimage.map_coordinates(rates, [y - drift[0], x - drift[1]], order=1, mode="nearest")
    reference = (220 - 8 * rates + rng.normal(0, 5, SHAPE)).clip(0, 255).astype(np.uint8)
    inner = np.stack([y, x], -1)[20:-20, 20:-20].reshape(-1, 2)
    went = inner.copy()
    for _ in range(20):
        went = inner + np.stack([ndimage.map_coordinates(one, went.T, order=1) for one in drift], 1)
    return reference, rng.poisson(seen), inner, went


def test_drift_within_a_scan_is_found_and_recorded(drifted):
    pytest.importorskip("SimpleITK")
    reference, counts, points, went = drifted
    moving = [MovingImage(image=counts, name="Si Ka", start=np.eye(3))]
    row = register_images(reference, moving, AlignSettings(refine="bspline")).rows[0]
    assert row.transform.verdict == "aligned"
    assert "with the recorded B-spline" in row.note
    back = row.transform.inverse()
    off = [
        np.hypot(*(back.apply(at) - went).T)
        for at in (points, points + row.bend.displacement_px(points))
    ]
    assert np.median(off[0]) > 0.5
    assert np.median(off[1]) < 0.15
    copy = resample_bspline(counts, row.transform, row.bend)
    grey = -reference.astype(float)  # its contrast is the other way round
    fits = [np.corrcoef(one[20:-20, 20:-20].ravel(), grey[20:-20, 20:-20].ravel())[0, 1]
            for one in (counts, np.nan_to_num(copy))]  # fmt: skip
    assert fits[1] > fits[0] + 0.01
    assert set(np.unique(copy[np.isfinite(copy)])) <= set(np.unique(counts))


def test_a_plain_shift_has_no_bend(drifted):
    pytest.importorskip("SimpleITK")
    reference, *_ = drifted
    moved = ndimage.shift(reference, (2.4, -3.1), order=1, mode="nearest")
    moving = [MovingImage(image=255 - moved, name="XPL", start=np.eye(3))]
    row = register_images(reference, moving, AlignSettings(refine="bspline")).rows[0]
    assert row.bend is None
    assert row.model == "shift"


def test_a_constant_bend_is_a_shift():
    picture = np.arange(48.0).reshape(6, 8)
    before = picture.copy()
    copy = resample_bspline(picture, Transform(), constant_bend(1, -2))
    np.testing.assert_array_equal(copy[:-1, 2:], picture[1:, :-2])
    assert np.isnan(copy[-1]).all()
    np.testing.assert_array_equal(picture, before)


def test_a_bend_is_measured_in_pixels_of_the_reference():
    picture = np.arange(48.0).reshape(6, 8)
    coarse = Transform(matrix=np.diag([4.0, 4.0, 1.0]))
    copy = resample_bspline(picture, coarse, constant_bend(4, 0))
    np.testing.assert_array_equal(copy[:-1], picture[1:])


def test_numbers_of_a_bend_there_and_back():
    bend = constant_bend(1.5, 0)
    again = DisplacementField.from_json(bend.to_json())
    np.testing.assert_allclose(again.displacement_px([(3, 4)]), [(1.5, 0)])
    with pytest.raises(ValueError, match="rows, columns, 2"):
        DisplacementField.from_json({**bend.to_json(), "knots_px": [1, 2]})
    with pytest.raises(ValueError, match="spacings above 0"):
        DisplacementField.from_json({**bend.to_json(), "spacing_px": [0, 1]})

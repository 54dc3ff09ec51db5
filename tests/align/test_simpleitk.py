"""The refinement by SimpleITK: taken where it is better, left where it is not."""

import numpy as np
import pytest
from scipy import ndimage

from grainsmith.align import AlignSettings, MovingImage, register_images, simpleitk
from grainsmith.errors import GrainsmithError

SHAPE = (320, 340)
CENTRE = (np.array(SHAPE) - 1) / 2


def pictures(linear, shift, seed=0):
    """Return a reference, and counts of its phases seen through a transform moving -> reference."""
    rng = np.random.default_rng(seed)
    rates = ndimage.gaussian_filter(rng.normal(size=SHAPE), 5)
    rates = 2 + 18 * ndimage.gaussian_filter((rates > 0).astype(float), 0.8)
    truth = np.eye(3)
    truth[:2, :2] = linear
    truth[:2, 2] = CENTRE - linear @ CENTRE + shift
    seen = ndimage.affine_transform(rates, truth[:2, :2], truth[:2, 2], order=1, mode="nearest")
    reference = (220 - 8 * rates + rng.normal(0, 5, SHAPE)).clip(0, 255).astype(np.uint8)
    return reference, rng.poisson(seen), truth


def placed(reference, counts, **settings):
    moving = [MovingImage(image=counts, name="Si Ka", start=np.eye(3))]
    return register_images(reference, moving, AlignSettings(**settings)).rows[0]


def error_px(matrix, truth):
    ends = np.array([(y, x) for y in (0, SHAPE[0]) for x in (0, SHAPE[1])], float)
    gaps = ends @ (matrix - truth)[:2, :2].T + (matrix - truth)[:2, 2]
    return np.hypot(*gaps.T).max()


def test_shear_that_a_similarity_leaves_is_mended():
    pytest.importorskip("SimpleITK")
    reference, counts, truth = pictures(np.array([[1.012, 0.01], [0.0, 0.99]]), (3.3, -2.2))
    before = placed(reference, counts, model="similarity")
    after = placed(reference, counts, model="similarity", refine="affine")
    assert before.model == "similarity"
    assert error_px(before.moved, truth) > 1
    assert (after.model, after.transform.verdict) == ("affine", "aligned")
    assert error_px(after.moved, truth) < 0.5
    assert "affine refinement by SimpleITK" in after.note


def test_plain_shift_is_left_as_it_is():
    pytest.importorskip("SimpleITK")
    reference, counts, _ = pictures(np.eye(2), (3.3, -2.2))
    before, after = (placed(reference, counts, refine=one) for one in ("none", "affine"))
    assert after.model == "shift"
    np.testing.assert_array_equal(after.moved, before.moved)


def test_worse_answers_are_not_taken(monkeypatch):
    reference, counts, _ = pictures(np.array([[1.012, 0.01], [0.0, 0.99]]), (3.3, -2.2))
    before = placed(reference, counts)
    monkeypatch.setattr(simpleitk, "require_simpleitk", lambda settings: None)
    monkeypatch.setattr("grainsmith.align.register.require_simpleitk", lambda settings: None)
    wrong = np.eye(3)
    wrong[:2, 2] = 9
    monkeypatch.setattr(simpleitk, "_by_mattes", lambda ours, theirs, matrix: wrong @ matrix)
    after = placed(reference, counts, refine="affine")
    np.testing.assert_array_equal(after.moved, before.moved)
    assert "not taken" in after.note


def test_noise_is_not_moved_by_a_refinement_either():
    pytest.importorskip("SimpleITK")
    reference, _, _ = pictures(np.eye(2), (0, 0))
    noise = np.random.default_rng(1).poisson(3, SHAPE)
    row = placed(reference, noise, refine="affine")
    assert row.transform.verdict == "not aligned"
    np.testing.assert_array_equal(row.moved, np.eye(3))


def test_missing_simpleitk_is_told_with_what_to_do(monkeypatch):
    monkeypatch.setattr(simpleitk, "find_spec", lambda name: None)
    reference, counts, _ = pictures(np.eye(2), (0, 0))
    with pytest.raises(GrainsmithError, match=r"pip install 'grainsmith\[registration\]'"):
        placed(reference, counts, refine="affine")
    assert placed(reference, counts).transform.verdict == "aligned"


def test_itk_matrix_there_and_back():
    pytest.importorskip("SimpleITK")
    back = np.array([[1.01, 0.02, 3.0], [-0.03, 0.98, -4.0], [0, 0, 1]])
    transform = simpleitk._to_itk(back, SHAPE)
    np.testing.assert_allclose(simpleitk._from_itk(transform), back)
    y, x = back[:2, :2] @ (10, 20) + back[:2, 2]
    np.testing.assert_allclose(transform.TransformPoint((20.0, 10.0)), (x, y))


def test_unknown_refinement_is_refused():
    with pytest.raises(ValueError, match="refine must be one of none, affine"):
        AlignSettings(refine="warp")

"""Pixels stored in other ways than black is zero and RGB."""

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow
from skimage.color import rgb2lab

from grainsmith.io.images.reader import read_image

COLOR = np.random.default_rng(5).integers(40, 216, (20, 30, 3)).astype(np.uint8)
GRAY = COLOR[..., 0]


def _note(image, text):
    return any(text in note for note in image.notes)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_cmyk_tiff_is_like_its_rgb(tmp_path, dtype):
    largest = np.iinfo(dtype).max
    inks = np.dstack([largest - COLOR.astype(dtype) * (largest // 255), np.zeros_like(GRAY)])
    tifffile.imwrite(tmp_path / "a.tif", inks.astype(dtype), photometric="separated")
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.image, COLOR.astype(dtype) * (largest // 255))
    assert _note(image, "CMYK")
    assert not _note(image, "transparency")


def test_black_ink_alone_is_gray(tmp_path):
    inks = np.dstack([*[np.zeros_like(GRAY)] * 3, 255 - GRAY])
    tifffile.imwrite(tmp_path / "a.tif", inks, photometric="separated")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").image, GRAY)


def test_cmyk_jpeg_keeps_bright_bright(tmp_path):
    Pillow.fromarray(COLOR).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    image = read_image(tmp_path / "a.jpg")
    assert abs(float(image.image.mean()) - COLOR.mean()) < 10
    assert _note(image, "CMYK")


def test_cielab_becomes_rgb(tmp_path):
    lab = rgb2lab(COLOR, illuminant="D50")
    stored = np.dstack([lab[..., 0] * 2.55, lab[..., 1:] % 256]).round().astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="cielab")
    difference = read_image(tmp_path / "a.tif").image.astype(int) - COLOR
    assert np.abs(difference).mean() < 3


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        pytest.param(255 - GRAY, GRAY, id="8-bit"),
        pytest.param(65535 - GRAY.astype(np.uint16), GRAY.astype(np.uint16), id="16-bit"),
        pytest.param(GRAY <= 99, (GRAY > 99).astype(np.uint8) * 255, id="1-bit"),
        pytest.param(~GRAY.astype(np.int16), GRAY.astype(np.int16), id="signed"),
    ],
)
def test_white_is_zero_is_inverted_for_every_type(tmp_path, stored, expected):
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite")
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.image, expected)
    assert _note(image, "white is zero")


def test_float_white_is_zero_keeps_its_range(tmp_path):
    stored = GRAY.astype(np.float32) / 7
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite")
    image = read_image(tmp_path / "a.tif").image
    assert (image.min(), image.max()) == pytest.approx((stored.min(), stored.max()))
    assert np.argmax(image) == np.argmin(stored)


def test_two_color_palette_is_applied(tmp_path):
    stored = (GRAY > 99).astype(np.uint8)
    colormap = np.zeros((3, 256), np.uint16)
    colormap[1, 0], colormap[0, 1] = 65535, 65535
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="palette", colormap=colormap)
    image = read_image(tmp_path / "a.tif").image
    np.testing.assert_array_equal(image[..., 0], stored * 255)
    np.testing.assert_array_equal(image[..., 1], (1 - stored) * 255)


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_gif_and_webp(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    Pillow.fromarray(GRAY).save(path, **({"lossless": True} if suffix == ".webp" else {}))
    np.testing.assert_array_equal(read_image(path).image, GRAY)


def test_orientation_is_reported(tmp_path):
    exif = Pillow.Exif()
    exif[274] = 6
    Pillow.fromarray(COLOR).save(tmp_path / "a.jpg", exif=exif)
    assert _note(read_image(tmp_path / "a.jpg"), "orientation")
    tifffile.imwrite(tmp_path / "a.tif", GRAY, extratags=[(274, "H", 1, 6, True)])
    assert _note(read_image(tmp_path / "a.tif"), "orientation")

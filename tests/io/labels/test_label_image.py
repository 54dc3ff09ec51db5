import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage.draw import disk

from grainsmith.errors import ReadError
from grainsmith.io.labels.label_image import read_label_file, read_labels, write_labels


def _discs():
    labels = np.zeros((120, 160), np.int32)
    for number in range(12):
        center = (20 + 40 * (number // 4), 20 + 40 * (number % 4))
        labels[disk(center, 12)] = number + 1
    return labels


LABELS = _discs()


@pytest.mark.parametrize("value", [1, 255])
def test_binary_mask_is_split_with_a_note(tmp_path, value):
    Image.fromarray(((LABELS > 0) * value).astype(np.uint8)).save(tmp_path / "a.png")
    content = read_label_file(tmp_path / "a.png")
    assert len(np.unique(content.labels)) - 1 == 12
    assert "a binary mask" in content.notes[0]
    kept = read_label_file(tmp_path / "a.png", split=False)
    assert (kept.labels.max(), kept.notes) == (value, ())


def test_class_mask_is_split_with_a_note(tmp_path):
    classes = np.where(LABELS > 0, 1 + LABELS % 2, 0).astype(np.uint8)
    Image.fromarray(classes).save(tmp_path / "a.png")
    content = read_label_file(tmp_path / "a.png")
    assert len(np.unique(content.labels)) - 1 == 12
    assert "a mask of 2 classes" in content.notes[0]


def test_grains_in_a_few_pieces_stay_whole(tmp_path):
    labels = LABELS.copy()
    labels[labels == 2] = 1
    write_labels(tmp_path / "a.tif", labels)
    content = read_label_file(tmp_path / "a.tif")
    np.testing.assert_array_equal(content.labels, labels)
    assert content.notes == ()


@pytest.mark.parametrize("largest", [12, 70_000])
def test_pixel_size_is_kept_whatever_the_numbers(tmp_path, largest):
    labels = np.where(LABELS == 12, largest, LABELS).astype(np.int32)
    write_labels(tmp_path / "a.tif", labels, pixel_size_um=0.5)
    content = read_label_file(tmp_path / "a.tif")
    np.testing.assert_array_equal(content.labels, labels)
    assert content.pixel_size_um == pytest.approx(0.5)


@pytest.mark.parametrize(
    "content", [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"x" * 99]
)
def test_formats_that_need_other_programs_are_refused(tmp_path, content, monkeypatch):
    monkeypatch.setattr("subprocess.Popen", None)
    path = tmp_path / "a_masks.eps"
    path.write_bytes(content)
    with pytest.raises(ReadError, match="keep labels exactly"):
        read_labels(path)


def test_jpeg_is_refused(tmp_path):
    Image.fromarray(LABELS.astype(np.uint8)).save(tmp_path / "a.jpg")
    with pytest.raises(ReadError, match="keep labels exactly"):
        read_labels(tmp_path / "a.jpg")


def test_arrays_and_ilastik(tmp_path):
    np.save(tmp_path / "a.npy", LABELS)
    np.savez(tmp_path / "a.npz", labels=LABELS, other=np.zeros(3))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["exported_data"] = LABELS[..., None].astype(np.uint32)
    for name in ("a.npy", "a.npz", "a.h5"):
        np.testing.assert_array_equal(read_labels(tmp_path / name), LABELS)


def test_arrays_of_objects_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(ReadError, match=r"a\.npy"):
        read_labels(tmp_path / "a.npy")


def test_one_color_per_grain(tmp_path):
    palette = np.random.default_rng(7).integers(1, 256, (13, 3)).astype(np.uint8)
    palette[0] = 0
    Image.fromarray(palette[LABELS]).save(tmp_path / "a.png")
    labels = read_labels(tmp_path / "a.png")
    assert len(np.unique(labels)) == 13
    assert all(len(np.unique(labels[number == LABELS])) == 1 for number in range(13))
    np.testing.assert_array_equal(labels == 0, LABELS == 0)


def test_photographs_are_no_labels(tmp_path):
    noise = np.random.default_rng(8).integers(0, 255, (120, 120, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    with pytest.raises(ReadError, match="a photograph"):
        read_labels(tmp_path / "a.png")


def test_a_claim_of_many_pixels_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", LABELS.astype(np.uint16), compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as tiff:
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            tiff.pages[0].tags[name].overwrite(60_000)
    with pytest.raises(ReadError, match=r"a\.tif"):
        read_labels(tmp_path / "a.tif")

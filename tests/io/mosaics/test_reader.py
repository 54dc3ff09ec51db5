import numpy as np
import pytest
import tifffile

from grainsmith.errors import ReadError
from grainsmith.io.mosaics.ome_zarr import build_coarser_levels, create_pyramid, open_levels
from grainsmith.io.mosaics.reader import is_mosaic, open_mosaic

zarr = pytest.importorskip("zarr")


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 255, (1500, 1300), dtype=np.uint8)


def test_a_written_pyramid_reads_back_with_its_pixel_size(tmp_path, picture):
    levels = create_pyramid(
        tmp_path / "a.zarr", name="a", shape=picture.shape, dtype="u1", pixel_size_um=0.5
    )
    levels[0][:] = picture
    build_coarser_levels(levels, labels=False)
    mosaic = open_mosaic(tmp_path / "a.zarr")
    assert is_mosaic(tmp_path / "a.zarr")
    assert mosaic.pixel_size_um == 0.5
    assert [level.shape for level in mosaic.levels] == [(1500, 1300), (750, 650)]
    assert np.array_equal(mosaic.window(100, 900, 5, 700), picture[100:900, 5:700])
    four = picture[:2, :2].astype(float).mean()
    assert abs(float(mosaic.window(0, 1, 0, 1, level=1)[0, 0]) - four) <= 0.5


def test_labels_are_never_mixed_in_the_pyramid_and_a_window_renews_its_part(tmp_path, picture):
    labels = picture.astype(np.int32) * 1000
    levels = create_pyramid(
        tmp_path / "l", name="l", shape=labels.shape, dtype="i4", pixel_size_um=0, labels=True
    )
    levels[0][:] = labels
    build_coarser_levels(levels, labels=True)
    assert np.array_equal(levels[1][:], labels[::2, ::2])
    levels[0][101:203, 301:403] = 7
    build_coarser_levels(levels, labels=True, window=(101, 203, 301, 403))
    assert np.array_equal(open_levels(tmp_path / "l")[1][:], np.asarray(levels[0])[::2, ::2])


def test_ome_zarr_0_4_with_empty_axes_and_nanometres(tmp_path, picture):
    group = zarr.open_group(tmp_path / "b.zarr", mode="w", zarr_format=2)
    array = group.create_array("0", shape=(1, 1, 1500, 1300), chunks=(1, 1, 512, 512), dtype="u1")
    array[:] = picture[None, None]
    axes = [{"name": "t"}, {"name": "c"}, *({"name": n, "unit": "nanometer"} for n in "yx")]
    scale = [{"type": "scale", "scale": [1, 1, 250, 250]}]
    group.attrs["multiscales"] = [
        {"version": "0.4", "axes": axes,
         "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    ]  # fmt: skip
    mosaic = open_mosaic(tmp_path / "b.zarr")
    assert mosaic.shape == (1500, 1300)
    assert mosaic.pixel_size_um == pytest.approx(0.25)


def test_a_tiled_tiff_is_read_by_windows(tmp_path, picture):
    tifffile.imwrite(tmp_path / "t.tif", picture, tile=(256, 256))
    mosaic = open_mosaic(tmp_path / "t.tif")
    assert np.array_equal(mosaic.window(700, 1400, 600, 1300), picture[700:1400, 600:1300])
    assert not is_mosaic(tmp_path / "t.tif")  # small: an ordinary image


def test_what_is_no_mosaic_is_refused_with_a_reason(tmp_path, picture):
    with pytest.raises(ReadError, match="does not exist"):
        open_mosaic(tmp_path / "none.zarr")
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(ReadError, match="cannot be read as a mosaic"):
        open_mosaic(tmp_path / "empty.zarr")
    zarr.open_group(tmp_path / "plain.zarr", mode="w")
    with pytest.raises(ReadError, match="no OME-Zarr image"):
        open_mosaic(tmp_path / "plain.zarr")
    tifffile.imwrite(tmp_path / "stack.ome.tif", np.stack([picture] * 5), metadata={"axes": "ZYX"})
    with pytest.raises(ReadError, match="5 images along the axis 'z'"):
        open_mosaic(tmp_path / "stack.ome.tif")

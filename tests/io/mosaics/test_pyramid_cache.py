import numpy as np
import pytest
import tifffile

from grainsmith.errors import ReadError, WriteError
from grainsmith.io.mosaics import pyramid_cache
from grainsmith.io.mosaics import reader as mosaic_reader
from grainsmith.io.mosaics.reader import open_mosaic

pytest.importorskip("zarr")


@pytest.fixture
def picture(tmp_path, monkeypatch):
    monkeypatch.setattr(pyramid_cache, "LARGE_PX", 1_000_000)
    monkeypatch.setenv("GRAINSMITH_CACHE", str(tmp_path / "cache"))
    pixels = np.random.default_rng(0).integers(0, 255, (2101, 1300), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "flat.tif", pixels, tile=(256, 256), compression="zlib")
    return pixels


def _kept(tmp_path):
    return sorted((tmp_path / "cache" / "overviews").glob("*"))


def test_a_flat_tiff_gets_coarser_levels_once(tmp_path, picture):
    assert pyramid_cache.needs_pyramid(open_mosaic(tmp_path / "flat.tif"))
    found = pyramid_cache.open_with_pyramid(tmp_path / "flat.tif")
    assert [level.shape for level in found.levels] == [(2101, 1300), (1051, 650), (526, 325)]
    mean = picture[:2100].reshape(1050, 2, 650, 2).mean(axis=(1, 3))
    assert np.abs(np.asarray(found.levels[1])[:1050] - mean).max() <= 0.5
    (place,) = _kept(tmp_path)
    made = place.stat().st_ino
    assert not pyramid_cache.needs_pyramid(open_mosaic(tmp_path / "flat.tif"))
    pyramid_cache.open_with_pyramid(tmp_path / "flat.tif")
    assert [one.stat().st_ino for one in _kept(tmp_path)] == [made]
    tifffile.imwrite(tmp_path / "flat.tif", picture[:, ::-1], tile=(256, 256))
    other = pyramid_cache.open_with_pyramid(tmp_path / "flat.tif")
    assert np.array_equal(np.asarray(other.levels[0]), picture[:, ::-1])
    assert len(_kept(tmp_path)) == 2  # another file: another overview


def test_pyramids_and_small_pictures_stay_as_they_are(tmp_path, picture):
    tifffile.imwrite(tmp_path / "small.tif", picture[:500, :500], tile=(256, 256))
    assert len(pyramid_cache.open_with_pyramid(tmp_path / "small.tif").levels) == 1
    assert _kept(tmp_path) == []


def test_old_overviews_are_forgotten(tmp_path, picture, monkeypatch):
    monkeypatch.setattr(pyramid_cache, "_MAX_PYRAMIDS", 2)
    for number in range(3):
        tifffile.imwrite(tmp_path / f"{number}.tif", picture, tile=(256, 256))
        pyramid_cache.open_with_pyramid(tmp_path / f"{number}.tif")
    assert len(_kept(tmp_path)) == 2


def test_stopped_full_or_broken_leaves_nothing_behind(tmp_path, picture, monkeypatch):
    def stop(done, total):
        raise KeyError("stopped")

    with pytest.raises(KeyError, match="stopped"):
        pyramid_cache.open_with_pyramid(tmp_path / "flat.tif", on_progress=stop)
    assert _kept(tmp_path) == []
    with monkeypatch.context() as patch:
        usage = type("Usage", (), {"free": 10})
        patch.setattr(pyramid_cache.shutil, "disk_usage", lambda _path: usage)
        with pytest.raises(WriteError, match="no space for the coarser levels"):
            pyramid_cache.open_with_pyramid(tmp_path / "flat.tif")
    whole = (tmp_path / "flat.tif").read_bytes()
    (tmp_path / "flat.tif").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ReadError):
        pyramid_cache.open_with_pyramid(tmp_path / "flat.tif")
    assert _kept(tmp_path) == []


def test_strips_are_mapped_and_whole_compressed_pictures_are_refused(
    tmp_path, picture, monkeypatch
):
    tifffile.imwrite(tmp_path / "strip.tif", picture, rowsperstrip=len(picture))
    found = open_mosaic(tmp_path / "strip.tif")
    assert found.levels[0].chunks[1][0] == 1300
    assert np.array_equal(found.window(5, 900, 7, 800), picture[5:900, 7:800])
    monkeypatch.setattr(mosaic_reader, "_LARGEST_PIECE", 1_000_000)
    tifffile.imwrite(tmp_path / "one.tif", picture, rowsperstrip=len(picture), compression="zlib")
    with pytest.raises(ReadError, match="save it as a tiled TIFF"):
        open_mosaic(tmp_path / "one.tif")
    tifffile.imwrite(tmp_path / "c.tif", picture.astype(np.complex64), tile=(256, 256))
    with pytest.raises(ReadError, match="complex64"):
        open_mosaic(tmp_path / "c.tif")

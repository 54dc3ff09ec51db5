import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy import ndimage
from tests.fakes import BrightIsGrain

from grainsmith.data import ElementMap, Transform
from grainsmith.errors import ReadError
from grainsmith.io.files.provenance import read_json
from grainsmith.io.mosaics import lazy_maps
from grainsmith.io.mosaics.lazy_maps import open_lazy_maps
from grainsmith.io.mosaics.reader import open_mosaic
from grainsmith.io.tables.grain_table import read_table
from grainsmith.io.transforms import read_transforms
from grainsmith.measure import measure_maps
from grainsmith.pipeline.mosaic import blocks, element_maps, summary
from grainsmith.pipeline.mosaic.element_maps import (
    align_mosaic_maps,
    map_window,
    shrunk,
    write_placed_maps,
)
from grainsmith.pipeline.mosaic.segment import segment_mosaic
from grainsmith.segment import SegmentSettings

pytest.importorskip("zarr")
SHAPE = (1400, 1300)


def _blobs():
    """Grains in no order, so that one place is not like another."""
    rng = np.random.default_rng(5)
    seeds = ndimage.gaussian_filter(rng.random(SHAPE), 9)
    labels, _ = ndimage.label(seeds > np.percentile(seeds, 60))
    return labels.astype(np.int32)


def _map_of(labels, true):
    """Return counts in the grains of even numbers, binned by 2 and seen through a transform."""
    bright = np.where((labels > 0) & (labels % 2 == 0), 60.0, 4.0)
    seen = ndimage.affine_transform(
        ndimage.gaussian_filter(bright, 1), true[:2, :2], offset=true[:2, 2],
        output_shape=tuple(n // 2 for n in SHAPE), order=1, mode="nearest",
    )  # fmt: skip
    return np.random.default_rng(2).poisson(seen).astype(np.uint16)


@pytest.fixture
def mapped(tmp_path, monkeypatch):
    """A mosaic, a map of it that is turned, stretched and shifted, and the truth."""
    monkeypatch.setattr(summary, "_RESAMPLINGS", (3, 3))
    monkeypatch.setattr(element_maps, "COARSE_PX", 300)
    monkeypatch.setattr(element_maps, "_TILE_PX", 420)
    labels = _blobs()
    picture = np.where(labels > 0, 150 + labels % 2 * 60, 20)
    picture = ndimage.gaussian_filter(picture.astype(float), 1).astype(np.uint8)
    tifffile.imwrite(tmp_path / "m.tif", picture, tile=(256, 256))
    turn = np.deg2rad(0.15)
    true = np.array(
        [[2.004 * np.cos(turn), -2.004 * np.sin(turn), 9.3],
         [2.004 * np.sin(turn), 2.004 * np.cos(turn), -6.2], [0, 0, 1]]
    )  # fmt: skip
    (tmp_path / "maps").mkdir()
    tifffile.imwrite(tmp_path / "maps" / "Si Ka.tif", _map_of(labels, true))
    return tmp_path, labels, true


def _worst_px(found, true):
    corners = np.array([(0, 0, 1), (0, 640, 1), (690, 0, 1), (690, 640, 1)]).T
    return float(np.linalg.norm(((found - true) @ corners)[:2], axis=0).max())


def test_tiles_correct_what_the_coarse_level_found(mapped):
    folder, _, true = mapped
    mosaic, maps = open_mosaic(folder / "m.tif"), open_lazy_maps([folder / "maps"])
    (found,), (said,) = align_mosaic_maps(mosaic, maps)
    assert said["verdict"] == "aligned"
    assert said["refined"]
    assert said["n_tiles"] >= 6
    assert _worst_px(found.matrix, true) < 0.6


def test_parts_of_a_map_read_as_the_whole_map_does(mapped, monkeypatch):
    folder, labels, true = mapped
    (one,) = open_lazy_maps([folder / "maps"])
    transform = Transform(matrix=true)
    window = (300, 900, 200, 800)
    part = labels[300:900, 200:800]
    cut = np.unique(np.concatenate([part[0], part[-1], part[:, 0], part[:, -1]]))
    ids = np.setdiff1d(np.unique(part), np.append(cut, 0))
    placed = [element_maps.PlacedMap(one, transform)]
    rows = element_maps.measure_mosaic_maps(part, window, placed, ids)
    shape = one.mosaic.shape
    whole = ElementMap(values=one.mosaic.window(0, shape[0], 0, shape[1]), element="Si", line="Ka")
    expected = measure_maps(labels, [whole], [transform], only=ids.tolist())
    pd.testing.assert_frame_equal(rows, expected)


def test_a_part_beside_the_map_has_one_pixel_and_no_coverage(mapped):
    folder, _, _ = mapped
    (one,) = open_lazy_maps([folder / "maps"])
    far = Transform.from_shift(9000, 9000)
    y0, y1, x0, x1 = map_window(far, (0, 50, 0, 50), one.mosaic.shape)
    assert (y1 - y0, x1 - x0) == (1, 1)
    labels = np.ones((50, 50), np.int32)
    placed = [element_maps.PlacedMap(one, far)]
    rows = element_maps.measure_mosaic_maps(labels, (0, 50, 0, 50), placed, np.array([1]))
    assert rows["Si_coverage"].iloc[0] == 0
    assert np.isnan(rows["Si_mean"].iloc[0])


def test_shrinking_is_the_mean_of_blocks(mapped, monkeypatch):
    monkeypatch.setattr(element_maps, "_STRIP_PX", 100_000)
    mosaic = open_mosaic(mapped[0] / "m.tif")
    small, factor = shrunk(mosaic)
    assert factor == 5
    pixels = tifffile.imread(mapped[0] / "m.tif")
    assert np.allclose(small, pixels.reshape(280, 5, 260, 5).mean(axis=(1, 3)))


def test_a_mosaic_with_maps_has_their_columns_and_says_where_they_lie(mapped, monkeypatch):
    folder, _, true = mapped
    model = BrightIsGrain()
    monkeypatch.setattr(blocks, "_model", lambda *_: model)
    told = []
    settings = SegmentSettings(diameter_px=30, min_area_px=5)
    segment_mosaic(
        folder / "m.tif", folder / "o.zarr", settings, maps=[folder / "maps"], block_px=1024,
        on_message=told.append,
    )  # fmt: skip
    table = read_table(folder / "o.zarr" / "grains.csv")
    assert {"Si_mean", "Si_error", "Si_counts", "Si_coverage"} <= set(table.columns)
    sure = table[(table["area_px"] > 200) & (table["Si_coverage"] > 0.99)]
    assert ((sure["Si_mean"] > 45) | (sure["Si_mean"] < 15)).mean() > 0.9
    transforms = read_transforms(folder / "o.zarr" / "transforms.json")
    assert _worst_px(transforms["Si Ka"].matrix, true) < 0.6
    assert read_json(folder / "o.zarr" / "transforms.json")["maps"][0]["refined"]
    assert any("Si Ka: aligned, refined by" in one for one in told)


def test_maps_placed_anew_are_read_anew(mapped):
    folder, _, _ = mapped
    opened = open_lazy_maps([folder / "maps"])
    for shift in (0.0, 50.0):
        write_placed_maps(folder, opened, [Transform.from_shift(shift, 0)], [{}], [folder / "maps"])
        (found,) = element_maps.placed_maps(str(folder))
        assert found.transform.matrix[0, 2] == shift


def test_maps_that_cannot_be_used_are_named(tmp_path, monkeypatch):
    with pytest.raises(ReadError, match="does not exist"):
        open_lazy_maps([tmp_path / "none"])
    monkeypatch.setattr(lazy_maps, "is_mosaic", lambda path: path.suffix == ".tif")
    tifffile.imwrite(tmp_path / "something.tif", np.zeros((64, 64), np.uint16), tile=(32, 32))
    with pytest.raises(ReadError, match="must say its element"):
        open_lazy_maps([tmp_path / "something.tif"])
    tifffile.imwrite(tmp_path / "Fe Ka.tif", np.zeros((64, 64, 3), np.uint8), tile=(32, 32))
    with pytest.raises(ReadError, match="is coloured"):
        open_lazy_maps([tmp_path / "Fe Ka.tif"])
    tifffile.imwrite(tmp_path / "Si Ka.tif", np.zeros((64, 64), np.uint16), tile=(32, 32))
    (tmp_path / "b").mkdir()
    tifffile.imwrite(tmp_path / "b" / "Si Ka.tif", np.zeros((64, 64), np.uint16), tile=(32, 32))
    with pytest.raises(ReadError, match="two maps of Si Ka"):
        open_lazy_maps([tmp_path / "Si Ka.tif", tmp_path / "b"])
    (one,) = open_lazy_maps([tmp_path / "Si Ka.tif"])
    assert (one.element, one.kind, one.mosaic.shape) == ("Si", "counts", (64, 64))


@pytest.mark.parametrize(
    ("how", "dtype", "is_left"),
    [
        ({"tile": (32, 32), "compression": "zlib"}, "u2", True),
        ({}, "f4", True),  # one strip of bytes as they are
        ({"byteorder": ">"}, "u2", True),
        ({"compression": "zlib", "rowsperstrip": 64}, "u2", False),  # each look would unpack all
        ({"tile": (32, 32)}, "u1", False),
    ],
)
def test_maps_below_a_mosaic_stay_on_disk_where_that_is_simple(
    tmp_path, monkeypatch, how, dtype, is_left
):
    path, values = tmp_path / "Si Ka.tif", np.arange(4096).reshape(64, 64).astype(dtype)
    tifffile.imwrite(path, values, photometric="minisblack", **how)
    monkeypatch.setattr(lazy_maps, "IN_MEMORY_PX", 2000)
    (one,) = open_lazy_maps([path])
    assert hasattr(one.mosaic.levels[0], "compute") == is_left
    assert np.array_equal(one.mosaic.window(10, 50, 5, 64), values[10:50, 5:64])
    assert (one.name, one.kind) == ("Si Ka", "picture" if dtype == "u1" else "counts")
    monkeypatch.setattr(lazy_maps, "IN_MEMORY_PX", 5000)
    (held,) = open_lazy_maps([path])
    assert isinstance(held.mosaic.levels[0], np.ndarray)
    assert (held.name, held.kind) == (one.name, one.kind)

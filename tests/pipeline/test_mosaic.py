import numpy as np
import pandas as pd
import pytest
import tifffile
from tests.fakes import BrightIsGrain

from grainsmith.errors import MismatchError, WriteError
from grainsmith.io.omezarr import open_levels
from grainsmith.io.tables import read_table
from grainsmith.measure import measure_grains
from grainsmith.pipeline import blocks
from grainsmith.pipeline.mosaic import segment_mosaic
from grainsmith.score import score_labels
from grainsmith.segment import SegmentSettings, segment_image

pytest.importorskip("zarr")
SETTINGS = SegmentSettings(diameter_px=30, min_area_px=5)


class _StoppedError(Exception):
    pass


@pytest.fixture
def model(monkeypatch):
    found = BrightIsGrain()
    monkeypatch.setattr(blocks, "_model", lambda _name, _device: found)
    blocks.open_job.cache_clear()
    return found


@pytest.fixture
def picture(tmp_path):
    """Discs on a grid that lies across the seams at 512 and 1024, and across their corner."""
    y, x = np.mgrid[:1100, :1060]
    away = np.hypot((y + 16) % 48 - 24, (x + 16) % 48 - 24)
    pixels = np.where(away < 15 + (y // 48 + x // 48) % 5, 200, 20).astype(np.uint8)
    tifffile.imwrite(tmp_path / "m.tif", pixels, tile=(256, 256))
    return pixels


def _labels(folder):
    return np.asarray(open_levels(folder / "labels" / "grains")[0][:])


def test_labels_and_table_equal_those_of_one_piece(tmp_path, picture, model):
    result = segment_mosaic(tmp_path / "m.tif", tmp_path / "o.zarr", SETTINGS, block_px=512)
    whole = segment_image(picture, SETTINGS, model=model)
    labels = _labels(tmp_path / "o.zarr")
    assert result.n_grains == len(whole.table) > 400
    assert score_labels(whole.labels, labels).ap90 == 1
    table = read_table(tmp_path / "o.zarr" / "grains.csv")
    expected = measure_grains(labels, image=picture)
    pd.testing.assert_frame_equal(
        table[expected.columns], expected, check_dtype=False, check_index_type=False, rtol=1e-6
    )
    close = np.isclose(table["confidence"], whole.table["confidence"], atol=0.01)
    assert close.mean() > 0.99
    assert not (tmp_path / "o.zarr.part").exists()


def test_a_stopped_run_looks_unfinished_and_goes_on(tmp_path, picture, model):
    def stop(done, total):
        if done > total // 2:
            raise _StoppedError

    target = tmp_path / "o.zarr"
    with pytest.raises(_StoppedError):
        segment_mosaic(tmp_path / "m.tif", target, SETTINGS, block_px=512, on_progress=stop)
    assert not target.exists()
    with pytest.raises(WriteError, match="--resume"):
        segment_mosaic(tmp_path / "m.tif", target, SETTINGS, block_px=512)
    other = SegmentSettings(diameter_px=20)
    with pytest.raises(MismatchError, match="another settings"):
        segment_mosaic(tmp_path / "m.tif", target, other, block_px=512, resume=True)
    calls = model.calls
    segment_mosaic(tmp_path / "m.tif", target, SETTINGS, block_px=512, resume=True)
    assert model.calls == calls  # every tile had been looked at
    segment_mosaic(tmp_path / "m.tif", tmp_path / "p.zarr", SETTINGS, block_px=512)
    assert np.array_equal(_labels(target), _labels(tmp_path / "p.zarr"))


def test_other_blocks_give_the_same_numbers(tmp_path, picture, model):
    segment_mosaic(tmp_path / "m.tif", tmp_path / "a.zarr", SETTINGS, block_px=512)
    segment_mosaic(tmp_path / "m.tif", tmp_path / "b.zarr", SETTINGS, block_px=1024)
    assert np.array_equal(_labels(tmp_path / "a.zarr"), _labels(tmp_path / "b.zarr"))


def test_what_is_there_is_not_overwritten(tmp_path, picture, model):
    (tmp_path / "o.zarr").mkdir()
    with pytest.raises(WriteError, match="there already"):
        segment_mosaic(tmp_path / "m.tif", tmp_path / "o.zarr", SETTINGS)

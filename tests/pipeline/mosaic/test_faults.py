"""A mosaic is disturbed in the middle: the scheduler dies, the disk gets full."""

import numpy as np
import pytest
import tifffile
from tests.fakes import BrightIsGrain
from tests.pipeline import clusters, disks
from tests.pipeline.mosaics import are_discs

from grainsmith.errors import GrainsmithError, WriteError
from grainsmith.io.mosaics.reader import open_mosaic
from grainsmith.pipeline.mosaic import blocks, summary
from grainsmith.pipeline.mosaic.segment import segment_mosaic
from grainsmith.segment import SegmentSettings

pytest.importorskip("zarr")

SETTINGS = SegmentSettings(diameter_px=30, min_area_px=5, tile_px=256)
N_TILES, N_BLOCKS = 20, 4


@pytest.fixture(autouse=True)
def few_resamplings(monkeypatch):
    monkeypatch.setattr(summary, "_RESAMPLINGS", (3, 3))


@pytest.fixture(autouse=True)
def model(monkeypatch):
    found = BrightIsGrain()
    monkeypatch.setattr(blocks, "_model", lambda *_: found)
    return found


@pytest.fixture
def picture(tmp_path):
    """Discs on a grid that lies across the seams at 512; its noise is packed by nobody."""
    pixels = np.where(are_discs((740, 700)), 200, 20)
    pixels += np.random.default_rng(0).integers(0, 20, pixels.shape)
    tifffile.imwrite(tmp_path / "m.tif", pixels.astype(np.uint8), tile=(256, 256))
    return tmp_path / "m.tif"


@pytest.fixture
def undisturbed(picture, tmp_path):
    segment_mosaic(picture, tmp_path / "undisturbed.zarr", SETTINGS, block_px=512)
    return tmp_path / "undisturbed.zarr"


@pytest.fixture
def small_disk(tmp_path):
    with disks.small_disk(tmp_path / "disk", "64m") as place:
        yield place


def pixels(folder):
    return [np.asarray(one) for one in open_mosaic(folder).levels]


def assert_same(folder, other):
    for part in (".", "labels/grains"):
        for one, two in zip(pixels(folder / part), pixels(other / part), strict=True):
            assert np.array_equal(one, two)
    for name in ("grains.csv", "statistics.json", "recipe.yaml"):
        assert (folder / name).read_bytes() == (other / name).read_bytes()
    assert not folder.with_name(folder.name + ".part").exists()


@pytest.mark.parametrize(
    ("after", "room"),
    [(3, 4096), (N_TILES + 2, 4096), (N_TILES + N_BLOCKS, 250_000), (N_TILES + N_BLOCKS + 2, 4096),
     (N_TILES + 2 * N_BLOCKS, 4096)],
    ids=["tiles", "blocks", "picture", "labels", "table"],
)  # fmt: skip
def test_the_disk_gets_full(picture, undisturbed, small_disk, after, room):
    def fill(done, total):
        assert total == N_TILES + 3 * N_BLOCKS
        if done >= after:
            disks.resize(small_disk, disks.used(small_disk) + room)

    target = small_disk / "o.zarr"
    with pytest.raises(WriteError, match=r"No space left.*resume the run"):
        segment_mosaic(picture, target, SETTINGS, block_px=512, on_progress=fill)
    assert not target.exists()
    disks.resize(small_disk, "64m")
    segment_mosaic(picture, target, SETTINGS, block_px=512, resume=True)
    assert_same(target, undisturbed)


@pytest.mark.slow
@pytest.mark.timeout(580)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_worker_then_the_scheduler_are_killed_then_the_disk_gets_full(
    picture, undisturbed, small_disk, tmp_path, model
):
    pytest.importorskip("distributed")
    target = small_disk / "o.zarr"
    started = []

    def on(address, on_progress):
        with clusters.workers(
            address, tmp_path, 2, "--preload", "tests.pipeline.quick_workers"
        ) as two:
            started[:] = two
            segment_mosaic(
                picture, target, SETTINGS, block_px=512, scheduler=address,
                resume=True, on_progress=on_progress,
            )  # fmt: skip

    with clusters.scheduler(tmp_path) as (process, address):

        def kill(done, total):
            if done >= 2:
                started[0].kill()
            if done >= 5:
                process.kill()

        with pytest.raises(
            GrainsmithError, match=rf"scheduler was lost after \d+ of {N_TILES}.*resume"
        ):
            on(address, kill)
    tiles = {one: one.stat().st_mtime_ns for one in target.with_name("o.zarr.part").glob("tiles/*")}
    assert 5 <= len(tiles) < N_TILES

    def fill(done, total):
        if done >= N_TILES + N_BLOCKS:
            disks.resize(small_disk, disks.used(small_disk) + 4096)

    with clusters.scheduler(tmp_path) as (_, address):
        with pytest.raises(WriteError, match=r"No space left.*resume the run"):
            on(address, fill)
        # What was done was not made again.
        assert {one: one.stat().st_mtime_ns for one in tiles} == tiles
        disks.resize(small_disk, "64m")
        on(address, lambda done, total: None)
    assert model.calls == N_TILES  # of the undisturbed run: the workers have one of their own
    assert_same(target, undisturbed)

import shutil
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import tifffile
from tests.fakes import BrightIsGrain
from tests.pipeline import clusters
from tests.pipeline.mosaics import are_discs

from grainsmith.errors import GrainsmithError, MismatchError, ReadError, WriteError
from grainsmith.io.files.provenance import read_json, write_json
from grainsmith.io.mosaics.ome_zarr import open_levels
from grainsmith.io.tables.grain_table import read_table
from grainsmith.measure import measure_grains
from grainsmith.models.registry import EMBEDDED
from grainsmith.pipeline.mosaic import blocks, summary
from grainsmith.pipeline.mosaic.segment import segment_mosaic
from grainsmith.pipeline.recipe import Recipe, read_recipe
from grainsmith.samples import sample_field
from grainsmith.score import score_labels
from grainsmith.segment import SegmentSettings, segment_image
from grainsmith.statistics import FieldGrains, StatisticsSettings, summarize

pytest.importorskip("zarr")
SETTINGS = SegmentSettings(diameter_px=30, min_area_px=5)


class _StoppedError(Exception):
    pass


@pytest.fixture(autouse=True)
def few_resamplings(monkeypatch):
    monkeypatch.setattr(summary, "_RESAMPLINGS", (3, 3))


@pytest.fixture
def model(monkeypatch):
    found = BrightIsGrain()
    monkeypatch.setattr(blocks, "_model", lambda *_: found)
    return found


@pytest.fixture
def picture(tmp_path):
    """Discs on a grid that lies across the seams at 512 and 1024, and across their corner."""
    pixels = np.where(are_discs((1100, 1060)), 200, 20).astype(np.uint8)
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
    assert read_recipe(tmp_path / "o.zarr" / "recipe.yaml") == Recipe(segment=SETTINGS)
    # The middle of a grain that the edge cuts lies between two rows, and either may be taken.
    apart = np.abs(table["confidence"].to_numpy() - whole.table["confidence"].to_numpy())
    assert (apart <= np.where(table["touches_edge"], 0.02, 0.01)).mean() > 0.99
    assert not (tmp_path / "o.zarr.part").exists()
    said = read_json(tmp_path / "o.zarr" / "statistics.json")
    field = FieldGrains(table=expected, height_px=1100, width_px=1060)
    whole_field = summarize(field, StatisticsSettings(n_bootstrap=0))
    assert said["n"] == whole_field.n
    d50 = whole_field.values.loc["d50_px_number", "value"]
    assert said["values"]["d50_px_number"]["value"] == pytest.approx(d50)


def test_a_stopped_run_looks_unfinished_and_goes_on(tmp_path, picture, model):
    def stop(done, total):
        if done > total // 2:
            raise _StoppedError

    target = tmp_path / "o.zarr"
    with pytest.raises(_StoppedError):
        segment_mosaic(tmp_path / "m.tif", target, SETTINGS, block_px=512, on_progress=stop)
    assert not target.exists()
    with pytest.raises(WriteError, match="resume it, or remove the folder"):
        segment_mosaic(tmp_path / "m.tif", target, SETTINGS, block_px=512)
    other = SegmentSettings(diameter_px=20)
    with pytest.raises(MismatchError, match="another settings"):
        segment_mosaic(tmp_path / "m.tif", target, other, block_px=512, resume=True)
    calls = model.calls
    segment_mosaic(tmp_path / "m.tif", target, SETTINGS, block_px=512, resume=True)
    assert model.calls == calls  # every tile had been looked at
    segment_mosaic(tmp_path / "m.tif", tmp_path / "p.zarr", SETTINGS, block_px=512)
    assert np.array_equal(_labels(target), _labels(tmp_path / "p.zarr"))


def test_a_second_run_into_one_folder_is_refused_and_disturbs_nothing(tmp_path, picture, model):
    def again(done, total):
        if done < total:
            for resume in (False, True):
                with pytest.raises(WriteError, match=r"another run is writing .*o\.zarr: wait"):
                    segment_mosaic(tmp_path / "m.tif", target, SETTINGS, resume=resume)

    target = tmp_path / "o.zarr"
    segment_mosaic(tmp_path / "m.tif", target, SETTINGS, on_progress=again)
    assert len(read_table(target / "grains.csv")) > 400
    assert not (tmp_path / "o.zarr.part").exists()


def test_a_run_that_never_began_leaves_nothing(tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", np.zeros((600, 600), np.uint8), tile=(256, 256))
    with pytest.raises(MismatchError, match="constant"):
        segment_mosaic(tmp_path / "m.tif", tmp_path / "o.zarr", SETTINGS)
    assert not (tmp_path / "o.zarr.part").exists()


def test_other_blocks_give_the_same_numbers(tmp_path, picture, model):
    segment_mosaic(tmp_path / "m.tif", tmp_path / "a.zarr", SETTINGS, block_px=512)
    segment_mosaic(tmp_path / "m.tif", tmp_path / "b.zarr", SETTINGS, block_px=1024)
    assert np.array_equal(_labels(tmp_path / "a.zarr"), _labels(tmp_path / "b.zarr"))


def test_what_is_there_is_not_overwritten(tmp_path, picture, model):
    (tmp_path / "o.zarr").mkdir()
    with pytest.raises(WriteError, match="exists already"):
        segment_mosaic(tmp_path / "m.tif", tmp_path / "o.zarr", SETTINGS)


def test_drawn_grains_over_the_corner_of_four_blocks_are_those_of_one_piece(tmp_path, model):
    y, x = np.mgrid[:1060, :1100]
    away, angle = np.hypot(y - 512, x - 512), np.arctan2(y - 512, x - 512)
    star = away < 70 + 25 * np.cos(5 * angle)  # on the corner of the first four blocks
    bar = (np.abs(y - 1024 - (x - 512) / 20) < 9) & (np.abs(x - 560) < 200)  # over the next two
    oval = np.hypot((y - 512) / 1.6, x - 1024) < 22  # on the next corner
    beside = np.hypot(y - 480, x - 630) < 16  # near the corner, in one block
    picture = np.where(star | bar | oval | beside, 200, 20).astype(np.uint8)
    tifffile.imwrite(tmp_path / "c.tif", picture, tile=(256, 256))
    segment_mosaic(tmp_path / "c.tif", tmp_path / "o.zarr", SETTINGS, block_px=512)
    labels = _labels(tmp_path / "o.zarr")
    whole = segment_image(picture, SETTINGS, model=model).labels
    assert score_labels(whole, labels).ap90 == 1
    for drawn in (star, bar, oval, beside):
        assert len(np.unique(labels[drawn & (labels > 0)])) == 1
        assert (labels[drawn] > 0).mean() > 0.7  # the star loses the tips of its arms
    assert len(np.unique(labels)) == 5
    table = read_table(tmp_path / "o.zarr" / "grains.csv")
    areas = np.bincount(labels.ravel())[1:]
    assert np.array_equal(table["area_px"], areas)


def test_a_worker_that_goes_on_takes_up_a_folder_made_anew(tmp_path, picture, model):
    """What the client does shows nothing: here a worker of its own has kept the first job."""
    job = {
        "image": str(tmp_path / "m.tif"), "settings": asdict(SETTINGS), "turn": [False] * 3,
        "low": 0.0, "high": 1.0, "diameter_px": 30.0, "halo_px": 128, "block_px": 512,
    }  # fmt: skip
    for block_px in (512, 1024):
        write_json(tmp_path / "o.zarr.part" / "job.json", {**job, "block_px": block_px})
        assert blocks.open_job(str(tmp_path / "o.zarr.part")).block_px == block_px
    opened = blocks.open_job(str(tmp_path / "o.zarr.part"))
    assert blocks.open_job(str(tmp_path / "o.zarr.part")) is opened


@pytest.mark.parametrize("other", ["model", "version of grainsmith", "maps", "image written"])
def test_a_stopped_run_does_not_go_on_with_anything_else(
    tmp_path, picture, model, monkeypatch, other
):
    def go_on():
        segment_mosaic(
            tmp_path / "m.tif", tmp_path / "o.zarr", settings, maps=[tmp_path / "Si Ka.tif"],
            block_px=512, resume=True, on_progress=stop,
        )  # fmt: skip

    def stop(done, total):
        raise _StoppedError

    shutil.copy(EMBEDDED / "grains.pt", tmp_path / "own.pt")
    settings = SegmentSettings(model=str(tmp_path / "own.pt"), diameter_px=30)
    tifffile.imwrite(tmp_path / "Si Ka.tif", np.ones((32, 32), np.uint16))
    for _ in range(2):
        with pytest.raises(_StoppedError):
            go_on()
    if other == "version of grainsmith":
        monkeypatch.setattr("grainsmith.__version__", "0.0.0")
    else:
        changed = {"model": "own.pt", "maps": "Si Ka.tif", "image written": "m.tif"}[other]
        with (tmp_path / changed).open("ab") as file:
            file.write(b"more")
    with pytest.raises(MismatchError, match=f"another {other}: use the same"):
        go_on()


def test_a_scheduler_that_is_missing_is_said_before_the_work(tmp_path, picture, model):
    with pytest.raises(GrainsmithError, match="no scheduler answers at tcp://127"):
        segment_mosaic(
            tmp_path / "m.tif", tmp_path / "o.zarr", SETTINGS, scheduler="tcp://127.0.0.1:1"
        )
    with pytest.raises(MismatchError, match="the scheduler must be"):
        segment_mosaic(tmp_path / "m.tif", tmp_path / "o.zarr", SETTINGS, scheduler="slurm")
    assert not (tmp_path / "o.zarr.part").exists()


def test_turned_pictures_give_the_grains_of_one_piece(tmp_path, model):
    brighter_below = 150 + np.arange(700)[:, None] // 10
    picture = np.where(are_discs((700, 600)), brighter_below, 20).astype(np.uint8)
    tifffile.imwrite(tmp_path / "t.tif", picture, tile=(256, 256))  # bright below, and high
    segment_mosaic(tmp_path / "t.tif", tmp_path / "o.zarr", SETTINGS, block_px=512)
    whole = segment_image(picture, SETTINGS, model=model)
    assert score_labels(whole.labels, _labels(tmp_path / "o.zarr")).ap90 == 1


def test_a_picture_that_cannot_be_read_to_its_end_leaves_what_can_be_resumed(
    tmp_path, picture, model
):
    tifffile.imwrite(tmp_path / "z.tif", picture, tile=(256, 256), compression="zlib")
    whole = (tmp_path / "z.tif").read_bytes()
    broken = bytearray(whole)
    broken[len(whole) // 2 : len(whole) // 2 + 400] = b"\0" * 400
    (tmp_path / "z.tif").write_bytes(bytes(broken))
    with pytest.raises(ReadError, match=r"z\.tif.*cannot be read"):
        segment_mosaic(tmp_path / "z.tif", tmp_path / "o.zarr", SETTINGS, block_px=512)
    assert not (tmp_path / "o.zarr").exists()


def test_no_room_is_said_before_the_work(tmp_path, picture, model, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("grainsmith.pipeline.mosaic.staging.shutil.disk_usage", lambda _path: usage)
    with pytest.raises(WriteError, match="GB are free"):
        segment_mosaic(tmp_path / "m.tif", tmp_path / "o.zarr", SETTINGS)
    # What an earlier run has written is not asked for again.
    (tmp_path / "o.zarr.part" / "tiles").mkdir()
    (tmp_path / "o.zarr.part" / "tiles" / "all").write_bytes(bytes(30_000_000))
    segment_mosaic(tmp_path / "m.tif", tmp_path / "o.zarr", SETTINGS, resume=True)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_workers_of_a_cluster_give_the_same_files(tmp_path):
    pytest.importorskip("distributed")
    pixels = (sample_field("plain").image.image[:700, :740] >> 8).astype(np.uint8)
    tifffile.imwrite(tmp_path / "m.tif", pixels, tile=(256, 256))
    settings = SegmentSettings(diameter_px=30)
    told = []
    for name, scheduler in (("one", "none"), ("two", "local:2")):
        segment_mosaic(
            tmp_path / "m.tif", tmp_path / name, settings, scheduler=scheduler, block_px=512,
            on_message=told.append,
        )  # fmt: skip
    assert any("Dashboard" in one for one in told)
    assert np.array_equal(_labels(tmp_path / "one"), _labels(tmp_path / "two"))
    assert (tmp_path / "one" / "grains.csv").read_bytes() == (
        tmp_path / "two" / "grains.csv"
    ).read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(580)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_worker_that_is_killed_changes_nothing_in_the_result(tmp_path):
    pytest.importorskip("distributed")
    pixels = (sample_field("plain").image.image[:700, :740] >> 8).astype(np.uint8)
    tifffile.imwrite(tmp_path / "m.tif", pixels, tile=(256, 256))
    settings = SegmentSettings(diameter_px=30)
    segment_mosaic(tmp_path / "m.tif", tmp_path / "one", settings, block_px=512)
    with (
        clusters.scheduler(tmp_path) as (_, address),
        clusters.workers(address, tmp_path, 2) as (first, _other),
    ):

        def kill(done, total):
            if done >= 1:
                first.kill()

        segment_mosaic(
            tmp_path / "m.tif", tmp_path / "two", settings, block_px=512, scheduler=address,
            on_progress=kill,
        )  # fmt: skip
        assert first.wait(timeout=30) != 0
    assert np.array_equal(_labels(tmp_path / "one"), _labels(tmp_path / "two"))
    assert (tmp_path / "one" / "grains.csv").read_bytes() == (
        tmp_path / "two" / "grains.csv"
    ).read_bytes()

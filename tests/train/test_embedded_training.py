"""The training of the embedded model, on a miniature of its sets."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from grainsmith.samples import training_field

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def tools(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import embedded_sets
    import train_embedded

    return embedded_sets, train_embedded


@pytest.fixture
def data(tmp_path):
    """Images of three sets: one by article, one with unlabelled parts, one for validation only."""
    folder = tmp_path / "data"
    stems = [f"emps_{k}" for k in range(8)]
    for k, stem in enumerate(stems):
        _write(folder / "sem_emps", stem, k)
    with (folder / "sem_emps" / "articles.csv").open("w", newline="") as file:
        rows = [(stem, f"article {k // 2}") for k, stem in enumerate(stems)]
        csv.writer(file).writerows([("stem", "article"), *rows])
    for k, stem in enumerate(("rocks_image01", "rocks_image02", "rocks_image151")):
        _write(folder / "photo_conveyor_rocks", stem, k)
    _write(folder / "pebble_segmenteverygrain", "torrey_pines", 10)
    return folder


def _write(folder, stem, seed):
    folder.mkdir(parents=True, exist_ok=True)
    image, labels = training_field((5, (8, 10, 0)[seed % 3]), 96)
    low, high = image.min(), image.max()
    grey = (255 * (image - low) / (high - low)).astype(np.uint8)
    tifffile.imwrite(folder / f"{stem}_image.tif", grey)
    tifffile.imwrite(folder / f"{stem}_masks.tif", labels.astype(np.uint16))


def test_an_article_never_trains_and_validates(tools, data):
    sets, _ = tools
    sides = {}
    for image in sets.labeled_images(data):
        if image.set_name == "sem_emps":
            article = int(image.stem.removeprefix("emps_")) // 2
            assert sides.setdefault(article, image.validates) == image.validates
    assert len(sides) == 4
    validating = {image.stem for image in sets.labeled_images(data) if image.validates}
    assert {"torrey_pines", "rocks_image151"} <= validating
    assert not {"rocks_image01", "rocks_image02"} & validating


def test_no_set_is_drawn_more_often_than_its_cap(tools, data):
    sets, _ = tools
    members = [image for image in sets.labeled_images(data) if not image.validates]
    shares = sets.sampling_shares(members)
    conveyor = np.array([image.set_name == "photo_conveyor_rocks" for image in members])
    assert shares.sum() == pytest.approx(1)
    # All sets of the miniature are capped, so the shares keep the ratio of the caps.
    emps = min(0.3, 0.04 * (~conveyor).sum())
    assert shares[conveyor].sum() / shares[~conveyor].sum() == pytest.approx(0.08 / emps)


def test_unlabelled_parts_and_wide_outlines_have_no_weight(tools, data):
    sets, _ = tools
    rock = next(image for image in sets.labeled_images(data) if image.stem == "rocks_image01")
    _, labels, weight = sets.read_pair(rock)
    assert (weight[labels == 0] == 0).all()
    assert 0 < (weight[labels > 0] == 0).mean() < 1
    grown = sets.read_field(rock).tile
    assert 0 < (grown.weight > 0).mean() < 1


def test_training_stops_resumes_and_is_recorded(tools, data, tiny, tmp_path, monkeypatch):
    _, train = tools
    monkeypatch.setattr(train, "PUBLISHED", tmp_path / "published")
    monkeypatch.setattr(train, "TILE_PX", 64)
    out = tmp_path / "out"
    common = ["--data", str(data), "--out", str(out), "--start", str(tiny), "--workers", "0"]
    common += ["--batch", "2", "--threads", "1"]
    steps = []

    def after(n):
        steps.append(n)
        original = train.Session._over
        monkeypatch.setattr(
            train.Session, "_over", lambda self: self.trainer.step >= sum(steps) or original(self)
        )

    after(3)
    train.main(common)
    after(2)
    train.main(common)
    sessions = json.loads((out / "sessions.json").read_text())
    assert [(one["first_step"], one["last_step"]) for one in sessions][-1] == (3, 5)
    with (out / "validation.csv").open() as file:
        sets = {row["set"] for row in csv.DictReader(file)}
    assert {"photo_conveyor_rocks", "pebble_segmenteverygrain"} <= sets
    train.main(["--out", str(out), "--publish"])
    elsewhere = tmp_path / "elsewhere"
    after(1)
    train.main([*common[:3], str(elsewhere), *common[4:]])
    moved = json.loads((elsewhere / "sessions.json").read_text())
    assert moved[-1]["first_step"] == 5
    assert moved[-1]["last_step"] == 6

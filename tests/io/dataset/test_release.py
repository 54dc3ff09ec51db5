"""A release: everything that makes a data set citable, whole or not there at all."""

import csv
import hashlib
import json

import numpy as np
import pytest

from grainsmith.errors import MismatchError, WriteError
from grainsmith.io.dataset import (
    Dataset,
    Origin,
    ReleaseSettings,
    add_field,
    set_roles,
    write_release,
)
from grainsmith.io.exchange import LabelledField, import_fields

SETTINGS = ReleaseSettings(
    title="Sands of the Isar",
    creators="A. Schmid; B. Huber",
    license="CC-BY-4.0",
    url="https://doi.org/10.0000/isar",
)


@pytest.fixture
def dataset(tmp_path):
    for number, name in enumerate(("a", "b")):
        labels = np.zeros((20, 30), np.int32)
        labels[2:9, 3 + number : 12], labels[11:18, 5:20] = 1, 2
        field = LabelledField(
            labels=labels,
            name=name,
            image=(labels * 70 + number).astype(np.uint8),
            minerals={1: "quartz", 2: "my phase"},
            pixel_size_um=0.5,
        )
        origin = Origin(source="/home/anna/a.tif", states={1: "drawn"}, license="CC-BY-4.0")
        add_field(tmp_path / "set", field, origin)
    return set_roles(tmp_path / "set", {"b": "test"})


def test_everything_is_there_and_the_checksums_hold(dataset, tmp_path):
    folder = write_release(tmp_path / "release", dataset, SETTINGS)
    sums = dict(
        reversed(line.split("  ", 1)) for line in (folder / "SHA256SUMS").read_text().splitlines()
    )
    for name, digest in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    wanted = {
        "LICENSE",
        "README.md",
        "classes.csv",
        "croissant.json",
        "fields.csv",
        "test/images/b.tif",
        "test/instances.json",
        "test/masks/b.tif",
        "train/images/a.tif",
        "train/instances.json",
        "train/masks/a.tif",
    }
    assert set(sums) == wanted
    fields = {one.name: one for one in import_fields(folder)}
    np.testing.assert_array_equal(fields["b"].labels, dataset["b"].load().labels)
    assert fields["b"].role == "test"
    (again,) = import_fields(folder / "test" / "instances.json")
    np.testing.assert_array_equal(again.labels, fields["b"].labels)


def test_texts_say_what_is_known_and_what_is_not(dataset, tmp_path):
    folder = write_release(tmp_path / "release", dataset, SETTINGS)
    sheet = (folder / "README.md").read_text("utf8")
    assert "Of 4 grains 2 drawn; 2 are as a model or another program left them" in sheet
    assert "| test | 1 | 2 |" in sheet
    assert "Not stated" in sheet
    with (folder / "classes.csv").open(encoding="utf8") as file:
        classes = list(csv.DictReader(file))
    assert [one["name"] for one in classes] == ["grain", "my phase", "quartz"]
    assert classes[2]["formula"] == "SiO2"
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"/home/anna" not in everything


def test_croissant_names_the_tables_and_their_columns(dataset, tmp_path):
    folder = write_release(tmp_path / "release", dataset, SETTINGS)
    said = json.loads((folder / "croissant.json").read_text("utf8"))
    assert said["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert said["license"] == "https://spdx.org/licenses/CC-BY-4.0.html"
    assert [one["name"] for one in said["creator"]] == ["A. Schmid", "B. Huber"]
    assert {one["contentUrl"] for one in said["distribution"]} == {"fields.csv", "classes.csv"}


def test_croissant_is_valid(dataset, tmp_path):
    mlcroissant = pytest.importorskip("mlcroissant")
    folder = write_release(tmp_path / "release", dataset, SETTINGS)
    read = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))
    assert not read.metadata.ctx.issues.errors
    records = list(read.records("fields"))
    assert len(records) == 2


def test_another_licence_or_nothing_to_publish_is_refused(dataset, tmp_path):
    other = ReleaseSettings(title="t", creators="c", license="MIT")
    with pytest.raises(MismatchError, match=r"a \(CC-BY-4.0\)"):
        write_release(tmp_path / "r", dataset, other)
    with pytest.raises(MismatchError, match="nothing to publish"):
        write_release(tmp_path / "r", Dataset(folder=tmp_path), SETTINGS)
    with pytest.raises(ValueError, match="licence must be given"):
        ReleaseSettings(title="t", creators="c", license=" ")


def test_whole_or_not_at_all(dataset, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file.txt").touch()
    with pytest.raises(WriteError, match="exists already"):
        write_release(tmp_path / "there", dataset, SETTINGS)

    def stop(done, _total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_release(tmp_path / "r", dataset, SETTINGS, on_progress=stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set", "there"]

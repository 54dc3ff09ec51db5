"""export, import and dataset from the shell."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from grainsmith.cli import app
from grainsmith.errors import MismatchError, ReadError
from grainsmith.io.dataset import read_dataset
from grainsmith.io.images.reader import write_image
from grainsmith.io.labels.label_image import read_labels, write_labels
from grainsmith.io.labels.review_states import write_states
from grainsmith.io.tables.grain_table import read_table, write_table


@pytest.fixture
def files(tmp_path):
    labels = np.zeros((40, 60), np.int32)
    labels[3:12, 4:20], labels[20:36, 30:50] = 5, 9
    write_labels(tmp_path / "f_masks.tif", labels)
    write_image(tmp_path / "f.tif", (labels * 20 + 9).astype(np.uint8), pixel_size_um=0.25)
    write_table(tmp_path / "g.csv", pd.DataFrame({"mineral": ["quartz", None]}, index=[5, 9]))
    return tmp_path, labels


def run(*arguments):
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_there_and_back_with_minerals(files):
    folder, labels = files
    source = (folder / "f_masks.tif", "--image", folder / "f.tif", "--table", folder / "g.csv")
    said = run("export", *source, "-f", "imagej", "-o", folder / "r.zip")
    assert said["n_grains"] == 2
    back = run("import", folder / "r.zip", "--image", folder / "f.tif", "-o", folder / "b.tif")
    np.testing.assert_array_equal(read_labels(folder / "b.tif"), labels)
    (field,) = back["fields"]
    assert field["notes"] == []
    assert read_table(field["minerals"])["mineral"].to_dict() == {5: "quartz"}


def test_a_pickle_needs_the_users_word(files):
    folder, labels = files
    run("export", folder / "f_masks.tif", "-f", "cellpose", "-o", folder / "f_seg.npy")
    with pytest.raises(ReadError, match="allow pickles"):
        run("import", folder / "f_seg.npy", "-o", folder / "b.tif")
    run("import", folder / "f_seg.npy", "-o", folder / "b.tif", "--trust-pickle")
    np.testing.assert_array_equal(read_labels(folder / "b.tif"), labels)


def test_pictures_of_another_size_are_refused(files):
    folder, _ = files
    write_image(folder / "small.tif", np.zeros((5, 5), np.uint8))
    with pytest.raises(MismatchError, match="do not belong together"):
        run(
            "export", folder / "f_masks.tif", "--image", folder / "small.tif", "-f", "yolo",
            "-o", folder / "y",
        )  # fmt: skip


def test_a_set_grows_is_split_exported_and_published(files):
    folder, labels = files
    write_states(folder / "f_masks.tif", {5: "accepted"})
    set_ = folder / "set"
    said = run("dataset", "add", set_, folder / "f.tif", folder / "f_masks.tif", "--only-accepted")
    assert said["n_grains"] == 1
    assert said["pixel_size_um"] == 0.25
    again = run("dataset", "add", set_, folder / "f.tif", folder / "f_masks.tif")
    assert (again["name"], again["n_grains"], again["origins"]) == ("f", 2, {"5": "accepted"})
    other = np.fliplr(labels)
    write_labels(folder / "g_masks.tif", other)
    write_image(folder / "g.tif", (other * 20 + 9).astype(np.uint8))
    run("dataset", "add", set_, folder / "g.tif", folder / "g_masks.tif", "--role", "test")
    roles = run("dataset", "split", set_, "--dry-run")["roles"]
    assert roles == {"f": "train", "g": "test"}
    shown = run("dataset", "show", set_)
    assert [one["name"] for one in shown["fields"]] == ["f", "g"]
    assert {one["kind"] for one in shown["problems"]} == {"split"}
    assert run("export", set_, "-f", "coco", "-o", folder / "c.json")["fields"] == 2
    back = run("import", folder / "c.json", "-o", folder / "back")
    assert len(back["fields"]) == 2
    np.testing.assert_array_equal(read_labels(folder / "back" / "g_masks.tif"), other)
    out = run(
        "dataset", "release", set_, "-o", folder / "rel", "--title", "Sand", "--creators", "A",
        "--licence", "CC-BY-4.0",
    )  # fmt: skip
    assert out["fields"] == 2
    assert (folder / "rel" / "croissant.json").is_file()
    assert len(read_dataset(set_).fields) == 2


def test_roles_are_checked(files):
    folder, _ = files
    call = ["dataset", "add", folder / "s", folder / "f.tif", folder / "f_masks.tif"]
    result = CliRunner().invoke(app, [*map(str, call), "--role", "exam"])
    assert result.exit_code == 2
    assert "train, validation, test" in result.output.replace("\n", " ")

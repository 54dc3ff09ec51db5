import json
import re

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from grainsmith.cli import app, main
from grainsmith.errors import WriteError
from grainsmith.io.labels.label_image import read_labels, write_labels


@pytest.fixture
def labels(tmp_path):
    image = np.zeros((40, 40), np.int32)
    image[0:6, 0:6], image[10:30, 10:30], image[33:35, 33:35] = 5, 9, 12
    image[15:18, 15:18] = 0
    path = tmp_path / "field_masks.tif"
    write_labels(path, image, pixel_size_um=0.5)
    return path


def run(*arguments):
    return CliRunner().invoke(app, ["clean", *map(str, arguments)])


def test_json_says_what_was_done(labels, tmp_path):
    out = tmp_path / "out.tif"
    options = ("--min-area-um2", 2, "--drop-border", "--fill-holes", "--relabel", "--json")
    result = run(labels, "-o", out, *options)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {
        "grains": 1,
        "removed": {"5": "touches the edge", "12": "area 1 µm² < 2 µm²"},
        "filled": [9],
        "trimmed": [],
        "renumbered": {"9": 1},
        "pixel_size_um": 0.5,
        "data_bar_rows": 0,
        "notes": [],
        "output": str(out),
    }
    assert np.count_nonzero(read_labels(out) == 1) == 400


def test_people_get_a_sentence(labels, tmp_path):
    result = run(labels, "-o", tmp_path / "out.tif", "--min-area-px", 5, "--drop-border")
    assert "2 grains removed (1 by area, 1 by edge)" in result.stderr
    assert result.stdout.startswith("1 grains in")


def test_unknown_pixel_size_is_one_line_and_code_2(tmp_path, monkeypatch, capsys):
    path = tmp_path / "masks.tif"
    write_labels(path, np.ones((4, 4), np.int32))
    out = tmp_path / "out.tif"
    call = ["grainsmith", "clean", str(path), "-o", str(out), "--min-area-um2", "3"]
    monkeypatch.setattr("sys.argv", call)
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert "needs the pixel size" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (None, (), "does not exist"),
        (b"", (), "is empty"),
        (b"II*\0 no more", (), "is cut off"),
        (np.random.default_rng(0).random((9, 9), np.float32), (), "whole numbers"),
        (np.full((9, 9), -3, np.int32), (), "must lie in 0"),
        (np.zeros((2, 9, 9), np.int32), (), r"\(2, 9, 9\)"),
        (
            np.ones((9, 9), np.int32),
            ("--min-area-px", "9", "--max-area-px", "2"),
            "must not be less",
        ),
        (np.ones((9, 9), np.int32), ("--min-area-px", "nan"), "less than or equal"),
        (np.ones((9, 9), np.int32), ("--data-bar-rows", "10"), "9 rows"),
    ],
)
def test_bad_input_is_one_line_and_leaves_the_old_file(
    tmp_path, monkeypatch, capsys, content, options, message
):
    path, out = tmp_path / "masks.tif", tmp_path / "out.tif"
    out.write_bytes(b"of yesterday")
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        tifffile.imwrite(path, content)
    monkeypatch.setattr("sys.argv", ["grainsmith", "clean", str(path), "-o", str(out), *options])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("Usage:") or "\n" not in said  # typer's own way with options
    assert re.search(message, said)
    assert out.read_bytes() == b"of yesterday"


def test_only_a_tiff_is_written(labels, tmp_path):
    result = run(labels, "-o", tmp_path / "out.png", "--relabel")
    assert isinstance(result.exception, WriteError)
    assert not (tmp_path / "out.png").exists()

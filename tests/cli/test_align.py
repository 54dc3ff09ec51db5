import json

import numpy as np
import pytest
from scipy import ndimage
from typer.testing import CliRunner

from grainsmith.cli import app
from grainsmith.errors import GrainsmithError
from grainsmith.io.images.reader import write_image
from grainsmith.io.transforms import read_transforms


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    grains = ndimage.gaussian_filter(rng.normal(size=(160, 160)), 4) > 0
    write_image(tmp_path / "BSE.tif", (grains * 120 + 40).astype(np.uint8), pixel_size_um=0.5)
    moved = ndimage.shift(grains.astype(float), (3, -2), order=1, mode="nearest")
    write_image(tmp_path / "Si Ka1.tif", rng.poisson(20 * moved + 1).astype(np.uint16))
    write_image(tmp_path / "Zr La1.tif", np.zeros((160, 160), np.uint16))
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=True)


def test_align_prints_one_object_and_writes_transforms(folder):
    result = run("align", folder / "BSE.tif", folder, "-o", folder / "t.json", "--json")
    assert result.exit_code == 0, result.output
    rows = {row["element"]: row for row in json.loads(result.stdout)["maps"]}
    assert rows["Si"]["file"] == "Si Ka1.tif"
    assert rows["Si"]["dy_px"] == pytest.approx(-3, abs=0.2)
    assert rows["Si"]["dx_px"] == pytest.approx(2, abs=0.2)
    assert (rows["Si"]["verdict"], rows["Zr"]["verdict"]) == ("aligned", "inherited")
    assert {"rotation_deg", "scale", "z", "group", "residual_px", "dy_um"} <= rows["Si"].keys()
    saved = read_transforms(folder / "t.json")
    np.testing.assert_allclose(saved["Si Ka1"].matrix, rows["Si"]["matrix"])


def test_align_prints_a_table_for_people(folder):
    result = run("align", folder / "BSE.tif", folder / "Si Ka1.tif")
    assert "Si Ka1" in result.stdout
    assert "aligned" in result.stdout


def test_any_picture_can_be_aligned(folder):
    (folder / "Si Ka1.tif").rename(folder / "picture.tif")
    result = run("align", folder / "BSE.tif", folder / "picture.tif", "--json")
    (row,) = json.loads(result.stdout)["maps"]
    assert (row["file"], row["element"], row["verdict"]) == ("picture.tif", "", "aligned")


def test_groups_may_be_named(folder):
    (folder / "groups.csv").write_text("Si,first\nZr La1.tif,second\n")
    words = ("align", folder / "BSE.tif", folder / "Si Ka1.tif", folder / "Zr La1.tif", "--json")
    rows = json.loads(run(*words, "--group", folder / "groups.csv").stdout)["maps"]
    assert [row["group"] for row in rows] == ["first", "second"]
    (folder / "groups.csv").write_text("Si,first\n")
    result = run(*words, "--group", folder / "groups.csv")
    assert isinstance(result.exception, GrainsmithError)
    assert "names no group for Zr" in str(result.exception)


@pytest.mark.parametrize(
    "words", [["--model", "bent"], ["--max-rotation", "200"]], ids=["model", "turn"]
)
def test_bad_options_are_refused(folder, words):
    assert run("align", folder / "BSE.tif", folder / "Si Ka1.tif", *words).exit_code == 2


def test_refinement_without_simpleitk_says_what_to_install(folder, monkeypatch):
    monkeypatch.setattr("grainsmith.align.simpleitk.find_spec", lambda name: None)
    result = run("align", folder / "BSE.tif", folder, "--refine", "affine", "-o", folder / "t.json")
    assert isinstance(result.exception, GrainsmithError)
    assert "grainsmith[registration]" in str(result.exception)
    assert not (folder / "t.json").exists()


def test_missing_map_is_said(folder):
    result = run("align", folder / "BSE.tif", folder / "nowhere.tif")
    assert "does not exist" in str(result.exception)


def test_maps_says_what_each_file_is_taken_for(folder):
    (folder / "Fe.csv").write_text("1,2\n3\n4,5\n")
    result = run("maps", folder, "--json")
    content = json.loads(result.stdout)
    assert {one["file"]: one["what"] for one in content["files"]} == {
        "BSE.tif": "image",
        "Si Ka1.tif": "map",
        "Zr La1.tif": "map",
        "Fe.csv": "map",
    }
    assert [one["element"] for one in content["maps"]] == ["Si", "Zr"]
    assert "line 2" in content["problems"][0]
    assert "Si Ka1" in run("maps", folder).stdout


def test_maps_opens_cubes_by_the_lines_named(tmp_path):
    cube = np.zeros((4, 5, 400), np.uint16)
    cube[..., 174] = 9
    (tmp_path / "rock.raw").write_bytes(cube.tobytes())
    (tmp_path / "rock.rpl").write_text(
        "key\tvalue\nwidth\t5\nheight\t4\ndepth\t400\noffset\t0\ndata-length\t2\n"
        "data-type\tunsigned\nbyte-order\tlittle-endian\nrecord-by\tvector\nev-per-chan\t10\n"
    )
    found = json.loads(run("maps", tmp_path, "--lines", "Si Ka", "--json").stdout)
    assert [(one["element"], one["line"], one["shape"]) for one in found["maps"]] == [
        ("Si", "Ka", [4, 5])
    ]
    refused = run("maps", tmp_path, "--lines", "Xx").exception
    assert isinstance(refused, GrainsmithError)
    assert "no known line" in str(refused)

import zipfile

import numpy as np
import pytest

from grainsmith.errors import ReadError
from grainsmith.io.files.integrity import reading
from grainsmith.io.files.limits import (
    check_coordinates,
    check_shape,
    check_zip,
    file_stem,
    is_component,
    is_inside,
    is_label,
    parse_json,
    read_yaml,
)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((60_000, 60_000), "60,000 x 60,000 pixels, the limit is"),
        ((0, 5), "every side must be 1 or more"),
        ((-3, 5), "every side must be 1 or more"),
        (("x", 5), "which is no size"),
        ((float("inf"), 5), "which is no size"),
    ],
)
def test_implausible_shapes_are_refused(shape, message):
    with pytest.raises(ReadError, match=message):
        check_shape(shape, "a.json")


def test_the_pixel_limit_can_be_raised(monkeypatch):
    monkeypatch.setenv("GRAINSMITH_MAX_MEGAPIXELS", "4000")
    assert check_shape((60_000, 60_000), "a.json") == (60_000, 60_000)
    monkeypatch.setenv("GRAINSMITH_MAX_MEGAPIXELS", "many")
    with pytest.raises(ReadError, match="must be a positive number, got 'many'"):
        check_shape((6, 6), "a.json")


@pytest.mark.parametrize("value", [1e308, -1e308, 2.0**63, np.nan, np.inf])
def test_implausible_coordinates_are_refused(value):
    with pytest.raises(ValueError, match="coordinate"):
        check_coordinates(np.array([[0.0, 1.0], [value, 1.0]]))


def test_labels_are_whole_numbers_of_32_bits():
    assert [is_label(value) for value in (1, 2**31 - 1)] == [True, True]
    assert not any(is_label(value) for value in (0, -1, 2**31, 1.0, True, "1", None))


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("s1/img.jpg", "img"),
        ("C:\\data\\img.tif", "img"),
        ("../../../evil", "evil"),
        ("/etc/..", "field"),
        ("", "field"),
        ("a..b.tif", "a..b"),
        ("x" * 500 + ".tif", "x" * 200),
    ],
)
def test_names_become_single_components(name, stem):
    assert file_stem(name) == stem
    assert is_component(file_stem(name))


def test_paths_stay_inside_their_folder():
    assert all(is_inside(name) for name in ("a.tif", "weights/a.png", "a..b.tif"))
    assert not any(is_inside(name) for name in ("../a.tif", "/a.tif", "C:/a.tif", "x/../../a", ""))


def test_deep_json_and_yaml_are_refused(tmp_path):
    with pytest.raises(ReadError, match="nested too deeply"):
        parse_json("[" * 100_000, "a.json")
    path = tmp_path / "a.yaml"
    path.write_text("[" * 5_000)
    with pytest.raises(ReadError, match="cannot be read as YAML"):
        read_yaml(path)


def test_yaml_aliases_are_refused(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: &a [1, 2]\nb: *a\n")
    with pytest.raises(ReadError, match="aliases"):
        read_yaml(path)
    path.write_text("names: {0: grain}\n")
    assert read_yaml(path) == {"names": {0: "grain"}}


def test_zip_bombs_are_refused(tmp_path):
    path = tmp_path / "a.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x", "w", force_zip64=True) as member,
    ):
        for _ in range(1030):
            member.write(bytes(1 << 20))
    with pytest.raises(ReadError, match="the limits are"):
        check_zip(path)


@pytest.mark.parametrize(
    "error", [RecursionError("deep"), MemoryError(), KeyError("a"), OSError(5)]
)
def test_every_exception_of_a_decoder_becomes_a_read_error(tmp_path, error):
    path = tmp_path / "a.bin"
    path.write_bytes(b"content")
    with pytest.raises(ReadError, match=r"a\.bin"), reading(path, "an image"):
        raise error


def test_interrupts_pass_a_reader(tmp_path):
    with pytest.raises(KeyboardInterrupt), reading(tmp_path / "a", "an image"):
        raise KeyboardInterrupt

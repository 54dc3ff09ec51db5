import struct
from dataclasses import replace

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from grainsmith.data import Transform
from grainsmith.errors import MismatchError, ReadError
from grainsmith.io.images.reader import write_image
from grainsmith.io.maps.h5oina import read_h5oina
from grainsmith.io.maps.image_map import read_image_map
from grainsmith.io.maps.reader import BAR_AUTO, MapGuess, guess_maps, open_maps, read_map
from grainsmith.io.maps.text_map import read_text_map
from grainsmith.io.transforms import read_transforms, write_transforms

NUMBERS = np.arange(12.0).reshape(3, 4) - 2


def table(separator=",", decimal=".", end="", head=""):
    rows = [
        separator.join(f"{one:g}".replace(".", decimal) for one in row) for row in NUMBERS + 0.5
    ]
    return head + "\n".join(row + end for row in rows) + "\n"


@pytest.mark.parametrize(
    "text",
    {
        "comma": table(),
        "semicolon": table(";"),
        "tab": table("\t"),
        "blanks": table("   "),
        "decimal-comma": table(";", ","),
        "tab-decimal-comma": table("\t", ","),
        "blank-decimal-comma": table(" ", ","),
        "separator-at-the-end": table(end=","),
        "words-above": table(head="Si Wt%\nsite 3\n"),
        "windows": table().replace("\n", "\r\n"),
        "mark-of-unicode": "\ufeff" + table(),
    }.items(),
    ids=lambda item: item[0],
)
def test_tables_of_all_habits_are_read(tmp_path, text):
    path = tmp_path / "Si.csv"
    path.write_bytes(text[1].encode())
    np.testing.assert_allclose(read_text_map(path)[0], NUMBERS + 0.5)


def test_cut_last_row_is_filled_and_said(tmp_path):
    path = tmp_path / "Si.txt"
    path.write_text("1;2;3\n4;5;6\n7;8")
    values, notes = read_text_map(path)
    np.testing.assert_array_equal(values[2], [7, 8, np.nan])
    assert "cut short" in notes[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "is empty", id="0-bytes"),
        pytest.param(b"\n\n", "holds no table", id="blank"),
        pytest.param(b"1,2,3\n4,5\n7,8,9\n", "line 2: 2 numbers where others have 3", id="unequal"),
        pytest.param(b"1,2\n3,x7\n5,6\n", "line 2, column 2: 'x7' is not a number", id="word"),
        pytest.param(b"a,b\nc,d\n", "holds no table of numbers", id="words-only"),
        pytest.param(b"1\n2\n3\n", "Export it as a matrix", id="list"),
        pytest.param(b"\x00\x01\x02\x00", "holds no table", id="binary"),
    ],
)
def test_bad_tables_say_what_is_wrong(tmp_path, content, message):
    path = tmp_path / "Si.csv"
    path.write_bytes(content)
    with pytest.raises(ReadError, match=message):
        read_text_map(path)


def save(path, pixels):
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


@pytest.fixture
def green():
    ramp = np.tile(np.arange(0, 240, 4, dtype=np.uint8), (50, 1))
    return np.stack([ramp // 8, ramp, ramp // 8], -1)


def test_picture_of_one_hue_becomes_one_channel(tmp_path, green):
    save(tmp_path / "Al.png", green)
    values, _, notes = read_image_map(tmp_path / "Al.png")
    np.testing.assert_array_equal(values, green[..., 1])
    assert "one hue" in notes[-1]


def test_writing_on_a_coloured_map_is_not_measured(tmp_path, green):
    green[40:45, 3:20] = 255
    save(tmp_path / "Al.png", green)
    values, _, _ = read_image_map(tmp_path / "Al.png", bar_rows=0)
    assert np.isnan(values[41, 5])
    assert np.isfinite(values[:40]).all()


def test_several_hues_are_refused_with_a_question(tmp_path, green):
    green[:25, :, 0] = 200
    green[:25, :, 1] = 0
    save(tmp_path / "Al.png", green)
    with pytest.raises(ReadError, match="Which channel holds the element"):
        read_image_map(tmp_path / "Al.png")
    values, _, _ = read_image_map(tmp_path / "Al.png", channel="red", bar_rows=0)
    assert values[0, 0] == 200


@pytest.fixture
def oina(tmp_path):
    path = tmp_path / "Site 1.h5oina"
    with h5py.File(path, "w") as file:
        image = file.create_group("1/Electron Image")
        image["Header/X Cells"], image["Header/Y Cells"] = [40], [30]
        image["Header/X Step"] = [0.5]
        image["Data/BSE/Electron Image 1"] = np.arange(1200, dtype=np.uint16)
        eds = file.create_group("1/EDS")
        eds["Header/X Cells"], eds["Header/Y Cells"], eds["Header/X Step"] = [10], [6], [1.0]
        eds["Header/Relative Offset"], eds["Header/Relative Size"] = [0.25, 0.5], [0.5, 0.4]
        eds["Data/Window Integral/Si Ka1"] = np.arange(60, dtype=np.float32)
        eds["Data/Window Integral/Fe Ka1"] = np.ones(60, np.float32)
    return path


def test_h5oina_gives_image_maps_and_their_place(oina):
    opened = read_h5oina(oina)
    assert opened.images[0].image.shape == (30, 40)
    assert opened.images[0].pixel_size_um == 0.5
    assert {one.name for one in opened.maps} == {"Si Ka1", "Fe Ka1"}
    silicon = next(one for one in opened.maps if one.element == "Si")
    assert silicon.values[1, 0] == 10
    assert (silicon.kind, silicon.pixel_size_um) == ("counts", 1.0)
    assert silicon.window == (0.5, 0.25, 0.4, 0.5)


def test_one_bad_map_in_an_h5oina_leaves_the_others(oina):
    with h5py.File(oina, "a") as file:
        file["1/EDS/Data/Window Integral/Mg Ka1"] = np.ones(59)
    opened = read_h5oina(oina)
    assert len(opened.maps) == 2
    assert "59 values where its header states 10 x 6" in str(opened.problems[0])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(lambda data: data[: len(data) // 2], "is cut off", id="truncated"),
        pytest.param(lambda data: b"", "is empty", id="0-bytes"),
        pytest.param(
            lambda data: b"not HDF5 at all", "cannot be read as an .h5oina", id="other-format"
        ),
    ],
)
def test_broken_h5oina_is_refused(oina, spoil, message):
    oina.write_bytes(spoil(oina.read_bytes()))
    with pytest.raises(ReadError, match=message):
        read_h5oina(oina)


def test_h5oina_that_claims_more_than_it_holds_is_refused(oina):
    with h5py.File(oina, "a") as file:
        file["1/EDS/Header/X Cells"][0] = 2_000_000_000
    with pytest.raises(ReadError, match="claims 6 x 2,000,000,000 pixels"):
        read_h5oina(oina)


def test_plain_hdf5_is_no_h5oina(tmp_path):
    with h5py.File(tmp_path / "x.h5oina", "w") as file:
        file["data"] = [1]
    with pytest.raises(ReadError, match="it has no group '1'"):
        read_h5oina(tmp_path / "x.h5oina")


@pytest.fixture
def folder(tmp_path):
    write_image(tmp_path / "BSE.tif", np.zeros((40, 60), np.uint8), pixel_size_um=0.5)
    write_image(tmp_path / "Si Ka1.tif", np.ones((20, 30), np.uint16))
    (tmp_path / "Fe Wt%.csv").write_text("\n".join(",".join(["-0.5"] * 30) for _ in range(20)))
    (tmp_path / "Mg.txt").write_text("\n".join(" ".join(["3"] * 30) for _ in range(20)))
    save(tmp_path / "Mg.png", np.ones((20, 30)))
    save(tmp_path / "EDS Layered Image 1.png", np.ones((20, 30)))
    (tmp_path / "notes.txt").write_text("taken on Monday")
    (tmp_path / "thesis.docx").write_bytes(b"")
    return tmp_path


def test_folder_is_understood(folder):
    guesses = {one.name: one for one in guess_maps(folder)}
    assert "thesis.docx" not in guesses
    assert guesses["BSE.tif"].what == "image"
    assert not guesses["EDS Layered Image 1.png"].use
    assert not guesses["notes.txt"].use
    assert guesses["Mg.txt"].use
    assert guesses["Mg.png"].note == "Mg is there already: Mg.txt"
    opened = open_maps(tuple(guesses.values()))
    assert not opened.problems
    assert {one.name: one.kind for one in opened.maps} == {
        "Si Ka1": "counts",
        "Fe": "wt%",
        "Mg": "counts",
    }
    assert opened.images[0].pixel_size_um == pytest.approx(0.5)


def huge_tiff():
    """A TIFF of 200 bytes which says that it is 65535 x 65535."""
    tags = [(256, 65535), (257, 65535), (258, 8), (259, 1), (262, 1), (273, 180), (278, 65535)]
    tags += [(279, 20), (277, 1)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4) + bytes(80)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        pytest.param("Ca.csv", b"", ReadError, id="0-bytes"),
        pytest.param("Ca.csv", b"1,2\n3\n4,5\n", ReadError, id="unequal-rows"),
        pytest.param("Ca.csv", b"1,2\n3,calcium\n4,5\n", ReadError, id="text-among-numbers"),
        pytest.param("Ca.tif", huge_tiff(), ReadError, id="4-GB-claim"),
        *(
            pytest.param(f"Ca{suffix}", b"", ReadError, id=f"0-bytes{suffix}")
            for suffix in (".txt", ".tif", ".png", ".bmp", ".jpg", ".h5oina", ".rpl")
        ),
        pytest.param("Ca.h5oina", b"\x89HDF\r\n\x1a\n", ReadError, id="truncated-h5oina"),
        pytest.param("Ca.csv", b"1,2,3\n" * 9, MismatchError, id="other-field"),
    ],
)
def test_a_bad_file_is_told_and_the_others_open(folder, name, content, kind):
    (folder / name).write_bytes(content)
    opened = open_maps(folder)
    assert [type(one) for one in opened.problems] == [kind]
    assert len(opened.maps) == 3


def test_a_truncated_h5oina_is_told_and_the_others_open(folder, oina):
    whole = oina.read_bytes()
    oina.unlink()
    for share in (0.3, 0.7, 0.95):
        (folder / "site.h5oina").write_bytes(whole[: int(share * len(whole))])
        opened = open_maps(folder)
        assert [type(one) for one in opened.problems] == [ReadError]
        assert "site.h5oina" in str(opened.problems[0])
        assert len(opened.maps) == 3


def test_a_cube_whose_header_claims_4_gb_is_told_and_the_others_open(folder):
    (folder / "rock.rpl").write_text(
        "key\tvalue\nwidth\t1024\nheight\t1024\ndepth\t1024\noffset\t0\ndata-length\t4\n"
        "data-type\tunsigned\nbyte-order\tlittle-endian\nrecord-by\tvector\n"
    )
    (folder / "rock.raw").write_bytes(bytes(1000))
    opened = open_maps(folder)
    assert "4,294,967,296 bytes" in str(opened.problems[0])
    assert len(opened.maps) == 3


def test_two_used_maps_of_one_element_are_told(folder):
    guesses = [
        MapGuess(path=str(folder / one), what="map", element="Mg") for one in ("Mg.txt",) * 2
    ]
    opened = open_maps(guesses)
    assert len(opened.maps) == 1
    assert "opened already" in str(opened.problems[0])


def test_a_map_without_its_element_asks_for_it(folder):
    with pytest.raises(ReadError, match=r"element of .* is not known"):
        read_map(MapGuess(path=str(folder / "Mg.txt"), what="map"))


def test_folder_without_maps_and_missing_folder(tmp_path):
    with pytest.raises(ReadError, match="holds no map"):
        guess_maps(tmp_path)
    with pytest.raises(ReadError, match="does not exist"):
        guess_maps(tmp_path / "nowhere")


def test_transforms_come_back(tmp_path):
    turned = Transform(
        matrix=np.array([[0.9, 0.1, 3], [-0.1, 0.9, -4], [0, 0, 1]]), z=12.5, verdict="aligned"
    )
    path = tmp_path / "transforms.json"
    write_transforms(path, {"Si": turned}, reference="BSE.tif", rows={"Si": {"group": "pass 1"}})
    found = read_transforms(path)["Si"]
    np.testing.assert_array_equal(found.matrix, turned.matrix)
    assert (found.z, found.verdict) == (12.5, "aligned")


def test_affinder_matrix_goes_both_ways(tmp_path):
    shift = Transform.from_shift(1.5, -2)
    write_transforms(tmp_path / "Si.txt", {"Si": shift}, reference="BSE")
    np.testing.assert_array_equal(read_transforms(tmp_path / "Si.txt")[""].matrix, shift.matrix)
    with pytest.raises(ValueError, match="holds one matrix, got 2"):
        write_transforms(tmp_path / "a.txt", {"Si": shift, "Fe": shift}, reference="BSE")


ELASTIX = """(Transform "{kind}")
(NumberOfParameters {count})
(TransformParameters {numbers})
(CenterOfRotationPoint 50 20)
(Spacing {spacing})
(Origin 0 0)
"""


@pytest.mark.parametrize(
    ("kind", "numbers", "fixed_xy", "moving_xy"),
    [
        ("TranslationTransform", "3 -2", (10, 20), (13, 18)),
        ("EulerTransform", f"{np.pi / 2} 1 2", (60, 20), (51, 32)),
        ("AffineTransform", "2 0 0 1 0 5", (60, 20), (70, 25)),
    ],
)
def test_elastix_parameters_are_understood(tmp_path, kind, numbers, fixed_xy, moving_xy):
    path = tmp_path / "TransformParameters.0.txt"
    path.write_text(ELASTIX.format(kind=kind, count=0, numbers=numbers, spacing="1.0 1.0"))
    transform = read_transforms(path)[""]
    np.testing.assert_allclose(transform.apply([moving_xy[::-1]])[0], fixed_xy[::-1], atol=1e-9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3", "3 numbers instead of the 9 of a 3 x 3 matrix"),
        ("{}", "its format is None"),
        ('{"format": "grainsmith-transforms", "maps": [{"name": "Si"}]}', "matrix"),
        ("1 0 0 0 1 0 1 0 1", "not an affine transform"),
        (
            ELASTIX.format(kind="BSplineTransform", count=2, numbers="1 2", spacing="1 1"),
            "a BSplineTransform of 2 numbers",
        ),
        (
            ELASTIX.format(kind="TranslationTransform", count=2, numbers="1 2", spacing="2 2"),
            "only 1 is supported",
        ),
    ],
)
def test_other_files_are_no_transforms(tmp_path, text, message):
    path = tmp_path / "x.txt"
    path.write_text(text)
    with pytest.raises(ReadError, match=message):
        read_transforms(path)


def test_bar_is_cut_off_by_hand(tmp_path):
    path = tmp_path / "Si Ka1.tif"
    write_image(path, np.arange(80 * 70, dtype=np.uint16).reshape(80, 70))
    (guess,) = guess_maps(path)
    whole, cut, none = (open_maps([replace(guess, bar_rows=rows)]) for rows in (BAR_AUTO, 13, 80))
    assert whole.maps[0].values.shape == (80, 70)
    assert cut.maps[0].values.shape == (67, 70)
    np.testing.assert_array_equal(cut.maps[0].values, whole.maps[0].values[:67])
    assert "13 rows of a bar" in cut.notes[0]
    assert not none.maps
    assert "0..79 rows" in str(none.problems[0])


def test_maps_of_the_most_frequent_aspect_ratio_are_kept(tmp_path):
    for name, shape in {"Si Ka1": (96, 128), "Fe Ka1": (48, 64), "Ca Ka1": (80, 128)}.items():
        tifffile.imwrite(tmp_path / f"{name}.tif", np.ones(shape, np.uint16))
    opened = open_maps(tmp_path)
    assert {element_map.element for element_map in opened.maps} == {"Si", "Fe"}
    assert "Ca Ka1.tif is 128 x 80 pixels" in str(opened.problems[0])


def test_files_of_manufacturers_are_named_with_what_works(tmp_path):
    (tmp_path / "map.bcf").write_bytes(b"AAMV")
    (guess,) = guess_maps(tmp_path)
    assert not guess.use
    assert "save it as .hspy with HyperSpy" in guess.note


def test_non_square_steps_of_h5oina_give_no_size(oina):
    with h5py.File(oina, "a") as file:
        for header in (file["1/EDS/Header"], file["1/Electron Image/Header"]):
            if "Y Step" in header:
                del header["Y Step"]
            header["Y Step"] = [2 * float(header["X Step"][0])]
    opened = read_h5oina(oina)
    assert {element_map.pixel_size_um for element_map in opened.maps} == {0.0}
    assert any("not square" in note for note in opened.notes)

import pytest
from tests.pipeline.fields import make_field

from grainsmith.cli.hints import message_of
from grainsmith.errors import Hint, MismatchError, ReadError
from grainsmith.io.mosaics import reader as mosaic_reader
from grainsmith.io.mosaics.ome_zarr import create_pyramid
from grainsmith.pipeline.batch.discovery import FieldFiles, find_fields, read_sheet


@pytest.fixture
def touch(tmp_path):
    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        return tmp_path

    return make


def said(fields):
    return {one.name: sorted(part.rpartition("/")[2] for part in one.maps) for one in fields}


def test_a_folder_per_field(touch):
    root = touch("S1/01/BSE.tif", "S1/01/Si Ka1.tif", "S1/01/Fe Ka1.tif", "S1/02/BSE.tif", "S1/.x")
    assert said(find_fields([root / "S1"])) == {
        "S1/01": ["Fe Ka1.tif", "Si Ka1.tif"],
        "S1/02": [],
    }


def test_samples_of_folders_and_a_folder_of_maps_beside_the_picture(touch):
    root = touch(
        "A/f1/BSE.tif", "A/f1/maps/Si Ka1.tif", "B/f1/image.png", "B/f1/BSE_masks.tif", "B/note.txt"
    )
    assert said(find_fields([root])) == {"A/f1": ["maps"], "B/f1": []}
    touch("A/x.tif")
    assert set(said(find_fields([root]))) == {"A/f1", "A/x", "B/f1"}


def test_maps_by_the_name_of_their_picture(touch):
    root = touch(
        "S/field 1.tif", "S/field 1_Si.tif", "S/field 1_Fe.tif", "S/field 10.tif",
        "S/field 10 Si.tif", "S/field 2.tif", "S/field 2_maps/Ca.csv",
    )  # fmt: skip
    assert said(find_fields([root / "S"])) == {
        "S/field 1": ["field 1_Fe.tif", "field 1_Si.tif"],
        "S/field 10": ["field 10 Si.tif"],
        "S/field 2": ["field 2_maps"],
    }


def test_one_field_alone_and_single_files(touch):
    root = touch("F/BSE.tif", "F/Si.tif", "G/a.tif", "G/a_Si.tif", "G/b.tif")
    assert said(find_fields([root / "F"])) == {"F/BSE": ["Si.tif"]}
    assert said(find_fields([root / "G" / "a.tif"])) == {"G/a": ["a_Si.tif"]}


def test_the_backscattered_picture_is_taken_of_several_and_doubt_is_told(touch):
    root = touch(
        "S/1/BSE.tif", "S/1/SE.tif", "S/1/Si.tif", "S/2/x.tif", "S/2/y.tif", "S/2/Si.tif",
        "S/3/Fe.tif", "S/3/Si.tif",
    )  # fmt: skip
    found = {one.name: one for one in find_fields([root / "S"])}
    assert found["S/1"].image.endswith("BSE.tif")
    assert "x.tif, y.tif may all be the image" in str(found["S/2"].problem)
    assert "no image" in str(found["S/3"].problem)


def test_numbered_pictures_are_no_maps_of_sulphur(touch):
    assert set(said(find_fields([touch("N/S1.tif", "N/S2.tif") / "N"]))) == {"N/S1", "N/S2"}


def test_results_of_an_earlier_batch_are_no_fields(touch):
    root = touch("S/1/BSE.tif", "S/2/BSE.tif", "S/out/manifest.jsonl", "S/out/S/1/overview.png")
    assert set(said(find_fields([root / "S"]))) == {"S/1", "S/2"}


def test_mosaics_are_told_where_to_go_and_those_beside_fields_are_left_alone(tmp_path, monkeypatch):
    pytest.importorskip("zarr")
    picture = make_field(tmp_path / "in", 0, maps=False)
    create_pyramid(
        tmp_path / "in" / "m.zarr", name="m", shape=(64, 64), dtype="u1", pixel_size_um=0
    )
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("field,image\nm,in/m.zarr\nsmall,in/BSE.tif\n")
    assert [one.problem for one in find_fields([tmp_path / "in"])] == [None]
    problems = [
        find_fields([tmp_path / "in" / "m.zarr"])[0].problem,
        *(one.problem for one in read_sheet(sheet)),
    ]
    assert str(problems[0]) == str(problems[1])
    assert "is a mosaic, too large for a batch" in str(problems[0])
    assert problems[0].hint is Hint.SEGMENT_AS_MOSAIC
    assert f"`grainsmith mosaic '{tmp_path}/in/m.zarr' -o m-grains.zarr`" in message_of(problems[0])
    assert problems[2] is None
    monkeypatch.setattr(mosaic_reader, "LARGE_PX", 10_000)
    (large,) = find_fields([picture])
    assert "is a mosaic" in str(large.problem)


def test_two_fields_of_one_name_are_refused(touch):
    root = touch("x/S/1.tif", "y/S/1.tif")
    with pytest.raises(MismatchError, match=r"two fields have the name S/1: .*x/S.*y/S"):
        find_fields([root / "x" / "S", root / "y" / "S"])


def test_nothing_to_find_is_told(touch, tmp_path):
    with pytest.raises(ReadError, match="no image"):
        find_fields([touch("e/readme.md") / "e"])
    with pytest.raises(ReadError, match="does not exist"):
        find_fields([tmp_path / "missing"])


def test_a_sheet_names_all(tmp_path):
    make_field(tmp_path / "p", 1)
    sheet = tmp_path / "samples.csv"
    sheet.write_text(
        "\ufeffsample;field;image;maps;pixel_size_um\n"
        "granite;1;p/BSE.tif;p;0.5\n"
        "granite;2;p/missing.tif;;\n"
        "granite;3;p/BSE.tif;p/Xx;\n"
        "granite;4;p/BSE.tif;;half\n"
        ";;p/BSE.tif;;\n",
        "utf-8",
    )
    one, two, three, four, five = read_sheet(sheet)
    assert one == FieldFiles(
        sample="granite", field="1", image=str(tmp_path / "p/BSE.tif"),
        maps=(str(tmp_path / "p"),), pixel_size_um=0.5,
    )  # fmt: skip
    assert len(one.inputs()) == 4
    assert "missing.tif does not exist (named in samples.csv)" in str(two.problem)
    assert "Xx does not exist" in str(three.problem)
    assert "pixel_size_um must be a number" in str(four.problem)
    assert five.name == "samples/BSE"


@pytest.mark.parametrize(
    ("text", "kind", "word"),
    [
        ("sample,imge\na,b\n", ReadError, "imge is not known: did you mean image"),
        ("sample,field\na,b\n", ReadError, "no column 'image'"),
        ("image\n", ReadError, "holds no row"),
        ("sample,field,image\na,1,x.tif\nA,1,y.tif\n", MismatchError, "two fields have the name"),
        ("sample,field,image\na,../1,x.tif\n", MismatchError, "cannot name a sample"),
    ],
)
def test_a_bad_sheet_is_refused(tmp_path, text, kind, word):
    sheet = tmp_path / "s.csv"
    sheet.write_text(text)
    with pytest.raises(kind, match=word):
        read_sheet(sheet)

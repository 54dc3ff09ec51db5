"""Every format there and back, and read by the very programs that it is for."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
import tifffile

from grainsmith.errors import GrainsmithError, MismatchError, ReadError, WriteError
from grainsmith.io.exchange import (
    FORMATS,
    LabelledField,
    class_names,
    export_fields,
    guess_format,
    import_fields,
)
from grainsmith.io.exchange.outlines import signed_area, trace_outlines


def _labels():
    """Discs side by side; a ring, a grain in its hole, one of two pieces; numbers with gaps."""
    y, x = np.mgrid[:90, :120]
    labels = np.zeros((90, 120), np.int32)
    for number, (cy, cx, r) in {3: (20, 20, 14), 4: (20, 47, 14), 9: (60, 30, 18)}.items():
        labels[np.hypot(y - cy, x - cx) < r] = number
    away = np.hypot(y - 55, x - 85)
    labels[away < 24] = 12
    labels[away < 12] = 0
    labels[away < 7] = 20
    labels[2:6, 100:104] = labels[2:6, 110:114] = 31
    labels[89, 119] = 255
    return labels


@pytest.fixture
def field():
    labels = _labels()
    image = (labels > 0).astype(np.uint8) * 180 + 20
    return LabelledField(
        labels=labels,
        name="field 1",
        minerals={3: "Quartz", 4: "Quartz", 12: "Apatite"},
        table=pd.DataFrame({"area_px": [600.0], "mineral": ["Quartz"]}, index=[3]),
        image=image,
        pixel_size_um=0.5,
    )


def _target(tmp_path, form):
    return tmp_path / f"out{form.suffix}"


def _iou(one, other):
    return np.count_nonzero(one & other) / np.count_nonzero(one | other)


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_there_and_back(form, field, tmp_path):
    path = _target(tmp_path, form)
    assert export_fields(path, [field], form.name) == [path]
    (back,) = import_fields(path, form.name, shape=field.labels.shape, trust_pickle=True)
    if form.name == "yolo":  # it keeps no numbers, only the order
        numbers = np.unique(field.labels)
        np.testing.assert_array_equal(numbers[back.labels], field.labels)
        assert [back.minerals.get(k, "") for k in (1, 2, 4)] == ["Quartz", "Quartz", "Apatite"]
    else:
        np.testing.assert_array_equal(back.labels, field.labels)
    assert back.labels.dtype == np.int32
    assert back.notes == ()
    if form.name in ("cellpose", "coco", "imagej", "geojson", "gis", "png"):
        assert back.minerals == field.minerals
    if form.name not in ("yolo", "imagej"):
        assert back.pixel_size_um == pytest.approx(0.5)
    if form.needs_image:
        np.testing.assert_array_equal(back.image, field.image)


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_the_format_is_guessed(form, field, tmp_path):
    path = _target(tmp_path, form)
    export_fields(path, [field], form.name)
    assert FORMATS[guess_format(path)].read is form.read


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_no_grains_is_a_result(form, field, tmp_path):
    bare = LabelledField(
        labels=np.zeros((9, 7), np.int32), name="bare", image=np.zeros((9, 7), np.uint8)
    )
    path = _target(tmp_path, form)
    export_fields(path, [bare], form.name)
    if form.name in ("imagej", "geojson", "gis"):
        with pytest.raises(ReadError, match="holds"):
            import_fields(path, form.name, shape=(9, 7))
        return
    (back,) = import_fields(path, form.name, trust_pickle=True)
    assert back.labels.shape == (9, 7)
    assert not back.labels.any()


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("content", [b"", b"nonsense", b"{", b"[1, 2]", b'{"features": 3}'])
def test_broken_files_are_named(form, content, tmp_path):
    path = _target(tmp_path, form)
    if form.suffix:
        path.write_bytes(content)
    with pytest.raises(ReadError, match="out"):
        import_fields(path, form.name, trust_pickle=True)


def test_a_failed_export_leaves_the_old_file(field, tmp_path):
    path = tmp_path / "old.png"
    path.write_bytes(b"precious")
    many = LabelledField(labels=np.full((2, 2), 70_000, np.int32), name="many")
    with pytest.raises(WriteError, match="up to 65535"):
        export_fields(path, [many], "png")
    assert path.read_bytes() == b"precious"
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").touch()
    with pytest.raises(WriteError, match="not empty"):
        export_fields(full, [field], "yolo")


def test_sets_keep_fields_and_roles_apart(field, tmp_path):
    other = LabelledField(
        labels=np.eye(6, dtype=np.int32) * 7,
        name="b",
        image=np.zeros((6, 6), np.uint16),
        role="validation",
    )
    for name in ("coco", "yolo", "stardist"):
        path = _target(tmp_path / name, FORMATS[name])
        export_fields(path, [field, other], name)
        back = {one.name: one for one in import_fields(path, name)}
        assert set(back) == {"field 1", "b"}
        assert back["b"].role == "validation"
        assert np.count_nonzero(back["b"].labels) == 6
    paths = export_fields(tmp_path / "single", [field, other], "geojson")
    assert [path.name for path in paths] == ["field 1.geojson", "b.geojson"]


def test_pictures_are_asked_for(field, tmp_path):
    bare = LabelledField(labels=field.labels, name="bare")
    with pytest.raises(MismatchError, match="give the image"):
        export_fields(tmp_path / "y", [bare], "yolo")


def test_unknown_formats_and_files_are_refused(field, tmp_path):
    with pytest.raises(GrainsmithError, match="there are masks, cellpose"):
        export_fields(tmp_path / "x", [field], "bmp")
    odd = tmp_path / "x.odd"
    odd.touch()
    with pytest.raises(ReadError, match="give the format, one of masks"):
        import_fields(odd)
    with pytest.raises(ReadError, match="does not exist"):
        import_fields(tmp_path / "missing.tif")


def test_classes_begin_with_the_unnamed(field):
    assert class_names([field]) == ["grain", "Apatite", "Quartz"]


def test_png_has_a_palette_up_to_255_and_16_bits_above(field, tmp_path):
    from PIL import Image

    export_fields(tmp_path / "a.png", [field], "png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == "P"
    more = LabelledField(labels=field.labels * 200, name="more")
    export_fields(tmp_path / "b.png", [more], "png")
    (back,) = import_fields(tmp_path / "b.png")
    np.testing.assert_array_equal(back.labels, more.labels)


# --- pickles


class _Harm:
    def __reduce__(self):
        return (print, ("harm",))


def test_a_pickle_is_read_on_request_only(field, tmp_path):
    path = tmp_path / "a_seg.npy"
    export_fields(path, [field], "cellpose")
    with pytest.raises(ReadError, match="allow pickles"):
        import_fields(path)


def test_code_in_a_pickle_is_never_run(tmp_path, capsys):
    path = tmp_path / "bad_seg.npy"
    np.save(path, np.array({"masks": np.zeros((2, 2)), "x": _Harm()}, dtype=object))
    with pytest.raises(ReadError, match=r"wants to call builtins\.print"):
        import_fields(path, trust_pickle=True)
    assert "harm" not in capsys.readouterr().out
    path.write_bytes(pickle.dumps({"masks": 1}))
    with pytest.raises(ReadError, match="cannot be read as a _seg"):
        import_fields(path, trust_pickle=True)


# --- read by others


def test_cellpose_reads_what_we_write(field, tmp_path):
    cellpose_io = pytest.importorskip("cellpose.io")
    seg, masks = tmp_path / "a_seg.npy", tmp_path / "a_masks.tif"
    export_fields(seg, [field], "cellpose")
    export_fields(masks, [field], "masks")
    np.testing.assert_array_equal(cellpose_io.imread(str(masks)), field.labels)
    read = cellpose_io.imread(str(seg))
    numbers = np.unique(field.labels)
    np.testing.assert_array_equal(numbers[read], field.labels)
    content = np.load(seg, allow_pickle=True).item()
    assert content["masks"].max() == len(content["ismanual"]) == 7
    assert set(np.unique(content["outlines"])) <= set(range(8))


def test_we_read_what_cellpose_writes(tmp_path):
    cellpose_io = pytest.importorskip("cellpose.io")
    masks = np.array([[0, 1, 1], [0, 2, 2]], np.uint16)
    flows = [np.zeros((2, 3, 3), np.uint8), np.zeros((2, 2, 3)), np.zeros((2, 3)), np.zeros(3)]
    cellpose_io.masks_flows_to_seg(np.zeros((2, 3)), masks, flows, str(tmp_path / "b.tif"))
    (back,) = import_fields(tmp_path / "b_seg.npy", trust_pickle=True)
    np.testing.assert_array_equal(back.labels, masks)
    assert back.name == "b"


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_pycocotools_draws_the_same_grains(field, tmp_path, capsys):
    coco_module = pytest.importorskip("pycocotools.coco")
    path = tmp_path / "c.json"
    export_fields(path, [field], "coco")
    coco = coco_module.COCO(str(path))
    assert {one["name"] for one in coco.cats.values()} == {"grain", "Quartz", "Apatite"}
    for annotation in coco.anns.values():
        truth = field.labels == annotation["label"]
        drawn = coco.annToMask(annotation).astype(bool)
        assert _iou(drawn, truth) == 1.0, annotation["label"]
        assert annotation["area"] == truth.sum()
    from pycocotools import mask as runs

    ring = next(one for one in coco.anns.values() if one["label"] == 12)
    assert runs.area(coco.annToRLE(ring)) == ring["area"]


def test_roifile_sees_the_same_areas(field, tmp_path):
    roifile = pytest.importorskip("roifile")
    path = tmp_path / "r.zip"
    export_fields(path, [field], "imagej")
    rois = {int(roi.name[:4]): roi for roi in roifile.roiread(path)}
    assert set(rois) == {3, 4, 9, 12, 20, 31, 255}
    assert rois[3].name == "0003 Quartz"
    assert rois[3].roitype == roifile.ROI_TYPE.TRACED
    assert rois[12].composite
    for label, roi in rois.items():
        area = sum(
            0.5 * abs(np.sum(c[:, 0] * np.roll(c[:, 1], -1) - c[:, 1] * np.roll(c[:, 0], -1))) * s
            for c, s in zip(
                roi.coordinates(multi=True), (1, 1 if label == 31 else -1), strict=False
            )
        )
        assert area == np.count_nonzero(field.labels == label)


@pytest.mark.parametrize(("name", "sign"), [("geojson", 1), ("gis", -1)])
def test_shapely_reads_valid_polygons(name, sign, field, tmp_path):
    shapely = pytest.importorskip("shapely")
    path = tmp_path / f"a{FORMATS[name].suffix}"
    export_fields(path, [field], name)
    content = json.loads(path.read_text())
    for feature in content["features"]:
        shape = shapely.from_geojson(json.dumps(feature["geometry"]))
        label = feature["properties"]["label"]
        assert shape.is_valid
        assert shape.area == np.count_nonzero(field.labels == label)
        rows, _ = np.nonzero(field.labels == label)
        assert shape.centroid.y * sign == pytest.approx(rows.mean() + 0.5)
    first = content["features"][0]["properties"]
    assert first["classification"] == {"name": "Quartz", "color": first["classification"]["color"]}
    assert first["measurements"] == {"area_px": 600.0}


def test_geopandas_reads_the_minerals(field, tmp_path):
    geopandas = pytest.importorskip("geopandas")
    path = tmp_path / "a.geojson"
    export_fields(path, [field], "geojson")
    frame = geopandas.read_file(path).set_index("label")
    assert len(frame) == 7
    assert frame.loc[12, "mineral"] == "Apatite"
    assert frame.geometry.is_valid.all()


def test_ome_tiff_says_its_pixel_size(field, tmp_path):
    path = tmp_path / "a.ome.tif"
    export_fields(path, [field], "ome-tiff")
    with tifffile.TiffFile(path) as tiff:
        assert 'PhysicalSizeX="0.5"' in tiff.ome_metadata
        assert tiff.series[0].axes == "YX"


# --- what others write


def test_polygons_of_others_need_no_numbers(tmp_path):
    square = [[[1.0, 1.0], [4.0, 1.0], [4.0, 5.0], [1.0, 5.0], [1.0, 1.0]]]
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": square}}
    path = tmp_path / "qupath.geojson"
    path.write_text(json.dumps([feature, {"geometry": {"type": "Point", "coordinates": [1, 2]}}]))
    (back,) = import_fields(path)
    assert back.labels.shape == (5, 4)
    assert (back.labels == 1).sum() == 12
    assert "with its image" in back.notes[0]


def test_overlapping_grains_are_said(tmp_path):
    def square(left, side):
        return [[left, 0, left + side, 0, left + side, side, left, side]]

    annotations = [
        {"id": i, "image_id": 7, "category_id": 1, "segmentation": square(left, side)}
        for i, (left, side) in enumerate([(0, 6), (4, 4)])
    ]
    path = tmp_path / "o.json"
    path.write_text(
        json.dumps(
            {
                "images": [{"id": 7, "file_name": "x/o.jpg", "width": 10, "height": 8}],
                "annotations": annotations,
            }
        )
    )
    (back,) = import_fields(path)
    assert back.name == "o"
    assert (back.labels == 2).sum() == 16
    assert "8 pixels" in back.notes[0]


def test_real_polygons_of_another_program(shared_data):
    folder = shared_data / "pebble_segmenteverygrain"
    truth = import_fields(folder / "torrey_pines_masks.tif")[0].labels
    (back,) = import_fields(folder / "torrey_pines_original.geojson", shape=truth.shape)
    assert _iou(back.labels > 0, truth > 0) > 0.95


def test_outlines_of_a_real_field_are_exact(shared_data):
    labels = import_fields(shared_data / "sem_ampis_powder" / "powder_Sc1_001_001_masks.tif")[0]
    areas = np.bincount(labels.labels.ravel())
    for label, polygons in trace_outlines(labels.labels).items():
        assert sum(signed_area(r) for p in polygons for r in p.rings) == areas[label]


def test_a_damaged_note_in_a_png_is_named(tmp_path):
    from PIL import Image, PngImagePlugin

    notes = PngImagePlugin.PngInfo()
    notes.add_text("grainsmith", '{"minerals": {"one": "quartz"}}')
    Image.fromarray(np.ones((3, 3), np.uint8)).save(tmp_path / "a.png", pnginfo=notes)
    with pytest.raises(ReadError, match="is damaged"):
        import_fields(tmp_path / "a.png")

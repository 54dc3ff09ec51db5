"""Outlines as other programs write them: one bad outline never refuses a file."""

import json
import zipfile

import numpy as np
import pytest
import roifile
from PIL import Image

from grainsmith.errors import ReadError
from grainsmith.io.exchange import LabelledField, export_fields, import_fields

SQUARES = [(20, 30), (80, 50), (150, 100)]
BAD_COORDINATES = [1e308, -1e308, 2.0**63, 1e8]


def _corners(x, y, side=20):
    return [[x, y], [x + side, y], [x + side, y + side], [x, y + side]]


def _closed(corners):
    return [*corners, corners[0]]


def _flat(corners):
    return [float(value) for point in corners for value in point]


def _coco(*segmentations, image_id=0, **image):
    squares = [[_flat(_corners(*corner))] for corner in SQUARES]
    annotations = [
        {"id": number, "image_id": image_id, "category_id": 0, "segmentation": segmentation}
        for number, segmentation in enumerate([*squares, *segmentations])
    ]
    size = {"id": 0, "file_name": "a.jpg", "width": 300, "height": 200, **image}
    return {"images": [size], "categories": [{"id": 0, "name": "grain"}],
            "annotations": annotations}  # fmt: skip


def _feature(coordinates, **properties):
    geometry = {"type": "Polygon", "coordinates": coordinates}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _geojson(*features, **properties):
    squares = [_feature([_closed(_corners(*corner))], **properties) for corner in SQUARES]
    return {"type": "FeatureCollection", "features": [*squares, *features]}


def _import(tmp_path, content, name="a.json", **options):
    path = tmp_path / name
    path.write_text(json.dumps(content))
    return import_fields(path, **options)


def _areas(field):
    return np.bincount(field.labels.ravel())[1:].tolist()


def _has_note(field, text):
    return any(text in note for note in field.notes)


@pytest.mark.parametrize(
    ("segmentation", "note"),
    [
        pytest.param([], "1 object(s) without an outline", id="empty"),
        pytest.param(None, "1 object(s) without an outline", id="null"),
        pytest.param([[]], "1 outline(s) with too few", id="empty ring"),
        pytest.param([[5.0, 5.0]], "1 outline(s) with too few", id="one point"),
        pytest.param([[5.0, 5.0, 9.0, 9.0]], "1 outline(s) with too few", id="two points"),
        pytest.param([[5.0, 5.0, 9.0]], "1 outline(s) with too few", id="odd"),
        pytest.param([["x"] * 6], "1 outline(s) with too few", id="words"),
        pytest.param([_flat(_corners(900, 900))], "1 grain(s) outside the image", id="outside"),
        pytest.param([_flat(_corners(5, 5, 0.1))], "1 grain(s) that cover no pixel", id="tiny"),
        *[
            pytest.param([[value, 0.0, 9.0, 9.0, 0.0, 9.0]], "1 outline(s) with", id=f"{value:g}")
            for value in BAD_COORDINATES
        ],
    ],
)
def test_a_bad_annotation_of_coco_is_counted(tmp_path, segmentation, note):
    (field,) = _import(tmp_path, _coco(segmentation))
    assert _areas(field) == [400, 400, 400]
    assert _has_note(field, note)


@pytest.mark.parametrize("value", BAD_COORDINATES)
def test_a_file_of_one_bad_outline_is_refused(tmp_path, value):
    corners = [[value, 0.0], [9.0, 9.0], [0.0, 9.0]]
    coco = _coco([_flat(corners)])
    coco["annotations"] = coco["annotations"][-1:]
    with pytest.raises(ReadError, match="a coordinate of"):
        _import(tmp_path, coco)
    with pytest.raises(ReadError, match="a coordinate of"):
        _import(tmp_path, {"features": [_feature([_closed(corners)])]}, "a.geojson")


def test_annotations_of_an_unknown_image_go_to_the_only_one(tmp_path):
    (field,) = _import(tmp_path, _coco(image_id=9))
    assert _areas(field) == [400, 400, 400]
    assert _has_note(field, "3 annotation(s) of an unknown image")


def test_images_of_equal_stems_keep_apart(tmp_path):
    coco = _coco()
    coco["images"].append({"id": 1, "file_name": "s2\\a.jpg", "width": 300, "height": 200})
    coco["annotations"][2]["image_id"] = 1
    fields = _import(tmp_path, coco)
    assert [field.name for field in fields] == ["a", "a_2"]
    paths = export_fields(tmp_path / "out", fields, "masks")
    assert [len(_areas(import_fields(path)[0])) for path in paths] == [2, 1]


def test_file_names_stay_in_their_folder(tmp_path):
    (field,) = _import(tmp_path, _coco(file_name="../../../evil.tif"))
    assert field.name == "evil"
    ours = {"grainsmith": {"name": "../../evil", "shape": [200, 300]}, **_geojson()}
    assert _import(tmp_path, ours, "a.geojson")[0].name == "evil"


def test_run_lengths_in_all_forms(tmp_path):
    mask_utils = pytest.importorskip("pycocotools.mask")
    mask = np.zeros((200, 300), np.uint8)
    mask[5:15, 250:280] = 1
    packed = mask_utils.encode(np.asfortranarray(mask))
    packed = {"size": packed["size"], "counts": packed["counts"].decode()}
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(np.diff(flat)) + 1
    plain = {"size": [200, 300], "counts": np.diff([0, *changes, flat.size]).tolist()}
    (field,) = _import(tmp_path, _coco(packed, plain))
    np.testing.assert_array_equal(field.labels[:20] > 0, mask[:20] > 0)


@pytest.mark.parametrize(
    "runs",
    [
        {"size": [200, 300], "counts": "abc"},
        {"size": [200, 300], "counts": [10**10]},
        {"size": [60_000, 60_000], "counts": [3_600_000_000]},
        {"size": [200, 300], "counts": [-5, 60_005]},
        {"size": [2, 3], "counts": [6]},
    ],
)
def test_run_lengths_are_checked_before_they_are_unpacked(tmp_path, runs):
    try:
        (field,) = _import(tmp_path, _coco(runs))
    except ReadError:
        return
    assert _areas(field) == [400, 400, 400]
    assert _has_note(field, "1 outline(s)")


def test_claims_of_size_are_refused(tmp_path):
    with pytest.raises(ReadError, match="60,000 x 60,000 pixels, the limit"):
        _import(tmp_path, _coco(width=60_000, height=60_000))


def test_lists_and_single_features(tmp_path):
    content = _geojson(objectType="detection")
    for name in ("a.json", "a.geojson"):
        assert _areas(_import(tmp_path, content["features"], name)[0]) == [400, 400, 400]
        assert _areas(_import(tmp_path, content["features"][0], name)[0]) == [400]
    results = _coco()["annotations"]
    assert _areas(_import(tmp_path, results)[0]) == [400, 400, 400]


def test_class_may_be_a_text(tmp_path):
    (field,) = _import(tmp_path, _geojson(classification="quartz"), "a.geojson")
    assert field.minerals == {1: "quartz", 2: "quartz", 3: "quartz"}


@pytest.mark.parametrize("coordinates", [[], [[]], [[[1, 1], [2, 2]]], [[["a", 1]] * 4], None])
def test_a_bad_polygon_of_geojson_is_counted(tmp_path, coordinates):
    (field,) = _import(tmp_path, _geojson(_feature(coordinates)), "a.geojson")
    assert _areas(field) == [400, 400, 400]
    assert _has_note(field, "left out")


@pytest.mark.parametrize(
    "properties",
    [
        {"objectType": "annotation", "classification": {"name": "Region*"}},
        {"objectType": "annotation"},
        {"objectType": "detection"},
    ],
    ids=["ignored class", "annotation of detections", "covers all"],
)
def test_a_region_around_all_grains_is_left_out(tmp_path, properties):
    frame = _feature([[[0, 0], [300, 0], [300, 200], [0, 200], [0, 0]]], **properties)
    (field,) = _import(tmp_path, _geojson(frame, objectType="detection"), "a.geojson")
    assert _areas(field) == [400, 400, 400]
    assert _has_note(field, "a region and not a grain")


def test_map_coordinates_are_refused(tmp_path):
    far = _feature([_closed(_corners(500_020, 5_199_950))])
    with pytest.raises(ReadError, match="Are they map coordinates"):
        _import(tmp_path, {"features": [far]}, "a.geojson")
    with pytest.raises(ReadError, match="none of its 1 outlines lies in the image"):
        _import(tmp_path, {"features": [far]}, "a.geojson", shape=(200, 300))


def test_y_upwards_is_recognised_without_our_metadata(tmp_path):
    labels = np.zeros((60, 80), np.int32)
    labels[5:20, 10:40], labels[30:50, 20:60] = 1, 2
    export_fields(tmp_path / "a.geojson", [LabelledField(labels=labels, name="a")], "gis")
    content = json.loads((tmp_path / "a.geojson").read_text())
    del content["grainsmith"]
    (field,) = _import(tmp_path, content, "b.geojson", shape=labels.shape)
    np.testing.assert_array_equal(field.labels, labels)
    assert _has_note(field, "y upwards")


def test_labelme_via_and_unknown_json(tmp_path):
    shape = {"label": "quartz", "points": _corners(20, 30), "shape_type": "polygon"}
    box = {"label": "box", "points": [[60, 30], [80, 50]], "shape_type": "rectangle"}
    line = {"label": "line", "points": [[1, 1], [2, 2]], "shape_type": "line"}
    labelme = {"shapes": [shape, box, line], "imagePath": "C:\\x\\a.jpg", "imageHeight": 200,
               "imageWidth": 300}  # fmt: skip
    (field,) = _import(tmp_path, labelme)
    assert (_areas(field), field.name, field.minerals[1]) == ([400, 400], "a", "quartz")
    x, y = zip(*_corners(20, 30), strict=True)
    attributes = {"name": "polygon", "all_points_x": x, "all_points_y": y}
    via = {"a.jpg1": {"filename": "a.jpg", "regions": [{"shape_attributes": attributes}]}}
    assert _areas(_import(tmp_path, via)[0]) == [400]
    assert _areas(_import(tmp_path, {"_via_img_metadata": via})[0]) == [400]
    with pytest.raises(ReadError, match="COCO, GeoJSON, LabelMe and VIA are"):
        _import(tmp_path, {"hello": 1})


def test_shapes_of_napari(tmp_path):
    rows = ["index,shape-type,vertex-index,axis-0,axis-1"]
    rows += [f"0,polygon,{n},{y - 0.5},{x - 0.5}" for n, (x, y) in enumerate(_corners(20, 30))]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    (field,) = import_fields(tmp_path / "a.csv", shape=(200, 300))
    assert field.labels[30:50, 20:40].all()
    assert _areas(field) == [400]


def _rois(tmp_path, names):
    rois = [
        roifile.ImagejRoi.frompoints(np.array(_corners(*corner)), name=name)
        for corner, name in zip(SQUARES, names, strict=False)
    ]
    roifile.roiwrite(tmp_path / "a.zip", rois, mode="w")
    return import_fields(tmp_path / "a.zip")[0]


@pytest.mark.parametrize(
    ("names", "numbers", "minerals"),
    [
        (["0040-0030", "0060-0090", "0110-0160"], [1, 2, 3], {}),
        (["0001-0040-0030", "0001-0060-0090", "0002-0110-0160"], [1, 2, 3], {}),
        (["99999999999", "3000000000"], [1, 2], {}),
        (["0007 quartz", "0012", "0040 olivine 2"], [7, 12, 40], {7: "quartz", 40: "olivine 2"}),
        (["7", "07", "8"], [1, 2, 3], {}),
    ],
)
def test_names_of_rois(tmp_path, names, numbers, minerals):
    field = _rois(tmp_path, names)
    assert np.unique(field.labels)[1:].tolist() == numbers
    assert field.minerals == minerals


def test_zip_of_other_files_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.roi", b"nonsense")
    with pytest.raises(ReadError, match=r"a\.zip"):
        import_fields(tmp_path / "a.zip")


SQUARE_OF_YOLO = "0 0.0667 0.15 0.1333 0.15 0.1333 0.25 0.0667 0.25"


def _yolo(tmp_path, *, labels="labels/train", images="images/train", suffix=".png",
          text=SQUARE_OF_YOLO, data_file="data.yaml", data="names: [grain]\n"):  # fmt: skip
    for part in (labels, images):
        (tmp_path / part).mkdir(parents=True, exist_ok=True)
    pixels = Image.fromarray(np.full((200, 300), 9, np.uint8))
    pixels.save(tmp_path / images / f"a{suffix}", format="JPEG" if "J" in suffix else "PNG")
    (tmp_path / labels / "a.txt").write_text(text)
    (tmp_path / data_file).write_text(data)
    return import_fields(tmp_path)[0]


@pytest.mark.parametrize(
    "layout",
    [
        {"labels": "train/labels", "images": "train/images"},
        {"suffix": ".JPG"},
        {"text": SQUARE_OF_YOLO + " 0.93"},
        {"data": "names: {'0': grain}\n"},
        {"data_file": "dataset.yaml"},
        {"data_file": "labels/classes.txt", "data": "grain\n"},
        {"text": SQUARE_OF_YOLO + "\n0 0.5 0.5 0.2 0.2\n"},
        {"text": SQUARE_OF_YOLO + "\n0 0.5 x 0.2\n0 1e308 0 1 1 0 1\n"},
    ],
    ids=["Roboflow", "upper case", "confidence", "text keys", "dataset.yaml", "classes.txt",
         "boxes", "bad lines"],
)  # fmt: skip
def test_layouts_of_yolo(tmp_path, layout):
    field = _yolo(tmp_path, **layout)
    assert _areas(field) == [400]
    assert bool(field.notes) == ("\n0 " in layout.get("text", ""))


def test_half_a_set_is_never_left(tmp_path, monkeypatch):
    labels = np.ones((9, 9), np.int32)
    field = LabelledField(labels=labels, name="a", image=np.zeros((9, 9), np.uint8))
    for name, function in (("yolo", "_write_yolo_field"), ("stardist", "write_labels")):
        monkeypatch.setattr(f"grainsmith.io.exchange.folders.{function}", _fail)
        with pytest.raises(ZeroDivisionError):
            export_fields(tmp_path / name, [field], name)
        monkeypatch.undo()
        assert list(tmp_path.glob("*")) == []
        export_fields(tmp_path / name, [field], name)
        assert len(import_fields(tmp_path / name)) == 1
        (tmp_path / name).rename(tmp_path.parent / f"{tmp_path.name}-{name}")


def _fail(*_args, **_kwargs):
    raise ZeroDivisionError

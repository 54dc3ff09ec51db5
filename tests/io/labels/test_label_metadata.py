import json

import numpy as np
import pytest
import tifffile

from grainsmith.errors import ReadError
from grainsmith.io.labels.label_image import read_labels, write_labels
from grainsmith.io.labels.label_metadata import LabelMetadata, read_label_metadata

METADATA = LabelMetadata(
    pixel_size_um=0.25,
    pixel_size_source="Zeiss tag",
    data_bar_rows=3,
    edge_grains_removed=True,
    source="BSE 1 (µm).tif",
    notes=("Read the first of two pages.",),
)


@pytest.mark.parametrize("largest", [7, 65_535, 65_536, 2**31 - 1])
def test_labels_keep_their_metadata_at_every_number_of_grains(tmp_path, largest):
    labels = np.zeros((9, 8), np.int32)
    labels[2:4, 2:5] = largest
    path = tmp_path / "masks.tif"
    write_labels(path, labels, metadata=METADATA)
    assert read_label_metadata(path) == METADATA
    np.testing.assert_array_equal(read_labels(path), labels)
    write_labels(path, labels, pixel_size_um=0.5)
    assert read_label_metadata(path) == LabelMetadata(pixel_size_um=0.5)


def test_labels_of_other_programs_have_the_pixel_size_of_their_tags(tmp_path):
    path = tmp_path / "imagej.tif"
    labels = np.ones((4, 4), np.uint16)
    tifffile.imwrite(
        path, labels, imagej=True, resolution=(4, 4), metadata={"unit": "um", "axes": "YX"}
    )
    assert read_label_metadata(path).pixel_size_um == pytest.approx(0.25)
    tifffile.imwrite(path, labels)
    assert read_label_metadata(path) == LabelMetadata()


def test_labels_of_earlier_versions_have_the_metadata_of_the_json_beside_them(tmp_path):
    path = tmp_path / "field_masks.tif"
    tifffile.imwrite(path, np.ones((4, 4), np.uint16))
    content = {
        "image": "field.tif",
        "pixel_size_um": 0.5,
        "pixel_size_source": "given by hand",
        "data_bar_rows": 1,
        "notes": ["a note"],
        "provenance": {},
    }
    path.with_suffix(".json").write_text(json.dumps(content))
    assert read_label_metadata(path) == LabelMetadata(
        pixel_size_um=0.5,
        pixel_size_source="given by hand",
        data_bar_rows=1,
        source="field.tif",
        notes=("a note",),
    )
    # A JSON of another program says nothing about the labels.
    path.with_suffix(".json").write_text('{"pixel_size_um": 3}')
    assert read_label_metadata(path) == LabelMetadata()


@pytest.mark.parametrize(
    "content", ["[", "[]", '{"pixel_size_um": "x"}', '{"data_bar_rows": -1}', '{"notes": 1}']
)
def test_damaged_metadata_are_refused(tmp_path, content):
    path = tmp_path / "masks.tif"
    tag = (65074, "s", 0, content.encode(), True)
    tifffile.imwrite(path, np.ones((4, 4), np.uint16), extratags=[tag])
    with pytest.raises(ReadError, match=r"masks\.tif"):
        read_label_metadata(path)

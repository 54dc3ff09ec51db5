"""Typed layer metadata: defaults, updates, and dictionaries of earlier versions."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image, Labels

from grainsmith.ui.layers.metadata import (
    SCHEMA_VERSION,
    GrainsMetadata,
    ImageMetadata,
    MapMetadata,
    MineralMapMetadata,
    MosaicMetadata,
    OverlayMetadata,
    RegistrationMetadata,
    Role,
    examples_of,
    follow_rename,
    role_of,
    set_role,
    states_of,
)

PIXELS = np.zeros((4, 5), np.uint8)


def _image(metadata=None):
    return Image(PIXELS, name="field", metadata=metadata or {})


def _labels(metadata=None):
    return Labels(PIXELS, metadata=metadata or {})


def test_layer_without_metadata_has_defaults_and_stays_untouched():
    layer = _image()
    assert role_of(layer) == Role.NONE
    assert ImageMetadata.of(layer) == ImageMetadata()
    assert MapMetadata.of(layer) == MapMetadata()
    assert layer.metadata == {}


@pytest.mark.parametrize(
    "metadata",
    [
        ImageMetadata(source="a.tif", pixel_size_um=0.5, data_bar_rows=3, notes=("found",)),
        MapMetadata(
            element="Si",
            line="Ka1",
            kind="counts",
            window=(0.0, 0.0, 1.0, 1.0),
            registration=RegistrationMetadata(verdict="aligned", z=9.0, residual_px=0.4),
            start=[[1.0, 0.0, 2.0], [0.0, 1.0, 3.0], [0.0, 0.0, 1.0]],
        ),
        GrainsMetadata(image="field", states={3: "accepted"}, model={"name": "grains"}),
        MosaicMetadata(source="m.zarr", labels="grains"),
        MineralMapMetadata(grains="grains", colors={"quartz": "#ff0000"}),
        OverlayMetadata(image="field", kind="chosen"),
    ],
)
def test_metadata_is_read_back(metadata):
    layer = _image(metadata.for_layer())
    assert type(metadata).of(layer) == metadata
    assert type(metadata).from_options({"metadata": metadata.for_layer()}) == metadata
    assert role_of(layer) == metadata.ROLE
    assert layer.metadata["grainsmith"]["schema_version"] == SCHEMA_VERSION


def test_update_changes_only_the_named_fields():
    layer = _labels(GrainsMetadata(image="field", seal="abc").for_layer())
    GrainsMetadata.update(layer, unsaved_edits=2)
    assert GrainsMetadata.of(layer) == GrainsMetadata(image="field", seal="abc", unsaved_edits=2)
    with pytest.raises(TypeError, match="no_such_field"):
        GrainsMetadata.update(layer, no_such_field=1)


def test_image_declared_as_a_map_keeps_its_image_metadata():
    layer = _image(ImageMetadata(source="a.tif", data_bar_rows=2).for_layer())
    set_role(layer, Role.MAP)
    MapMetadata.update(layer, element="Fe")
    assert ImageMetadata.of(layer) == ImageMetadata(source="a.tif", data_bar_rows=2)
    assert MapMetadata.of(layer).element == "Fe"


def test_states_and_examples_are_kept_with_the_layer():
    layer = _labels()
    states_of(layer)[1] = "drawn"
    examples_of(layer)[2] = "quartz"
    assert GrainsMetadata.of(layer) == GrainsMetadata(states={1: "drawn"}, examples={2: "quartz"})


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (GrainsMetadata(source="field_masks.tif"), True),
        (GrainsMetadata(source="a#1.tif"), True),
        (GrainsMetadata(), False),
        (GrainsMetadata(source=""), False),
        (GrainsMetadata(source="field.tif", model={"name": "grains"}), False),
        (GrainsMetadata(source="m.zarr#0,100,0,200,0a1b2c"), False),
    ],
)
def test_labels_of_a_file_are_told_from_a_segmentation(metadata, expected):
    assert metadata.is_from_file is expected


def test_renamed_image_is_followed():
    own = _labels(GrainsMetadata(image="old").for_layer())
    other = _labels(GrainsMetadata(image="another").for_layer())
    follow_rename([own, other], "old", "new")
    assert (GrainsMetadata.of(own).image, GrainsMetadata.of(other).image) == ("new", "another")


# --- dictionaries as commit 5b6e66c wrote them, without a schema version


def test_image_of_the_first_schema():
    stored = {
        "role": "image",
        "source": "a.tif",
        "pixel_size_um": 0.25,
        "pixel_size_source": "ImageJ metadata",
        "data_bar_rows": 34,
        "notes": ["Data bar of 34 rows."],
    }
    layer = _image({"grainsmith": stored})
    assert ImageMetadata.of(layer) == ImageMetadata(
        source="a.tif",
        pixel_size_um=0.25,
        pixel_size_source="ImageJ metadata",
        data_bar_rows=34,
        notes=("Data bar of 34 rows.",),
    )


def test_second_image_of_the_first_schema():
    assert role_of(_image({"grainsmith": {"role": "picture"}})) == Role.OTHER_IMAGE


def test_map_of_the_first_schema():
    stored = {
        "role": "map",
        "element": "Si",
        "line": "Ka1",
        "kind": "counts",
        "pixel_size_um": 1.0,
        "source": "Si Ka1.tif",
        "transform": {
            "z": 12.5,
            "verdict": "aligned",
            "residual_px": 0.3,
            "model": "shift",
            "note": "",
            "group_z": 20.0,
        },
        "window": (),
        "start": np.eye(3).tolist(),
        "start_on": "field",
        "group": "1",
    }
    metadata = MapMetadata.of(_image({"grainsmith": stored}))
    assert metadata.registration == RegistrationMetadata(
        verdict="aligned", z=12.5, residual_px=0.3, model="shift", group_z=20.0
    )
    assert metadata.is_aligned
    assert (metadata.element, metadata.group, metadata.start_on) == ("Si", "1", "field")
    assert metadata.start == np.eye(3).tolist()


def test_grains_of_the_first_schema():
    stored = {
        "role": "grains",
        "image": "field",
        "states": {"7": "accepted"},  # integer keys became words in a JSON file
        "examples": {3: "quartz"},
        "model": {"name": "grains", "sha256": "00"},
        "settings": {"segment": {"flow_error": 0.5}},
        "drawn": "fingerprint",
        "unsaved_edits": 4,
    }
    layer = _labels({"grainsmith": stored})
    assert GrainsMetadata.of(layer) == GrainsMetadata(
        image="field",
        states={7: "accepted"},
        examples={3: "quartz"},
        model={"name": "grains", "sha256": "00"},
        settings={"segment": {"flow_error": 0.5}},
        seal="fingerprint",
        unsaved_edits=4,
    )


def test_minerals_of_the_first_schema():
    stored = {"role": "minerals", "grains": "grains", "colours": {"quartz": "#ff0000"}}
    layer = _labels({"grainsmith": stored})
    assert role_of(layer) == Role.MINERALS
    assert MineralMapMetadata.of(layer).colors == {"quartz": "#ff0000"}


def test_newer_schema_is_read_as_far_as_it_is_understood():
    stored = {"schema_version": SCHEMA_VERSION + 1, "role": "image", "source": "a", "unheard": 1}
    layer = _image({"grainsmith": stored})
    assert ImageMetadata.of(layer).source == "a"
    ImageMetadata.update(layer, data_bar_rows=2)
    assert layer.metadata["grainsmith"]["unheard"] == 1
    assert layer.metadata["grainsmith"]["schema_version"] == SCHEMA_VERSION + 1

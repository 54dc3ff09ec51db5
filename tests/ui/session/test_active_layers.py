"""Roles follow the layer list; layers carry values both ways."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel

from grainsmith.data import ElementMap, SemImage, Transform
from grainsmith.errors import MismatchError
from grainsmith.ui.layers.element_maps import element_map_of, map_layer
from grainsmith.ui.layers.geometry import pixel_size_um_of, place_map, set_pixel_size, transform_of
from grainsmith.ui.layers.images import image_layer, sem_image_of
from grainsmith.ui.layers.labels import labels_options, table_of
from grainsmith.ui.layers.metadata import GrainsMetadata, OverlayMetadata, Role
from grainsmith.ui.session import session_of

SEM = SemImage(
    image=np.arange(200, dtype=np.uint16).reshape(10, 20),
    pixel_size_um=0.25,
    pixel_size_source="a tag",
    data_bar_rows=2,
    source="field.tif",
    notes=("said",),
)
GRAINS = np.pad(np.ones((3, 3), np.int32), 1)
IRON = ElementMap(values=np.ones((5, 10)), element="Fe", line="Ka1", pixel_size_um=0.5)


@pytest.fixture
def model():
    return ViewerModel()


def _add(model, layer_data):
    data, options, kind = layer_data
    return getattr(model, f"add_{kind}")(data, **options)


def test_an_empty_viewer_has_no_roles(model):
    roles = session_of(model).active
    assert (roles.image, roles.grains, roles.maps) == (None, None, ())
    assert session_of(model).active is roles


def test_roles_are_guessed_from_what_is_there_already(model):
    image = _add(model, image_layer(SEM))
    grains = model.add_labels(GRAINS)
    iron = _add(model, map_layer(IRON, image, Transform()))
    roles = session_of(model).active
    assert (roles.image, roles.grains, roles.maps) == (image, grains, (iron,))


def test_roles_follow_insertion_removal_and_the_user(model):
    roles, seen = session_of(model).active, []
    roles.image_changed.connect(lambda layer: seen.append(layer and layer.name))
    plain = model.add_image(np.zeros((10, 20)), name="plain")
    field = _add(model, image_layer(SEM))
    assert roles.image is field  # the newest that was opened as an image
    roles.image = plain
    model.layers.remove(plain)
    assert roles.image is field
    model.layers.remove(field)
    assert roles.image is None
    assert seen == ["plain", "field", "plain", "field", None]


def test_maps_are_what_the_user_calls_maps(model):
    roles = session_of(model).active
    first, second = (model.add_image(np.zeros((4, 4)), name=name) for name in ("BSE", "Fe"))
    roles.maps = (second,)
    assert roles.maps == (second,)
    assert element_map_of(second).element == "Fe"
    assert roles.image is first
    roles.maps = ()
    assert roles.maps == ()


def test_grains_follow_their_image(model):
    roles = session_of(model).active
    images = [_add(model, image_layer(SEM, name=name)) for name in ("one", "two")]
    grains = [
        model.add_labels(np.zeros((10, 20), np.int32), **labels_options(image, name=image.name))
        for image in images
    ]
    roles.image = images[0]
    assert roles.grains is grains[0]
    images[0].name = "renamed"
    assert GrainsMetadata.of(grains[0]).image == "renamed"


def test_made_truth_is_not_taken_for_grains(model):
    model.add_labels(GRAINS, metadata=OverlayMetadata().for_layer(Role.TRUTH))
    assert session_of(model).active.grains is None


def test_picture_goes_to_a_layer_and_back(model):
    layer = _add(model, image_layer(SEM))
    back = sem_image_of(layer)
    np.testing.assert_array_equal(back.image, SEM.image)
    for name in ("pixel_size_um", "pixel_size_source", "data_bar_rows", "source", "notes"):
        assert getattr(back, name) == getattr(SEM, name)


def test_a_stack_is_no_picture(model):
    with pytest.raises(MismatchError, match="split the stack"):
        sem_image_of(model.add_image(np.zeros((2, 4, 4))))


@pytest.mark.parametrize(
    ("units", "scale", "expected"),
    [
        pytest.param(("nm", "nm"), 250.0, 0.25, id="nm"),
        pytest.param(("um", "um"), 0.25, 0.25, id="um"),
        pytest.param(("pixel", "pixel"), 0.25, 0.0, id="pixel-is-unknown"),
    ],
)
def test_pixel_size_of_a_layer(model, units, scale, expected):
    layer = model.add_image(np.zeros((4, 4)), scale=(scale, scale), units=units)
    assert pixel_size_um_of(layer) == pytest.approx(expected)


MATRIX = np.array([[1.9, 0.02, 3.0], [-0.02, 2.1, -7.0], [0, 0, 1]])


@pytest.mark.parametrize("place", [{}, {"translate": (3, 4), "affine": np.diag([2.0, 2.0, 1])}])
def test_transform_goes_to_a_layer_and_back(model, place):
    image = _add(model, image_layer(SEM))
    for name, value in place.items():
        setattr(image, name, value)
    wanted = Transform(matrix=MATRIX, z=12.0, verdict="aligned")
    iron = _add(model, map_layer(IRON, image, wanted))
    for transform in (wanted, Transform.from_shift(1, 2, z=3.0, verdict="unsure")):
        place_map(iron, image, transform)
        back = transform_of(iron, image)
        np.testing.assert_allclose(back.matrix, transform.matrix, atol=1e-9)
        assert (back.z, back.verdict) == (transform.z, transform.verdict)
    assert element_map_of(iron).name == "Fe Ka1"


@pytest.mark.parametrize("size", [0.5, 0.0])
def test_a_new_pixel_size_takes_everything_along(model, size):
    image = _add(model, image_layer(SEM))
    grains = model.add_labels(np.zeros((10, 20), np.int32), **labels_options(image, name="g"))
    iron = _add(model, map_layer(IRON, image, Transform(matrix=MATRIX)))
    set_pixel_size(image, size, "hand", list(model.layers))
    assert pixel_size_um_of(image) == pixel_size_um_of(grains) == size
    np.testing.assert_allclose(transform_of(iron, image).matrix, MATRIX, atol=1e-9)
    assert sem_image_of(image).pixel_size_source == "hand"


def test_table_goes_to_features_and_back(model):
    image = _add(model, image_layer(SEM))
    table = pd.DataFrame({"confidence": [0.9, 0.4]}, index=pd.Index([3, 7], name="label"))
    options = labels_options(image, name="grains", table=table)
    layer = model.add_labels(np.zeros(SEM.image.shape, np.int32), **options)
    assert list(layer.features["index"]) == [3, 7]
    pd.testing.assert_frame_equal(table_of(layer), table, check_names=False)


def test_every_kind_of_edit_is_told(model):
    roles, told = session_of(model).active, []
    roles.grains_edited.connect(lambda: told.append(1))
    grains = model.add_labels(GRAINS.copy())

    def changes():
        count = len(told)
        told.clear()
        return count > 0

    changes()
    grains.data_setitem(np.nonzero(grains.data == 1), 2)
    assert changes()
    grains.undo()
    assert changes()
    grains.features = pd.DataFrame({"index": [1]})
    assert changes()
    model.layers.remove(grains)
    changes()
    grains.data = GRAINS * 3
    assert not changes()


def test_a_picture_without_numbers_still_becomes_a_layer():
    picture = SemImage(image=np.full((8, 8), np.nan, np.float32), source="x")
    assert image_layer(picture)[1]["contrast_limits"] == (0.0, 1.0)

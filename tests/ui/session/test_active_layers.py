"""The active layers follow the layer list and the user."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel

from grainsmith.data import ElementMap, SemImage, Transform
from grainsmith.ui.layers.element_maps import element_map_of, map_layer
from grainsmith.ui.layers.images import image_layer
from grainsmith.ui.layers.labels import labels_options
from grainsmith.ui.layers.metadata import GrainsMetadata, OverlayMetadata, Role
from grainsmith.ui.panels.messages import missing_text
from grainsmith.ui.session import session_of

SEM = SemImage(
    image=np.arange(200, dtype=np.uint16).reshape(10, 20),
    pixel_size_um=0.25,
    pixel_size_source="a tag",
    data_bar_rows=2,
    source="field.tif",
    notes=("said",),
)
GRAINS = np.pad(np.ones((3, 3), np.int32), ((1, 6), (1, 16)))
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


def field_of(model, name, *, pixel_size_um, shape=(10, 20)):
    """Add an image and return it with the options of grains on it."""
    pixels = np.zeros(shape, np.uint8)
    image = _add(model, image_layer(SemImage(image=pixels, pixel_size_um=pixel_size_um), name=name))
    return image, labels_options(image, name=f"{name} grains")


def test_an_image_without_grains_has_none_of_another_field(model):
    active = session_of(model).active
    _, options = field_of(model, "first", pixel_size_um=0.25)
    first_grains = model.add_labels(np.zeros((10, 20), np.int32), **options)
    assert active.grains is first_grains
    second, _ = field_of(model, "second", pixel_size_um=1.5)
    assert (active.image, active.grains) == (second, None)


def test_choosing_grains_chooses_their_image_before_anybody_is_told(model):
    active, pairs = session_of(model).active, []
    first, options = field_of(model, "first", pixel_size_um=0.25)
    grains = model.add_labels(np.zeros((10, 20), np.int32), **options)
    field_of(model, "second", pixel_size_um=1.5)
    for signal in (active.image_changed, active.grains_changed):
        signal.connect(lambda _layer: pairs.append((active.image, active.grains)))
    active.grains = grains
    assert pairs == [(first, grains), (first, grains)]


def test_labels_of_another_size_are_not_taken_for_the_grains_of_an_image(model):
    active = session_of(model).active
    image, _ = field_of(model, "small", pixel_size_um=0.25)
    large = model.add_labels(np.zeros((40, 40), np.int32), name="large")
    assert (active.image, active.grains) == (image, None)
    assert active.unmatched_grains == (large,)
    assert "'large' (40 × 40 px) belong to no open image" in missing_text(active, "none")
    active.grains = large  # the user's choice: measured in its own pixels, without the image
    assert (active.image, active.grains) == (None, large)


def test_grains_without_an_image_need_the_pixel_size_of_the_image_they_fit(model):
    active = session_of(model).active
    field_of(model, "field", pixel_size_um=0.25)
    shape = (10, 20)
    model.add_labels(np.zeros(shape, np.int32), scale=(2, 2), units=("um", "um"), name="other")
    assert active.grains is None
    same = model.add_labels(np.zeros(shape, np.int32), scale=(250, 250), units=("nm", "nm"))
    assert active.grains is same


def test_removing_an_image_leaves_no_grains_of_it_on_another(model):
    active = session_of(model).active
    second, _ = field_of(model, "second", pixel_size_um=1.5)
    first, options = field_of(model, "first", pixel_size_um=0.25)
    grains = model.add_labels(np.zeros((10, 20), np.int32), **options)
    assert active.grains is grains
    model.layers.remove(first)
    assert (active.image, active.grains) == (second, None)


def test_made_truth_is_not_taken_for_grains(model):
    model.add_labels(GRAINS, metadata=OverlayMetadata().for_layer(Role.TRUTH))
    assert session_of(model).active.grains is None


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

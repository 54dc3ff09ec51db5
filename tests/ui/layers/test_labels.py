"""Labels layers lie on their image and hold the grain table."""

import numpy as np
import pandas as pd
from napari.layers import Image, Labels

from grainsmith.ui.layers.labels import attach_to_image, labels_options, table_of
from grainsmith.ui.layers.metadata import GrainsMetadata

LABELS = np.zeros((10, 20), np.int32)


def _image():
    return Image(
        np.zeros((10, 20)), name="field", scale=(0.5, 0.5), translate=(3, 4), units=("um", "um")
    )


def test_table_is_read_back_from_the_features():
    table = pd.DataFrame({"confidence": [0.9, 0.4]}, index=pd.Index([3, 7], name="label"))
    layer = Labels(LABELS, **labels_options(_image(), name="grains", table=table))
    assert list(layer.features["index"]) == [3, 7]
    pd.testing.assert_frame_equal(table_of(layer), table, check_names=False)


def test_labels_lie_on_their_image():
    layer = Labels(LABELS, **labels_options(_image(), name="grains", model={"name": "grains"}))
    assert tuple(layer.scale) == (0.5, 0.5)
    assert tuple(layer.translate) == (3, 4)
    assert GrainsMetadata.of(layer).image == "field"
    assert GrainsMetadata.of(layer).model == {"name": "grains"}


def test_labels_of_a_file_are_placed_on_the_image_of_their_shape():
    from_file = Labels(LABELS, metadata=GrainsMetadata(source="a_masks.tif").for_layer())
    attach_to_image(from_file, _image())
    assert tuple(from_file.translate) == (3, 4)
    assert GrainsMetadata.of(from_file).image == "field"


def test_other_labels_stay_in_place():
    smaller = Labels(LABELS[:5], metadata=GrainsMetadata(source="a_masks.tif").for_layer())
    drawn = Labels(LABELS)
    taken = Labels(LABELS, metadata=GrainsMetadata(source="a.tif", image="other").for_layer())
    for layer in (smaller, drawn, taken):
        attach_to_image(layer, _image())
        assert tuple(layer.translate) == (0, 0)

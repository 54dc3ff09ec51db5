"""The table names what drew each grain."""

import numpy as np
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel

from grainsmith.ui.layers.metadata import GrainsMetadata
from grainsmith.ui.session import session_of

LABELS = np.kron(np.array([[1, 0], [0, 2]], np.int32), np.ones((8, 8), np.int32))


def _measure_now(function, *arguments, then):
    then(function(*arguments))


@pytest.mark.parametrize(
    ("metadata", "source"),
    [
        (GrainsMetadata(source="field_masks.tif", states={2: "edited"}), "file"),
        (GrainsMetadata(model={"name": "grains"}, states={2: "edited"}), "model"),
    ],
)
def test_source_of_grains(qtbot, metadata, source):
    viewer = ViewerModel()
    layer = viewer.add_labels(LABELS, metadata=metadata.for_layer())
    measurements = session_of(viewer).measurements(layer)
    measurements.measure(_measure_now)
    assert measurements.table.source.to_dict() == {1: source, 2: "edited"}

"""Deleted grains are offered at once, and come back as they were."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel

from grainsmith import clean
from grainsmith.ui.editing.deleted_grains import DeletedGrains
from grainsmith.ui.editing.history import history_of
from grainsmith.ui.editing.overlays import SELECTION, Overlays
from grainsmith.ui.layers.mineral_map import show_minerals
from grainsmith.ui.panels.edit.deleted_bar import DeletedBar
from grainsmith.ui.session import session_of


@pytest.fixture
def model(qapp):
    model = ViewerModel()
    labels = np.zeros((60, 80), np.int32)
    labels[5:20, 5:20], labels[30:50, 30:60] = 1, 2
    table = pd.DataFrame({"index": [1, 2], "mineral": ["quartz", "zircon"]})
    model.add_image(np.zeros((60, 80)), name="field")
    model.add_labels(labels, name="grains", features=table)
    session_of(model).part(DeletedGrains)
    return model


def delete_grain(layer, grain):
    history = history_of(layer)
    history.apply("Delete", clean.delete(layer.data, history.index, [grain]))


def test_deleted_grains_come_back_with_history_states_and_minerals(model):
    session, layer = session_of(model), model.layers["grains"]
    delete_grain(layer, 1)
    history_of(layer).set_states("Accept 2", {2: "accepted"})
    model.layers.remove(layer)
    assert session.active.grains is None
    assert session.part(DeletedGrains).names == ["grains"]
    assert session.part(DeletedGrains).bring_back() is layer
    assert [other.name for other in model.layers] == ["field", "grains"]
    assert session.active.grains is layer
    assert history_of(layer).states == {2: "accepted"}
    assert layer.features["mineral"].tolist() == ["zircon"]
    layer.undo()
    layer.undo()
    assert (layer.data == 1).any()
    assert session.part(DeletedGrains).names == []


def test_saved_grains_are_not_offered(model):
    layer = model.layers["grains"]
    delete_grain(layer, 1)
    history_of(layer).mark_saved()
    model.layers.remove(layer)
    assert session_of(model).part(DeletedGrains).names == []


def test_overlays_and_mineral_map_go_and_the_map_comes_back(model, qtbot):
    session, layer = session_of(model), model.layers["grains"]
    session.part(Overlays)
    naming = pd.DataFrame({"mineral": ["quartz", "zircon"]}, index=[1, 2])
    show_minerals(model, layer, naming, {"quartz": "#ffffff", "zircon": "#ff0000"})
    session.selection.select([2])
    assert SELECTION in [other.name for other in model.layers]
    delete_grain(layer, 1)
    model.layers.remove(layer)
    qtbot.waitUntil(lambda: [other.name for other in model.layers] == ["field"])
    session.part(DeletedGrains).bring_back()
    assert "grains minerals" in [other.name for other in model.layers]


def test_the_bar_offers_what_was_deleted_until_it_is_dismissed(model, qtbot):
    bar = DeletedBar(model)
    qtbot.addWidget(bar)
    layer = model.layers["grains"]
    delete_grain(layer, 1)
    assert bar.text == ""
    model.layers.remove(layer)
    assert bar.text == "Unsaved grains were deleted: 'grains'."
    bar.bring_back()
    assert bar.text == ""
    model.layers.remove(layer)
    session_of(model).part(DeletedGrains).give_up()
    assert bar.text == ""
    assert bar.isHidden()

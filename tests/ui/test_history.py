"""One history over brush strokes, grain operations and whole-image work."""

import gc
import weakref

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("napari")

from hypothesis import given, settings
from hypothesis import strategies as st
from napari.layers import Labels

from grainsmith import clean
from grainsmith.errors import GrainsmithError, MismatchError
from grainsmith.ui import timeline as timeline_module
from grainsmith.ui import writer as writer_module
from grainsmith.ui.history import history_of
from grainsmith.ui.layers import facts


def grains(shape=(60, 60), dtype=np.int32):
    labels = np.zeros(shape, dtype)
    labels[5:20, 5:20], labels[5:20, 21:40], labels[30:50, 10:40] = 1, 2, 3
    return labels


def layer_of(labels, **options):
    table = pd.DataFrame(
        {
            "index": [1, 2, 3],
            "area_px": [225, 285, 600],
            "confidence": [0.9, 0.8, 0.7],
            "touches_edge": [False, False, False],
            "mineral": ["quartz", "quartz", "zircon"],
        }
    )
    return Labels(labels.copy(), features=table, **options)


def edit(history, name):
    labels, index = history.layer.data, history.index
    first, *rest = sorted(index.boxes)
    patches = {
        "delete": lambda: clean.delete(labels, index, [first]),
        "merge": lambda: clean.merge(labels, index, [first, *rest[:1]]),
        "grow": lambda: clean.grow(labels, index, [first], by_px=2),
        "split": lambda: clean.split_by_line(labels, index, [(0, 12), (59, 12)]),
        "holes": lambda: clean.fill_holes(labels, index, [first, *rest]),
    }[name]()
    return history.apply(name, patches)


def test_brush_and_operations_are_undone_in_order_bit_for_bit():
    layer = layer_of(grains())
    history = history_of(layer)
    states = [layer.data.copy()]

    def do(action):
        action()
        states.append(layer.data.copy())

    do(lambda: layer.paint((25, 25), 9))
    do(lambda: edit(history, "merge"))
    do(lambda: edit(history, "split"))
    do(lambda: layer.fill((40, 20), 0))
    do(lambda: edit(history, "delete"))
    assert [step.name for step in history.steps] == ["Edit", "merge", "split", "Edit", "delete"]
    for state in reversed(states[:-1]):
        layer.undo()
        np.testing.assert_array_equal(layer.data, state)
    layer.undo()
    np.testing.assert_array_equal(layer.data, states[0])
    for state in states[1:]:
        layer.redo()
        np.testing.assert_array_equal(layer.data, state)


def test_keys_of_napari_lead_here():
    layer = layer_of(grains())
    history = history_of(layer)
    before = layer.data.copy()
    edit(history, "delete")
    from napari.layers.labels._labels_key_bindings import redo, undo

    undo(layer)
    np.testing.assert_array_equal(layer.data, before)
    redo(layer)
    assert not (layer.data == 1).any()


def test_table_states_and_dirty_state_follow_undo():
    layer = layer_of(grains())
    history = history_of(layer)
    facts(layer)["states"] = {2: "drawn"}
    features = layer.features.copy()
    edit(history, "merge")
    assert layer.features["index"].tolist() == [1, 3]
    merged = layer.features.set_index("index").loc[1]
    assert merged["area_px"] == np.count_nonzero(layer.data == 1)
    assert np.isnan(merged["confidence"])  # was measured on another outline
    assert merged["mineral"] == "quartz"
    assert history.states == {1: "edited"}
    assert (history.unsaved, facts(layer)["unsaved_edits"]) == (1, 1)
    layer.undo()
    pd.testing.assert_frame_equal(layer.features, features)
    assert history.states == {2: "drawn"}
    assert history.unsaved == 0


def test_saved_state_is_where_it_was_saved():
    history = history_of(layer := layer_of(grains()))
    edit(history, "grow")
    history.mark_saved()
    assert history.unsaved == 0
    layer.undo()
    assert history.unsaved == 1
    edit(history, "delete")  # what was saved can no longer be reached
    layer.undo()
    assert history.unsaved == 1


def test_new_grains_are_drawn_by_brush_and_edited_by_splitting():
    layer = layer_of(grains())
    history = history_of(layer)
    layer.paint((55, 55), 12)
    edit(history, "split")
    assert history.states[12] == "drawn"
    assert {history.states[label] for label in history.index.boxes if label > 12} == {"edited"}


def test_accepted_grains_refuse_edits_and_strokes():
    layer = layer_of(grains())
    history = history_of(layer)
    told = []
    history.told.connect(told.append)
    history.set_states("Accept 1", {1: "accepted"})
    before = layer.data.copy()
    with pytest.raises(MismatchError, match="grain 1 is accepted"):
        edit(history, "delete")
    layer.brush_size = 8
    layer.paint((12, 20), 5)  # over grains 1 and 2 and the gap
    np.testing.assert_array_equal(layer.data[before == 1], 1)
    assert (layer.data == 5).any()
    assert "locked" in told[0]
    layer.undo()
    np.testing.assert_array_equal(layer.data, before)
    layer.undo()  # the acceptance too is a step
    assert history.locked == set()


def test_whole_image_work_is_one_step_of_little_memory():
    big = np.kron(np.arange(1, 1025, dtype=np.int32).reshape(32, 32) * 3, np.ones((32, 32), int))
    big = big.astype(np.int32)
    layer = Labels(big.copy())
    history = history_of(layer)
    layer.mode = "paint"
    layer.paint((0, 0), 7)
    before = layer.data.copy()
    history.clean("Renumber", clean.clean_labels(before, clean.CleanSettings(relabel=True)))
    assert layer.data.max() == 1025
    assert layer.mode == "paint"
    assert history.steps[-1].nbytes < 0.2 * big.nbytes
    layer.undo()
    np.testing.assert_array_equal(layer.data, before)
    layer.undo()
    np.testing.assert_array_equal(layer.data, big)


def test_renumbering_takes_rows_and_states_along():
    layer = layer_of(grains())
    history = history_of(layer)
    history.set_states("Accept 3", {3: "accepted"})
    features = layer.features.copy()
    wanted = clean.CleanSettings(max_area_px=250, min_area_px=226, relabel=True)
    cleaned = clean.clean_labels(layer.data, wanted, locked=history.locked)
    history.clean("Clean up", cleaned)
    assert layer.features[["index", "mineral"]].values.tolist() == [[1, "zircon"]]
    assert history.states == {1: "accepted"}
    layer.undo()
    pd.testing.assert_frame_equal(layer.features, features)
    assert history.states == {3: "accepted"}


def test_segmenting_again_keeps_what_was_done_by_hand():
    layer = layer_of(grains())
    history = history_of(layer)
    edit(history, "grow")  # grain 1 is edited
    before = layer.data.copy()
    fresh = np.zeros_like(before)
    fresh[5:19, 5:19], fresh[8:20, 22:41] = 1, 2  # 1 is grain 1 found again, 2 is new
    table = pd.DataFrame({"area_px": [1, 2], "confidence": [0.5, 0.6]}, index=[1, 2])
    kept = history.resegment(fresh, table)
    assert kept == {1}
    rows = layer.features["index"].tolist()
    np.testing.assert_array_equal(layer.data == 1, before == 1)
    assert not (layer.data == 3).any()
    assert layer.features["confidence"].tolist()[1:] == [0.6]
    assert history.states == {1: "edited"}
    layer.undo()
    np.testing.assert_array_equal(layer.data, before)
    assert layer.features["index"].tolist() == [1, 2, 3]
    layer.redo()
    assert layer.features["index"].tolist() == rows


def test_undone_renumbering_leaves_no_row_of_the_new_numbers():
    layer = layer_of(grains())
    history = history_of(layer)
    edit(history, "delete")  # number 1 is free
    features = layer.features.copy()
    cleaned = clean.clean_labels(layer.data, clean.CleanSettings(relabel=True))
    history.clean("Renumber", cleaned)
    assert layer.features["index"].tolist() == [1, 2]
    layer.undo()
    pd.testing.assert_frame_equal(layer.features, features)


@pytest.mark.parametrize("shape", [(60, 60), (30, 30)])
def test_a_replaced_array_never_poisons_the_history(shape):
    layer = layer_of(grains())
    history = history_of(layer)
    edit(history, "delete")
    before = layer.data.copy()
    new = np.full(shape, 7, np.int32)
    layer.data = new.copy()
    if shape == before.shape:
        layer.undo()
        np.testing.assert_array_equal(layer.data, before)
    else:
        layer.undo()
        np.testing.assert_array_equal(layer.data, new)
        assert history.steps == []
    assert set(history.index.boxes) == set(np.unique(layer.data).tolist()) - {0}


def test_memory_has_a_budget(monkeypatch):
    monkeypatch.setattr(timeline_module, "_BUDGET_BYTES", 20_000)
    layer = layer_of(grains())
    history = history_of(layer)
    for _ in range(30):
        edit(history, "grow")
        layer.paint((55, 55), 12)
        layer.paint((55, 55), 0)
    assert sum(step.nbytes for step in history.steps) <= 20_000
    assert history.position == len(history.steps) > 3


def test_native_history_is_bounded_too(monkeypatch):
    monkeypatch.setattr(writer_module, "_NATIVE_BUDGET_BYTES", 10_000)
    layer = layer_of(grains())
    history = history_of(layer)
    before = layer.data.copy()
    for _ in range(6):
        edit(history, "delete")
        layer.undo()
    np.testing.assert_array_equal(layer.data, before)
    assert len(layer._undo_history) < 6


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((3, 5, 5), np.int32), "one .Y, X. image"),
        ([np.zeros((8, 8), np.int32), np.zeros((4, 4), np.int32)], "several resolutions"),
    ],
)
def test_what_cannot_be_edited_is_refused(data, message):
    with pytest.raises(MismatchError, match=message):
        history_of(Labels(data))


def test_read_only_labels_are_copied():
    labels = grains()
    labels.flags.writeable = False
    layer = Labels(labels)
    edit(history_of(layer), "delete")
    assert not (layer.data == 1).any()
    assert (labels == 1).any()


def test_a_layer_and_its_history_can_go():
    layer = layer_of(grains())
    history_of(layer)
    gone = weakref.ref(layer)
    del layer
    gc.collect()
    assert gone() is None


@settings(max_examples=40, deadline=None)
@given(
    st.data(),
    st.sampled_from([np.int32, np.uint16, np.uint8, np.int64]),
    st.sampled_from([1.0, 0.25]),
)
def test_any_sequence_is_undone_and_redone_at_any_scale(data, dtype, scale):
    layers = [
        layer_of(grains(dtype=dtype), scale=(step, step), units=("um", "um"))
        for step in (1.0, scale)
    ]
    histories = [history_of(layer) for layer in layers]
    first, features = layers[0].data.copy(), layers[0].features.copy()
    states = [first]
    names = st.sampled_from(["delete", "merge", "grow", "split", "holes", "paint", "undo"])
    for name in data.draw(st.lists(names, min_size=1, max_size=6)):
        spot = data.draw(st.tuples(st.integers(0, 59), st.integers(0, 59)))
        for layer, history in zip(layers, histories, strict=True):
            if name == "paint":
                layer.paint(spot, data.draw(st.just(4)))
            elif name == "undo":
                layer.undo()
            elif history.index.boxes:
                try:
                    edit(history, name)
                except GrainsmithError:
                    continue
        states.append(layers[0].data.copy())
    np.testing.assert_array_equal(layers[0].data, layers[1].data)
    last = layers[0].data.copy()
    position = histories[0].position
    fresh = clean.GrainIndex(last)
    assert histories[0].index.boxes == fresh.boxes
    histories[0].go_to(0)
    np.testing.assert_array_equal(layers[0].data, first)
    pd.testing.assert_frame_equal(layers[0].features, features)
    assert histories[0].unsaved == 0
    histories[0].go_to(position)
    np.testing.assert_array_equal(layers[0].data, last)

"""One history over brush strokes, grain operations and whole-image work."""

import contextlib
import gc
import weakref

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("napari")

from hypothesis import given, settings
from hypothesis import strategies as st
from napari.layers import Labels

import grainsmith.clean as clean
from grainsmith.errors import GrainsmithError, MismatchError
from grainsmith.ui.editing import label_writer as label_writer_module
from grainsmith.ui.editing import undo_stack as undo_stack_module
from grainsmith.ui.editing.history import history_of
from grainsmith.ui.layers.metadata import GrainsMetadata


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
    GrainsMetadata.update(layer, states={2: "drawn"})
    features = layer.features.copy()
    edit(history, "merge")
    assert layer.features["index"].tolist() == [1, 3]
    merged = layer.features.set_index("index").loc[1]
    assert merged["area_px"] == np.count_nonzero(layer.data == 1)
    assert np.isnan(merged["confidence"])  # was measured on another outline
    assert merged["mineral"] == "quartz"
    assert history.states == {1: "edited"}
    assert (history.unsaved_edits, GrainsMetadata.of(layer).unsaved_edits) == (1, 1)
    layer.undo()
    pd.testing.assert_frame_equal(layer.features, features)
    assert history.states == {2: "drawn"}
    assert history.unsaved_edits == 0


def test_saved_state_is_where_it_was_saved():
    history = history_of(layer := layer_of(grains()))
    edit(history, "grow")
    history.mark_saved()
    assert history.unsaved_edits == 0
    layer.undo()
    assert history.unsaved_edits == 1
    edit(history, "delete")  # what was saved can no longer be reached
    layer.undo()
    assert history.unsaved_edits == 1


def test_work_that_was_saved_before_a_step_grew_counts_as_unsaved():
    history = history_of(layer := layer_of(grains()))
    for by_px, amend in ((1, False), (2, True)):
        patches = clean.grow(layer.data, history.index, [3], by_px=by_px)
        history.apply("Grow", patches, amend=amend)
        if not amend:
            history.mark_saved()
    assert len(history.steps) == 1
    assert history.unsaved_edits == 1
    layer.undo()
    assert history.unsaved_edits == 1


def test_steps_of_different_grains_stay_two():
    history = history_of(layer := layer_of(grains()))
    features = layer.features.copy()
    for grain in (1, 3):
        history.apply("Delete", clean.delete(layer.data, history.index, [grain]), amend=True)
    assert len(history.steps) == 2
    history.go_to(0)
    pd.testing.assert_frame_equal(layer.features, features)


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
    history.message.connect(told.append)
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
    history.apply_cleanup("Renumber", clean.clean_labels(before, clean.CleanSettings(relabel=True)))
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
    history.apply_cleanup("Clean up", cleaned)
    assert layer.features[["index", "mineral"]].values.tolist() == [[1, "zircon"]]
    assert history.states == {1: "accepted"}
    layer.undo()
    pd.testing.assert_frame_equal(layer.features, features)
    assert history.states == {3: "accepted"}


def test_renumbering_leaves_no_measures_of_grains_that_it_mended():
    labels = grains()
    labels[35:40, 20:25] = 0  # a hole in grain 3
    layer = layer_of(labels)
    history = history_of(layer)
    features = layer.features.copy()
    wanted = clean.CleanSettings(min_area_px=250, fill_holes=True, relabel=True)
    history.apply_cleanup("Clean up", clean.clean_labels(layer.data, wanted))
    assert layer.features["index"].tolist() == [1, 2]
    assert layer.features["mineral"].tolist() == ["quartz", "zircon"]
    assert layer.features["area_px"].tolist() == [285, 600]
    np.testing.assert_array_equal(layer.features["confidence"], [0.8, np.nan])
    layer.undo()
    pd.testing.assert_frame_equal(layer.features, features)


def named(layer, grain, mineral):
    table = layer.features.copy()
    table.loc[table["index"] == grain, "mineral"] = mineral
    layer.features = table


def minerals(layer):
    return layer.features.set_index("index")["mineral"].to_dict()


def test_a_mineral_given_after_an_edit_survives_undo_and_redo():
    layer = layer_of(grains())
    history = history_of(layer)
    edit(history, "merge")  # 2 becomes part of 1
    named(layer, 1, "garnet")
    layer.undo()
    assert minerals(layer) == {1: "garnet", 2: "quartz", 3: "zircon"}
    assert layer.features["confidence"].tolist() == [0.9, 0.8, 0.7]
    named(layer, 2, "rutile")
    layer.redo()
    assert minerals(layer) == {1: "garnet", 3: "zircon"}
    layer.undo()
    assert minerals(layer) == {1: "garnet", 2: "rutile", 3: "zircon"}


def test_a_mineral_given_to_a_new_grain_comes_back_with_it():
    layer = layer_of(grains())
    history = history_of(layer)
    edit(history, "split")
    new = max(history.index.boxes)
    named(layer, new, "garnet")
    layer.undo()
    layer.redo()
    assert minerals(layer)[new] == "garnet"


def test_a_mineral_given_after_renumbering_follows_the_grain():
    layer = layer_of(grains())
    history = history_of(layer)
    wanted = clean.CleanSettings(min_area_px=250, relabel=True)
    history.apply_cleanup("Clean up", clean.clean_labels(layer.data, wanted))  # 2, 3 become 1, 2
    named(layer, 2, "garnet")
    layer.undo()
    assert minerals(layer) == {1: "quartz", 2: "quartz", 3: "garnet"}
    layer.redo()
    assert minerals(layer) == {1: "quartz", 2: "garnet"}


def test_segmenting_again_keeps_what_was_done_by_hand():
    layer = layer_of(grains())
    history = history_of(layer)
    edit(history, "grow")  # grain 1 is edited
    before = layer.data.copy()
    fresh = np.zeros_like(before)
    fresh[5:19, 5:19], fresh[8:20, 22:41] = 1, 2  # 1 is grain 1 found again, 2 is new
    table = pd.DataFrame({"area_px": [196, 228], "confidence": [0.5, 0.6]}, index=[1, 2])
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
    history.apply_cleanup("Renumber", cleaned)
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
    monkeypatch.setattr(undo_stack_module, "_BUDGET_BYTES", 20_000)
    layer = layer_of(grains())
    history = history_of(layer)
    for _ in range(30):
        edit(history, "grow")
        layer.paint((55, 55), 12)
        layer.paint((55, 55), 0)
    assert sum(step.nbytes for step in history.steps) <= 20_000
    assert history.position == len(history.steps) > 3


def test_native_history_is_bounded_too(monkeypatch):
    monkeypatch.setattr(label_writer_module, "_NATIVE_BUDGET_BYTES", 10_000)
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


@st.composite
def label_images(draw):
    """Overlapping boxes on a small image, of any dtype."""
    shape = draw(st.tuples(st.integers(8, 40), st.integers(8, 40)))
    labels = np.zeros(shape, draw(st.sampled_from([np.int32, np.uint16, np.uint8, np.int64])))
    for number in range(1, draw(st.integers(2, 7))):
        y, x = draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))
        labels[y : y + draw(st.integers(1, 15)), x : x + draw(st.integers(1, 15))] = number
    return labels


def table_of(labels):
    numbers = [number for number in np.unique(labels).tolist() if number]
    areas = [int(np.count_nonzero(labels == number)) for number in numbers]
    columns = {"index": numbers, "area_px": areas, "confidence": 0.5, "mineral": "quartz"}
    return pd.DataFrame(columns, index=range(len(numbers)))


def one_act(history, name, spot, number):
    """Do one thing that a user can do; `spot` and `number` say where."""
    layer, index = history.layer, history.index
    labels, grains = layer.data, sorted(index.boxes)
    chosen = grains[number % len(grains) :][:2] if grains else []
    acts = {
        "delete": lambda: clean.delete(labels, index, chosen),
        "merge": lambda: clean.merge(labels, index, chosen),
        "grow": lambda: clean.grow(labels, index, chosen, by_px=2),
        "shrink": lambda: clean.shrink(labels, index, chosen),
        "smooth": lambda: clean.smooth(labels, index, chosen),
        "holes": lambda: clean.fill_holes(labels, index, chosen),
        "largest": lambda: clean.keep_largest(labels, index, chosen),
        "cut": lambda: clean.split_by_line(labels, index, [(0, spot[1]), (99, spot[1])]),
        "copy": lambda: clean.copy_grain(labels, index, np.flipud(labels), spot),
    }
    measured = table_of(labels).set_index("index")
    others = {
        "paint": lambda: layer.paint(spot, number),
        "fill": lambda: layer.fill(spot, number),
        "accept": lambda: history.set_states("Accept", dict.fromkeys(chosen, "accepted")),
        "clean": lambda: history.apply_cleanup(
            "Clean", clean.clean_labels(labels, SOME, locked=chosen)
        ),
        "segment": lambda: history.resegment(np.fliplr(labels).copy(), measured),
        "replace": lambda: setattr(layer, "data", np.flipud(labels).copy()),
        "undo": layer.undo,
        "redo": layer.redo,
    }
    if name == "replace" and not history.steps:
        return  # where nobody edited there is nothing to protect: it begins anew
    if name in others:
        others[name]()
    elif grains:
        history.apply(name, acts[name]())


SOME = clean.CleanSettings(min_area_px=3, fill_holes=True, keep_largest=True, relabel=True)
ACTS = [
    "delete",
    "merge",
    "grow",
    "shrink",
    "smooth",
    "holes",
    "largest",
    "cut",
    "copy",
    "paint",
    "fill",
    "accept",
    "clean",
    "segment",
    "replace",
    "undo",
    "redo",
]


@settings(max_examples=40, deadline=None)
@given(st.data(), label_images(), st.sampled_from([1.0, 0.25]))
def test_any_sequence_is_undone_and_redone_at_any_scale(data, labels, scale):
    layers = [
        Labels(labels.copy(), features=table_of(labels), scale=(size,) * 2, units=("um", "um"))
        for size in (1.0, scale)
    ]
    histories = [history_of(layer) for layer in layers]
    features = layers[0].features.copy()
    spots = st.tuples(*(st.integers(0, side - 1) for side in labels.shape))
    for name in data.draw(st.lists(st.sampled_from(ACTS), min_size=1, max_size=7)):
        spot, number = data.draw(spots), data.draw(st.integers(0, 8))
        before, locked = layers[0].data.copy(), sorted(histories[0].locked)
        for history in histories:
            with contextlib.suppress(GrainsmithError):
                one_act(history, name, spot, number)
        if name not in ("undo", "redo", "clean", "replace"):  # a renumbered grain stays itself
            for grain in locked:
                np.testing.assert_array_equal(layers[0].data == grain, before == grain)
        listed = layers[0].features.set_index("index")["area_px"]
        assert set(listed.index) <= set(histories[0].index.boxes)
        assert all(histories[0].index.areas_px[label] == area for label, area in listed.items())
    np.testing.assert_array_equal(layers[0].data, layers[1].data)
    last, table = layers[0].data.copy(), layers[0].features.copy()
    states, position = dict(histories[0].states), histories[0].position
    fresh = clean.GrainIndex(last)
    assert histories[0].index.boxes == fresh.boxes
    assert histories[0].index.areas_px == fresh.areas_px
    histories[0].go_to(0)
    np.testing.assert_array_equal(layers[0].data, labels)
    pd.testing.assert_frame_equal(layers[0].features, features)
    assert (histories[0].unsaved_edits, histories[0].states) == (0, {})
    histories[0].go_to(position)
    np.testing.assert_array_equal(layers[0].data, last)
    pd.testing.assert_frame_equal(layers[0].features, table)
    assert histories[0].states == states

"""Choosing and correcting grains through the actions that buttons, keys and mouse call."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel
from skimage.draw import disk

from grainsmith.ui.editing.editor import Editor
from grainsmith.ui.editing.overlays import PREVIEW, SELECTION
from grainsmith.ui.layers.metadata import GrainsMetadata
from grainsmith.ui.session import session_of

SHAPE = (120, 160)


def dumbbell_and_disc():
    labels = np.zeros(SHAPE, np.int32)
    labels[disk((60, 40), 20)] = 1
    labels[disk((60, 75), 20)] = 1
    labels[disk((60, 130), 15)] = 2
    return labels


@pytest.fixture
def editor():
    model = ViewerModel()
    labels = dumbbell_and_disc()
    picture = np.where(labels > 0, 200.0, 30.0)
    picture[disk((100, 120), 12)] = 180  # a missed grain
    model.add_image(picture, name="field", scale=(0.5, 0.5), units=("um", "um"))
    model.add_labels(labels, name="grains", scale=(0.5, 0.5), units=("um", "um"))
    editor = session_of(model).part(Editor)
    editor.tool.model = model  # keeps it alive
    editor.said = []
    editor.message.connect(editor.said.append)
    return editor


def areas(editor):
    return dict(sorted(editor.history.index.areas_px.items()))


def test_click_and_shift_click_choose(editor):
    editor.on_click((60, 40), additive=False)
    assert editor.selected == (1,)
    editor.on_click((60.4, 130), additive=True)
    assert editor.selected == (1, 2)
    editor.on_click((60, 40), additive=True)
    assert editor.selected == (2,)
    mark = editor.overlays.layer(SELECTION)
    np.testing.assert_array_equal(mark.data, editor.layer.data == 2)
    np.testing.assert_array_equal(mark.data_to_world((3, 5)), editor.layer.data_to_world((3, 5)))
    editor.on_click((2, 2), additive=False)
    assert editor.selected == ()
    assert not mark.data.any()
    assert editor._layers.selection.active is editor.layer


@pytest.mark.parametrize("mode", ["box", "lasso"])
def test_box_and_lasso_choose(editor, mode):
    editor.set_mode(mode)
    around = {
        "box": [(30, 100), (90, 150)],
        "lasso": [(30, 110), (90, 105), (95, 155), (25, 155)],
    }[mode]
    editor.on_stroke(around, done=False)
    assert editor.overlays.is_shown(PREVIEW)
    editor.on_stroke(around, done=True)
    assert editor.selected == (2,)
    assert not editor.overlays.is_shown(PREVIEW)


def test_cut_shows_its_parts_while_the_line_is_drawn(editor):
    editor.set_mode("cut")
    before = editor.layer.data.copy()
    editor.on_stroke([(30, 57), (60, 57), (90, 58)], done=False)
    assert set(np.unique(editor.overlays.layer(PREVIEW).data).tolist()) == {0, 1, 3, 4}
    np.testing.assert_array_equal(editor.layer.data, before)
    editor.on_stroke([(30, 57), (60, 57), (90, 58)], done=True)
    assert sorted(areas(editor)) == [1, 2, 3]
    assert editor.history.steps[-1].name.startswith("Split ")
    editor.undo()
    np.testing.assert_array_equal(editor.layer.data, before)


def test_join_by_a_line_and_by_choice(editor):
    editor.set_mode("join")
    editor.on_stroke([(60, 80), (60, 130)], done=True)
    assert sorted(areas(editor)) == [1]
    editor.undo()
    editor.set_mode("choose")
    editor.select([2, 1])
    editor.merge()
    assert sorted(areas(editor)) == [2]
    assert editor.selected == (2,)


def test_necks_are_proposed_shown_and_cut(editor):
    editor.select([1])
    editor.split_by_lobes()
    assert editor.tool.mode == "seeds"
    assert "2 parts proposed" in editor.said[-1]
    assert editor.overlays.is_shown(PREVIEW)
    editor.split_by_lobes()
    assert editor.tool.mode == "choose"
    assert sorted(areas(editor)) == [1, 2, 3]


def test_seeds_by_clicks_where_there_is_no_neck(editor):
    editor.select([2])
    editor.split_by_lobes()
    assert "No neck" in editor.said[-1]
    editor.on_click((52, 130), additive=False)
    editor.on_click((68, 130), additive=False)
    editor.split_by_lobes()
    assert len(areas(editor)) == 3


def test_insert_by_grey_and_wheel(editor):
    editor.set_mode("insert")
    editor.on_click((100, 120), additive=False)
    assert editor.history.states == {3: "drawn"}
    added = areas(editor)[3]
    assert abs(added - 441) < 80
    steps = len(editor.history.steps)
    assert editor.on_wheel(-3)
    assert areas(editor)[3] < added
    assert len(editor.history.steps) == steps  # the wheel is part of the same step
    editor.undo()
    assert 3 not in areas(editor)
    assert editor.layer.mouse_zoom  # nothing was added: the wheel zooms again
    assert not editor.on_wheel(1)


@pytest.mark.parametrize("work", ["paint", "brush", "delete", "accept", "undo"])
def test_the_wheel_leaves_an_added_grain_alone_after_other_work(editor, work):
    editor.set_mode("insert")
    editor.on_click((100, 120), additive=False)
    assert not editor.layer.mouse_zoom
    if work == "paint":
        editor.layer.paint((20, 20), 9)
    elif work == "undo":
        editor.undo()
    elif work == "brush":
        editor.layer.mode = "paint"
    else:
        editor.select([2])
        getattr(editor, work)()
    before, steps = editor.layer.data.copy(), len(editor.history.steps)
    assert not editor.on_wheel(3)
    np.testing.assert_array_equal(editor.layer.data, before)
    assert len(editor.history.steps) == steps
    assert editor.layer.mouse_zoom


def test_insert_by_the_prediction_on_the_networks_grid(editor):
    y, x = np.indices((60, 80)).astype(float)
    near = np.hypot(y - 50, x - 60) < 6
    prediction = SimpleNamespace(
        shape=SHAPE,
        scale=0.5,
        diameter_px=24.0,
        probability=np.where(near, 4.0, -4.0),
        flows=np.stack([50 - y, 60 - x]),
    )
    GrainsMetadata.update(editor.layer, prediction=prediction)
    editor.insert((100, 121))
    grown = editor.layer.data == 3
    wanted = np.zeros(SHAPE, bool)
    wanted[disk((100.5, 120.5), 12)] = True
    assert np.count_nonzero(grown & wanted) / np.count_nonzero(grown | wanted) > 0.9


def test_chemistry_by_the_picture(editor):
    picture = editor._active.image.data
    picture[:, :58] *= 0.5
    picture += np.random.default_rng(0).normal(0, 2, picture.shape)
    editor.select([1])
    editor.split_by_chemistry()
    assert len(areas(editor)) == 3


def test_accept_locks_and_unlocks(editor):
    editor.select([2])
    editor.accept()
    editor.delete()
    assert "grain 2 is accepted" in editor.said[-1]
    assert 2 in areas(editor)
    editor.select([2])
    editor.accept()
    editor.delete()
    assert 2 not in areas(editor)
    assert editor.selected == ()


def test_reject_is_one_step(editor):
    editor.select([2])
    editor.reject()
    assert editor.history.states == {2: "rejected"}
    assert len(editor.history.steps) == 1
    editor.undo()
    assert (editor.history.states, sorted(areas(editor))) == ({}, [1, 2])


def test_copy_from_another_layer(editor):
    other = np.zeros(SHAPE, np.int32)
    other[95:110, 110:130] = 8
    layer = editor._layers.selection.active
    other = editor.tool.model.add_labels(other, name="other")
    editor._active.grains = layer
    editor.copy_from(other, (100, 120))
    assert areas(editor)[3] == 300


def test_a_click_copies_from_the_other_layer_that_is_shown(editor):
    layer = editor.layer
    editor.set_mode("copy")
    editor.on_click((100, 120), additive=False)
    assert "No other labels are visible" in editor.said[-1]
    labels = np.zeros(SHAPE, np.int32)
    labels[95:110, 110:130] = 8
    other = editor.tool.model.add_labels(labels, name="other", visible=False)
    assert (editor.layer, editor.tool.mode) == (layer, "copy")
    editor.on_click((100, 120), additive=False)
    assert len(areas(editor)) == 2
    other.visible = True
    editor.on_click((100, 120), additive=False)
    assert areas(editor)[3] == 300
    assert editor.history.states == {3: "drawn"}


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("delete", "No grain is selected"),
        ("split_by_lobes", "0 grains are selected"),
        ("smooth", "No grain is selected"),
        ("accept", "No grain is selected"),
    ],
)
def test_what_is_missing_is_said(editor, action, message):
    getattr(editor, action)()
    assert message in editor.said[-1]


@pytest.mark.parametrize(
    ("mode", "act"),
    [
        ("choose", lambda e: e.on_click((-5, 1e6), additive=True)),
        ("cut", lambda e: e.on_stroke([(60.0, 40.0)], done=True)),
        ("cut", lambda e: e.on_stroke([(60.0, 40.0), (60.0, 40.0)], done=False)),
        ("cut", lambda e: e.on_stroke([(-90.0, -90.0), (-50.0, -60.0)], done=True)),
        ("join", lambda e: e.on_stroke([(60.0, 40.0), (62.0, 40.0)], done=True)),
        ("box", lambda e: e.on_stroke([(3.0, 3.0)], done=True)),
        ("lasso", lambda e: e.on_stroke([(3.0, 3.0), (-9.0, 400.0)], done=True)),
        ("insert", lambda e: e.on_click((500, 500), additive=False)),
        ("insert", lambda e: e.on_click((60, 40), additive=False)),  # a grain is there
        ("copy", lambda e: e.on_click((-1, -1), additive=False)),
        ("choose", lambda e: e.on_wheel(3)),
        ("insert", lambda e: e.on_wheel(-3)),
        ("choose", lambda e: e.select([99, 0, -4])),
        ("choose", lambda e: e.set_state("accepted", [99])),
    ],
)
def test_what_makes_no_sense_changes_nothing(editor, mode, act):
    before = editor.layer.data.copy()
    editor.set_mode(mode)
    act(editor)
    np.testing.assert_array_equal(editor.layer.data, before)
    assert editor.selected == ()
    assert editor.history.steps == []


def test_a_grain_that_another_tool_took_away_is_told(editor):
    editor.select([1])
    editor.layer.data[editor.layer.data == 1] = 0  # in place: nobody is told
    editor.delete()
    editor.select([1])
    editor.split_by_lobes()
    assert editor.said


@pytest.mark.parametrize("mode", ["cut", "insert"])
def test_a_layer_that_is_no_longer_worked_on_gets_its_mouse_back(editor, mode):
    before = editor.layer
    editor.set_mode(mode)
    editor.on_click((100, 120), additive=False)
    assert not (before.mouse_pan and before.mouse_zoom)
    editor._active.grains = editor.tool.model.add_labels(dumbbell_and_disc(), name="other")
    assert editor.tool.mode == "choose"
    assert before.mouse_pan
    assert before.mouse_zoom


def test_no_grains_no_crash():
    model = ViewerModel()
    editor = session_of(model).part(Editor)
    said = []
    editor.message.connect(said.append)
    editor.delete()
    assert "There are no grains yet" in said[0]


def test_chosen_grains_that_undo_takes_away_are_let_go(editor):
    editor.insert((100, 120))
    assert editor.selected == (3,)
    editor.undo()
    assert editor.selected == ()


def test_the_brush_spares_the_neighbours_until_the_user_says_otherwise(editor):
    editor.select([2])
    before = editor.layer.data.copy()
    editor.layer.brush_size = 400
    editor.layer.paint((60, 60), 2)
    np.testing.assert_array_equal(editor.layer.data[before == 1], 1)
    assert (editor.layer.data[before != 1] == 2).all()
    editor.layer.undo()
    editor.layer.preserve_labels = False
    editor.select([1])
    editor.layer.paint((60, 60), 2)
    assert (editor.layer.data == 2).all()


def test_same_edits_at_any_scale(editor):
    model = ViewerModel()
    model.add_labels(dumbbell_and_disc(), name="grains")
    other = session_of(model).part(Editor)
    for one in (editor, other):
        one.set_mode("cut")
        one.on_stroke([(30, 57), (90, 57)], done=True)
        one.select([2])
        one.grow()
    np.testing.assert_array_equal(editor.layer.data, other.layer.data)

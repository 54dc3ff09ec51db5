"""The grain table in a real viewer: it follows edits and undo, and is linked both ways."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("napari")

from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from tests.fixtures.layers import add_grains, add_image

from grainsmith.data import ElementMap, Transform
from grainsmith.io.tables.grain_table import read_table
from grainsmith.measure import measure_grains
from grainsmith.ui.editing.history import history_of
from grainsmith.ui.editing.mouse import GrainMouse
from grainsmith.ui.layers.element_maps import map_layer
from grainsmith.ui.layers.labels import features_of, table_of
from grainsmith.ui.panels.messages import NO_GRAINS
from grainsmith.ui.panels.table import TablePanel
from grainsmith.ui.session import session_of
from grainsmith.ui.widgets.grain_table_model import GrainTableModel, cell_text, matching_rows

WAIT_MS = 120_000
"""The first measuring compiles; a busy machine takes its time."""


def labels_of(shape=(120, 160)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    labels = (y // 30 * 6 + x // 30 + 1) * ((y % 30 < 27) & (x % 30 < 25))
    return labels.astype(np.int32)


@pytest.fixture
def image(viewer):
    pixels = np.random.default_rng(0).integers(0, 255, (120, 160)).astype(np.uint8)
    return add_image(viewer, pixels, pixel_size_um=0.5, data_bar_rows=10, source="field.tif")


@pytest.fixture
def grains(viewer, image):
    return add_grains(viewer, image, labels_of())


@pytest.fixture
def panel(viewer, grains, qtbot):
    widget = TablePanel(viewer)
    viewer.window.add_dock_widget(widget, name="Table")
    qtbot.waitUntil(lambda: widget.model.rowCount() > 0, timeout=WAIT_MS)
    return widget


def expected(grains, image):
    return measure_grains(
        np.asarray(grains.data), pixel_size_um=0.5, image=np.asarray(image.data), data_bar_rows=10
    )


def settled(qtbot, panel, grains, image):
    def same():
        table = table_of(grains)[expected(grains, image).columns]
        pd.testing.assert_frame_equal(
            table, expected(grains, image), check_dtype=False, check_index_type=False
        )

    qtbot.waitUntil(lambda: _holds(same), timeout=WAIT_MS)
    assert panel.model.rowCount() == len(table_of(grains))


def _holds(check):
    try:
        check()
    except (AssertionError, KeyError):
        return False
    return True


def test_all_grains_are_measured_when_the_panel_opens(panel, grains, image):
    assert panel.model.rowCount() == len(np.unique(labels_of())) - 1
    table = session_of(panel.viewer).measurements(grains).table
    assert table.source.eq("model").all()
    assert {"ecd_um", "mean_image", "touches_edge"} <= set(panel.model.columns)
    pd.testing.assert_frame_equal(
        table[expected(grains, image).columns],
        expected(grains, image),
        check_dtype=False,
        check_index_type=False,
    )


def test_brush_and_undo_change_the_rows_of_the_grains_they_touch(panel, grains, image, qtbot):
    grains.selected_label = 9
    grains.brush_size = 12
    grains.paint((15, 27), 9)
    settled(qtbot, panel, grains, image)
    grains.undo()
    settled(qtbot, panel, grains, image)


def test_an_operation_its_undo_and_its_redo_are_followed(panel, grains, image, qtbot):
    history = history_of(grains)
    area = table_of(grains).area_px[1]
    with grains.block_history():
        grains.data_setitem(np.nonzero(grains.data == 2), 1)
    settled(qtbot, panel, grains, image)
    assert 2 not in table_of(grains).index
    assert table_of(grains).area_px[1] > area
    history.undo()
    settled(qtbot, panel, grains, image)
    assert table_of(grains).area_px[1] == area
    history.redo()
    settled(qtbot, panel, grains, image)


def test_another_plugin_that_writes_into_the_labels_is_noticed(panel, grains, image, qtbot):
    grains.data[40:50, 40:50] = 77
    grains.refresh()
    settled(qtbot, panel, grains, image)
    assert 77 in table_of(grains).index


def test_minerals_given_by_others_survive_an_edit(panel, grains, image, qtbot):
    table = table_of(grains)
    table["mineral"] = "quartz"
    grains.features = features_of(table)
    grains.paint((15, 27), 200)
    settled(qtbot, panel, grains, image)
    after = table_of(grains)
    assert after.mineral.drop(200).eq("quartz").all()
    panel.filter("quartz")
    assert panel.model.rowCount() == len(after) - 1


def test_new_labels_of_another_shape_are_measured_anew(panel, grains, qtbot):
    grains.data = labels_of((90, 90))
    qtbot.waitUntil(
        lambda: list(table_of(grains).index) == list(np.unique(labels_of((90, 90)))[1:]),
        timeout=WAIT_MS,
    )


def test_another_pixel_size_gives_other_micrometres(panel, grains, qtbot):
    before = table_of(grains).ecd_um[1]
    grains.scale = (0.25, 0.25)
    qtbot.waitUntil(
        lambda: "ecd_um" in table_of(grains) and table_of(grains).ecd_um[1] == before / 2,
        timeout=WAIT_MS,
    )


def test_without_a_pixel_size_no_micrometre_is_shown(viewer, qtbot):
    viewer.add_labels(labels_of())
    widget = TablePanel(viewer)
    viewer.window.add_dock_widget(widget)
    qtbot.waitUntil(lambda: widget.model.rowCount() > 0, timeout=WAIT_MS)
    assert "ecd_px" in widget.model.columns
    across = Qt.Orientation.Horizontal
    heads = [widget.model.headerData(i, across) for i in range(widget.model.columnCount())]
    assert not [head for head in heads if "µm" in head]


def test_elements_of_the_maps_are_columns(viewer, grains, image, qtbot):
    values = np.full((60, 80), 20.0)
    one = ElementMap(values=values, element="Si")
    half = Transform(matrix=np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]]))
    data, options, _ = map_layer(one, image, half)
    viewer.add_image(data, **options)
    widget = TablePanel(viewer)
    viewer.window.add_dock_widget(widget)
    qtbot.waitUntil(lambda: "Si_mean" in widget.model.columns, timeout=WAIT_MS)
    assert table_of(grains).Si_mean.eq(20).all()
    assert table_of(grains).Si_coverage.eq(1).all()


def test_row_and_grain_select_each_other(panel, grains, monkeypatch):
    panel._view.selectRow(3)
    label = panel.model.labels[3]
    assert grains.selected_label == label
    assert session_of(panel.viewer).selection.labels == (label,)
    table = table_of(grains)
    middle = grains.data_to_world((table.y_px[label], table.x_px[label]))
    centre = panel.viewer.scene.camera.center[-2:]
    np.testing.assert_allclose(centre, middle[-2:], atol=1)
    monkeypatch.setattr(panel, "isVisible", lambda: True)
    clicked = panel.session.part(GrainMouse).clicked
    clicked.emit(8, False)
    assert panel.selected_labels == [8]
    clicked.emit(9, True)
    assert session_of(panel.viewer).selection.labels == (8, 9)
    clicked.emit(8, True)
    assert session_of(panel.viewer).selection.labels == (9,)


def test_outlines_are_drawn_round_the_chosen_and_only_there(panel, grains):
    session_of(panel.viewer).selection.select([1, 8])
    marks = next(layer for layer in panel.viewer.layers if layer.name == "chosen grains")
    np.testing.assert_array_equal(marks.data > 0, np.isin(grains.data, [1, 8]))
    np.testing.assert_array_equal(marks.data_to_world((3, 5)), grains.data_to_world((3, 5)))
    assert panel.roles.grains is grains
    session_of(panel.viewer).selection.select([])
    assert not marks.data.any()


def test_chosen_rows_stay_chosen_when_sorted_and_filtered(panel):
    session_of(panel.viewer).selection.select([8, 9])
    panel.filter("ecd_um > 0")
    panel._view.sortByColumn(1, panel._view.horizontalHeader().sortIndicatorOrder())
    assert sorted(panel.selected_labels) == [8, 9]


def test_grains_take_the_colours_of_a_column_and_give_them_back(panel, grains):
    before = grains.colormap
    panel.color_by("area_um2")
    table = table_of(grains)
    small, large = table.area_um2.idxmin(), table.area_um2.idxmax()
    assert grains.get_color(large)[:3].sum() > grains.get_color(small)[:3].sum()
    assert "dark" in panel.message
    panel.color_by("")
    assert grains.colormap is before


def test_wrong_filter_is_said_and_what_was_shown_stays(panel):
    rows = panel.model.rowCount()
    panel.filter("ecd_um >>")
    assert panel.model.rowCount() == rows
    assert "is not a filter" in panel.count
    panel.filter("ecd_um > 1e6")
    assert panel.count == f"0 of {rows} grains"


def test_table_is_saved_whole_and_copied_as_shown(panel, grains, tmp_path):
    panel.save(str(tmp_path / "grains.csv"))
    saved = read_table(tmp_path / "grains.csv")
    pd.testing.assert_series_equal(
        saved.ecd_um, table_of(grains).ecd_um, check_exact=True, check_index_type=False
    )
    assert (saved.source == "model").all()
    panel.filter("1, 8")
    panel.copy()
    copied = QGuiApplication.clipboard().text().splitlines()
    assert [line.split("\t")[0] for line in copied] == ["label", "1", "8"]
    panel.save(str(tmp_path / "grains.doc"))
    assert "ends in" in panel.message


def test_empty_viewer_says_what_is_missing_and_no_grains_are_no_crash(viewer, qtbot):
    widget = TablePanel(viewer)
    viewer.window.add_dock_widget(widget)
    assert widget.message == NO_GRAINS
    widget.measure()
    widget.save()
    layer = viewer.add_labels(np.zeros((50, 50), np.int32))
    layer = getattr(layer, "__wrapped__", layer)
    qtbot.waitUntil(lambda: session_of(viewer).measurements(layer).is_complete, timeout=WAIT_MS)
    assert widget.count == "0 grains"
    layer.paint((20, 20), 1)
    qtbot.waitUntil(lambda: widget.model.rowCount() == 1, timeout=WAIT_MS)
    viewer.layers.clear()
    assert widget.model.rowCount() == 0


# --- the model alone


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "ecd_um": [3.0, np.nan, 1.0, 2.0],
            "mineral": ["quartz", "K-feldspar", "", "quartz"],
            "touches_edge": [True, False, False, True],
        },
        index=pd.Index([4, 12, 30, 412], name="label"),
    )


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("", [4, 12, 30, 412]),
        ("12", [12]),
        ("12, 412 5", [12, 412]),
        ("feld", [12]),
        ("QUARTZ", [4, 412]),
        ("ecd_um > 1.5", [4, 412]),
        ("ecd_um > 1.5 and mineral == 'quartz' and ecd_um < 3", [412]),
        ("touches_edge == False", [12, 30]),
    ],
)
def test_filters(text, labels, table):
    assert table.index[matching_rows(table, text)].tolist() == labels


@pytest.mark.parametrize("text", ["ecd >", "diameter > 3", "ecd_um == @pd", "x = 3", "1 > 0"])
def test_what_is_no_filter_is_refused(text, table):
    with pytest.raises(ValueError, match="is no"):
        matching_rows(table, text)


def test_sorting_puts_gaps_last_both_ways(table):
    model = GrainTableModel()
    model.show(table, ["ecd_um", "mineral"])
    model.sort(1, Qt.SortOrder.AscendingOrder)
    assert model.labels.tolist() == [30, 412, 4, 12]
    model.sort(1, Qt.SortOrder.DescendingOrder)
    assert model.labels.tolist() == [4, 412, 30, 12]
    assert model.row_of(30) == 2
    model.show(table, ["ecd_um"], filter_text="quartz")
    assert model.labels.tolist() == [4, 412]  # still falling
    assert model.row_of(30) == -1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.14159, "3.142"),
        (0.0, "0"),
        (1.5e-7, "1.500e-07"),
        (123456.0, "1.235e+05"),
        (np.nan, ""),
        (np.True_, "yes"),
        (np.int32(7), "7"),
        ("quartz", "quartz"),
    ],
)
def test_cell_text_cells(value, text):
    assert cell_text(value) == text


def test_65000_rows_are_sorted_and_filtered():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.random((65_000, 40)), columns=[f"c{i}_um" for i in range(40)])
    table.index = pd.RangeIndex(1, 65_001, name="label")
    model = GrainTableModel()
    model.show(table, table.columns, filter_text="c3_um > 0.5")
    model.sort(4)
    assert model.rowCount() == int((table.c3_um > 0.5).sum())


@pytest.mark.display
def test_a_click_in_the_picture_chooses_the_row(shown_viewer, screenshots, qtbot):
    viewer = shown_viewer
    layer = viewer.add_labels(labels_of())
    widget = TablePanel(viewer)
    viewer.window.add_dock_widget(widget, name="Table")
    qtbot.waitUntil(lambda: widget.model.rowCount() > 0, timeout=WAIT_MS)
    viewer.reset_view()
    qtbot.wait(200)
    clicked = Click(layer, (10.0, 70.0))
    for callback in list(viewer.mouse_drag_callbacks):
        for _ in callback(viewer, clicked) or ():
            clicked.type = "mouse_release"
    assert session_of(viewer).selection.labels == (int(labels_of()[10, 70]),)
    assert widget.selected_labels == [int(labels_of()[10, 70])]
    qtbot.wait(300)
    viewer.screenshot(str(screenshots / "table.png"), canvas_only=False)


class Click:
    """A press of the left button at a place of a layer, released where it was pressed."""

    def __init__(self, layer, place):
        self.type, self.button, self.modifiers = "mouse_press", 1, ()
        self.pos = (300, 300)
        self.position = tuple(layer.data_to_world(place))

"""The Grains panel in a real viewer: combos, minerals, changes by hand, files."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("napari")

from qtpy.QtCore import QEvent
from qtpy.QtGui import QFocusEvent
from qtpy.QtWidgets import QApplication, QFileDialog, QMessageBox
from tests.fixtures.layers import add_grains, add_image

from grainsmith.data import ElementMap, Transform
from grainsmith.ui.editing.overlays import SELECTION
from grainsmith.ui.layers.element_maps import map_layer
from grainsmith.ui.layers.labels import table_of
from grainsmith.ui.layers.metadata import Role, examples_of, role_of
from grainsmith.ui.layers.mineral_map import mineral_layer_of
from grainsmith.ui.panels.grains.panel import GrainsPanel
from grainsmith.ui.session.gallery_field import naming_of

WAIT_MS = 120_000
"""The first measurement compiles; a busy machine takes its time."""

QUARTZ, MAGNETITE, STRANGER = (5.0, 0.1, 0.2), (0.1, 5.0, 0.2), (1.0, 0.2, 9.0)


def add_field(viewer, *, with_maps=True, verdict="aligned"):
    """Show 24 squares: every third is magnetite, number 24 a stranger, the others are quartz."""
    labels = np.zeros((80, 120), np.int32)
    for n in range(24):
        y, x = divmod(n, 6)
        labels[y * 20 + 2 : y * 20 + 18, x * 20 + 2 : x * 20 + 18] = n + 1
    kind = np.where(labels % 3 == 0, 2, 1) * (labels > 0)
    kind[labels == 24] = 3
    random = np.random.default_rng(0)
    picture = random.normal(np.array([10.0, 90, 200, 150])[kind], 3).astype(np.float32)
    image = add_image(
        viewer, picture, pixel_size_um=0.5, pixel_size_source="a tag", source="field.tif"
    )
    elements = zip(("Si", "Fe", "Ca"), zip(QUARTZ, MAGNETITE, STRANGER, strict=True), strict=True)
    for element, amounts in elements if with_maps else ():
        values = random.poisson(np.array([0.05, *amounts])[kind])
        one = ElementMap(values=values.astype(np.uint16), element=element, line="Ka1")
        data, options, _ = map_layer(one, image, Transform(z=20.0, verdict=verdict))
        viewer.add_image(data, **options)
    return add_grains(viewer, image, labels)


@pytest.fixture
def grains(viewer):
    return add_field(viewer)


@pytest.fixture
def panel(viewer):
    widget = GrainsPanel(viewer)
    widget.resize(320, 900)
    viewer.window.add_dock_widget(widget, name="Grains")
    widget.combo.isVisible = lambda: True
    return widget


def name_all(panel, qtbot):
    panel.minerals.name_grains()
    qtbot.waitUntil(lambda: not panel.minerals.running, timeout=WAIT_MS)


def click_examples(panel, grains, examples):
    for grain, mineral in examples.items():
        grains.selected_label = grain
        panel.minerals.mineral.setCurrentText(mineral)
        panel.minerals.add_example()


THREE_EACH = {1: "quartz", 2: "quartz", 4: "quartz", 3: "magnetite", 6: "magnetite", 9: "magnetite"}


def test_a_picked_grain_is_drawn_with_all_its_maps(panel, grains):
    grains.selected_label = 3
    assert panel.combo._number.value() == 3
    assert not panel.combo.view.pixmap().isNull()
    small = panel.combo.view.pixmap().height()
    panel.combo.draw()
    assert panel.combo.view.pixmap().height() == small
    grains.selected_label = 999
    assert "there is no grain 999" in panel.combo.view.text()


def test_a_click_picks_and_a_drag_does_not(panel, grains, viewer, monkeypatch):
    monkeypatch.setattr(panel.combo, "isVisible", lambda: True)
    place = grains.data_to_world((10, 50))

    def press(end):
        event = SimpleNamespace(
            type="mouse_press", button=1, pos=(5, 5), position=place, modifiers=()
        )
        ours = [one for one in viewer.mouse_drag_callbacks if "grainsmith" in one.__module__]
        gestures = [callback(viewer, event) for callback in ours]
        waiting = [next(gesture, "over") for gesture in gestures]
        event.type, event.pos = "mouse_release", end
        assert [next(gesture, "over") for gesture in gestures] == ["over"] * len(ours)
        return waiting.count(None)

    viewer.layers.selection.active = grains
    grains.selected_label = 1
    assert press((60, 60)) == 1
    assert grains.selected_label == 1
    assert press((6, 5)) == 1
    assert grains.selected_label == 3
    grains.mode = "paint"
    grains.selected_label = 1
    assert press((6, 5)) == 0
    assert grains.selected_label == 1


def test_walking_in_three_orders(panel, grains, qtbot):
    panel.combo.session.selection.set_current(1)
    panel.combo.step(1)
    assert grains.selected_label == 2
    panel.combo.step(-1)
    panel.combo.step(-1)
    assert grains.selected_label == 24
    click_examples(panel, grains, THREE_EACH)
    name_all(panel, qtbot)
    panel.combo._order.setCurrentText("certainty")
    assert panel.combo.ordered_grains()[0] == 24
    panel.combo._order.setCurrentText("size")
    assert len(panel.combo.ordered_grains()) == 24


def test_what_is_missing_is_said(viewer, panel):
    assert "No image yet" in panel.combo.message
    assert "No grains yet" in panel.minerals.message
    panel.minerals.name_grains()
    panel.combo.step(1)
    add_field(viewer, with_maps=False)
    assert "No element maps yet" in panel.combo.message
    assert "No element maps yet" in panel.minerals.message
    panel.combo.session.selection.set_current(2)
    assert not panel.combo.view.pixmap().isNull()


def test_examples_name_all_grains_and_strangers_stay_unknown(panel, grains, viewer, qtbot):
    click_examples(panel, grains, {1: "quartz"})
    panel.minerals.name_grains()
    assert "two minerals" in panel.minerals.message
    click_examples(panel, grains, THREE_EACH)
    name_all(panel, qtbot)
    naming = naming_of(grains)
    assert (naming["mineral"][naming.index % 3 == 0] == "magnetite").sum() == 7
    assert (naming["mineral"][naming.index % 3 != 0] == "quartz").all()
    assert naming.loc[24, "mineral"] == "unknown"
    table = table_of(grains)
    assert {"Si_mean", "Fe_error", "Ca_coverage", "mixed", "purity", "ecd_um"} <= set(table)
    layer = mineral_layer_of(viewer, grains)
    assert layer.data.max() == 3
    assert "100%" in panel.minerals.notes
    assert "Most telling: " in panel.minerals.notes
    assert panel.minerals.roles.grains is grains
    assert {"Modal percentages", "Confusion of examples", "Grains by doubt"} <= set(
        panel.minerals.views
    )


def test_one_mineral_can_be_shown_alone_and_a_row_leads_to_its_grain(panel, grains, viewer, qtbot):
    click_examples(panel, grains, THREE_EACH)
    name_all(panel, qtbot)
    panel.minerals._on_row("magnetite")
    layer = mineral_layer_of(viewer, grains)
    minerals = dict(zip(layer.features["mineral"], layer.features["index"], strict=True))
    colors = layer.colormap.color_dict
    assert colors[minerals["magnetite"]][3] == 1
    assert colors[minerals["quartz"]][3] < 0.2
    panel.minerals._on_row(24)
    assert grains.selected_label == 24
    assert panel.minerals.grain_text.startswith("Grain 24: unknown")


def test_a_name_given_by_hand_survives_and_is_counted_apart(panel, grains, qtbot):
    panel.minerals.name_by_hand()
    assert "Name the grains first" in panel.minerals.message
    click_examples(panel, grains, THREE_EACH)
    name_all(panel, qtbot)
    grains.selected_label = 24
    panel.minerals.mineral.setCurrentText("titanite")
    panel.minerals.name_by_hand()
    name_all(panel, qtbot)
    assert naming_of(grains).loc[24, ["mineral", "verdict"]].tolist() == ["titanite", "by hand"]
    assert panel.minerals.views["Modal percentages"].loc["titanite", "by_hand"] == 1
    assert "by hand" in panel.minerals.grain_text


def test_rules_files_good_and_bad(panel, grains, tmp_path, qtbot):
    way = panel.minerals.rules
    bad, good = tmp_path / "bad.yaml", tmp_path / "good.yaml"
    bad.write_text("minerals: [")
    way.open(bad)
    assert "is not valid YAML" in way.advice
    good.write_text(
        "minerals:\n  quartz: {range: {Si: [3, 9]}}\n  magnetite: {range: {Fe: [3, 9]}}\n"
        "  zircon: {require: [Zr]}\n"
    )
    way.open(good)
    assert way.advice == "zircon needs Zr"
    panel.minerals.method.setCurrentIndex(1)
    name_all(panel, qtbot)
    assert set(naming_of(grains)["mineral"]) == {"quartz", "magnetite", "unknown"}
    assert "zircon needs Zr" in panel.minerals.notes


def test_the_library_wants_more_than_counts(panel, grains, qtbot):
    panel.minerals.method.setCurrentIndex(1)
    name_all(panel, qtbot)
    assert "only with standards" in panel.minerals.message
    assert not len(naming_of(grains))


def test_with_standards_the_library_takes_counts(panel, grains, qtbot):
    click_examples(panel, grains, {1: "quartz", 3: "magnetite"})
    assert "Grain 3 is an example of magnetite" in panel.minerals.message
    panel.minerals.method.setCurrentIndex(1)
    name_all(panel, qtbot)
    naming = naming_of(grains)
    assert naming["mineral"][naming.index % 3 == 0].nunique() <= 2
    assert naming.loc[2, "mineral"] != naming.loc[6, "mineral"]
    message = panel.minerals.notes
    assert "Sensitivity from the examples" in message
    assert "No example holds Ca" in message


def test_specks_and_grains_beside_the_maps_get_a_word_and_a_picture(viewer, panel, qtbot):
    grains = add_field(viewer)
    data = np.asarray(grains.data).copy()
    data[:20, :20], data[10, 10] = 0, 1
    grains.data = data
    for layer in panel.combo.roles.maps:
        layer.affine = [[1, 0, 0], [0, 1, 30], [0, 0, 1]]  # µm: the first three columns stay bare
    click_examples(panel, grains, {5: "quartz", 11: "quartz", 6: "magnetite", 12: "magnetite"})
    name_all(panel, qtbot)
    naming = naming_of(grains)
    assert naming.loc[[1, 7, 8], "mineral"].tolist() == ["unmapped"] * 3
    assert naming.loc[10, "mineral"] != "unmapped"
    for grain in (1, 7):
        panel.combo.session.selection.set_current(grain)
        assert not panel.combo.view.pixmap().isNull()
    assert panel.minerals.grain_text == "Grain 7: unmapped"
    assert not table_of(grains).loc[1, "mixed"]


def test_saving_all_combos_can_be_stopped(panel, grains, tmp_path, qtbot, monkeypatch):
    files, folder = panel.combo.export, tmp_path / "all"
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    panel.combo.ordered_grains = lambda: [5] * 2000
    files.save_all()
    assert not panel.combo.progress.isHidden()
    qtbot.waitUntil(lambda: (folder / "idx5_ele_combo.png").exists(), timeout=WAIT_MS)
    panel.combo.progress.cancel()
    qtbot.waitUntil(lambda: "Cancelled" in panel.combo.message, timeout=WAIT_MS)
    assert panel.combo.progress.isHidden()
    assert files.save_all_button.isEnabled()


def test_clusters_are_named_afterwards(panel, grains, qtbot):
    panel.minerals.method.setCurrentIndex(2)
    name_all(panel, qtbot)
    way = panel.minerals.clusters
    assert len(way.clusters) >= 2
    assert "quartz?" in way.clusters[0]
    panel.minerals.mineral.setCurrentText("quartz")
    way.name_cluster()
    assert (naming_of(grains)["mineral"] == "quartz").sum() == 16


def test_unaligned_maps_are_said(viewer, qtbot):
    grains = add_field(viewer, verdict="not aligned")
    widget = GrainsPanel(viewer)
    qtbot.addWidget(widget)
    click_examples(widget, grains, THREE_EACH)
    name_all(widget, qtbot)
    assert "3 maps are not aligned" in widget.minerals.notes


def test_combos_go_home(panel, grains, tmp_path, qtbot, monkeypatch):
    files = panel.combo.export
    panel.combo.session.selection.set_current(5)
    files.copy()
    assert QApplication.clipboard().pixmap().width() > 100
    target = tmp_path / "idx5_ele_combo.svg"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target), ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "all"))
    files.save()
    qtbot.waitUntil(target.exists, timeout=WAIT_MS)
    qtbot.waitUntil(files.save_all_button.isEnabled, timeout=WAIT_MS)
    files.save_all()
    qtbot.waitUntil(lambda: "24 combos" in panel.combo.message, timeout=WAIT_MS)
    assert len(list((tmp_path / "all").glob("idx*_ele_combo.png"))) == 24
    target = tmp_path / "sheet.png"
    files.save_sheet()
    qtbot.waitUntil(target.exists, timeout=WAIT_MS)


def test_principal_components_become_a_layer(panel, grains, viewer, qtbot):
    panel.minerals.show_components()
    qtbot.waitUntil(lambda: "PC 1-3" in viewer.layers, timeout=WAIT_MS)
    layer = viewer.layers["PC 1-3"]
    np.testing.assert_allclose(layer.data_to_world((10, 10)), grains.data_to_world((10, 10)))
    assert panel.minerals.roles.image.name == "field"


def test_the_panel_fits_into_320_px(panel, grains):
    for part in (panel.combo, panel.minerals):
        assert part.minimumSizeHint().width() <= 320
    assert role_of(grains) == Role.GRAINS


def test_entering_the_mineral_field_selects_its_text(panel, grains, qtbot):
    edit = panel.minerals.mineral
    edit.setCurrentText("quartz")
    QApplication.sendEvent(edit.lineEdit(), QFocusEvent(QEvent.Type.FocusIn))
    qtbot.waitUntil(lambda: edit.lineEdit().selectedText() == "quartz")


def test_the_library_completes_a_name_and_an_unknown_one_is_asked_for(panel, grains, monkeypatch):
    questions, answers = [], [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]

    def ask(_parent, _title, text):
        questions.append(text)
        return answers.pop(0)

    monkeypatch.setattr(QMessageBox, "question", ask)
    grains.selected_label = 1
    panel.minerals.mineral.setCurrentText("ilm")
    panel.minerals.add_example()
    assert examples_of(grains) == {1: "ilmenite"}
    panel.minerals.mineral.setCurrentText("quartzilm")
    panel.minerals.add_example()
    assert "not in the mineral library. Did you mean 'quartz'?" in questions[0]
    assert examples_of(grains) == {1: "ilmenite"}
    panel.minerals.add_example()
    assert examples_of(grains) == {1: "quartzilm"}
    panel.minerals.add_example()  # known from now on
    assert len(questions) == 2


def test_the_current_grain_is_outlined(panel, grains, viewer):
    panel.combo.session.selection.set_current(5)
    outline = next(layer for layer in viewer.layers if layer.name == SELECTION)
    np.testing.assert_array_equal(outline.data > 0, np.asarray(grains.data) == 5)


@pytest.mark.display
def test_how_it_looks(shown_viewer, qtbot, screenshots):
    grains = add_field(shown_viewer)
    widget = GrainsPanel(shown_viewer)
    shown_viewer.window.add_dock_widget(widget, name="Grains")
    widget.setFixedWidth(340)
    qtbot.waitUntil(widget.combo.isVisible, timeout=WAIT_MS)
    grains.selected_label = 3
    qtbot.waitUntil(lambda: not widget.combo.view.pixmap().isNull(), timeout=WAIT_MS)
    shown_viewer.screenshot(str(screenshots / "grains_combo.png"), canvas_only=False, flash=False)
    click_examples(widget, grains, THREE_EACH)
    widget.setCurrentIndex(1)
    name_all(widget, qtbot)
    qtbot.wait(300)
    picture = shown_viewer.screenshot(
        str(screenshots / "grains_minerals.png"), canvas_only=False, flash=False
    )
    assert picture.std() > 10

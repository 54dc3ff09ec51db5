"""The Batch panel: fields found, a recipe from the tabs and back, a run, a stop, bad input."""

from dataclasses import replace

import pytest

pytest.importorskip("napari")

from qtpy.QtCore import Qt
from tests.pipeline.fields import QUICK, RULES, make_field, make_samples

from grainsmith.clean import CleanSettings
from grainsmith.errors import WriteError
from grainsmith.pipeline.batch.manifest import NAME
from grainsmith.pipeline.batch.runner import BatchResult, FieldState, ProgressEstimator
from grainsmith.pipeline.recipe import ClassifySettings, Recipe, read_recipe
from grainsmith.segment import SegmentSettings
from grainsmith.statistics import StatisticsSettings
from grainsmith.ui.dock import GrainsmithDock
from grainsmith.ui.panels.base import WIDTH_PX
from grainsmith.ui.panels.batch import panel as panel_module
from grainsmith.ui.panels.batch.panel import BatchPanel

WAIT_MS = 120_000


@pytest.fixture
def panel(viewer):
    widget = BatchPanel(viewer)
    viewer.window.add_dock_widget(widget, name="Batch")
    widget.recipe.show_recipe(QUICK)
    return widget


@pytest.fixture
def samples(tmp_path):
    return make_samples(tmp_path / "in", per_sample=2)


def found(panel, qtbot, folder):
    panel.add_folder(str(folder))
    qtbot.waitUntil(lambda: not panel.running and bool(panel.fields), timeout=WAIT_MS)


def finished(panel, qtbot):
    qtbot.waitUntil(lambda: not panel.running, timeout=WAIT_MS)


def test_a_batch_from_the_panel_is_whole_and_its_reports_open(
    panel, samples, qtbot, monkeypatch, tmp_path
):
    (samples / "B" / "f1" / "BSE.tif").write_bytes(b"II*\0 cut off")
    found(panel, qtbot, samples)
    assert "4 fields of 2 samples" in panel.summary
    assert panel.out == str(tmp_path / "in-grainsmith")
    assert not panel.resume.isVisibleTo(panel)
    panel.recipe.report_form["report"].value = True
    bars = set()
    panel.signals.state.connect(lambda state: bars.add(panel.list.state_of(state.name)))
    panel.start()
    finished(panel, qtbot)
    assert panel.list.state_of("A/f0") == "16 grains"
    assert panel.list.state_of("B/f1").startswith("failed: BSE.tif is cut off")
    assert panel.list.state_of("A") == "pooled"
    assert any(one.endswith(" %") for one in bars)
    assert "3 of 4 fields done." in panel.message
    assert "errors.csv" in panel.message
    assert panel.resume.isVisibleTo(panel)
    assert panel.resume.isChecked()
    opened = []
    monkeypatch.setattr(panel_module, "_open", opened.append)
    for place in ("A/f0", "A"):
        panel.list.select(place)
        panel.open_report()
    assert [str(one.relative_to(panel.out)) for one in opened] == [
        "A/f0/report.html", "A/report.html",
    ]  # fmt: skip
    panel.list.select("B/f1")
    panel.open_report()
    assert "no report" in panel.message
    assert len(opened) == 2


def test_cancel_leaves_whole_fields_and_run_goes_on_from_there(panel, samples, qtbot):
    found(panel, qtbot, samples)

    def cancel(state):
        if state.name == "A/f1" and state.state == "in work":
            panel.progress.cancel()

    panel.signals.state.connect(cancel)
    panel.start()
    finished(panel, qtbot)
    assert panel.message == ("Cancelled. Finished fields stay; Run batch goes on.")
    assert panel.list.state_of("A/f0") == "16 grains"
    assert panel.list.state_of("A/f1") == "not done"
    assert panel.list.state_of("B/f0") == "waiting"
    out = panel_module.Path(panel.out)
    assert sorted(str(one.relative_to(out)) for one in out.glob("*/f*")) == ["A/f0"]
    panel.signals.state.disconnect(cancel)
    panel.start()
    finished(panel, qtbot)
    assert panel.list.state_of("A/f0") == "16 grains, done before"
    assert panel.message == "4 of 4 fields done."


def test_the_recipe_is_what_the_tabs_show_and_a_loaded_one_is_shown_there(viewer, tmp_path, qtbot):
    dock = GrainsmithDock(viewer)
    viewer.window.add_dock_widget(dock, name="Grainsmith")
    segment, batch = dock.show_panel("Segment"), dock.show_panel("Batch")
    segment.diameter.setValue(22)
    segment.form["two_scales"].value = False
    batch.recipe.open_form["pixel_size_um"].value = 0.25
    batch.recipe.save(str(tmp_path / "mine"))
    saved = read_recipe(tmp_path / "mine.yaml")
    assert saved.segment == SegmentSettings(diameter_px=22.0, two_scales=False)
    assert saved.open.pixel_size_um == 0.25
    assert saved.clean == CleanSettings()
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    other = Recipe(
        segment=SegmentSettings(diameter_px=30.5, probability_threshold=-0.123),
        clean=CleanSettings(min_area_px=40.0, fill_holes=True),
        classify=ClassifySettings(rules=str(rules), units="counts"),
        statistics=StatisticsSettings(edge_rule="drop"),
    )
    other.write(tmp_path / "other.yaml")
    batch.recipe.load(str(tmp_path / "other.yaml"))
    qtbot.waitUntil(lambda: "shown in all tabs" in batch.recipe.message, timeout=WAIT_MS)
    assert segment.settings().diameter_px != 30.5  # its box has whole pixels
    clean = dock.show_panel("Clean")  # built after the recipe was loaded
    assert clean.clean_up.form.settings() == other.clean
    assert dock.show_panel("Grains").minerals.rules.settings().rules == str(rules)
    # What nobody has touched is as exact as in the file.
    assert batch.recipe.recipe() == other
    clean.clean_up.form["min_area_px"].value = 50
    changed = replace(other, clean=replace(other.clean, min_area_px=50.0))
    assert batch.recipe.recipe() == changed
    batch.recipe.name_minerals.setChecked(False)
    assert batch.recipe.recipe().classify == ClassifySettings(rules="", units="counts")


def test_a_recipe_or_rules_that_cannot_be_used_change_nothing(panel, tmp_path, monkeypatch, qtbot):
    bad = tmp_path / "bad.yaml"
    before = panel.recipe.recipe()
    for text, word in (
        ("recipe: 0\n", "older than version 1"),
        ("recipe: 1\nsegment:\n  diametr_px: 30\n", "did you mean diameter_px"),
        ("recipe: 1\nsegment:\n  model: nonesuch\n", "no model 'nonesuch'"),
    ):
        bad.write_text(text)
        monkeypatch.setattr(
            "qtpy.QtWidgets.QFileDialog.getOpenFileName", lambda *_, **__: (str(bad), "")
        )
        panel.recipe._ask_load()
        qtbot.waitUntil(lambda word=word: word in panel.recipe.message, timeout=WAIT_MS)
        assert panel.recipe.recipe() == before
    panel.recipe._ask_rules()
    assert str(bad) in panel.recipe.message
    assert panel.recipe.recipe() == before


def test_bad_input_is_told_in_the_panel(panel, samples, qtbot, tmp_path):
    panel.start()
    assert "Add a folder of fields" in panel.message
    panel.open_report()
    assert "Select a field" in panel.message
    (tmp_path / "empty").mkdir()
    panel.add_folder(str(tmp_path / "empty"))
    qtbot.waitUntil(lambda: "no image found" in panel.message)
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("sample,field,image\nA,1,missing.tif\nA,2,in/A/f0/BSE.tif\n")
    panel.open_sheet(str(sheet))
    qtbot.waitUntil(lambda: len(panel.fields) == 2)
    assert "missing.tif does not exist" in panel.list.state_of("A/1")
    assert "1 cannot be processed" in panel.summary
    assert panel.list.state_of("A/2") == "no maps"
    panel.engine.setCurrentIndex(2)
    panel.start()
    finished(panel, qtbot)
    assert "the scheduler must be none, local" in panel.message
    panel.clear()
    assert not panel.fields


def test_results_of_another_batch_are_not_touched_unasked(panel, samples, qtbot):
    found(panel, qtbot, samples)
    make_field(samples / "A" / "f9", 9)
    out = panel_module.Path(panel.out)
    out.mkdir()
    (out / "manifest.jsonl").write_text("")
    panel.put_results(str(out))
    panel.resume.setChecked(False)
    panel.start()
    finished(panel, qtbot)
    assert "holds the results of an earlier batch" in panel.message
    assert "Run batch goes on" not in panel.message
    assert {one.name for one in out.iterdir()} == {"manifest.jsonl", ".lock"}


def test_the_time_left_is_judged_by_what_was_done_since_the_start():
    now = [0.0]
    pace = ProgressEstimator(5, clock=lambda: now[0])
    assert pace.seconds_left() != pace.seconds_left()  # not a number yet
    pace.note(FieldState(name="a", state="done before"))
    now[0] = 30.0
    pace.note(FieldState(name="b", state="in work", percent=50))
    assert pace.seconds_left() == pytest.approx(30 / 0.5 * 3.5)
    pace.note(FieldState(name="b", state="failed"))
    pace.note(FieldState(name="c", state="in work", percent=50))
    assert pace.seconds_left() == pytest.approx(30 / 1.5 * 2.5)


def test_a_folder_is_added_to_the_fields_of_a_sheet(panel, samples, qtbot, tmp_path):
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("sample,field,image\nC,1,in/A/f0/BSE.tif\n")
    panel.open_sheet(str(sheet))
    qtbot.waitUntil(lambda: len(panel.fields) == 1, timeout=WAIT_MS)
    for folder, n in ((samples / "A", 3), (samples / "B", 5)):
        panel.add_folder(str(folder))
        qtbot.waitUntil(lambda n=n: len(panel.fields) == n, timeout=WAIT_MS)
    assert sorted({one.sample for one in panel.fields}) == ["A", "B", "C"]
    assert panel.out == str(tmp_path / "sheet-grainsmith")
    panel.open_sheet(str(sheet))
    qtbot.waitUntil(lambda: len(panel.fields) == 1, timeout=WAIT_MS)


def test_messages_speak_of_the_panel_and_not_of_the_shell(panel, samples, qtbot, tmp_path):
    found(panel, qtbot, samples / "A")
    out = tmp_path / "out"
    out.mkdir()
    (out / NAME).touch()
    panel.put_results(str(out))
    panel.resume.setChecked(False)
    panel.start()
    finished(panel, qtbot)
    assert panel.message == (
        f"{out} holds the results of an earlier batch: tick 'Go on with the results that are "
        "there', or choose another folder with 'Results in …'"
    )
    panel.put_results(str(tmp_path / "other"))
    panel.engine.setCurrentIndex(2)
    panel.address.setText("tcp://127.0.0.1:1")
    panel.start()
    finished(panel, qtbot)
    assert panel.message == (
        "no scheduler answers at tcp://127.0.0.1:1: start one with `dask scheduler` and workers "
        "with `dask worker tcp://127.0.0.1:1 --nthreads 1`, or choose 'processes of this machine'"
    )
    stopped = BatchResult(out=out, stopped=WriteError("/out could not be written"))
    panel.take_result(stopped)
    assert panel.message == ("0 of 2 fields done.\nEnded early: /out could not be written.")


def test_settings_that_clash_in_another_tab_do_not_break_the_panel(viewer, qtbot):
    dock = GrainsmithDock(viewer)
    viewer.window.add_dock_widget(dock, name="Grainsmith")
    form = dock.show_panel("Clean").clean_up.form
    form["min_area_px"].value, form["max_area_px"].value = 50, 20
    with pytest.raises(ValueError, match="area"):
        form.settings()
    batch = dock.show_panel("Batch")
    batch.recipe._show_rules()  # as when the tab is shown
    assert batch.recipe.rules_text.startswith("By the mineral library")


def test_an_error_that_nobody_foresaw_ends_the_run_in_the_panel(panel, samples, qtbot, monkeypatch):
    def broken(*args, **kwargs):
        raise KeyError("nobody foresaw this")

    found(panel, qtbot, samples / "A")
    monkeypatch.setattr(panel_module, "run_batch", broken)
    with qtbot.capture_exceptions() as raised:
        panel.start()
        finished(panel, qtbot)
    assert [one[0] for one in raised] == [KeyError]
    assert panel.message.startswith("Ended by an error of the program")
    assert panel.time_left == ""


def test_clear_forgets_where_the_results_go(panel, samples, qtbot, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / NAME).touch()
    found(panel, qtbot, samples / "A")
    panel.put_results(str(tmp_path / "out"))
    assert panel.resume.isChecked()
    panel.resume.setChecked(False)
    panel.add_folder(str(samples / "B"))
    qtbot.waitUntil(lambda: len(panel.fields) == 4, timeout=WAIT_MS)
    assert panel.out == str(tmp_path / "out")
    assert not panel.resume.isChecked()  # as the user has set it
    panel.clear()
    assert panel.out == ""
    assert not panel.resume.isVisibleTo(panel)
    found(panel, qtbot, samples / "B")
    assert panel.out == str(samples / "B-grainsmith")


@pytest.mark.display
def test_a_batch_in_a_real_window(shown_viewer, samples, screenshots, qtbot, monkeypatch):
    dock = GrainsmithDock(shown_viewer)
    shown_viewer.window.add_dock_widget(dock, name="Grainsmith")
    panel = dock.show_panel("Batch")
    panel.recipe.show_recipe(QUICK)
    monkeypatch.setattr(
        "qtpy.QtWidgets.QFileDialog.getExistingDirectory", lambda *_, **__: str(samples)
    )
    left = Qt.MouseButton.LeftButton
    qtbot.mouseClick(panel._add, left)
    qtbot.waitUntil(lambda: len(panel.fields) == 4 and not panel.running, timeout=WAIT_MS)
    seen = {}

    def look(state):
        if state.name == "B/f0" and state.state == "in work" and state.percent > 50:
            seen["bar"] = panel.list.state_of("B/f0")
            seen["left"] = panel.time_left
            seen["cancel"] = panel.progress.isVisible()
            qtbot.mouseClick(panel.progress._cancel, left)

    panel.signals.state.connect(look)
    qtbot.mouseClick(panel._run, left)
    finished(panel, qtbot)
    assert seen["bar"].endswith("%")
    assert seen["left"].startswith("About ")
    assert seen["cancel"]
    assert panel.list.state_of("A/f1") == "16 grains"
    assert panel.list.state_of("B/f0") == "not done"
    panel.signals.state.disconnect(look)
    qtbot.mouseClick(panel._run, left)
    finished(panel, qtbot)
    assert panel.message == "4 of 4 fields done."
    assert panel.minimumSizeHint().width() <= WIDTH_PX
    qtbot.wait(200)  # until it is laid out
    shown_viewer.screenshot(str(screenshots / "batch.png"), canvas_only=False, flash=False)

"""The Train panel: a real process with a tiny network, watched, judged, kept; and what can fail."""

import numpy as np
import pytest

pytest.importorskip("napari")

from tests.fixtures.training import write_crops, write_tiny_model
from tests.train.quick import quick_settings

from grainsmith.io.dataset import Origin, add_field, read_dataset, set_roles
from grainsmith.io.exchange import LabelledField
from grainsmith.io.images.reader import read_image
from grainsmith.models.registry import list_models
from grainsmith.samples import sample_field
from grainsmith.train.novelty import most_novel
from grainsmith.train.runs import free_name, runs_folder, unfinished_runs
from grainsmith.train.settings import TuneSettings
from grainsmith.ui.layers.metadata import GrainsMetadata
from grainsmith.ui.panels.segment import SegmentPanel
from grainsmith.ui.panels.train.training_set import TrainingSetPanel
from grainsmith.ui.panels.train.tuning import TuningPanel, settings_as_options
from grainsmith.ui.widgets.controls import duration_text

WAIT_MS = 180_000
"""A process that loads torch on a busy machine takes its time."""


@pytest.fixture(autouse=True)
def _own_models(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAINSMITH_MODELS", str(tmp_path / "models"))


@pytest.fixture(scope="module")
def made():
    return sample_field("plain")


@pytest.fixture
def pictures(tmp_path, made):
    """Four images cut from the sample, without labels."""
    return write_crops(tmp_path / "images", made.image.image, width=160)


@pytest.fixture
def dataset(tmp_path, made, pictures):
    """Two of them with their true grains: one trains, one validates."""
    folder = tmp_path / "sand"
    for k, role in ((0, "train"), (1, "validation")):
        labels = made.labels[128 * k : 128 * k + 128, :160]
        image = read_image(pictures / f"field_{k}.tif").image
        field = LabelledField(labels=labels, name=f"field_{k}", image=image, role=role)
        add_field(folder, field, Origin(source=str(pictures / f"field_{k}.tif")))
    return folder


@pytest.fixture
def tiny(tmp_path):
    return write_tiny_model(tmp_path)


@pytest.fixture
def panel(viewer, tiny):
    widget = TuningPanel(viewer)
    viewer.window.add_dock_widget(widget, name="Train")
    return _quick(widget, tiny)


def _quick(widget, tiny, epochs=2):
    widget.model.choose(str(tiny))
    widget.form.show_settings(quick_settings(epochs=epochs, patience=0))
    return widget


def _events(panel, kind):
    return [one for one in panel.process.run.events() if one["kind"] == kind]


def _message(panel):
    return panel.message


def _wait_for_steps(panel, qtbot):
    qtbot.waitUntil(lambda: panel.process is not None, timeout=WAIT_MS)
    qtbot.waitUntil(lambda: bool(_events(panel, "step")), timeout=WAIT_MS)


def test_settings_reach_the_shell_command_whole(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from grainsmith.cli import app

    asked = TuneSettings(epochs=3, minutes=1.5, rehearsal_pct=20, tile_px=64, patience=2, seed=7)
    heard = []
    monkeypatch.setattr(
        "grainsmith.train.tuning.tune",
        lambda _folder, settings, *_a, **_k: heard.append(settings) or 1 / 0,
    )
    CliRunner().invoke(
        app, ["train", str(tmp_path), *settings_as_options(asked), "-o", str(tmp_path / "m.pt")]
    )
    assert heard == [asked]


@pytest.mark.slow
def test_train_judge_keep_and_go_on(panel, viewer, dataset, pictures, qtbot):
    before = {entry.name for entry in list_models()}
    viewer.open(pictures / "field_1.tif", plugin="grainsmith")
    panel.open(str(dataset))
    assert panel.name.text() == "sand-1"
    panel.train()
    qtbot.waitUntil(lambda: panel.evaluation.isVisibleTo(panel), timeout=WAIT_MS)
    assert _message(panel).startswith("Done:")
    assert panel.losses.figure.axes[0].lines
    assert {entry.name for entry in list_models()} == before
    panel.evaluation.show_grains.setChecked(True)
    qtbot.waitUntil(lambda: any("gained" in layer.name for layer in viewer.layers))
    shown = {layer.name.split(" (")[0]: layer for layer in viewer.layers}
    found = panel.evaluation.fields[0]
    truth = read_dataset(dataset)["field_1"].load().labels
    for name in ("gained", "lost", "changed"):
        assert set(np.unique(shown[name].data)) - {0} == set(getattr(found, name))
        assert np.isin(shown[name].data, [0, *np.unique(truth)]).all()
    assert panel.roles.image.name == "field_1"
    panel.evaluation.keep()
    qtbot.waitUntil(lambda: "Kept" in _message(panel), timeout=WAIT_MS)
    assert {entry.name for entry in list_models()} == before | {"sand-1"}
    assert not any("gained" in layer.name for layer in viewer.layers)
    assert panel.model.name == "sand-1"
    assert "better start from tiny" in panel.model_note
    segment = SegmentPanel(viewer)
    qtbot.addWidget(segment)
    assert segment.model.findData("sand-1") >= 0
    left = [pictures / "field_2.tif", pictures / "field_3.tif"]
    expected = most_novel(left, read_dataset(dataset), "sand-1").stem
    panel.segment_next_image()
    qtbot.waitUntil(lambda: panel.roles.image.name == expected, timeout=WAIT_MS)
    assert GrainsMetadata.of(panel.roles.grains).model["name"] == "sand-1"


@pytest.mark.slow
def test_stop_keeps_the_best_and_roll_back_keeps_the_lists(panel, dataset, tiny, qtbot):
    _quick(panel, tiny, epochs=100_000)
    before = [entry.name for entry in list_models()]
    panel.open(str(dataset))
    panel.train()
    _wait_for_steps(panel, qtbot)
    panel.stop()
    qtbot.waitUntil(lambda: bool(_events(panel, "stopped")), timeout=WAIT_MS)
    qtbot.waitUntil(lambda: panel.evaluation.isVisibleTo(panel), timeout=WAIT_MS)
    assert panel.ready
    panel.evaluation.roll_back()
    assert [entry.name for entry in list_models()] == before
    assert panel.name.text() == "sand-2"


@pytest.mark.slow
def test_stop_before_anything_is_learnt_ends_it_at_once(panel, dataset, qtbot):
    panel.open(str(dataset))
    panel.train()
    qtbot.waitUntil(lambda: panel.process is not None, timeout=WAIT_MS)
    panel.stop()
    qtbot.waitUntil(lambda: _message(panel).startswith("Stopped: before anything"), timeout=WAIT_MS)
    assert panel.ready
    assert not list(runs_folder().glob("*.pt"))


@pytest.mark.slow
def test_a_killed_run_is_offered_and_goes_on(panel, dataset, tiny, qtbot):
    _quick(panel, tiny, epochs=40)
    panel.open(str(dataset))
    panel.train()
    qtbot.waitUntil(lambda: panel.process is not None, timeout=WAIT_MS)
    qtbot.waitUntil(lambda: panel.process.run.unfinished, timeout=WAIT_MS)
    panel.process.kill()
    qtbot.waitUntil(lambda: "can be resumed" in _message(panel), timeout=WAIT_MS)
    assert panel.runs.currentText() == "sand-1"
    first = _events(panel, "step")[0]
    panel.resume()
    assert not panel.ready
    qtbot.waitUntil(lambda: panel.evaluation.isVisibleTo(panel), timeout=WAIT_MS)
    steps = _events(panel, "step")
    assert steps[0] == first
    assert [one["step"] for one in steps] == list(range(1, steps[0]["steps"] + 1))
    assert not unfinished_runs()


@pytest.mark.slow
def test_a_set_that_vanishes_while_training_is_said(panel, dataset, qtbot):
    panel.open(str(dataset))
    for file in dataset.glob("field_0*"):
        file.write_bytes(b"no image")
    panel.train()
    qtbot.waitUntil(lambda: _message(panel).startswith("Failed:"), timeout=WAIT_MS)
    assert "field_0" in _message(panel)
    assert panel.ready
    assert not list(runs_folder().glob("*.pt"))


def _refusal(panel, qtbot):
    panel.train()
    qtbot.waitUntil(lambda: panel.ready and bool(_message(panel)), timeout=WAIT_MS)
    assert panel.process is None
    return _message(panel)


def test_what_cannot_be_trained_is_refused_in_one_sentence(panel, dataset, tmp_path, qtbot):
    assert "Choose the folder" in _refusal(panel, qtbot)
    (tmp_path / "empty").mkdir()
    panel.open(str(tmp_path / "empty"))
    assert "holds no field" in _refusal(panel, qtbot)
    panel.open(str(tmp_path / "missing"))
    assert "is not a folder" in _refusal(panel, qtbot)
    set_roles(dataset, {"field_0": "test"})
    panel.open(str(dataset))
    assert "role 'train'" in _refusal(panel, qtbot)
    set_roles(dataset, {"field_0": "train"})
    panel.name.setText("grains")
    assert "another name" in _refusal(panel, qtbot)
    panel.name.setText("a/b")
    assert "not a valid model name" in _refusal(panel, qtbot)
    panel.name.setText("x")
    panel.model.choose("cpsam_v2")
    assert "models download cpsam_v2" in _refusal(panel, qtbot)


def test_models_that_cannot_be_written_are_said(panel, dataset, tmp_path, qtbot):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "runs").write_text("a file where a folder is wanted")
    panel.open(str(dataset))
    panel.train()
    qtbot.waitUntil(lambda: panel.ready and bool(_message(panel)), timeout=WAIT_MS)
    assert "runs" in _message(panel)
    assert panel.process is None


@pytest.mark.parametrize(
    ("seconds", "said"), [(45.2, "45 s"), (95, "2 min"), (5300, "88 min"), (9000, "2.5 h")]
)
def test_times_are_said_as_people_would(seconds, said):
    assert duration_text(seconds) == said


def test_a_run_that_uses_up_its_time_is_finishing(panel):
    step = {"kind": "step", "step": 4, "steps": 400, "loss": 1.0, "seconds_left": -2.0}
    panel.show_events([step])
    assert panel.progress_text == "4 of 400, finishing"
    panel.show_events([step, {**step, "step": 5, "seconds_left": 30.0}])
    assert panel.progress_text == "5 of 400, 30 s left"


def test_a_name_is_free_once(tmp_path):
    (tmp_path / "models" / "runs").mkdir(parents=True)
    assert free_name("my sand") == "my-sand-1"
    (tmp_path / "models" / "runs" / "my-sand-1.pt").touch()
    assert free_name("my sand") == "my-sand-2"


def test_the_set_of_the_other_tab_is_taken(viewer, dataset, qtbot):
    other = TrainingSetPanel(viewer)
    qtbot.addWidget(other)
    other.open(str(dataset))
    panel = TuningPanel(viewer)
    qtbot.addWidget(panel)
    assert panel.folder == str(dataset)

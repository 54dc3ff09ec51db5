"""The whole loop in a real window: segment, correct, add, train, judge, keep, next field."""

import numpy as np
import pytest

pytest.importorskip("napari")

from qtpy.QtWidgets import QApplication
from tests.fixtures.training import write_crops, write_tiny_model
from tests.train.quick import quick_settings

from grainsmith.io.dataset import read_dataset
from grainsmith.models.registry import list_models
from grainsmith.samples import sample_field
from grainsmith.ui.dock import GrainsmithDock
from grainsmith.ui.editing.history import history_of
from grainsmith.ui.layers.metadata import GrainsMetadata

WAIT_MS = 400_000
"""A process that loads torch on a busy machine takes its time."""


@pytest.fixture
def pictures(tmp_path):
    """Four images cut from the sample, without labels; the last one is inverted."""
    image = sample_field("plain").image.image
    return write_crops(tmp_path / "images", image, width=192, invert_last=True)


@pytest.fixture
def tiny(tmp_path):
    return write_tiny_model(tmp_path)


def _grab(name, screenshots):
    for _ in range(5):
        QApplication.processEvents()
    window = next(one for one in QApplication.topLevelWidgets() if one.isVisible())
    window.grab().save(str(screenshots / f"{name}.png"))


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.display
def test_segment_correct_add_train_judge_keep_and_go_on(
    shown_viewer, pictures, tiny, tmp_path, monkeypatch, screenshots, qtbot
):
    monkeypatch.setenv("GRAINSMITH_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("GRAINSMITH_AUTOSAVE", str(tmp_path / "autosave"))
    viewer = shown_viewer
    dock = GrainsmithDock(viewer)
    viewer.window.add_dock_widget(dock, name="Grainsmith")
    segment, clean = dock.show_panel("Segment"), dock.show_panel("Clean")
    collection = dock.show_panel("Train").training_set
    collection.open(str(tmp_path / "sand"))
    roles = clean.roles
    for k, role in enumerate(("train", "validation")):
        viewer.open(pictures / f"field_{k}.tif", plugin="grainsmith")
        qtbot.waitUntil(lambda k=k: roles.image.name == f"field_{k}")
        dock.show_panel("Segment")
        before = roles.grains
        segment.find()
        qtbot.waitUntil(lambda before=before: roles.grains is not before, timeout=WAIT_MS)
        dock.show_panel("Clean")
        numbers = np.unique(roles.grains.data)[1:]
        clean.layer = roles.grains
        for number in numbers[:2]:
            clean.editor.select([int(number)])
            clean.manual.buttons["grow"].click()
        assert [one.name.split()[0] for one in history_of(roles.grains).steps] == ["Grow", "Grow"]
        dock.show_panel("Train").setCurrentIndex(0)
        collection.add_active_field()
        qtbot.waitUntil(lambda k=k: len(collection.dataset.fields) == k + 1, timeout=WAIT_MS)
        collection.rows.setCurrentRow(k)
        collection.role.setCurrentText(role)
        collection.role.activated.emit(0)
    fields = read_dataset(tmp_path / "sand").fields
    assert [one.role for one in fields] == ["train", "validation"]
    assert "edited" in fields[0].origins.values()
    pages = dock.show_panel("Train")
    pages.setCurrentIndex(1)
    train = pages.tuning
    assert train.folder == str(tmp_path / "sand")
    train.model.choose(str(tiny))
    train.form.show_settings(quick_settings(epochs=3, patience=0))
    train.train()
    qtbot.waitUntil(lambda: train.evaluation.isVisibleTo(train), timeout=WAIT_MS)
    _grab("train_curves", screenshots)
    train.evaluation.show_grains.setChecked(True)
    qtbot.waitUntil(lambda: any("gained" in one.name for one in viewer.layers), timeout=WAIT_MS)
    _grab("train_judgement", screenshots)
    train.evaluation.keep()
    qtbot.waitUntil(lambda: train.model.name == "sand-1", timeout=WAIT_MS)
    assert "sand-1" in {entry.name for entry in list_models()}
    train.segment_next_image()
    qtbot.waitUntil(lambda: train.roles.image.name in ("field_2", "field_3"), timeout=WAIT_MS)
    qtbot.waitUntil(lambda: train.roles.image.name in train.roles.grains.name, timeout=WAIT_MS)
    assert GrainsMetadata.of(train.roles.grains).model["name"] == "sand-1"
    _grab("train_next", screenshots)

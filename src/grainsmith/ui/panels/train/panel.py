"""Panel: collect a training set, and train a model on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QTabWidget

from grainsmith.ui.panels.train.training_set import TrainingSetPanel
from grainsmith.ui.panels.train.tuning import TuningPanel
from grainsmith.ui.widgets.layouts import scrolled

if TYPE_CHECKING:
    import napari


class TrainPanel(QTabWidget):
    """Two pages: the training set, and the training of a model."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.training_set, self.tuning = TrainingSetPanel(viewer), TuningPanel(viewer)
        self.addTab(scrolled(self.training_set), "Training set")
        self.addTab(scrolled(self.tuning), "Model")
        self.setDocumentMode(True)
        self.tabBar().setDrawBase(False)

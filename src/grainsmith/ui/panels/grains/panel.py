"""Panel: single grains and their minerals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QTabWidget

from grainsmith.ui.panels.grains.combo import ComboPanel
from grainsmith.ui.panels.grains.minerals import MineralsPanel
from grainsmith.ui.widgets.layouts import scrolled

if TYPE_CHECKING:
    import napari


class GrainsPanel(QTabWidget):
    """Two pages: the element combo of a grain, and the minerals of all grains."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.combo, self.minerals = ComboPanel(viewer), MineralsPanel(viewer)
        self.addTab(scrolled(self.combo), "Elements of a grain")
        self.addTab(scrolled(self.minerals), "Minerals")
        self.setDocumentMode(True)
        self.tabBar().setDrawBase(False)

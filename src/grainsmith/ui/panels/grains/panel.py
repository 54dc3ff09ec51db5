"""Panel: the grains one by one, and their minerals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QScrollArea, QTabWidget, QWidget

from grainsmith.ui.panels.grains.combo import ComboPanel
from grainsmith.ui.panels.grains.minerals import MineralsPanel

if TYPE_CHECKING:
    import napari


class GrainsPanel(QTabWidget):
    """Element combo and minerals; each can also stand alone as a dock."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.combo, self.minerals = ComboPanel(viewer), MineralsPanel(viewer)
        self.addTab(_scrolled(self.combo), "Combo")
        self.addTab(_scrolled(self.minerals), "Minerals")
        self.setDocumentMode(True)


def _scrolled(panel: QWidget) -> QScrollArea:
    # A combo of twelve maps is higher than a laptop's screen.
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(panel)
    return area

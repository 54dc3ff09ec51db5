"""A combo box of models: bundled ones, those of the user, or a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QComboBox, QSizePolicy, QWidget

from grainsmith.models.registry import find_model, list_models
from grainsmith.segment import SegmentSettings
from grainsmith.ui.widgets.file_dialogs import ask_file_to_open

if TYPE_CHECKING:
    from qtpy.QtGui import QShowEvent

    from grainsmith.models.registry import ModelEntry

_FILE = "Choose a file …"
_KINDS = {"embedded": "", "own": " (yours)", "download": " (large)"}


class ModelChoice(QComboBox):
    """A combo box of models; its last entry asks for a weights file."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.activated.connect(self._on_activated)
        self.currentIndexChanged.connect(lambda _: self._show_tip())
        self._fill()
        self.setCurrentIndex(max(0, self.findData(SegmentSettings().model)))
        self._last = self.currentIndex()

    @property
    def name(self) -> str:
        """Name of the chosen model, or path of its file."""
        return str(self.currentData())

    def choose(self, name: str) -> None:
        """Select a model by name or file."""
        index = self.findData(name)
        if index < 0:
            self._insert(find_model(name), name)
            index = self.findData(name)
        self.setCurrentIndex(index)
        self._last = index

    def choose_new(self, name: str) -> None:
        """Select a model that was added after the list was filled."""
        self._fill()
        self.choose(name)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  (Qt's name)
        """Update the list: a model may have been trained meanwhile."""
        name = self.name
        self._fill()
        if self.findData(name) >= 0 or Path(name).is_file():
            self.choose(name)
        super().showEvent(event)

    def _fill(self) -> None:
        was_blocked = self.blockSignals(True)
        self.clear()
        for entry in list_models():
            self.addItem(f"{entry.name}{_KINDS.get(entry.kind, '')}", entry.name)
        self.insertSeparator(self.count())
        self.addItem(_FILE, "")
        self.blockSignals(was_blocked)
        self._show_tip()

    def _insert(self, entry: ModelEntry, name: str) -> None:
        self.insertItem(self.count() - 2, entry.name, name)

    def _on_activated(self, index: int) -> None:
        if self.itemText(index) != _FILE:
            self._last = index
            return
        path = ask_file_to_open(self, "Choose a model", "Weights (*.pt *.pth *);;All files (*)")
        if path:
            self.choose(str(Path(path)))
        else:
            self.setCurrentIndex(self._last)

    def _show_tip(self) -> None:
        name = self.name
        card = find_model(name).card if name else {}
        about = str(card.get("about", card.get("data", "")))
        self.setToolTip(f"The network that finds the grains. {about}".strip())

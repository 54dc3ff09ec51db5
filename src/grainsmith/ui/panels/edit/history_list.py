"""Part of the panel Clean: the history as a list; a click goes to that step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QHBoxLayout, QListWidget, QPushButton, QVBoxLayout, QWidget

from grainsmith.errors import GrainsmithError
from grainsmith.ui.panels.base import label

if TYPE_CHECKING:
    from grainsmith.ui.editing.editor import Editor
    from grainsmith.ui.editing.history import History

_SHOW_MS = 60
_BEGIN = "as opened"


class HistoryList(QWidget):
    """Every step, the latest at the bottom; those taken back are grey."""

    def __init__(self, editor: Editor) -> None:
        super().__init__()
        self._editor = editor
        self._history: History | None = None
        self.rows = QListWidget()
        self.rows.setToolTip("Click a step to go back, or forth, to it")
        self.rows.setMinimumHeight(300)
        self._said = label("", dim=True)
        buttons = QHBoxLayout()
        for text, tip, slot in (
            ("Undo   Ctrl+Z", "Take the last step back", editor.undo),
            ("Redo   Ctrl+Shift+Z", "Do it again", editor.redo),
        ):
            widget = QPushButton(text)
            widget.setToolTip(tip)
            widget.clicked.connect(lambda _checked=False, slot=slot: slot())
            buttons.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 0)
        layout.addLayout(buttons)
        layout.addWidget(self.rows, 1)
        layout.addWidget(self._said)
        self.rows.itemClicked.connect(lambda item: self._go_to(self.rows.row(item)))
        self._timer = QTimer(self, singleShot=True, interval=_SHOW_MS)
        self._timer.timeout.connect(self._show)

    def follow(self) -> None:
        """Show the history of the present grains."""
        try:
            history = self._editor.history
        except GrainsmithError:
            self.rows.clear()
            return
        if history is not self._history:
            self.forget()
            self._history = history
            history.changed.connect(self._on_history)
        self._timer.start()

    def forget(self) -> None:
        """Listen to no history."""
        if self._history is not None:
            self._history.changed.disconnect(self._on_history)
            self._history = None

    def _go_to(self, position: int) -> None:
        if self._history is not None:
            self._history.go_to(position)

    def _on_history(self) -> None:
        self._timer.start()

    def _show(self) -> None:
        history = self._history
        if history is None:
            return
        self.rows.clear()
        self.rows.addItems([_BEGIN, *(step.name for step in history.steps)])
        for row in range(history.position + 1, self.rows.count()):
            self.rows.item(row).setForeground(Qt.GlobalColor.gray)
        self.rows.setCurrentRow(history.position)
        memory = history.nbytes / 1e6
        edits = f"{history.unsaved} edits unsaved" if history.unsaved else "all saved"
        self._said.setText(f"{edits} · the history takes {memory:.1f} MB")

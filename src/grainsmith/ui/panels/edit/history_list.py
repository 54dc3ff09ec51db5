"""Page of the panel Clean: the history as a list; a click goes to that step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QHBoxLayout, QListWidget, QVBoxLayout, QWidget

from grainsmith.errors import GrainsmithError
from grainsmith.ui.widgets.controls import button, label

if TYPE_CHECKING:
    from grainsmith.ui.editing.editor import Editor
    from grainsmith.ui.editing.history import History

_DELAY_MS = 60
_FIRST_ROW = "as opened"


class HistoryList(QWidget):
    """All steps, the latest at the bottom; undone ones are grey."""

    def __init__(self, editor: Editor) -> None:
        super().__init__()
        self._editor = editor
        self._history: History | None = None
        self.rows = QListWidget()
        self.rows.setToolTip("Click a step to undo or redo up to it")
        self.rows.setMinimumHeight(300)
        self._summary = label("", dim=True)
        buttons = QHBoxLayout()
        buttons.addWidget(button("Undo   Ctrl+Z", editor.undo, tip="Undo the last step"))
        buttons.addWidget(button("Redo   Ctrl+Shift+Z", editor.redo, tip="Redo the next step"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 0)
        layout.addLayout(buttons)
        layout.addWidget(self.rows, 1)
        layout.addWidget(self._summary)
        self.rows.itemClicked.connect(lambda item: self.go_to(self.rows.row(item)))
        self._timer = QTimer(self, singleShot=True, interval=_DELAY_MS)
        self._timer.timeout.connect(self._show)

    def follow(self) -> None:
        """Show the history of the active grains."""
        try:
            history = self._editor.history
        except GrainsmithError:
            self.rows.clear()
            return
        if history is not self._history:
            self._forget()
            self._history = history
            history.changed.connect(self._on_history)
        self._timer.start()

    def go_to(self, position: int) -> None:
        """Undo or redo until so many steps are done."""
        if self._history is not None:
            self._history.go_to(position)

    def _forget(self) -> None:
        if self._history is not None:
            self._history.changed.disconnect(self._on_history)
            self._history = None

    def _on_history(self) -> None:
        self._timer.start()

    def _show(self) -> None:
        history = self._history
        if history is None:
            return
        self.rows.clear()
        self.rows.addItems([_FIRST_ROW, *(step.name for step in history.steps)])
        for row in range(history.position + 1, self.rows.count()):
            self.rows.item(row).setForeground(Qt.GlobalColor.gray)
        self.rows.setCurrentRow(history.position)
        count = history.unsaved_edits
        edits = (
            f"{count} edit{'s' if count != 1 else ''} unsaved"
            if count
            else "saved"
            if history.is_saved
            else "not saved"
        )
        self._summary.setText(f"{edits} · the history takes {history.nbytes / 1e6:.1f} MB")

"""The progress bar of a background job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QSizePolicy, QWidget

if TYPE_CHECKING:
    from collections.abc import Callable


class ProgressBar(QWidget):
    """A bar and a Cancel button that are visible only while something runs."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bar = QProgressBar()
        # Long text must not widen the dock.
        self._bar.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._cancel = QPushButton("Cancel")
        self._cancel.setToolTip("Stop after the current step; nothing is changed")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._bar, 1)
        layout.addWidget(self._cancel)
        self._cancel.clicked.connect(self.cancel)
        self._on_cancel: Callable[[], None] | None = None
        self._title = ""
        self.hide()

    @property
    def running(self) -> bool:
        """Whether something runs."""
        return self._on_cancel is not None

    def begin(self, title: str, on_cancel: Callable[[], None]) -> None:
        """Show the bar, without a total as yet."""
        self._title, self._on_cancel = title, on_cancel
        self._cancel.setEnabled(True)
        self._bar.setRange(0, 0)
        self._bar.setFormat(title)
        self.show()

    def advance(self, done: int, total: int) -> None:
        """Show the number of finished steps and their total."""
        if self.running and self._cancel.isEnabled():
            self._bar.setRange(0, max(total, 0))
            self._bar.setValue(done)
            self._bar.setFormat(f"{self._title}: {done} of {total}")

    def cancel(self) -> None:
        """Ask the job to stop at its next step."""
        if self._on_cancel is not None:
            self._cancel.setEnabled(False)
            self._bar.setFormat("Stopping after this step …")
            self._on_cancel()

    def end(self) -> None:
        """Hide the bar."""
        self._on_cancel = None
        self.hide()

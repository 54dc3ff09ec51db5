"""The question before a window is closed over unsaved grains."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ref

from qtpy.QtCore import QEvent, QObject, QThread
from qtpy.QtWidgets import QMainWindow, QMessageBox, QWidget

from grainsmith.ui.editing.autosave import AutosaveManager

if TYPE_CHECKING:
    from collections.abc import Callable

    from grainsmith.ui.session import Session


class CloseGuard(QObject):
    """Asks before the window of a viewer closes over unsaved grains; a part of the session."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._autosave = session.part(AutosaveManager)
        # Held weakly: the session lives as long as its viewer, which must not wait for its window.
        self._window: Callable[[], QMainWindow | None] = lambda: None

    def watch(self, widget: QWidget) -> None:
        """Ask before the window that holds a widget is closed."""
        window: QWidget | None = widget
        while window is not None and not isinstance(window, QMainWindow):
            window = window.parentWidget()
        if window is not None and window is not self._window():
            self._window = ref(window)
            window.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  (Qt's name)
        """Ask before the window closes; True keeps it open."""
        if event.type() != QEvent.Type.Close or watched is not self._window():
            return False
        # A script that closes its viewer has no user to ask; a user acts from the event loop.
        if not (event.spontaneous() or QThread.currentThread().loopLevel() > 0):
            return False
        unsaved = self._autosave.unsaved()
        if unsaved and not self.may_close(unsaved, self._autosave.flush()):
            event.ignore()
            return True
        return False

    def may_close(self, unsaved: list[tuple[str, int]], problem: str) -> bool:
        """Ask the user whether to close.

        Parameters
        ----------
        unsaved : list of (str, int)
            Names of layers and their numbers of unsaved edits.
        problem : str
            Why the work cannot be recovered; "" where it can.
        """
        names = ", ".join(f"'{name}' ({_edits(count)})" for name, count in unsaved)
        consequence = (
            f"first: they are lost when this is closed, as nothing could be kept.\n\n{problem}"
            if problem
            else "or close all the same: they will be offered when Grainsmith is opened again."
        )
        answer = QMessageBox.warning(
            self._window(),
            "Unsaved grains",
            f"Not saved yet: {names}.\n\nSave them with File > Save {consequence}",
            QMessageBox.StandardButton.Close | QMessageBox.StandardButton.Cancel,
            QMessageBox.StandardButton.Cancel,
        )
        return bool(answer == QMessageBox.StandardButton.Close)


def _edits(count: int) -> str:
    return f"{count} edit{'s' if count != 1 else ''}" if count else "as found"

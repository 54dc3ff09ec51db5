"""The question before a window is closed over unsaved grains."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ref

from qtpy.QtCore import QEvent, QObject, QThread, QTimer
from qtpy.QtWidgets import QMainWindow, QMessageBox, QWidget

from grainsmith.ui.editing.autosave import AutosaveManager
from grainsmith.ui.panels.messages import error_text
from grainsmith.ui.panels.save_bar import save_grains
from grainsmith.ui.widgets.background import USER_ERRORS

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image, Labels

    from grainsmith.ui.session import Session


class CloseGuard(QObject):
    """Asks before the window of a viewer closes over unsaved grains; a part of the session."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._autosave = session.part(AutosaveManager)
        self._active = session.active
        self._is_answered = False
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
        if event.type() != QEvent.Type.Close or watched is not self._window() or self._is_answered:
            return False
        # A script that closes its viewer has no user to ask; a user acts from the event loop.
        if not (event.spontaneous() or QThread.currentThread().loopLevel() > 0):
            return False
        unsaved = self._autosave.unsaved()
        if not unsaved:
            return False
        if not self.may_close(unsaved, self._autosave.flush()):
            event.ignore()
            return True
        window = self._window()
        if window is not None and event.spontaneous():
            # napari would ask again; closed by a call it does not.
            event.ignore()
            self._is_answered = True
            QTimer.singleShot(0, window.close)
            return True
        return False

    def may_close(self, unsaved: list[tuple[str, int]], problem: str) -> bool:
        """Ask the user whether to save, to close without saving, or to stay.

        Parameters
        ----------
        unsaved : list of (str, int)
            Names of layers and their numbers of unsaved edits.
        problem : str
            Why the work cannot be recovered; "" where it can.
        """
        names = ", ".join(f"'{name}' ({_edits(count)})" for name, count in unsaved)
        consequence = (
            f"Without saving they are lost, as no autosave could be written.\n\n{problem}"
            if problem
            else "Without saving they are offered again when Grainsmith is next opened."
        )
        answer = self.ask(f"Not saved yet: {names}.\n\n{consequence}")
        if answer == QMessageBox.StandardButton.Save:
            return self.save_all()
        return bool(answer == QMessageBox.StandardButton.Discard)

    def ask(self, text: str) -> int:
        """Show the question and return the button: Save, Discard or Cancel."""
        buttons = QMessageBox.StandardButton
        box = QMessageBox(self._window())
        box.setIcon(QMessageBox.Icon.Warning)
        box.setWindowTitle("Unsaved grains")
        box.setText(text)
        box.setStandardButtons(buttons.Save | buttons.Discard | buttons.Cancel)
        box.button(buttons.Discard).setText("Close without saving")
        box.setDefaultButton(buttons.Save)
        return int(box.exec())

    def save_all(self) -> bool:
        """Save all unsaved grains; return False if the user cancels or a file cannot be written."""
        names = [name for name, _ in self._autosave.unsaved()]
        for grains in self._active.all_grains:
            if grains.name in names and not self._save(grains):
                return False
        return True

    def _save(self, grains: Labels) -> bool:
        try:
            return bool(save_grains(self._window(), grains, self._image_of(grains)))
        except USER_ERRORS as error:
            QMessageBox.warning(self._window(), "Not saved", error_text(error))
            return False

    def _image_of(self, grains: Labels) -> Image | None:
        images = [image for image in self._active.images if self._active.belongs(grains, image)]
        return images[0] if images else None


def _edits(count: int) -> str:
    return f"{count} edit{'s' if count != 1 else ''}" if count else "as found"

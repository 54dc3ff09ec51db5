"""Panel: correct grains, clean up all of them, review the suspicious ones, see the history."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari.layers import Labels
from qtpy.QtWidgets import QMessageBox, QTabWidget, QToolButton

from grainsmith.errors import GrainsmithError
from grainsmith.ui.editing.editor import Editor
from grainsmith.ui.editing.mouse import GrainMouse
from grainsmith.ui.editing.shortcuts import keys_text
from grainsmith.ui.layers.metadata import Role, role_of
from grainsmith.ui.panels.base import Panel
from grainsmith.ui.panels.edit.bulk_cleanup import BulkCleanup
from grainsmith.ui.panels.edit.history_list import HistoryList
from grainsmith.ui.panels.edit.key_bindings import KeyBindings
from grainsmith.ui.panels.edit.manual import ManualCorrection
from grainsmith.ui.panels.edit.recovery import RecoveryBar
from grainsmith.ui.panels.edit.review import GrainReview
from grainsmith.ui.panels.messages import NO_GRAINS
from grainsmith.ui.widgets.lifetime import connect_while_alive

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtGui import QHideEvent, QShowEvent


_EDITOR_ACTIONS = (
    "delete",
    "merge",
    "split_by_lobes",
    "split_by_chemistry",
    "fill_holes",
    "smooth",
    "grow",
    "shrink",
    "keep_largest",
)
"""Actions that are methods of the editor."""

_MODES = ("cut", "insert", "copy", "box", "lasso")


class CleanPanel(Panel):
    """Four pages; mouse and keys correct grains while the panel is shown."""

    def build(self) -> None:
        """Create the widgets and lay them out."""
        self.editor = self.session.part(Editor)
        actions = self._actions()
        self.manual = ManualCorrection(self.editor, actions)
        self.clean_up = BulkCleanup(self.editor, self.roles, self.progress)
        self.review = GrainReview(self.viewer, self.editor, self.roles, self.progress)
        self.history = HistoryList(self.editor)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.tabBar().setDrawBase(False)
        for title, page in (
            ("Correct", self.manual),
            ("Clean up", self.clean_up),
            ("Review", self.review),
            ("History", self.history),
        ):
            self.tabs.addTab(page, title)
        self.tabs.setCornerWidget(self._help_button())
        self.add(RecoveryBar(self.viewer), self.tabs)
        self._mouse = self.session.part(GrainMouse)
        self._keys = KeyBindings(self, self.viewer, actions)
        form = self.clean_up.form
        self.session.settings.add_section(
            "clean", form.settings, form.show_settings, closed=self.destroyed
        )

    def connect_signals(self) -> None:
        """Connect the signals of the widgets and of the session."""
        connect_while_alive(self, self.editor.message, self.show_message)
        selection_changed = self.editor.selection.changed
        connect_while_alive(self, selection_changed, lambda _labels: self.show_message(""))
        self.destroyed.connect(self._keys.unbind)

    def refresh(self) -> None:
        """Follow the active grains, or show what is missing."""
        try:
            history = self.editor.history
        except GrainsmithError as error:
            self.review.follow(None)
            if self.roles.grains is None:
                self.show_missing(NO_GRAINS)
            else:
                self.show_error(error)
        else:
            self.show_missing("")
            self.review.follow(history)
            if self.isVisible():
                self._keys.follow(self.editor.layer)
        self.history.follow()
        self.manual.refresh()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  (Qt's name)
        """Take mouse and keys."""
        super().showEvent(event)
        self._mouse.claim(self.editor)
        self.refresh()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802  (Qt's name)
        """Give mouse and keys back, and remove the overlays."""
        super().hideEvent(event)
        self._mouse.release(self.editor)
        self._keys.follow(None)
        self.editor.rest()

    def _actions(self) -> dict[str, Callable[[], None]]:
        """Return the actions of keys and buttons by name."""
        editor = self.editor
        return {
            **{name: getattr(editor, name) for name in _EDITOR_ACTIONS},
            **{mode: partial(editor.set_mode, mode) for mode in _MODES},
            "stop": self._leave_mode,
            "accept": partial(self._decide, "accept"),
            "reject": partial(self._decide, "reject"),
            "next": partial(self._go_through, "next"),
            "previous": partial(self._go_through, "previous"),
            "coverage": lambda: self.review.toggle_coverage(),
            "undo": partial(self._undo_or_redo, "undo"),
            "redo": partial(self._undo_or_redo, "redo"),
            "help": self._show_help,
        }

    def _leave_mode(self) -> None:
        """Leave the mode of the mouse, ours or napari's; without one select nothing."""
        grains = self.roles.grains
        if grains is not None and str(grains.mode) != "pan_zoom":
            grains.mode = "pan_zoom"
        else:
            self.editor.stop()

    def _undo_or_redo(self, verb: str) -> None:
        """Undo or redo in the active labels layer, or else in the grains."""
        active = self.viewer.layers.selection.active
        has_own_history = isinstance(active, Labels) and role_of(active) != Role.MARKS
        getattr(active if has_own_history else self.editor, verb)()

    def _decide(self, verb: str) -> None:
        """Accept or reject; the review then goes on to the next grain."""
        page = self.review if self.tabs.currentWidget() is self.review else self.editor
        getattr(page, verb)()

    def _go_through(self, verb: str) -> None:
        self.tabs.setCurrentWidget(self.review)
        getattr(self.review, verb)()

    def _help_button(self) -> QToolButton:
        widget = QToolButton()
        widget.setText("?")
        widget.setToolTip("All keys   ?")
        widget.clicked.connect(self._show_help)
        return widget

    def _show_help(self) -> None:
        box = QMessageBox(self)
        box.setWindowTitle("Keys of Grainsmith")
        box.setText(keys_text())
        box.setModal(False)
        box.show()

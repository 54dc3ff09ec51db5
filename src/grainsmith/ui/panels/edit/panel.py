"""Panel: correct grains, clean up all, review the doubtful ones, walk through the history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Labels
from qtpy.QtWidgets import QMessageBox, QTabWidget, QToolButton

from grainsmith.errors import GrainsmithError
from grainsmith.ui.editing.editor import editor_of
from grainsmith.ui.editing.mouse import Gestures
from grainsmith.ui.editing.shortcuts import Shortcuts, keys_text
from grainsmith.ui.layers.metadata import role_of
from grainsmith.ui.panels.base import Panel
from grainsmith.ui.panels.edit.bulk_cleanup import BulkCleanup
from grainsmith.ui.panels.edit.history_list import HistoryList
from grainsmith.ui.panels.edit.manual import Correct
from grainsmith.ui.panels.edit.recovery import RecoveryLine
from grainsmith.ui.panels.edit.review import Review
from grainsmith.ui.session.active_layers import connect_while_alive
from grainsmith.ui.session.panel_settings import panel_settings_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtGui import QHideEvent, QShowEvent


_PLAIN = (
    "delete",
    "merge",
    "split_by_lobes",
    "split_by_chemistry",
    "fill_holes",
    "smooth",
    "grow",
    "shrink",
    "keep_largest",
    "stop",
)
"""Actions that are methods of the editor."""


class CleanPanel(Panel):
    """Four parts in tabs; the mouse and the keys are theirs while the panel is shown."""

    def build(self) -> None:
        """Create the widgets and lay them out."""
        self.editor = editor_of(self.viewer)
        actions = self._actions()
        self.correct = Correct(self.editor, actions)
        self.clean_up = BulkCleanup(self.editor, self.roles, self.progress)
        self.review = Review(self.viewer, self.editor, self.progress)
        self.steps = HistoryList(self.editor)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.tabBar().setDrawBase(False)
        for title, part in (
            ("Correct", self.correct),
            ("Clean up", self.clean_up),
            ("Review", self.review),
            ("History", self.steps),
        ):
            self.tabs.addTab(part, title)
        self.tabs.setCornerWidget(self._help_button())
        self.add(RecoveryLine(self.viewer), self.tabs)
        self._gestures = Gestures(self.viewer, self.editor)
        self._keys = Shortcuts(self, self.viewer, actions)
        connect_while_alive(self, self.editor.told, self.show_message)
        connect_while_alive(self, self.editor.chosen_changed, lambda _grains: self.show_message(""))
        self.destroyed.connect(self._keys.end)
        form = self.clean_up.form
        panel_settings_of(self.viewer).take_part("clean", self, form.settings, form.show_settings)

    def refresh(self) -> None:
        """Take up the present grains; say so where there are none."""
        try:
            history = self.editor.history
        except GrainsmithError as error:
            self.show_message(str(error))
            self.review.follow(None)
        else:
            self.review.follow(history)
            if self.isVisible():
                self._keys.follow(self.editor.layer)
        self.steps.follow()
        self.correct.refresh()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  (Qt's name)
        """Take mouse and keys."""
        super().showEvent(event)
        self._gestures.connect()
        self.refresh()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802  (Qt's name)
        """Give mouse and keys back, and leave no marks on the image."""
        super().hideEvent(event)
        self._gestures.disconnect()
        self._keys.follow(None)
        self.editor.rest()

    def _actions(self) -> dict[str, Callable[[], None]]:
        """Return what the keys and buttons do, by name."""
        editor = self.editor
        modes = ("cut", "insert", "copy", "box", "lasso")
        return {
            **{name: getattr(editor, name) for name in _PLAIN},
            **{mode: (lambda mode=mode: editor.set_mode(mode)) for mode in modes},
            "accept": lambda: self._judge("accept"),
            "reject": lambda: self._judge("reject"),
            "next": lambda: self._review("next"),
            "previous": lambda: self._review("previous"),
            "coverage": lambda: self.review.toggle_coverage(),
            "undo": lambda: self._walk("undo"),
            "redo": lambda: self._walk("redo"),
            "help": self.show_help,
        }

    def _walk(self, verb: str) -> None:
        """Undo or redo in the labels that are active, or else in the grains."""
        active = self.viewer.layers.selection.active
        has_own = isinstance(active, Labels) and role_of(active) != "marks"
        getattr(active if has_own else self.editor, verb)()

    def _judge(self, verb: str) -> None:
        """Accept or reject; in the review that goes on to the next grain."""
        judge = self.review if self.tabs.currentWidget() is self.review else self.editor
        getattr(judge, verb)()

    def _review(self, verb: str) -> None:
        self.tabs.setCurrentWidget(self.review)
        getattr(self.review, verb)()

    def _help_button(self) -> QToolButton:
        widget = QToolButton()
        widget.setText("?")
        widget.setToolTip("All keys   ?")
        widget.clicked.connect(self.show_help)
        return widget

    def show_help(self) -> None:
        """Show all keys."""
        box = QMessageBox(self)
        box.setWindowTitle("Keys of Grainsmith")
        box.setText(keys_text())
        box.setModal(False)
        box.show()

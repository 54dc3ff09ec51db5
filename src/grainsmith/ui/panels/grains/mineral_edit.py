"""Field in which a mineral is chosen or typed."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtWidgets import QComboBox, QCompleter, QMessageBox

from grainsmith.minerals import LIBRARY

if TYPE_CHECKING:
    from collections.abc import Iterable

_OTHER_PHASES = ("glass", "epoxy", "pore")


class MineralEdit(QComboBox):
    """Completes the minerals of the library, and asks before it takes an unknown name.

    Entering the field selects its text, so that typing replaces the last mineral.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setEditable(True)
        self.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.addItems([*LIBRARY, *_OTHER_PHASES])
        self.setToolTip("Mineral of the current grain: choose one of the library, or type its name")
        completer = self.completer()
        completer.setCompletionMode(QCompleter.CompletionMode.PopupCompletion)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.lineEdit().installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  (Qt's name)
        """Select the text when the field is entered."""
        if event.type() == QEvent.Type.FocusIn:
            # After the click that brought the focus, which would place the cursor.
            QTimer.singleShot(0, self.lineEdit().selectAll)
        return super().eventFilter(watched, event)

    def add_names(self, names: Iterable[str]) -> None:
        """Offer further names, such as those of a rules file."""
        self.addItems([name for name in dict.fromkeys(names) if name and not self._known(name)])

    def mineral(self) -> str:
        """Return the mineral; "" without one, or when the user does not want an unknown name."""
        text = " ".join(self.currentText().split())
        name = self._known(text)
        if not name and text:
            starts = [
                known for known in self._names() if known.casefold().startswith(text.casefold())
            ]
            name = starts[0] if len(starts) == 1 else ""
        if not name and text and self._wants_unknown(text):
            self.addItem(text)
            name = text
        if name:
            self.setCurrentText(name)
        return name

    def _names(self) -> list[str]:
        return [self.itemText(row) for row in range(self.count())]

    def _known(self, text: str) -> str:
        return next((name for name in self._names() if name.casefold() == text.casefold()), "")

    def _wants_unknown(self, text: str) -> bool:
        similar = difflib.get_close_matches(text, self._names(), n=1)
        suggestion = f" Did you mean '{similar[0]}'?" if similar else ""
        answer = QMessageBox.question(
            self,
            "Unknown mineral",
            f"'{text}' is not in the mineral library.{suggestion}\n\nUse '{text}' as a new name?",
        )
        return bool(answer == QMessageBox.StandardButton.Yes)

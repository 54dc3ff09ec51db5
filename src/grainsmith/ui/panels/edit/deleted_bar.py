"""Bar that offers deleted grains, from their deletion until they are brought back or given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from grainsmith.ui.editing.deleted_grains import DeletedGrains
from grainsmith.ui.session import session_of
from grainsmith.ui.widgets.controls import button, label
from grainsmith.ui.widgets.lifetime import connect_while_alive

if TYPE_CHECKING:
    import napari


class DeletedBar(QWidget):
    """Bring deleted grains back, or give them up; hidden when there are none."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._deleted = session_of(viewer).part(DeletedGrains)
        self._text = label("")
        buttons = QHBoxLayout()
        tip = "Put the deleted layer back with its edits, history and minerals"
        buttons.addWidget(button("Bring back", self.bring_back, tip=tip))
        tip = "Delete these grains for good"
        buttons.addWidget(button("Dismiss", self._deleted.give_up, tip=tip))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._text)
        layout.addLayout(buttons)
        connect_while_alive(self, self._deleted.changed, self._show)
        self._show()

    @property
    def text(self) -> str:
        """What is offered; "" for nothing."""
        return str(self._text.text()) if self._deleted.names else ""

    def bring_back(self) -> None:
        """Put the layer that was deleted last back."""
        self._deleted.bring_back()

    def _show(self) -> None:
        names = self._deleted.names
        self.setVisible(bool(names))
        if names:
            more = f" ({len(names) - 1} more)" if len(names) > 1 else ""
            self._text.setText(f"Unsaved grains were deleted: '{names[-1]}'{more}.")

"""Base class of the panels."""

from __future__ import annotations

from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import (
    QVBoxLayout,
    QWidget,
)

from grainsmith.ui.editing.overlays import Overlays
from grainsmith.ui.layers.images import folder_of
from grainsmith.ui.panels.close_guard import CloseGuard
from grainsmith.ui.panels.messages import error_text, missing_text
from grainsmith.ui.session import session_of
from grainsmith.ui.widgets.background import USER_ERRORS, run_in_background
from grainsmith.ui.widgets.controls import label
from grainsmith.ui.widgets.file_dialogs import set_start_folder
from grainsmith.ui.widgets.lifetime import connect_while_alive
from grainsmith.ui.widgets.progress_bar import ProgressBar

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari
    from napari.layers import Image
    from qtpy.QtGui import QShowEvent

WIDTH_PX = 320
"""Width that every panel must fit into."""

_ERROR_STYLE = "background: rgba(217, 83, 79, 50); border-left: 3px solid #d9534f; padding: 4px;"
"""Red on an alpha that suits napari's dark and light themes."""


class Panel(QWidget):
    """A column of rows with a progress bar and the panel's message at its end.

    A subclass creates its widgets in `build`, connects their signals in `connect_signals` and shows
    the active layers in `refresh`, which is called again whenever these change.

    Attributes
    ----------
    viewer : napari viewer
        The viewer that the panel works in.
    session : Session
        What all panels of the viewer share.
    roles : ActiveLayers
        Its image, grains and maps.
    progress : Progress
        Shows the running job.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        self.session = session_of(viewer)
        self.roles = self.session.active
        self.session.part(Overlays)
        self.progress = ProgressBar()
        self._missing = ""
        self._message = label("")
        self._message.hide()
        self._rows = QVBoxLayout()
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setSpacing(8)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addLayout(self._rows)
        layout.addWidget(self.progress)
        layout.addWidget(self._message)
        layout.addStretch(1)
        self._follow_image(self.roles.image)
        self.build()
        self.connect_signals()
        connect_while_alive(self, self.roles.image_changed, self._follow_image)
        connect_while_alive(self, self.roles.changed, self.refresh)
        self.refresh()

    def build(self) -> None:
        """Create the widgets and lay them out."""

    def connect_signals(self) -> None:
        """Connect the signals of the widgets and of the session."""

    def refresh(self) -> None:
        """Show the active image, grains and maps, or what is missing."""

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  (Qt's name)
        """Start the autosave and the question that guards a closing window."""
        super().showEvent(event)
        self.session.part(CloseGuard).watch(self)

    def add(self, *widgets: QWidget) -> None:
        """Add rows at the end."""
        for widget in widgets:
            self._rows.addWidget(widget)

    @property
    def message(self) -> str:
        """The message that is shown; "" without one."""
        return str(self._message.text())

    def show_message(self, text: str) -> None:
        """Show a message in the user's words; "" removes it."""
        self._show_text(text, style="")

    def show_error(self, error: Exception) -> None:
        """Show an error that the user can fix as the panel's message."""
        self._show_text(error_text(error), style=_ERROR_STYLE)

    def show_missing(self, text: str) -> None:
        """Show which layer is missing; "" removes the message about an earlier one."""
        missing = missing_text(self.roles, text) if text else ""
        if missing or self.message == self._missing:
            self.show_message(missing)
        self._missing = missing

    def run_job(
        self,
        func: Callable[..., Any],
        *args: Any,
        busy: QWidget,
        then: Callable[[Any], None],
        title: str = "",
        stopped: str = "Cancelled. Nothing was changed.",
        **options: Any,
    ) -> None:
        """Run a function in the background; an error becomes the panel's message.

        Parameters
        ----------
        func : callable
            A function of the library; never touches Qt or the viewer.
        busy : widget
            Disabled while the function runs.
        then : callable
            Gets the result.
        title : str
            Of the progress bar; where given, func gets `on_progress` and can be cancelled.
        stopped : str
            Message after Cancel.
        """
        self.show_message("")
        run_in_background(
            func,
            *args,
            busy=busy,
            then=then,
            progress=self.progress if title else None,
            title=title or "Working",
            stopped=partial(self.show_message, stopped),
            failed=self.show_error,
            **options,
        )

    def _follow_image(self, image: Image | None) -> None:
        """Let file dialogs start beside the image."""
        set_start_folder(self, "" if image is None else folder_of(image))

    def _show_text(self, text: str, style: str) -> None:
        self._message.setText(text)
        self._message.setStyleSheet(style)
        self._message.setVisible(bool(text))


def reports_errors(action: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method of a panel show an error that the user can fix instead of raising it."""

    @wraps(action)
    def reporting(self: Panel, *args: Any, **kwargs: Any) -> Any:
        try:
            return action(self, *args, **kwargs)
        except USER_ERRORS as error:
            self.show_error(error)
            return None

    return reporting

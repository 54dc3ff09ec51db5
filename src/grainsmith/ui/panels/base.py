"""Base class and shared widgets of the panels."""

from __future__ import annotations

from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import (
    QFormLayout,
    QFrame,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from grainsmith.ui.editing.autosave import autosave_of
from grainsmith.ui.panels.messages import error_text, missing_text
from grainsmith.ui.session.active_layers import active_layers_of, connect_while_alive
from grainsmith.ui.widgets.background import USER_ERRORS, Progress, run

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari
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
    roles : ActiveLayers
        Its image, grains and maps.
    progress : Progress
        Shows the running job.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        self.roles = active_layers_of(viewer)
        self.progress = Progress()
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
        self.build()
        self.connect_signals()
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
        autosave_of(self.viewer).watch_window(self)

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
        run(
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


class FixedLabel(QLabel):
    """A text of a fixed number of lines: what does not fit is in the tooltip."""

    def __init__(self, lines: int) -> None:
        super().__init__()
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self.setFixedHeight(lines * self.fontMetrics().lineSpacing() + 2)

    def setText(self, text: str) -> None:  # noqa: N802  (Qt's name)
        """Show a text."""
        super().setText(text)
        self.setToolTip(text)


def bind_escape(widget: QWidget, slot: Callable[[], None]) -> None:
    """Call slot() when Esc is pressed anywhere in the window while a widget is shown."""
    shortcut = QShortcut(QKeySequence("Esc"), widget)
    shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
    shortcut.activated.connect(slot)
    shortcut.activatedAmbiguously.connect(slot)


def label(text: str, *, dim: bool = False, tip: str = "", lines: int = 0) -> QLabel:
    """Return a text that wraps instead of widening the dock.

    Parameters
    ----------
    text : str
    dim : bool
        Show it less prominently.
    tip : str
        Tooltip.
    lines : int
        Number of lines that it always takes, so that what is below does not move; 0 = as needed.
    """
    widget = FixedLabel(lines) if lines else QLabel()
    widget.setWordWrap(True)
    policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    policy.setHeightForWidth(True)  # else the last line is cut off
    widget.setSizePolicy(policy)
    widget.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    widget.setText(text)
    if tip:
        widget.setToolTip(tip)
    if dim:
        widget.setStyleSheet("color: gray;")  # legible on dark and on light
    return widget


def duration(seconds: float) -> str:
    """Return a time in the unit that people would say it in."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def rows(*pairs: tuple[str, QWidget]) -> QWidget:
    """Return a block of titled fields, one below the other."""
    block = QWidget()
    form = QFormLayout(block)
    form.setContentsMargins(0, 0, 0, 0)
    form.setVerticalSpacing(4)
    for title, field in pairs:
        form.addRow(title, field)
    return block


def scrolled(panel: QWidget) -> QScrollArea:
    """Return a scroll area that holds a panel and scrolls vertically only."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(panel)
    return area


def button(
    text: str, slot: Callable[[], None], *, tip: str, key: str = "", main: bool = False
) -> QPushButton:
    """Return a button that names its key.

    Parameters
    ----------
    text : str
        What it does, as a verb.
    slot : callable
        Called without arguments.
    tip : str
        What it does in a sentence, with units where there are any.
    key : str
        Such as "Ctrl+Shift+G". It works while the button can be seen, and comes before napari's
        own bindings; keys without Ctrl or Alt would be taken from the layer tools.
    main : bool
        The one that the panel is for.
    """
    widget = QPushButton(text)
    widget.setToolTip(tip)
    widget.clicked.connect(lambda: slot())
    if key:
        sequence = QKeySequence(key)
        native = sequence.toString(QKeySequence.SequenceFormat.NativeText)
        # The text is set first: Qt forgets the shortcut of a button whose text changes.
        widget.setText(f"{text}   {native}")
        widget.setShortcut(sequence)
    if main:
        widget.setMinimumHeight(36)
        font = widget.font()
        font.setBold(True)
        widget.setFont(font)
    return widget

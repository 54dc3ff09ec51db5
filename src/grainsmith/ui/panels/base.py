"""What all panels have in common: a narrow column, one main button, progress, a line that says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QFormLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from grainsmith.ui.editing.autosave import autosave_of
from grainsmith.ui.session.active_layers import active_layers_of, connect_while_alive
from grainsmith.ui.widgets.background import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari
    from qtpy.QtGui import QShowEvent

WIDTH_PX = 320
"""A panel is at home in this width: nothing in it may ask for more."""


class Panel(QWidget):
    """A column of rows, with the progress bar and the panel's own message at its end.

    Attributes
    ----------
    viewer : napari viewer
        The viewer that the panel works in.
    roles : ActiveLayers
        Its image, grains and maps.
    progress : Progress
        To be handed to `worker.run`.
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
        whole = QVBoxLayout(self)
        whole.setContentsMargins(8, 8, 8, 8)
        whole.addLayout(self._rows)
        whole.addWidget(self.progress)
        whole.addWidget(self._message)
        whole.addStretch(1)
        connect_while_alive(self, self.roles.changed, self.refresh)

    def refresh(self) -> None:
        """Show the present image, grains and maps; a panel says here what is missing."""

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  (Qt's name)
        """From now on grains are kept safe, and the window asks before it closes over unsaved."""
        super().showEvent(event)
        autosave_of(self.viewer).watch_window(self)

    def add(self, *widgets: QWidget) -> None:
        """Add rows at the end."""
        for widget in widgets:
            self._rows.addWidget(widget)

    def say(self, text: str) -> None:
        """Show one message of the panel's own, in the user's words; "" removes it."""
        self._message.setText(text)
        self._message.setVisible(bool(text))

    def say_missing(self, word: str) -> None:
        """Say what is missing, an image or grains; "" takes back what was said of that before."""
        missing = self.roles.missing(word) if word else ""
        if missing or self._message.text() == self._missing:
            self.say(missing)
        self._missing = missing


def label(text: str, *, dim: bool = False, tip: str = "") -> QLabel:
    """Return a text that wraps instead of widening the dock."""
    widget = QLabel(text)
    widget.setWordWrap(True)
    policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    policy.setHeightForWidth(True)  # else the last line is cut off
    widget.setSizePolicy(policy)
    widget.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
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

"""Buttons, labels and combo boxes that fit into a narrow dock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QComboBox, QLabel, QPushButton, QSizePolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from qtpy.QtWidgets import QWidget

_PADDING_PX = 10
"""Space that napari's style adds around the text of a label."""


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


class FixedLabel(QLabel):
    """A text of a fixed number of lines: what does not fit is in the tooltip."""

    def __init__(self, lines: int) -> None:
        super().__init__()
        self._lines = lines
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self._fix_height()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the font of the window, which its style sets after the label is made."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.StyleChange, QEvent.Type.FontChange):
            self._fix_height()

    def _fix_height(self) -> None:
        self.setFixedHeight(self._lines * self.fontMetrics().lineSpacing() + _PADDING_PX)

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


def combo_box(tip: str, *, minimum_width_px: int = 0) -> QComboBox:
    """Return an empty combo box whose entries do not widen the dock."""
    combo = QComboBox()
    combo.setToolTip(tip)
    combo.setMinimumWidth(minimum_width_px)
    combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return combo


def compact_combo_box(entries: Sequence[str], current: str) -> QComboBox:
    """Return a combo box for a table cell, about as wide as its entries."""
    combo = QComboBox()
    combo.addItems(entries)
    combo.setCurrentText(current)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(max(2, min(7, max(map(len, entries)) - 2)))
    return combo


def fill_combo(combo: QComboBox, entries: Iterable[tuple[str, Any]], *preferred: str) -> None:
    """Replace the entries of a combo box and select one of them.

    Parameters
    ----------
    combo : QComboBox
        Its entries stay if they have these texts already.
    entries : iterable of (str, object)
        Text and data.
    *preferred : str
        The first of these texts that is among the entries is selected, otherwise the first entry.
    """
    entries = list(entries)
    texts = [text for text, _ in entries]
    if texts != [combo.itemText(index) for index in range(combo.count())]:
        combo.clear()
        for text, data in entries:
            combo.addItem(text, data)
    if entries:
        selected = next((text for text in preferred if text in texts), texts[0])
        combo.setCurrentIndex(texts.index(selected))


def duration_text(seconds: float) -> str:
    """Return a duration in the unit that suits it: "80 s", "5 min" or "2.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

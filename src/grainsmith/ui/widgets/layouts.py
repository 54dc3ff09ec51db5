"""Layouts without margins that fit into a dock of 320 px."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

if TYPE_CHECKING:
    from qtpy.QtCore import QEvent, QObject

_SPACING_PX = 4
_MAX_HEIGHT_PX = 16_777_215
"""Qt's QWIDGETSIZE_MAX: no limit."""


def rows(*fields: tuple[str | None, QWidget]) -> QWidget:
    """Return fields one below the other, each with its title before it; None = no title."""
    block = QWidget()
    form = QFormLayout(block)
    form.setContentsMargins(0, 0, 0, 0)
    form.setVerticalSpacing(_SPACING_PX)
    for title, field in fields:
        _let_shrink(field)
        if title is None:
            form.addRow(field)
        else:
            form.addRow(title, field)
    return block


def labelled_row(*fields: tuple[str | None, QWidget]) -> QWidget:
    """Return fields side by side, each with its title before it; None = no title."""
    block = QWidget()
    grid = QGridLayout(block)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setSpacing(_SPACING_PX)
    for index, (title, field) in enumerate(fields):
        _let_shrink(field)
        column = 2 * index
        if title is None:
            grid.addWidget(field, 0, column, 1, 2)
        else:
            grid.addWidget(QLabel(title), 0, column)
            grid.addWidget(field, 0, column + 1)
        grid.setColumnStretch(column + 1, 1)
    return block


def row_of(*widgets: QWidget, stretch: int | None = None) -> QWidget:
    """Return widgets side by side; the one with index `stretch` takes the free width, None: all."""
    block = QWidget()
    layout = QHBoxLayout(block)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(_SPACING_PX)
    for index, widget in enumerate(widgets):
        if isinstance(widget, QLabel):
            widget.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Minimum)
        layout.addWidget(widget, 1 if stretch in (None, index) else 0)
    return block


def pages_of(choice: QComboBox, *pages: QWidget) -> QWidget:
    """Return pages of which only the one with the index of the combo box takes up space."""
    block = QWidget()
    layout = QVBoxLayout(block)
    layout.setContentsMargins(0, 0, 0, 0)
    for page in pages:
        layout.addWidget(page)

    def show(current: int) -> None:
        for index, page in enumerate(pages):
            page.setVisible(index == current)

    choice.currentIndexChanged.connect(show)
    show(max(choice.currentIndex(), 0))
    return block


def scrolled(panel: QWidget) -> QScrollArea:
    """Return a scroll area that holds a panel and scrolls vertically only."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(panel)
    return area


class Collapsible(QCollapsible):
    """A section under a title, collapsed at first, whose content may grow."""

    def __init__(self, title: str, *widgets: QWidget) -> None:
        super().__init__(title, expandedIcon="▼", collapsedIcon="▶")
        self.setDuration(0)
        for widget in widgets:
            self.addWidget(widget)
        self.toggled.connect(self._lift_limit)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  (Qt's name)
        """Leave the height of the content to its layout."""
        return False

    def _lift_limit(self, expanded: bool) -> None:
        # QCollapsible fixes the height that the content has when it is expanded, and cuts off what
        # grows later.
        if expanded:
            self.content().setMaximumHeight(_MAX_HEIGHT_PX)


def _let_shrink(field: QWidget) -> None:
    if isinstance(field, QComboBox):
        field.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

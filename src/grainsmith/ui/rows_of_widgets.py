"""Small layouts that fit into 320 px."""

from __future__ import annotations

from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QLabel,
    QSizePolicy,
    QStackedWidget,
    QWidget,
)


def across(*fields: tuple[str | None, QWidget], vertical: bool = False) -> QWidget:
    """Put widgets beside one another, or with `vertical` below, each with its word before it."""
    whole = QWidget()
    grid = QGridLayout(whole)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setSpacing(4)
    for place, (word, widget) in enumerate(fields):
        row, column = (place, 0) if vertical else (0, 2 * place)
        if isinstance(widget, QComboBox):
            widget.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        if word is None:
            grid.addWidget(widget, row, column, 1, 2)
        else:
            grid.addWidget(QLabel(word), row, column)
            grid.addWidget(widget, row, column + 1)
        grid.setColumnStretch(column + 1, 1)
    return whole


def stacked(choice: QComboBox, *pages: QWidget) -> QStackedWidget:
    """Show one page at a time, as high as it needs, the one that is chosen."""
    stack = QStackedWidget()
    for page in pages:
        stack.addWidget(page)

    def show(index: int) -> None:
        for place, page in enumerate(pages):
            high = QSizePolicy.Policy.Preferred if place == index else QSizePolicy.Policy.Ignored
            page.setSizePolicy(QSizePolicy.Policy.Preferred, high)
        stack.setCurrentIndex(index)
        stack.adjustSize()

    choice.currentIndexChanged.connect(show)
    show(max(choice.currentIndex(), 0))
    return stack

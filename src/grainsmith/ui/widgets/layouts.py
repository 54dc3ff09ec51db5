"""Small layouts that fit into 320 px."""

from __future__ import annotations

from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QVBoxLayout,
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


def row_of(*widgets: QWidget, stretch: int | None) -> QWidget:
    """Return widgets side by side; the one with the number `stretch` is widened, None: all."""
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    for i, widget in enumerate(widgets):
        if widget.metaObject().className() == "QLabel":
            widget.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Minimum)
        layout.addWidget(widget, 1 if stretch in (None, i) else 0)
    return row


def one_of(choice: QComboBox, *pages: QWidget) -> QWidget:
    """Show one page at a time, the one that is chosen; the others take no room."""
    whole = QWidget()
    lines = QVBoxLayout(whole)
    lines.setContentsMargins(0, 0, 0, 0)
    for page in pages:
        lines.addWidget(page)

    def show(chosen: int) -> None:
        for place, page in enumerate(pages):
            page.setVisible(place == chosen)

    choice.currentIndexChanged.connect(show)
    show(max(choice.currentIndex(), 0))
    return whole

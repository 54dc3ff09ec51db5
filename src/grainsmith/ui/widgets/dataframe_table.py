"""A read-only table widget for small DataFrames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from grainsmith.ui.widgets.settings_form import label_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

_MAX_ROWS = 2000
"""More rows would make the table slow; files hold all of them."""


class DataFrameTable(QTableWidget):
    """A table of a DataFrame with its index as first column.

    Attributes
    ----------
    row_chosen : Qt signal
        Sent with the index of a clicked row.
    """

    row_chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.verticalHeader().hide()
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.setMinimumHeight(170)
        self.setMinimumWidth(0)
        self._index: list[Any] = []
        self.cellClicked.connect(lambda row, _column: self.row_chosen.emit(self._index[row]))

    def show_frame(self, frame: pd.DataFrame, colors: Mapping[str, str]) -> None:
        """Show a DataFrame; words with a colour get a patch of it."""
        shown = frame.iloc[:_MAX_ROWS]
        self._index = list(shown.index)
        self.clear()
        self.setRowCount(len(shown))
        self.setColumnCount(1 + shown.shape[1])
        first = str(frame.index.name or "").capitalize()
        self.setHorizontalHeaderLabels([first, *(label_of(str(name)) for name in shown.columns)])
        rows = zip(shown.index, shown.itertuples(index=False), strict=True)
        for row, (name, values) in enumerate(rows):
            for column, value in enumerate((name, *values)):
                self.setItem(row, column, _item(value, colors))


def _item(value: Any, colors: Mapping[str, str]) -> QTableWidgetItem:
    item = QTableWidgetItem(_text(value))
    if isinstance(value, str):
        if colors.get(value):
            item.setData(Qt.ItemDataRole.DecorationRole, QColor(colors[value]))
    else:
        item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return item


def _text(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else ""
    if isinstance(value, float | np.floating):
        number = float(value)
        return "" if np.isnan(number) else f"{number:.{3 if abs(number) < 1000 else 6}g}"
    return str(value)

"""A Qt model of a grain table, sorted and filtered by numpy to stay fast with 65,000 rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt

from grainsmith.plots import readable

if TYPE_CHECKING:
    from collections.abc import Iterable

_NO_INDEX = QModelIndex()


class GrainTableModel(QAbstractTableModel):
    """The rows of a DataFrame, index `label`, that pass a filter, in the order of a column."""

    def __init__(self) -> None:
        super().__init__()
        self._table = pd.DataFrame(index=pd.Index([], name="label", dtype=int))
        self._columns: list[str] = []
        self._order = np.empty(0, np.intp)
        self._sort: tuple[str, bool] = ("label", True)
        self._filter = ""

    @property
    def labels(self) -> np.ndarray:
        """Labels of the visible rows, from top to bottom."""
        return np.asarray(self._table.index.to_numpy()[self._order])

    @property
    def shown(self) -> pd.DataFrame:
        """The visible rows and columns."""
        names = [name for name in self._columns if name != "label"]
        return self._table.iloc[self._order][names]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the visible columns; the first is "label"."""
        return tuple(self._columns)

    def show(
        self, table: pd.DataFrame, columns: Iterable[str], *, filter_text: str | None = None
    ) -> None:
        """Show some columns of a table and the rows that pass a filter.

        Raises
        ------
        ValueError
            The filter is invalid; the previous rows stay visible.
        """
        text = self._filter if filter_text is None else filter_text
        mask = matching_rows(table, text)
        self.beginResetModel()
        self._table, self._filter = table, text
        self._columns = ["label", *(name for name in columns if name in table)]
        self._order = np.flatnonzero(mask)
        self._apply_sort()
        self.endResetModel()

    def row_of(self, label: int) -> int:
        """Return the row of a grain; -1 if the filter hides it."""
        rows = np.flatnonzero(self.labels == label)
        return int(rows[0]) if len(rows) else -1

    # --- interface of Qt

    def rowCount(self, _parent: QModelIndex = _NO_INDEX) -> int:  # noqa: N802  (Qt's name)
        """Return the number of rows."""
        return len(self._order)

    def columnCount(self, _parent: QModelIndex = _NO_INDEX) -> int:  # noqa: N802  (Qt's name)
        """Return the number of columns."""
        return len(self._columns)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the text or alignment of a cell; numbers are right-aligned."""
        if role == Qt.ItemDataRole.TextAlignmentRole:
            left = isinstance(self._value(index), str)
            side = Qt.AlignmentFlag.AlignLeft if left else Qt.AlignmentFlag.AlignRight
            return side | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.DisplayRole:
            return cell_text(self._value(index))
        return None

    def headerData(  # noqa: N802  (Qt's name)
        self, section: int, orientation: Any, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return the title of a column, with its unit."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return readable(self._columns[section])
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._columns[section]
        return None

    def sort(self, column: int, order: Any = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; missing values come last."""
        if not 0 <= column < len(self._columns):
            return
        self.layoutAboutToBeChanged.emit()
        self._sort = (self._columns[column], order == Qt.SortOrder.AscendingOrder)
        self._order = np.sort(self._order)
        self._apply_sort()
        self.layoutChanged.emit()

    def _value(self, index: QModelIndex) -> Any:
        row, name = self._order[index.row()], self._columns[index.column()]
        return self._table.index[row] if name == "label" else self._table[name].iat[row]

    def _apply_sort(self) -> None:
        name, ascending = self._sort
        if name != "label" and name not in self._table:
            return
        keys = self._table.index.to_series() if name == "label" else self._table[name]
        ranks = keys.iloc[self._order].rank(method="dense", ascending=ascending, na_option="bottom")
        self._order = self._order[np.argsort(ranks.to_numpy(), kind="stable")]


def matching_rows(table: pd.DataFrame, text: str) -> np.ndarray:
    """Return a mask of the rows that pass a filter.

    Parameters
    ----------
    table : DataFrame
        Index `label`.
    text : str
        "" passes all rows; "412" or "412, 413" are labels; a word ("quartz") is searched in the
        columns of text; anything else is a condition on columns ("ecd_um > 50 and touches_edge ==
        False").

    Raises
    ------
    ValueError
        The text is none of these.
    """
    text = text.strip()
    if not text:
        return np.ones(len(table), bool)
    numbers = text.replace(",", " ").split()
    if all(number.isdecimal() for number in numbers):
        return np.asarray(table.index.isin([int(number) for number in numbers]))
    if not any(operator in text for operator in "<>=!"):
        return _rows_with_word(table, text)
    try:
        result = table.eval(text, engine="python", local_dict={}, global_dict={})
    except Exception as error:  # pandas raises nearly anything for text that it cannot parse
        columns = ", ".join(sorted(table.columns)[:3])
        raise ValueError(
            f"'{text}' is not a filter: {error}. Enter a label, a word, or a condition such as "
            f"ecd_px > 20 (columns: {columns}, ...)"
        ) from error
    mask = np.asarray(result)
    if mask.shape != (len(table),) or mask.dtype != bool:
        raise ValueError(f"'{text}' is not a condition. Compare a column, such as ecd_px > 20.")
    return mask


def cell_text(value: Any) -> str:
    """Return the text of a cell: four significant digits, "" for a missing value."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if value is None or value != value:
        return ""
    if isinstance(value, int | np.integer):
        return str(value)
    return f"{value:.4g}" if 1e-3 <= abs(value) < 1e5 or value == 0 else f"{value:.3e}"


def _rows_with_word(table: pd.DataFrame, word: str) -> np.ndarray:
    mask = np.zeros(len(table), bool)
    for name in table.select_dtypes(exclude=["number", "bool"]):
        column = table[name].fillna("").astype(str)
        mask |= column.str.contains(word, case=False, regex=False).to_numpy(dtype=bool)
    return mask

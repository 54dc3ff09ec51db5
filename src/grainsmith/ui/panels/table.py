"""Panel: the grain table, linked with the image both ways."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QItemSelection, QItemSelectionModel, Qt, QTimer
from qtpy.QtGui import QAction, QGuiApplication
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QLineEdit,
    QMenu,
    QSizePolicy,
    QTableView,
    QToolButton,
)

from grainsmith.io.tables.grain_table import write_table
from grainsmith.plots import readable
from grainsmith.ui.editing.history import history_of
from grainsmith.ui.editing.mouse import GrainMouse
from grainsmith.ui.layers.camera import zoom_to
from grainsmith.ui.layers.label_colors import color_grains, restore_colors
from grainsmith.ui.panels.base import Panel, reports_errors
from grainsmith.ui.panels.keys import MAIN_KEYS
from grainsmith.ui.panels.messages import NO_GRAINS, NOT_MEASURED, error_text, missing_text
from grainsmith.ui.session.measurements import AUTOMATIC_PX
from grainsmith.ui.widgets.controls import button, label
from grainsmith.ui.widgets.file_dialogs import ask_file_to_save
from grainsmith.ui.widgets.grain_table_model import GrainTableModel
from grainsmith.ui.widgets.layouts import row_of
from grainsmith.ui.widgets.lifetime import connect_while_alive

if TYPE_CHECKING:
    import pandas as pd
    from napari.layers import Labels

    from grainsmith.ui.session.measurements import Measurements

_WANTED = (
    "mineral",
    "source",
    "ecd",
    "area",
    "best_long",
    "best_short",
    "aspect_ratio",
    "circularity",
    "roundness_wadell",
    "mean_image",
    "touches_edge",
    "confidence",
)
"""Shown at first, with their units; the rest waits under Columns."""

_RECOLOR_MS = 400
"""Recoloring 16,000 grains takes a while, so it waits until the edits pause."""


class TablePanel(Panel):
    """One row per grain: sort, filter, select, colour, save."""

    def build(self) -> None:
        """Create the widgets and lay them out."""
        self._selection = self.session.selection
        self._mouse = self.session.part(GrainMouse)
        self._measurements: Measurements | None = None
        self._names: list[str] = []
        self._linking = False
        self._measure = button(
            "Measure",
            self.measure,
            tip="Measure all grains again; edits are followed automatically",
            key=MAIN_KEYS["Table"],
            main=True,
        )
        self._filter = QLineEdit()
        self._filter.setPlaceholderText("Filter: 412 · quartz · ecd_um > 50")
        self._filter.setToolTip(
            "Grain numbers, a word, or a condition on columns such as "
            "ecd_um > 50 and circularity < 0.7; point at a heading to see its name"
        )
        self._filter.setClearButtonEnabled(True)
        self._columns = _menu_button("Columns", "Which columns are shown")
        self._color = QComboBox()
        self._color.setToolTip("Colour the grains by a column")
        self._color.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._model = GrainTableModel()
        self._view = _table_view(self._model)
        self._count = label("", dim=True)
        self._recolor = QTimer(self, singleShot=True, interval=_RECOLOR_MS)
        self._lay_out()
        self._on_grains(self.roles.grains)

    def _lay_out(self) -> None:
        self._save = button(
            "Save…", self.save, tip="Save all rows and columns as CSV, Parquet or Excel"
        )
        self._copy = button(
            "Copy", self.copy, tip="Copy the rows and columns shown, for a spreadsheet"
        )
        self.add(
            self._measure,
            self._filter,
            self._view,
            self._count,
            row_of(self._columns, label("Colour by"), self._color, stretch=2),
            row_of(self._copy, self._save),
        )
        self.setMinimumWidth(300)
        self.layout().setStretch(0, 1000)  # the table takes the remaining height

    def connect_signals(self) -> None:
        """Connect the signals of the widgets and of the session."""
        self._filter.textChanged.connect(lambda _: self._show())
        self._view.selectionModel().selectionChanged.connect(lambda *_: self._on_rows_selected())
        self._color.activated.connect(lambda _: self._apply_color())
        self._recolor.timeout.connect(self._apply_color)
        connect_while_alive(self, self.roles.grains_changed, self._on_grains)
        connect_while_alive(self, self.roles.maps_changed, lambda _: self._measure_if_known())
        connect_while_alive(self, self._selection.changed, self._on_selection)
        connect_while_alive(self, self._mouse.clicked, self._on_image_clicked)

    # --- rows and columns

    @property
    def count(self) -> str:
        """How many grains are shown, or what is wrong with the filter."""
        return str(self._count.text())

    @property
    def selected_labels(self) -> list[int]:
        """The grains whose rows are selected."""
        rows = [index.row() for index in self._view.selectionModel().selectedRows()]
        return [int(label) for label in self._model.labels[rows]]

    def filter(self, text: str) -> None:
        """Show the rows that match a filter."""
        self._filter.setText(text)

    def color_by(self, column: str) -> None:
        """Color the grains by a column; "" restores their colors."""
        self._color.setCurrentIndex(max(0, self._color.findData(column)))
        self._apply_color()

    @property
    def model(self) -> GrainTableModel:
        """The rows and columns that are shown."""
        return self._model

    def measure(self) -> None:
        """Measure all grains in the background."""
        if self._measurements is None:
            self.show_missing(NO_GRAINS)
            return
        self.show_message("")
        self._measurements.measure(partial(self.run_job, busy=self._measure, title="Measuring"))

    def refresh(self) -> None:
        """Show what is missing."""
        self.show_missing(NO_GRAINS if self.roles.grains is None else "")

    def _on_grains(self, grains: Labels | None) -> None:
        if self._measurements is not None:
            self._measurements.changed.disconnect(self._on_table)
            self._measurements.lost.disconnect(self.measure)
        self._measurements = None if grains is None else self.session.measurements(grains)
        if self._measurements is not None:
            connect_while_alive(self, self._measurements.changed, self._on_table)
            connect_while_alive(self, self._measurements.lost, self.measure)
            if not self._measurements.is_complete and grains is not None:
                self._measure_soon(grains)
        self._on_table()
        self.refresh()

    def _measure_soon(self, grains: Labels) -> None:
        if grains.data.size <= AUTOMATIC_PX:
            self.measure()
        else:
            self.show_message("This image is large: press Measure for the table.")

    def _measure_if_known(self) -> None:
        if self._measurements is not None and self._measurements.is_complete:
            self.measure()

    def _on_table(self) -> None:
        table = self._table()
        if list(table.columns) != self._names:
            self._names = list(map(str, table.columns))
            self._fill_choices()
        self._show(table)
        if self._color.currentIndex() > 0:
            self._recolor.start()

    def _table(self) -> pd.DataFrame:
        return (
            self._measurements.table
            if self._measurements is not None
            else self._model.shown.iloc[:0]
        )

    def _fill_choices(self) -> None:
        shown = set(self._model.columns) if len(self._model.columns) > 1 else set()
        menu = self._columns.menu()
        menu.clear()
        for name in self._names:
            action = QAction(readable(name), menu, checkable=True)
            action.setData(name)
            action.setChecked(name in shown if shown else _is_wanted(name, self._names))
            action.toggled.connect(lambda _: self._show())
            menu.addAction(action)
        color = self._color.currentText()
        self._color.clear()
        self._color.addItem("none")
        for name in self._names:
            self._color.addItem(readable(name), name)
        self._color.setCurrentIndex(max(0, self._color.findText(color)))

    def _show(self, table: pd.DataFrame | None = None) -> None:
        names = [action.data() for action in self._columns.menu().actions() if action.isChecked()]
        table = self._table() if table is None else table
        self._linking = True
        try:
            self._model.show(table, names, filter_text=self._filter.text())
            self._filter.setStyleSheet("")
            self._count.setText(_counted(self._model.rowCount(), len(table)))
        except ValueError as error:
            self._filter.setStyleSheet("border: 1px solid #d9534f;")
            self._count.setText(error_text(error))
        self._linking = False
        self._mark_rows(self._selection.labels)

    # --- selection

    def _on_rows_selected(self) -> None:
        if self._linking:
            return
        rows = sorted(index.row() for index in self._view.selectionModel().selectedRows())
        labels = self._model.labels[rows].tolist()
        self._linking = True
        self._selection.select(labels)
        self._linking = False
        if labels and self.roles.grains is not None:
            index = history_of(self.roles.grains).index
            present = [label for label in labels if label in index]
            if present:
                zoom_to(self.viewer, self.roles.grains, index.union(present))

    def _on_image_clicked(self, clicked: int, more: bool) -> None:
        if self._mouse.tool is not None or not self.isVisible():
            return  # the panel Clean selects; a second time would undo that
        labels = list(self._selection.labels)
        if not more:
            labels = [clicked] if clicked else []
        elif clicked in labels:
            labels.remove(clicked)
        elif clicked:
            labels.append(clicked)
        self._selection.select(labels)

    def _on_selection(self, labels: tuple[int, ...]) -> None:
        if not self._linking:
            self._mark_rows(labels)

    def _mark_rows(self, labels: tuple[int, ...]) -> None:
        rows = np.flatnonzero(np.isin(self._model.labels, labels))
        selection = QItemSelection()
        for first, last in _runs(rows):
            selection.select(self._model.index(first, 0), self._model.index(last, 0))
        self._linking = True
        flags = QItemSelectionModel.SelectionFlag
        self._view.selectionModel().select(selection, flags.ClearAndSelect | flags.Rows)
        self._linking = False
        if len(rows):
            self._view.scrollTo(self._model.index(int(rows[0]), 0))

    def _apply_color(self) -> None:
        grains, name = self.roles.grains, self._color.currentData()
        if grains is None:
            return
        table = self._table()
        if name in table:
            self.show_message(f"Colours: {color_grains(grains, table[name])}")
        else:
            restore_colors(grains)
            self.show_message("")

    # --- files

    def copy(self) -> None:
        """Copy the rows and columns shown as tab-separated text, with all digits."""
        text = self._model.shown.to_csv(sep="\t")
        QGuiApplication.clipboard().setText(text)
        self.show_message(f"{self._model.rowCount()} rows copied.")

    @reports_errors
    def save(self, path: str = "") -> None:
        """Save all rows and columns; asks for a file unless one is given."""
        if self._measurements is None or not self._measurements.is_complete:
            self.show_message(
                missing_text(self.roles, NO_GRAINS) if self._measurements is None else NOT_MEASURED
            )
            return
        if not path:
            path = ask_file_to_save(
                self, "Save the grain table", "grains.csv", "Tables (*.csv *.parquet *.xlsx)"
            )
        if not path:
            return
        write_table(path, self._measurements.table)
        self.show_message(f"{len(self._measurements.table)} grains saved in {path}")


def _is_wanted(name: str, names: list[str]) -> bool:
    if name in _WANTED or name.endswith("_mean"):
        return True
    stem, _, unit = name.rpartition("_")
    known = {"um": "um", "um2": "um"}.get(unit, "px")
    return stem in _WANTED and known == ("um" if "area_um2" in names else "px")


def _counted(shown: int, total: int) -> str:
    grains = f"{total:,} grain{'s' if total != 1 else ''}"
    return grains if shown == total else f"{shown:,} of {grains}"


def _runs(rows: Any) -> list[tuple[int, int]]:
    if not len(rows):
        return []
    cuts = np.flatnonzero(np.diff(rows) > 1) + 1
    return [(int(part[0]), int(part[-1])) for part in np.split(rows, cuts)]


def _menu_button(text: str, tip: str) -> QToolButton:
    widget = QToolButton()
    widget.setText(text)
    widget.setToolTip(tip)
    widget.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
    menu = QMenu(widget)
    menu.setToolTipsVisible(True)
    widget.setMenu(menu)
    return widget


def _table_view(model: GrainTableModel) -> QTableView:
    view = QTableView()
    view.setModel(model)
    view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
    view.setSortingEnabled(True)
    view.sortByColumn(0, Qt.SortOrder.AscendingOrder)
    view.setWordWrap(False)
    view.verticalHeader().hide()
    view.verticalHeader().setDefaultSectionSize(22)
    view.horizontalHeader().setDefaultSectionSize(92)
    view.setColumnWidth(0, 56)
    view.setMinimumHeight(260)
    view.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
    return view

"""List of the fields of a batch, with a bar for each one in progress and its result afterwards."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QHeaderView, QProgressBar, QSizePolicy, QTreeWidget, QTreeWidgetItem

from grainsmith.ui.panels.messages import error_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grainsmith.pipeline.batch.discovery import FieldFiles
    from grainsmith.pipeline.batch.runner import BatchResult, FieldState

_NAME, _STATE = 0, 1
_FOLDER = Qt.ItemDataRole.UserRole
"""Data of an item: the folder of its results, below the output folder."""

_RED, _GREEN = QColor("#d9534f"), QColor("#3f9c5a")
"""Legible on napari's dark and light themes."""


class FieldList(QTreeWidget):
    """Samples with their fields, and the state of each."""

    report_wanted = Signal()
    """Sent when a row is double-clicked."""

    def __init__(self) -> None:
        super().__init__()
        self._items: dict[str, QTreeWidgetItem] = {}
        self._samples: dict[str, QTreeWidgetItem] = {}
        self.setHeaderLabels(["Field", "State"])
        self.setRootIsDecorated(True)
        self.setUniformRowHeights(True)
        self.setIndentation(14)
        self.setMinimumHeight(180)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        self.setToolTip("Double-click a finished field or sample to open its report")
        header = self.header()
        header.setStretchLastSection(True)
        header.setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Interactive)
        header.resizeSection(_NAME, 116)
        self.itemDoubleClicked.connect(lambda *_: self.report_wanted.emit())

    def show_fields(self, fields: Sequence[FieldFiles]) -> None:
        """List fields that have not been started."""
        self.clear()
        self._items, self._samples = {}, {}
        for field in fields:
            item = QTreeWidgetItem(self._sample_item(field.sample), [field.field, ""])
            item.setData(_NAME, _FOLDER, field.name)
            item.setToolTip(_NAME, field.image or str(field.problem))
            self._items[field.name] = item
            if field.problem is not None:
                _show_text(item, error_text(field.problem), _RED)
            else:
                count = len(field.maps)
                _show_text(item, f"{count} maps" if count > 1 else "maps" if count else "no maps")
        self.expandAll()

    def show_state(self, state: FieldState) -> None:
        """Show the state of a field."""
        item = self._items[state.name]
        if state.state == "in work":
            self._bar(item).setValue(state.percent)
            return
        self.removeItemWidget(item, _STATE)
        if state.state == "failed":
            # A reason begins with the name of the file: without its folder it is short enough.
            folder = str(Path(item.toolTip(_NAME)).parent)
            _show_text(item, f"failed: {state.reason}".replace(f"{folder}{os.sep}", ""), _RED)
        elif state.state != "waiting":
            before = ", done before" if state.state == "done before" else ""
            _show_text(item, f"{_grain_count(state.n_grains)}{before}", _GREEN, state.reason)

    def begin(self) -> None:
        """Show all fields as waiting."""
        for item in self._items.values():
            self.removeItemWidget(item, _STATE)
            _show_text(item, "waiting")
        for item in self._samples.values():
            _show_text(item, "")

    def end(self, result: BatchResult | None) -> None:
        """Remove the bars, and show the results of the samples."""
        for item in self._items.values():
            if self.itemWidget(item, _STATE) is not None:
                self.removeItemWidget(item, _STATE)
                _show_text(item, "not done")
        if result is None:
            return
        for name, item in self._samples.items():
            if name in result.problems:
                _show_text(item, f"not pooled: {result.problems[name]}", _RED)
            elif name in result.summaries:
                _show_text(item, "pooled", _GREEN, result.summaries[name])

    def selected(self) -> str:
        """Return the folder of the selected row below the output folder; "" without one."""
        items = self.selectedItems()
        return str(items[0].data(_NAME, _FOLDER)) if items else ""

    def state_of(self, name: str) -> str:
        """Return the state shown for a field ("sample/field") or a sample."""
        item = self._items.get(name) or self._samples[name]
        bar = self.itemWidget(item, _STATE)
        return f"{bar.value()} %" if isinstance(bar, QProgressBar) else str(item.text(_STATE))

    def select(self, name: str) -> None:
        """Select the row of a field or sample."""
        self.setCurrentItem(self._items.get(name) or self._samples[name])

    def _sample_item(self, name: str) -> QTreeWidgetItem:
        if name not in self._samples:
            item = self._samples[name] = QTreeWidgetItem(self, [name, ""])
            item.setData(_NAME, _FOLDER, name)
            font = item.font(_NAME)
            font.setBold(True)
            item.setFont(_NAME, font)
        return self._samples[name]

    def _bar(self, item: QTreeWidgetItem) -> QProgressBar:
        bar = self.itemWidget(item, _STATE)
        if not isinstance(bar, QProgressBar):
            bar = QProgressBar()
            bar.setRange(0, 100)
            bar.setMaximumHeight(16)
            item.setText(_STATE, "")
            self.setItemWidget(item, _STATE, bar)
            self.scrollToItem(item)
        return bar


def _show_text(
    item: QTreeWidgetItem, text: str, color: QColor | None = None, tip: str = ""
) -> None:
    item.setText(_STATE, text)
    item.setToolTip(_STATE, tip or text)
    if color is None:
        item.setData(_STATE, Qt.ItemDataRole.ForegroundRole, None)
    else:
        item.setForeground(_STATE, color)


def _grain_count(count: int) -> str:
    return f"{count:,} grain{'s' if count != 1 else ''}"

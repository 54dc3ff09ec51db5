"""The fields of a batch as a list: a bar for each one in work, a word for each that is done."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QHeaderView, QProgressBar, QSizePolicy, QTreeWidget, QTreeWidgetItem

from grainsmith.ui.widgets.hints import message_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grainsmith.pipeline.batch.discovery import FieldFiles
    from grainsmith.pipeline.batch.runner import BatchResult, FieldState

_NAME, _STATE = 0, 1
_PLACE = Qt.ItemDataRole.UserRole
"""Of an item: where its results lie, below the output folder."""

_RED, _GREEN = QColor("#d9534f"), QColor("#3f9c5a")
"""Legible on napari's dark and light themes."""


class FieldList(QTreeWidget):
    """Samples with their fields, and how far each is."""

    report_wanted = Signal()
    """A line was double-clicked."""

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
        self.setToolTip("Double-click a field or sample that is done to open its report")
        header = self.header()
        header.setStretchLastSection(True)
        header.setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Interactive)
        header.resizeSection(_NAME, 116)
        self.itemDoubleClicked.connect(lambda *_: self.report_wanted.emit())

    def show_fields(self, fields: Sequence[FieldFiles]) -> None:
        """List the fields, none of them begun."""
        self.clear()
        self._items, self._samples = {}, {}
        for one in fields:
            item = QTreeWidgetItem(self._sample(one.sample), [one.field, ""])
            item.setData(_NAME, _PLACE, one.name)
            item.setToolTip(_NAME, one.image or str(one.problem))
            self._items[one.name] = item
            if one.problem is not None:
                _say(item, message_of(one.problem), _RED)
            else:
                maps = len(one.maps)
                _say(item, f"{maps} maps" if maps > 1 else "maps" if maps else "no maps")
        self.expandAll()

    def show_state(self, state: FieldState) -> None:
        """Show how far a field is."""
        item = self._items[state.name]
        if state.state == "in work":
            self._bar(item).setValue(state.percent)
            return
        self.removeItemWidget(item, _STATE)
        if state.state == "failed":
            # The file's name comes first in a reason: without its folder the rest can be read.
            folder = str(Path(item.toolTip(_NAME)).parent)
            _say(item, f"failed: {state.reason}".replace(f"{folder}{os.sep}", ""), _RED)
        elif state.state != "waiting":
            before = ", done before" if state.state == "done before" else ""
            _say(item, f"{_grains(state.n_grains)}{before}", _GREEN, state.reason)

    def begin(self) -> None:
        """Show that every field waits for its turn."""
        for item in self._items.values():
            self.removeItemWidget(item, _STATE)
            _say(item, "waiting")
        for item in self._samples.values():
            _say(item, "")

    def end(self, result: BatchResult | None) -> None:
        """Take the bars away; show the samples' results where there are some."""
        for item in self._items.values():
            if self.itemWidget(item, _STATE) is not None:
                self.removeItemWidget(item, _STATE)
                _say(item, "not done")
        if result is None:
            return
        for name, item in self._samples.items():
            if name in result.problems:
                _say(item, f"not pooled: {result.problems[name]}", _RED)
            elif name in result.summaries:
                _say(item, "pooled", _GREEN, result.summaries[name])

    def chosen(self) -> str:
        """Return the place of the chosen line below the output folder; "" = none is chosen."""
        items = self.selectedItems()
        return str(items[0].data(_NAME, _PLACE)) if items else ""

    def state_of(self, name: str) -> str:
        """Return what is said of a field (its sample and name) or of a sample."""
        item = self._items.get(name) or self._samples[name]
        bar = self.itemWidget(item, _STATE)
        return f"{bar.value()} %" if isinstance(bar, QProgressBar) else str(item.text(_STATE))

    def choose(self, name: str) -> None:
        """Choose the line of a field or sample."""
        self.setCurrentItem(self._items.get(name) or self._samples[name])

    def _sample(self, name: str) -> QTreeWidgetItem:
        if name not in self._samples:
            item = self._samples[name] = QTreeWidgetItem(self, [name, ""])
            item.setData(_NAME, _PLACE, name)
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


def _say(item: QTreeWidgetItem, text: str, colour: QColor | None = None, more: str = "") -> None:
    item.setText(_STATE, text)
    item.setToolTip(_STATE, more or text)
    if colour is None:
        item.setData(_STATE, Qt.ItemDataRole.ForegroundRole, None)
    else:
        item.setForeground(_STATE, colour)


def _grains(count: int) -> str:
    return f"{count:,} grain{'s' if count != 1 else ''}"

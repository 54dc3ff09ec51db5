"""The table of an alignment: one row a map, readable in a narrow dock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QHeaderView, QTableWidget, QTableWidgetItem

from grainsmith.align import VERDICTS, turn_zoom_and_shear
from grainsmith.ui.layers import facts, pixel_size_um_of, transform_of
from grainsmith.ui.placing import start_matrix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image

_COLUMNS = ("Map", "Pass", "Shift px", "z", "Verdict")
_SHORT = {
    "aligned": "aligned",
    "inherited": "by its pass",
    "unsure": "unsure",
    "not aligned": "not aligned",
    "by hand": "by hand",
}
_COLOURS = {"aligned": "#3fa34d", "inherited": "#3f8fa3", "unsure": "#c98a1b"}


class AlignTable(QTableWidget):
    """Maps, passes (editable), shifts, confidence, verdicts; more in the tips."""

    chosen = Signal()
    passes_edited = Signal()

    def __init__(self) -> None:
        super().__init__(0, len(_COLUMNS))
        self.setHorizontalHeaderLabels(_COLUMNS)
        self.verticalHeader().hide()
        self.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.setSelectionMode(QTableWidget.SelectionMode.SingleSelection)
        self.setMinimumHeight(150)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self._layers: list[Image] = []
        self.itemSelectionChanged.connect(self.chosen.emit)
        self.cellChanged.connect(self._on_edit)

    @property
    def layer(self) -> Image | None:
        """The map of the chosen row."""
        row = self.currentRow()
        return self._layers[row] if 0 <= row < len(self._layers) else None

    def show_layers(self, layers: Sequence[Image], reference: Image | None) -> None:
        """Show where layers lie now."""
        was, kept = self.blockSignals(True), self.layer
        self._layers = list(layers)
        self.setRowCount(len(self._layers))
        for row, layer in enumerate(self._layers):
            self._show_row(row, layer, reference)
        if kept in self._layers:
            self.selectRow(self._layers.index(kept))
        elif self._layers:
            self.selectRow(0)
        self.blockSignals(was)

    def passes(self) -> list[str]:
        """Return the pass of each map as shown; "" where none is named."""
        return [str(self.item(row, 1).text()).strip() for row in range(self.rowCount())]

    def _show_row(self, row: int, layer: Image, reference: Image | None) -> None:
        known = facts(layer).get("transform", {})
        verdict = known.get("verdict", "not aligned")
        shift, tip = ("–", "") if reference is None else _shift_and_tip(layer, reference)
        texts = (
            layer.name,
            facts(layer).get("group", ""),
            shift,
            f"{known.get('z', 0.0):.0f}" if known.get("z") else "–",
            _SHORT.get(verdict, verdict),
        )
        for column, text in enumerate(texts):
            item = QTableWidgetItem(text)
            item.setToolTip(tip)
            if column != 1:
                item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
            if column == len(texts) - 1 and verdict in _COLOURS:
                item.setForeground(QColor(_COLOURS[verdict]))
            self.setItem(row, column, item)

    def _on_edit(self, row: int, column: int) -> None:
        if column == 1:
            facts(self._layers[row])["group"] = self.passes()[row]
            self.passes_edited.emit()


def _shift_and_tip(layer: Image, reference: Image) -> tuple[str, str]:
    start = np.array(start_matrix(layer, reference))
    moved = transform_of(layer, reference).matrix @ np.linalg.inv(start)
    centre = (np.array(reference.data.shape[:2], dtype=float) - 1) / 2
    dy, dx = moved[:2, :2] @ centre + moved[:2, 2] - centre
    turn, zoom, _ = turn_zoom_and_shear(moved)
    known = facts(layer).get("transform", {})
    size = pixel_size_um_of(reference)
    lines = [VERDICTS.get(known.get("verdict", "not aligned"), "")]
    if known.get("note"):
        lines.append(known["note"])
    lines.append(f"shift down {dy:+.2f} px, right {dx:+.2f} px")
    if size:
        lines[-1] += f" ({dy * size:+.2f}, {dx * size:+.2f} µm)"
    lines.append(f"turn {turn:+.2f}°, zoom {zoom:.4f}")
    if known.get("z"):
        lines.append(f"confidence z {known['z']:.1f}; its pass {known.get('group_z', 0.0):.1f}")
    residual = known.get("residual_px", float("nan"))
    if residual == residual:
        lines.append(f"its pairs with other maps are off by {residual:.2f} px")
    return f"{dy:+.1f}  {dx:+.1f}", "\n".join(lines)

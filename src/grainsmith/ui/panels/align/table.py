"""The table of an alignment: one row a map, readable in a narrow dock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QHeaderView, QTableWidget, QTableWidgetItem

from grainsmith.align import VERDICTS, turn_zoom_and_shear
from grainsmith.ui.layers.geometry import pixel_size_um_of, transform_of
from grainsmith.ui.layers.metadata import MapMetadata, RegistrationMetadata
from grainsmith.ui.layers.registration import start_matrix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image

_COLUMNS = ("Map", "Pass", "Shift px", "z", "Verdict", "Shift µm", "Turn °", "Scale", "Resid. px")
_VERDICT = _COLUMNS.index("Verdict")
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
        registration = MapMetadata.of(layer).registration or RegistrationMetadata()
        verdict = registration.verdict
        moved = None if reference is None else _Moved(layer, reference)
        residual = registration.residual_px
        texts = (
            layer.name,
            MapMetadata.of(layer).group,
            moved.shift_px if moved else "–",
            f"{registration.z:.0f}" if registration.z else "–",
            _SHORT.get(verdict, verdict),
            moved.shift_um if moved else "–",
            f"{moved.turn_deg:+.2f}" if moved else "–",
            f"{moved.zoom:.4f}" if moved else "–",
            f"{residual:.2f}" if residual == residual else "–",
        )
        tip = moved.tip(registration) if moved else ""
        for column, text in enumerate(texts):
            item = QTableWidgetItem(text)
            item.setToolTip(tip)
            if column != 1:
                item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
            if column == _VERDICT and verdict in _COLOURS:
                item.setForeground(QColor(_COLOURS[verdict]))
            self.setItem(row, column, item)

    def _on_edit(self, row: int, column: int) -> None:
        if column == 1:
            MapMetadata.update(self._layers[row], group=self.passes()[row])
            self.passes_edited.emit()


class _Moved:
    """How far a map has moved from where its file says it lies, in words."""

    def __init__(self, layer: Image, reference: Image) -> None:
        start = np.array(start_matrix(layer, reference))
        matrix = transform_of(layer, reference).matrix @ np.linalg.inv(start)
        centre = (np.array(reference.data.shape[:2], dtype=float) - 1) / 2
        self._dy, self._dx = matrix[:2, :2] @ centre + matrix[:2, 2] - centre
        self.turn_deg, self.zoom, _ = turn_zoom_and_shear(matrix)
        self._size_um = pixel_size_um_of(reference)

    @property
    def shift_px(self) -> str:
        """Down and right, in pixels of the reference."""
        return f"{self._dy:+.1f}  {self._dx:+.1f}"

    @property
    def shift_um(self) -> str:
        """The same in µm, where the pixel size is known."""
        size = self._size_um
        return f"{self._dy * size:+.2f}  {self._dx * size:+.2f}" if size else "–"

    def tip(self, registration: RegistrationMetadata) -> str:
        """Return all that is known of the place of a map, one thing a line."""
        lines = [VERDICTS.get(registration.verdict, "")]
        if registration.note:
            lines.append(registration.note)
        lines.append(f"shift down {self._dy:+.2f} px, right {self._dx:+.2f} px")
        if self._size_um:
            lines[-1] += f" ({self.shift_um} µm)"
        lines.append(f"turn {self.turn_deg:+.2f}°, zoom {self.zoom:.4f}")
        if registration.z:
            lines.append(f"confidence z {registration.z:.1f}; its pass {registration.group_z:.1f}")
        residual = registration.residual_px
        if residual == residual:
            lines.append(f"its pairs with other maps are off by {residual:.2f} px")
        return "\n".join(lines)

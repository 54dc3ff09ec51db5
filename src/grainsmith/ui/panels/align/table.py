"""Table of an alignment, one row per map."""

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

_COLUMNS = (
    "Map", "Pass", "Shift px", "Conf. σ", "Verdict", "Shift µm", "Rotation °", "Scale", "Resid. px",
)  # fmt: skip
_HEADER_TIPS = {
    "Pass": "Maps that were measured together; double-click to edit",
    "Shift px": "Down and right, from where the file places the map",
    "Conf. σ": "How far the best match stands out, in standard deviations",
    "Resid. px": "Disagreement with the other maps",
}
_VERDICT = _COLUMNS.index("Verdict")
_VERDICT_WORDS = {
    "aligned": "aligned",
    "inherited": "by its pass",
    "unsure": "unsure",
    "not aligned": "not aligned",
    "by hand": "by hand",
}
_VERDICT_COLORS = {"aligned": "#3fa34d", "inherited": "#3f8fa3", "unsure": "#c98a1b"}


class AlignTable(QTableWidget):
    """Maps, passes (editable), shifts, confidence and verdicts; more in the tooltips."""

    row_selected = Signal()
    passes_edited = Signal()

    def __init__(self) -> None:
        super().__init__(0, len(_COLUMNS))
        self.setHorizontalHeaderLabels(_COLUMNS)
        for column, name in enumerate(_COLUMNS):
            self.horizontalHeaderItem(column).setToolTip(_HEADER_TIPS.get(name, ""))
        self.verticalHeader().hide()
        self.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.setSelectionMode(QTableWidget.SelectionMode.SingleSelection)
        self.setMinimumHeight(150)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self._layers: list[Image] = []
        self.itemSelectionChanged.connect(self.row_selected.emit)
        self.cellChanged.connect(self._on_edit)

    @property
    def layer(self) -> Image | None:
        """The map of the selected row."""
        row = self.currentRow()
        return self._layers[row] if 0 <= row < len(self._layers) else None

    def show_layers(self, layers: Sequence[Image], reference: Image | None) -> None:
        """Show the transforms of layers."""
        blocked, kept = self.blockSignals(True), self.layer
        self._layers = list(layers)
        self.setRowCount(len(self._layers))
        for row, layer in enumerate(self._layers):
            self._show_row(row, layer, reference)
        if kept in self._layers:
            self.selectRow(self._layers.index(kept))
        elif self._layers:
            self.selectRow(0)
        self.blockSignals(blocked)

    def texts(self, layer: Image) -> dict[str, str]:
        """Return the row of a layer, by column."""
        row = self._layers.index(layer)
        return {name: self.item(row, column).text() for column, name in enumerate(_COLUMNS)}

    def passes(self) -> list[str]:
        """Return the pass of each map as shown; "" for none."""
        return [str(self.item(row, 1).text()).strip() for row in range(self.rowCount())]

    def _show_row(self, row: int, layer: Image, reference: Image | None) -> None:
        registration = MapMetadata.of(layer).registration or RegistrationMetadata()
        verdict = registration.verdict
        shift = None if reference is None else _Displacement(layer, reference)
        residual = registration.residual_px
        texts = (
            layer.name,
            MapMetadata.of(layer).group,
            shift.shift_px if shift else "–",
            f"{registration.z:.0f}" if registration.z else "–",
            _VERDICT_WORDS.get(verdict, verdict),
            shift.shift_um if shift else "–",
            f"{shift.rotation_deg:+.2f}" if shift else "–",
            f"{shift.scale:.4f}" if shift else "–",
            f"{residual:.2f}" if residual == residual else "–",
        )
        tip = shift.tip(registration) if shift else ""
        for column, text in enumerate(texts):
            item = QTableWidgetItem(text)
            item.setToolTip(tip)
            if column != 1:
                item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
            if column == _VERDICT and verdict in _VERDICT_COLORS:
                item.setForeground(QColor(_VERDICT_COLORS[verdict]))
            self.setItem(row, column, item)

    def _on_edit(self, row: int, column: int) -> None:
        if column == 1:
            MapMetadata.update(self._layers[row], group=self.passes()[row])
            self.passes_edited.emit()


class _Displacement:
    """Displacement of a map from where its file places it, as text."""

    def __init__(self, layer: Image, reference: Image) -> None:
        start = np.array(start_matrix(layer, reference))
        matrix = transform_of(layer, reference).matrix @ np.linalg.inv(start)
        centre = (np.array(reference.data.shape[:2], dtype=float) - 1) / 2
        self._dy, self._dx = matrix[:2, :2] @ centre + matrix[:2, 2] - centre
        self.rotation_deg, self.scale, _ = turn_zoom_and_shear(matrix)
        self._size_um = pixel_size_um_of(reference)

    @property
    def shift_px(self) -> str:
        """Down and right, in pixels of the reference."""
        return f"{self._dy:+.1f}  {self._dx:+.1f}"

    @property
    def shift_um(self) -> str:
        """Down and right, in µm; "–" without a pixel size."""
        size = self._size_um
        return f"{self._dy * size:+.2f}  {self._dx * size:+.2f}" if size else "–"

    def tip(self, registration: RegistrationMetadata) -> str:
        """Return everything about the transform, one line each."""
        lines = [VERDICTS.get(registration.verdict, "")]
        if registration.note:
            lines.append(registration.note)
        lines.append(f"shift down {self._dy:+.2f} px, right {self._dx:+.2f} px")
        if self._size_um:
            lines[-1] += f" ({self.shift_um} µm)"
        lines.append(f"rotation {self.rotation_deg:+.2f}°, scale {self.scale:.4f}")
        if registration.z:
            lines.append(
                f"confidence {registration.z:.1f} σ, of its pass {registration.group_z:.1f} σ"
            )
        residual = registration.residual_px
        if residual == residual:
            lines.append(f"disagrees with the other maps by {residual:.2f} px")
        return "\n".join(lines)

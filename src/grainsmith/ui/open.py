"""Panel: what is open, how large its pixels are, which rows are a data bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtWidgets import QDoubleSpinBox, QFileDialog, QFormLayout, QSpinBox, QWidget

from grainsmith.ui.databar import mark_data_bar
from grainsmith.ui.layers import facts, pixel_size_um_of, set_pixel_size
from grainsmith.ui.panel import Panel, button, label
from grainsmith.ui.roles import while_alive

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

_EMPTY = "No picture is open. Drop a file into the window, choose one here, or try a sample."


class OpenPanel(Panel):
    """Facts of the picture; pixel size and data bar can be mended here."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self._what = label("")
        self._notes = label("", dim=True)
        self._size = _pixel_size_box()
        self._size_source = label("", dim=True)
        self._bar = QSpinBox()
        self._bar.setSuffix(" rows")
        self._bar.setToolTip("Rows at the bottom (px) that are a burnt-in data bar: background")
        self._bar.setKeyboardTracking(False)
        self._form = QWidget()
        form = QFormLayout(self._form)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Pixel size", self._size)
        form.addRow("", self._size_source)
        form.addRow("Data bar", self._bar)
        self.add(
            button("Open picture …", self._open, tip="Choose a SEM image or photograph", main=True),
            self._what,
            self._form,
            self._notes,
        )
        self._size.valueChanged.connect(self._on_size)
        self._bar.valueChanged.connect(self._on_bar)
        while_alive(self, self.roles.image_changed, lambda _layer: self.refresh())
        self.refresh()

    def refresh(self) -> None:
        """Show the picture's facts."""
        image = self.roles.image
        self._form.setVisible(image is not None)
        self._notes.setVisible(image is not None)
        self._what.setText(_describe(image) if image is not None else _EMPTY)
        if image is None:
            return
        known = facts(image)
        for box, value in (
            (self._size, pixel_size_um_of(image)),
            (self._bar, known.get("data_bar_rows", 0)),
        ):
            was = box.blockSignals(True)
            if box is self._bar:
                box.setMaximum(max(0, image.data.shape[0] - 1))
            box.setValue(value)
            box.blockSignals(was)
        source = known.get("pixel_size_source", "")
        self._size_source.setText(source or "not in the file: set it here")
        self._notes.setText("\n".join(known.get("notes", ())))

    def _open(self) -> None:
        from grainsmith.io.sem import SUFFIXES

        patterns = " ".join(f"*{suffix}" for suffix in SUFFIXES)
        paths, _ = QFileDialog.getOpenFileNames(
            self, "Open pictures", "", f"Pictures ({patterns});;All files (*)"
        )
        for path in paths:
            self.viewer.open(path, plugin="grainsmith")

    def _on_size(self, pixel_size_um: float) -> None:
        if self.roles.image is None:
            return
        set_pixel_size(
            self.roles.image,
            pixel_size_um,
            "given by hand" if pixel_size_um > 0 else "",
            list(self.viewer.layers),
        )
        self.roles.changed.emit()

    def _on_bar(self, rows: int) -> None:
        image = self.roles.image
        if image is None:
            return
        facts(image)["data_bar_rows"] = rows
        mark_data_bar(self.viewer, image)
        self.roles.changed.emit()


def _pixel_size_box() -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setDecimals(6)
    box.setRange(0.0, 1e6)
    box.setSuffix(" µm")
    box.setSpecialValueText("unknown")
    box.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
    box.setToolTip("Side of one pixel in µm; 0 = unknown, lengths are then in pixels")
    # Else every key stroke would rescale the layers.
    box.setKeyboardTracking(False)
    return box


def _describe(image: Image) -> str:
    rows, columns = image.data.shape[:2]
    colour = "colour" if image.rgb else "grey"
    size = pixel_size_um_of(image)
    text = f"<b>{image.name}</b><br>{columns} × {rows} px, {np.dtype(image.dtype).name} {colour}"
    if size > 0:
        text += f"<br>{columns * size:.4g} × {rows * size:.4g} µm"
    return text

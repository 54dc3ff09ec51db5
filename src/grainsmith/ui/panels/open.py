"""Panel: open an image, and set its pixel size and data bar."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtWidgets import (
    QDoubleSpinBox,
    QHBoxLayout,
    QSpinBox,
    QWidget,
)

from grainsmith.io.images.reader import SUFFIXES
from grainsmith.ui.layers.data_bar import mark_data_bar
from grainsmith.ui.layers.geometry import pixel_size_um_of, set_pixel_size
from grainsmith.ui.layers.metadata import ImageMetadata
from grainsmith.ui.panels.base import Panel
from grainsmith.ui.panels.keys import MAIN_KEYS
from grainsmith.ui.panels.messages import NO_IMAGE, missing_text
from grainsmith.ui.plugin.sample_data import sample_layers
from grainsmith.ui.widgets.controls import button, label
from grainsmith.ui.widgets.file_dialogs import ask_files_to_open
from grainsmith.ui.widgets.layouts import rows
from grainsmith.ui.widgets.lifetime import connect_while_alive

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image

    from grainsmith.samples import SampleField


class OpenPanel(Panel):
    """Properties of the image; pixel size and data bar can be corrected."""

    def build(self) -> None:
        """Create the widgets and lay them out."""
        self._description = label("")
        self._notes = label("", dim=True)
        self._size = _PixelSizeBox()
        self._size_source = label("", dim=True)
        self._bar = QSpinBox()
        self._bar.setSuffix(" rows")
        self._bar.setToolTip(
            "Rows at the bottom (px) that are a data bar; they count as background"
        )
        self._bar.setKeyboardTracking(False)
        self._form = rows(
            ("Pixel size", self._size), ("", self._size_source), ("Data bar", self._bar)
        )
        self._open_button = button(
            "Open image …",
            self._ask_open,
            tip="Choose SEM images or photographs (TIFF, PNG, JPEG, BMP), or their label files",
            key=MAIN_KEYS["Open"],
            main=True,
        )
        self._samples = _Samples(self.open_sample)
        self.add(self._open_button, self._description, self._form, self._notes, self._samples)

    def connect_signals(self) -> None:
        """Connect the signals of the widgets and of the session."""
        self._size.valueChanged.connect(self._on_size)
        self._bar.valueChanged.connect(self._on_bar)
        connect_while_alive(self, self.roles.image_changed, lambda _layer: self.refresh())

    @property
    def description(self) -> str:
        """Name, size and type of the image, as HTML."""
        return str(self._description.text())

    def refresh(self) -> None:
        """Show the properties of the image."""
        image = self.roles.image
        self._form.setVisible(image is not None)
        self._notes.setVisible(image is not None)
        self._description.setText(
            _describe(image) if image is not None else missing_text(self.roles, NO_IMAGE)
        )
        if image is None:
            return
        metadata = ImageMetadata.of(image)
        for box, value in (
            (self._size, pixel_size_um_of(image)),
            (self._bar, metadata.data_bar_rows),
        ):
            blocked = box.blockSignals(True)
            if box is self._bar:
                box.setMaximum(max(0, image.data.shape[0] - 1))
            box.setValue(value)
            box.blockSignals(blocked)
        source = metadata.pixel_size_source
        self._size_source.setText(source or "not in the file: set it here")
        self._notes.setText("\n".join(metadata.notes))

    def _ask_open(self) -> None:
        patterns = " ".join(f"*{suffix}" for suffix in SUFFIXES)
        paths = ask_files_to_open(self, "Open images", f"Images ({patterns});;All files (*)")
        for path in paths:
            self.viewer.open(path, plugin="grainsmith")

    def open_sample(self, difficulty: str) -> None:
        """Open a synthetic sample, "plain" or "hard"."""
        # Imported here: it takes a second, and this panel is built with the dock.
        from grainsmith.samples import sample_field

        self.run_job(
            sample_field,
            difficulty,
            busy=self._samples,
            then=partial(self._add_sample, f"{difficulty} sample"),
        )

    def _add_sample(self, name: str, sample: SampleField) -> None:
        for data, options, kind in sample_layers(sample, name=name):
            getattr(self.viewer, f"add_{kind}")(data, **options)

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

    def _on_bar(self, bar: int) -> None:
        image = self.roles.image
        if image is None:
            return
        ImageMetadata.update(image, data_bar_rows=bar)
        mark_data_bar(self.viewer, image)
        self.roles.changed.emit()


class _Samples(QWidget):
    """Two buttons that open a synthetic sample."""

    def __init__(self, open_sample: Callable[[str], None]) -> None:
        super().__init__()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(label("Or try a synthetic sample:", dim=True), 1)
        for title, difficulty, tip in (
            ("Plain", "plain", "269 grains and ten shifted element maps; the truth is known"),
            ("Hard", "hard", "Mixed sizes, noise, a data bar, coarse and rotated maps"),
        ):
            row.addWidget(button(title, partial(open_sample, difficulty), tip=tip))


class _PixelSizeBox(QDoubleSpinBox):
    """Shows as many digits as the value has, from 0.1 nm to millimetres."""

    def __init__(self) -> None:
        super().__init__()
        self.setDecimals(9)
        self.setRange(0.0, 1e6)
        self.setSuffix(" µm")
        self.setSpecialValueText("unknown")
        self.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
        self.setToolTip("Side of one pixel in µm; 0 = unknown, lengths are then in pixels")
        # Otherwise every key stroke would rescale the layers.
        self.setKeyboardTracking(False)

    def textFromValue(self, value: float) -> str:  # noqa: N802  (Qt's name)
        """Return the number without trailing zeros."""
        return f"{value:.6g}"


def _describe(image: Image) -> str:
    height, width = image.data.shape[:2]
    color = "colour" if image.rgb else "grey"
    size = pixel_size_um_of(image)
    text = f"<b>{image.name}</b><br>{width} × {height} px, {np.dtype(image.dtype).name} {color}"
    if size > 0:
        text += f"<br>{width * size:.4g} × {height * size:.4g} µm"
    return text

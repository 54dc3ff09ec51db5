"""Panel: what is open, how large its pixels are, which rows are a data bar."""

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
from grainsmith.ui.panels.messages import NO_IMAGE, missing_text
from grainsmith.ui.plugin.sample_data import sample_layers
from grainsmith.ui.session.active_layers import connect_while_alive
from grainsmith.ui.widgets.background import run_in_background
from grainsmith.ui.widgets.controls import button, label
from grainsmith.ui.widgets.file_dialogs import ask_files_to_open
from grainsmith.ui.widgets.layouts import rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image

    from grainsmith.samples import SampleField


class OpenPanel(Panel):
    """Facts of the image; pixel size and data bar can be mended here."""

    def build(self) -> None:
        """Create the widgets and lay them out."""
        self._what = label("")
        self._notes = label("", dim=True)
        self._size = _PixelSizeBox()
        self._size_source = label("", dim=True)
        self._bar = QSpinBox()
        self._bar.setSuffix(" rows")
        self._bar.setToolTip("Rows at the bottom (px) that are a burnt-in data bar: background")
        self._bar.setKeyboardTracking(False)
        self._form = rows(
            ("Pixel size", self._size), ("", self._size_source), ("Data bar", self._bar)
        )
        self._open_button = button(
            "Open image …",
            self._open,
            tip="Choose SEM images or photographs (TIFF, PNG, JPEG, BMP), or their label files",
            key="Alt+O",
            main=True,
        )
        self._samples = _Samples(self._open_sample)
        self.add(self._open_button, self._what, self._form, self._notes, self._samples)
        self._size.valueChanged.connect(self._on_size)
        self._bar.valueChanged.connect(self._on_bar)
        connect_while_alive(self, self.roles.image_changed, lambda _layer: self.refresh())

    def refresh(self) -> None:
        """Show the image's facts."""
        image = self.roles.image
        self._form.setVisible(image is not None)
        self._notes.setVisible(image is not None)
        self._what.setText(
            _describe(image) if image is not None else missing_text(self.roles, NO_IMAGE)
        )
        if image is None:
            return
        metadata = ImageMetadata.of(image)
        for box, value in (
            (self._size, pixel_size_um_of(image)),
            (self._bar, metadata.data_bar_rows),
        ):
            was = box.blockSignals(True)
            if box is self._bar:
                box.setMaximum(max(0, image.data.shape[0] - 1))
            box.setValue(value)
            box.blockSignals(was)
        source = metadata.pixel_size_source
        self._size_source.setText(source or "not in the file: set it here")
        self._notes.setText("\n".join(metadata.notes))

    def _open(self) -> None:
        patterns = " ".join(f"*{suffix}" for suffix in SUFFIXES)
        paths = ask_files_to_open(self, "Open images", f"Images ({patterns});;All files (*)")
        for path in paths:
            self.viewer.open(path, plugin="grainsmith")

    def _open_sample(self, difficulty: str) -> None:
        # This tab is built with the dock, and making a field needs what takes a second to import.
        from grainsmith.samples import sample_field

        run_in_background(
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
    """Two buttons that make a field to try things on."""

    def __init__(self, open_sample: Callable[[str], None]) -> None:
        super().__init__()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(label("Or try a made field:", dim=True), 1)
        for title, difficulty, tip in (
            ("Plain", "plain", "269 grains, ten element maps that are shifted; all is known"),
            ("Hard", "hard", "Mixed sizes, noise, a data bar, maps that are coarse and turned"),
        ):
            row.addWidget(button(title, partial(open_sample, difficulty), tip=tip))


class _PixelSizeBox(QDoubleSpinBox):
    """Shows as many digits as there are, from 0.1 nm to millimetres."""

    def __init__(self) -> None:
        super().__init__()
        self.setDecimals(9)
        self.setRange(0.0, 1e6)
        self.setSuffix(" µm")
        self.setSpecialValueText("unknown")
        self.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
        self.setToolTip("Side of one pixel in µm; 0 = unknown, lengths are then in pixels")
        # Else every key stroke would rescale the layers.
        self.setKeyboardTracking(False)

    def textFromValue(self, value: float) -> str:  # noqa: N802  (Qt's name)
        """Return the number without the zeros at its end."""
        return f"{value:.6g}"


def _describe(image: Image) -> str:
    height, width = image.data.shape[:2]
    colour = "colour" if image.rgb else "grey"
    size = pixel_size_um_of(image)
    text = f"<b>{image.name}</b><br>{width} × {height} px, {np.dtype(image.dtype).name} {colour}"
    if size > 0:
        text += f"<br>{width * size:.4g} × {height * size:.4g} µm"
    return text

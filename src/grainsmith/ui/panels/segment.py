"""Panel: find the grains of an image; two sliders draw them again without the network."""

from __future__ import annotations

import time
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QDoubleSpinBox, QGridLayout, QLabel, QWidget
from superqt import QLabeledDoubleSlider

from grainsmith.pipeline import segment_field, settings_dict, with_data_bar
from grainsmith.segment import SegmentSettings, draw_grains
from grainsmith.settings import attribute_docs
from grainsmith.ui.editing.segmentation_result import add_or_update_grains
from grainsmith.ui.layers.geometry import pixel_size_um_of
from grainsmith.ui.layers.images import sem_image_of
from grainsmith.ui.layers.metadata import GrainsMetadata
from grainsmith.ui.panels.base import Panel, reports_errors
from grainsmith.ui.panels.keys import MAIN_KEYS
from grainsmith.ui.panels.messages import NO_IMAGE
from grainsmith.ui.widgets.background import run_in_background
from grainsmith.ui.widgets.controls import button, label
from grainsmith.ui.widgets.layouts import rows
from grainsmith.ui.widgets.lifetime import connect_while_alive
from grainsmith.ui.widgets.model_picker import ModelChoice
from grainsmith.ui.widgets.settings_form import Form

if TYPE_CHECKING:
    import pandas as pd
    from napari.layers import Image, Labels

    from grainsmith.data import LabelImage
    from grainsmith.pipeline import SegmentedField
    from grainsmith.segment import Grains, Prediction

_OWN_ROWS = ("model", "diameter_px", "probability_threshold", "flow_threshold")
"""Settings that this panel shows in its own way."""

_REDRAW_DELAY_MS = 40
"""A moving slider sends many values; only the last one of a moment is drawn."""

_DIMMED = 0.4
"""Opacity of outdated grains, as a share of their own."""

_HINT = "Move a slider to draw the grains again; Reset restores the default."
_SLIDERS = {
    "probability_threshold": (
        "More grains",
        "Fewer grains",
        "Left: also dim grains, and wider outlines. Right: only clear grains.",
    ),
    "flow_threshold": (
        "Stricter shape",
        "Looser shape",
        "Left: only grains of a plausible shape. Right: keep doubtful ones; far left keeps all.",
    ),
}
"""Words at both ends of a slider, and its tooltip, by setting."""


class SegmentPanel(Panel):
    """Find grains, then adjust the two thresholds by eye."""

    def build(self) -> None:
        """Create the widgets and lay them out."""
        tips = attribute_docs(SegmentSettings)
        self.model = ModelChoice()
        self.diameter = _diameter_box(tips["diameter_px"])
        self._diameter_note = label("", dim=True, lines=2)
        self._find = button(
            "Find grains",
            self.find,
            tip="Find the grains of the image with the model; your corrections are kept",
            key=MAIN_KEYS["Segment"],
            main=True,
        )
        self.sliders = {name: _slider(name, tip) for name, (*_, tip) in _SLIDERS.items()}
        self._hint = label("", dim=True, lines=2)
        self.form = Form(
            SegmentSettings,
            hidden=_OWN_ROWS,
            folded=("min_area_px", "contrast_gate", "two_scales", "tile_px", "device"),
        )
        self._redraw_timer = QTimer(self, singleShot=True, interval=_REDRAW_DELAY_MS)
        self._drawing = QWidget(self)  # disabled while grains are drawn in the background
        self._drawing.hide()
        self._redraw_again = False
        self._dimmed: tuple[Labels, float] | None = None
        self.add(
            rows(("Model", self.model), ("Small grains", self.diameter), ("", self._diameter_note)),
            self._find,
            self._slider_block(),
            self._hint,
            self.form,
        )
        self.session.settings.add_section(
            "segment", self.settings, self.show_settings, closed=self.destroyed
        )

    def _slider_block(self) -> QWidget:
        block = QWidget()
        grid = QGridLayout(block)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(2)
        for position, (name, slider) in enumerate(self.sliders.items()):
            left, right, _ = _SLIDERS[name]
            reset = button("Reset", partial(self._reset, name), tip="Restore the default")
            grid.addWidget(QLabel(left), 2 * position, 0)
            right_label = QLabel(right)
            right_label.setAlignment(Qt.AlignmentFlag.AlignRight)
            grid.addWidget(right_label, 2 * position, 1)
            grid.addWidget(slider, 2 * position + 1, 0, 1, 2)
            grid.addWidget(reset, 2 * position + 1, 2)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)
        return block

    def connect_signals(self) -> None:
        """Connect the signals of the widgets and of the session."""
        for slider in self.sliders.values():
            slider.valueChanged.connect(self._redraw_timer.start)
        for name in ("min_area_px", "contrast_gate"):
            self.form[name].changed.connect(lambda _: self._redraw_timer.start())
        self._redraw_timer.timeout.connect(self._redraw)
        self.diameter.valueChanged.connect(lambda _: self._show_diameter())
        connect_while_alive(self, self.roles.grains_changed, self._on_grains)

    def refresh(self) -> None:
        """Show the diameter and the hint of the active image and grains, or what is missing."""
        self._show_diameter()
        if not self.redrawing:
            self._hint.setText(_HINT if self._prediction() is not None else "")
        self.show_missing(NO_IMAGE if self.roles.image is None else "")

    # --- observers

    @property
    def finding(self) -> bool:
        """Whether grains are being found."""
        return not self._find.isEnabled()

    @property
    def redrawing(self) -> bool:
        """Whether grains are being drawn again."""
        return not self._drawing.isEnabled()

    @property
    def diameter_note(self) -> str:
        """The diameter that is used, in px and µm."""
        return str(self._diameter_note.text())

    @property
    def hint(self) -> str:
        """The line below the sliders."""
        return str(self._hint.text())

    # --- settings

    def settings(self) -> SegmentSettings:
        """Return the settings as shown."""
        return self.form.settings(
            model=self.model.name,
            diameter_px=self.diameter.value(),
            **{name: slider.value() for name, slider in self.sliders.items()},
        )

    def show_settings(self, settings: SegmentSettings) -> None:
        """Show other settings; grains that were found already are not drawn again."""
        self.model.choose(settings.model)
        self.diameter.setValue(settings.diameter_px)
        self.form.show_settings(settings)
        self._show_thresholds(asdict(settings))
        self._redraw_timer.stop()

    def _reset(self, name: str) -> None:
        self.sliders[name].setValue(SegmentSettings.__dataclass_fields__[name].default)

    def _on_grains(self, grains: Labels | None) -> None:
        """Show the thresholds that these grains were drawn with."""
        stored = GrainsMetadata.of(grains).settings.get("segment", {}) if grains else {}
        self._show_thresholds(stored)

    def _show_thresholds(self, values: dict[str, Any]) -> None:
        for name, slider in self.sliders.items():
            if name in values:
                blocked = slider.blockSignals(True)
                slider.setValue(values[name])
                slider.blockSignals(blocked)

    def _prediction(self) -> Prediction | None:
        grains = self.roles.grains
        return GrainsMetadata.of(grains).prediction if grains is not None else None

    def _image_of_grains(self) -> Image | None:
        grains, image = self.roles.grains, self.roles.image
        fitting = [
            layer for layer in self.roles.images if grains and self.roles.belongs(grains, layer)
        ]
        return image if image in fitting else next(iter(fitting), None)

    def _show_diameter(self) -> None:
        prediction, image = self._prediction(), self.roles.image
        diameter = self.diameter.value() or (prediction.diameter_px if prediction else 0.0)
        if diameter <= 0:
            self._diameter_note.setText("estimated from the image")
            return
        size = pixel_size_um_of(image) if image is not None else 0.0
        micrometres = f" = {diameter * size:.3g} µm" if size > 0 else ""
        origin = "" if self.diameter.value() else "estimated; sets the scale, not the mean size: "
        self._diameter_note.setText(f"{origin}{diameter:.0f} px{micrometres}")

    # --- find

    @reports_errors
    def find(self) -> None:
        """Find the grains of the image in the background."""
        image = self.roles.image
        if image is None:
            self.show_missing(NO_IMAGE)
            return
        settings = self.settings()
        self.run_job(
            segment_field,
            sem_image_of(image),
            settings,
            busy=self._find,
            then=partial(self._take_field, image, settings, time.monotonic()),
            title="Finding grains",
        )

    def _take_field(
        self, image: Image, settings: SegmentSettings, start_s: float, field: SegmentedField
    ) -> None:
        if image not in self.roles.images:
            self.show_message("The image was closed meanwhile, so its grains were dropped.")
            return
        kept = self._show_grains(image, field.labels, field.table, field.prediction, settings)
        self.refresh()
        seconds = time.monotonic() - start_s
        self.show_message(_count(len(field.table), f" in {seconds:.1f} s", field.note) + kept)

    def _show_grains(
        self,
        image: Image,
        labels: LabelImage,
        table: pd.DataFrame,
        prediction: Prediction,
        settings: SegmentSettings,
        *,
        amend: bool = False,
    ) -> str:
        """Show grains as a layer, and return a sentence on the corrections that were kept."""
        _, kept = add_or_update_grains(
            self.viewer,
            self.roles,
            image,
            labels,
            table,
            amend=amend,
            prediction=prediction,
            model={"name": prediction.model, "sha256": prediction.fingerprint},
            settings=settings_dict(settings),
            states={},
        )
        return f" {kept}" if kept else ""

    # --- draw again

    def _redraw(self) -> None:
        prediction, image = self._prediction(), self._image_of_grains()
        if prediction is None or image is None:
            return
        self._dim()
        if self.redrawing:
            self._redraw_again = True
            return
        self._redraw_again = False
        settings = self.settings()
        run_in_background(
            draw_grains,
            prediction,
            settings,
            busy=self._drawing,
            then=partial(self._take_redrawn, image, prediction, settings),
            failed=self._on_redraw_failed,
        )

    def _take_redrawn(
        self, image: Image, prediction: Prediction, settings: SegmentSettings, grains: Grains
    ) -> None:
        if self._redraw_again:  # outdated: the slider has moved on
            self._redraw()
            return
        self._undim()
        if image in self.roles.images and prediction is self._prediction():
            labels = with_data_bar(grains.labels, sem_image_of(image))
            kept = self._show_grains(image, labels, grains.table, prediction, settings, amend=True)
            self.show_message(_count(len(grains.table), "", grains.note) + kept)
        self.refresh()

    def _on_redraw_failed(self, error: Exception) -> None:
        self._undim()
        self.show_error(error)

    def _dim(self) -> None:
        """Show that the grains are outdated until they are drawn again."""
        grains = self.roles.grains
        self._hint.setText("Drawing the grains …")
        self.show_message("")
        if self._dimmed is None and grains is not None:
            self._dimmed = (grains, grains.opacity)
            grains.opacity *= _DIMMED

    def _undim(self) -> None:
        if self._dimmed is not None:
            grains, opacity = self._dimmed
            grains.opacity = opacity
            self._dimmed = None


def _count(number: int, suffix: str, note: str) -> str:
    text = f"{number:,} grain{'s' if number != 1 else ''}{suffix}."
    return f"{text} {note[:1].upper()}{note[1:]}." if note else text


def _diameter_box(tip: str) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setDecimals(0)
    box.setRange(0, 2000)
    box.setSuffix(" px")
    box.setSpecialValueText("auto")
    box.setToolTip(tip)
    box.setKeyboardTracking(False)
    return box


def _slider(name: str, tip: str) -> QLabeledDoubleSlider:
    setting = SegmentSettings.__dataclass_fields__[name]
    slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
    slider.setRange(setting.metadata["min"], setting.metadata["max"])
    slider.setSingleStep(setting.metadata["step"])
    slider.setValue(setting.default)
    slider.setDecimals(2)
    slider.setToolTip(tip)
    return slider

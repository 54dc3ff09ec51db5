"""Panel: one button finds the grains; two sliders draw them again without the network."""

from __future__ import annotations

import time
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QDoubleSpinBox, QWidget
from superqt import QLabeledDoubleSlider

from grainsmith.errors import GrainsmithError
from grainsmith.pipeline import segment_field, settings_dict, with_data_bar
from grainsmith.segment import SegmentSettings, draw_grains
from grainsmith.settings import attribute_docs
from grainsmith.ui.editing.segmentation_result import add_or_update_grains
from grainsmith.ui.layers.geometry import pixel_size_um_of
from grainsmith.ui.layers.images import sem_image_of
from grainsmith.ui.layers.metadata import GrainsMetadata
from grainsmith.ui.panels.base import Panel
from grainsmith.ui.panels.messages import NO_IMAGE
from grainsmith.ui.session.active_layers import connect_while_alive
from grainsmith.ui.session.panel_settings import panel_settings_of
from grainsmith.ui.widgets.background import run_in_background
from grainsmith.ui.widgets.controls import button, label
from grainsmith.ui.widgets.hints import message_of
from grainsmith.ui.widgets.layouts import rows
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
"""While a slider moves it sends many values; only the last one of a moment is drawn."""


class SegmentPanel(Panel):
    """Find grains, then fit the two thresholds by eye."""

    def build(self) -> None:
        """Create the widgets and lay them out."""
        self._tips = attribute_docs(SegmentSettings)
        self._model = ModelChoice()
        self._diameter = _diameter_box(self._tips["diameter_px"])
        self._diameter_note = label("", dim=True)
        self._find = button(
            "Find grains",
            self.find,
            tip="Find the grains of the image with the model; nothing of yours is overwritten",
            key="Ctrl+Shift+G",
            main=True,
        )
        self._sliders = {
            name: _slider(name, self._tips[name])
            for name in ("probability_threshold", "flow_threshold")
        }
        self._more = Form(
            SegmentSettings,
            hidden=_OWN_ROWS,
            folded=("min_area_px", "two_scales", "tile_px", "device"),
        )
        self._redraw_timer = QTimer(self, singleShot=True, interval=_REDRAW_DELAY_MS)
        self._drawing = QWidget(self)  # stands for the drawing thread: disabled while it draws
        self._drawing.hide()
        self._draw_again = False
        self._lay_out()
        shown = panel_settings_of(self.viewer)
        shown.take_part("segment", self, self.settings, self.show_settings)

    def _lay_out(self) -> None:
        self._hint = label("Move the sliders: the grains are drawn again at once.", dim=True)
        titles = ("Probability", "Flow error")
        self.add(
            rows(
                ("Model", self._model), ("Small grains", self._diameter), ("", self._diameter_note)
            ),
            self._find,
            rows(*zip(titles, self._sliders.values(), strict=True)),
            self._hint,
            self._more,
        )

    def connect_signals(self) -> None:
        """Connect the signals of the widgets and of the session."""
        for slider in self._sliders.values():
            slider.valueChanged.connect(self._redraw_timer.start)
        self._more["min_area_px"].changed.connect(lambda _: self._redraw_timer.start())
        self._redraw_timer.timeout.connect(self._redraw)
        self._diameter.valueChanged.connect(lambda _: self._note_diameter())
        connect_while_alive(self, self.roles.grains_changed, self._on_grains)

    # --- settings

    def settings(self) -> SegmentSettings:
        """Return the settings as shown."""
        return self._more.settings(
            model=self._model.name,
            diameter_px=self._diameter.value(),
            **{name: slider.value() for name, slider in self._sliders.items()},
        )

    def show_settings(self, settings: SegmentSettings) -> None:
        """Show other settings; grains that are there already are not drawn again."""
        self._model.choose(settings.model)
        self._diameter.setValue(settings.diameter_px)
        self._more.show_settings(settings)
        self._show_thresholds(asdict(settings))
        self._redraw_timer.stop()

    def refresh(self) -> None:
        """Show what belongs to the present image and its grains."""
        self._note_diameter()
        self._hint.setVisible(self._prediction() is not None)
        self.show_missing(NO_IMAGE if self.roles.image is None else "")

    def _on_grains(self, grains: Labels | None) -> None:
        """Show the thresholds that these grains were drawn with."""
        chosen = GrainsMetadata.of(grains).settings.get("segment", {}) if grains else {}
        self._show_thresholds(chosen)

    def _show_thresholds(self, chosen: dict[str, Any]) -> None:
        for name, slider in self._sliders.items():
            if name in chosen:
                was = slider.blockSignals(True)
                slider.setValue(chosen[name])
                slider.blockSignals(was)

    def _prediction(self) -> Any:
        grains = self.roles.grains
        return GrainsMetadata.of(grains).prediction if grains is not None else None

    def _image_of_grains(self) -> Image | None:
        grains = self.roles.grains
        fitting = [one for one in self.roles.pictures if grains and self.roles.belongs(grains, one)]
        return self.roles.image if self.roles.image in fitting else next(iter(fitting), None)

    def _note_diameter(self) -> None:
        prediction, image = self._prediction(), self.roles.image
        by_hand = self._diameter.value()
        diameter = by_hand or (prediction.diameter_px if prediction is not None else 0.0)
        if diameter <= 0:
            self._diameter_note.setText("estimated from the image")
            return
        size = pixel_size_um_of(image) if image is not None else 0.0
        micrometres = f" = {diameter * size:.3g} µm" if size > 0 else ""
        how = "" if by_hand else "estimated; sets the scale, not the mean size: "
        self._diameter_note.setText(f"{how}{diameter:.0f} px{micrometres}")

    # --- find

    def find(self) -> None:
        """Find the grains of the image in the background."""
        image = self.roles.image
        if image is None:
            self.show_missing(NO_IMAGE)
            return
        try:
            picture, settings = sem_image_of(image), self.settings()
        except (GrainsmithError, ValueError) as error:
            self.show_message(message_of(error))
            return
        self.show_message("")
        run_in_background(
            segment_field,
            picture,
            settings,
            busy=self._find,
            then=partial(self._show_found, image, settings, time.monotonic()),
            progress=self.progress,
            title="Finding grains",
            stopped=lambda: self.show_message("Stopped. Nothing was changed."),
        )

    def _show_found(
        self, image: Image, settings: SegmentSettings, started_s: float, found: SegmentedField
    ) -> None:
        if image not in self.roles.pictures:
            self.show_message("The image was closed meanwhile; its grains were dropped.")
            return
        kept = self._show(image, found.labels, found.table, found.prediction, settings)
        self.refresh()
        seconds = time.monotonic() - started_s
        self.show_message(_count(len(found.table), f" in {seconds:.1f} s", found.note) + kept)

    def _show(
        self,
        image: Image,
        labels: LabelImage,
        table: pd.DataFrame,
        prediction: Prediction,
        settings: SegmentSettings,
        *,
        amend: bool = False,
    ) -> str:
        """Show grains as a layer, and return what is to be said of the user's own, if anything."""
        _, said = add_or_update_grains(
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
        return f" {said}" if said else ""

    # --- draw again

    def _redraw(self) -> None:
        prediction, image = self._prediction(), self._image_of_grains()
        if prediction is None or image is None:
            return
        if not self._drawing.isEnabled():
            self._draw_again = True
            return
        self._draw_again = False
        settings = self.settings()
        run_in_background(
            draw_grains,
            prediction,
            settings,
            busy=self._drawing,
            then=partial(self._show_redrawn, image, prediction, settings),
        )

    def _show_redrawn(
        self, image: Image, prediction: Prediction, settings: SegmentSettings, grains: Grains
    ) -> None:
        if image in self.roles.pictures and prediction is self._prediction():
            labels = with_data_bar(grains.labels, sem_image_of(image))
            kept = self._show(image, labels, grains.table, prediction, settings, amend=True)
            self.show_message(_count(len(grains.table), "", grains.note) + kept)
        if self._draw_again:
            self._redraw()


def _count(grains: int, how: str, note: str) -> str:
    said = f"{grains:,} grain{'s' if grains != 1 else ''}{how}."
    return f"{said} {note[:1].upper()}{note[1:]}." if note else said


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
    limits = SegmentSettings.__dataclass_fields__[name]
    slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
    slider.setRange(limits.metadata["min"], limits.metadata["max"])
    slider.setSingleStep(limits.metadata["step"])
    slider.setValue(limits.default)
    slider.setDecimals(2)
    slider.setToolTip(tip)
    return slider

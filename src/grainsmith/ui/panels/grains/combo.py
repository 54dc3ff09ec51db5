"""Panel: click a grain and see it in every image."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSizePolicy, QSpinBox, QWidget

from grainsmith.errors import GrainsmithError
from grainsmith.gallery import ComboSettings, draw_combo, make_combo
from grainsmith.ui.layers.labels import table_of
from grainsmith.ui.layers.metadata import MapMetadata
from grainsmith.ui.panels.base import Panel, button, label
from grainsmith.ui.panels.grains.combo_export import ComboFiles
from grainsmith.ui.panels.messages import NO_GRAINS, NO_IMAGE, NO_MAPS, missing_text
from grainsmith.ui.session.active_layers import connect_while_alive
from grainsmith.ui.session.current_grain import CurrentGrain
from grainsmith.ui.session.gallery_field import field_of
from grainsmith.ui.widgets.image_view import ImageView
from grainsmith.ui.widgets.settings_form import Form

if TYPE_CHECKING:
    from qtpy.QtGui import QShowEvent

    from grainsmith.gallery import GalleryField

_REDRAW_DELAY_MS = 30
_MOST_LABEL = 2_000_000_000
_ORDERS = ("ID", "size", "doubt")
_HINT = "Click a grain in the image, or type its number."


class ComboPanel(Panel):
    """The element combo of the grain that is looked at."""

    def build(self) -> None:
        """Create the widgets and lay them out."""
        self._field: GalleryField | None = None
        self._field_key: tuple[object, ...] = ()
        self._number = QSpinBox()
        self._number.setRange(0, _MOST_LABEL)
        self._number.setToolTip("Number (ID) of the grain; Enter shows it")
        self._number.setKeyboardTracking(False)
        self._number.setMinimumWidth(70)
        self._number.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._order = QComboBox()
        self._order.addItems(_ORDERS)
        self._order.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._order.setToolTip("Previous and Next go by number (ID), size or doubt")
        self._previous = button("◀", partial(self.step, -1), tip="Previous grain (Alt+Left)")
        self._next = button("▶", partial(self.step, 1), tip="Next grain (Alt+Right)")
        for widget, key in ((self._previous, "Alt+Left"), (self._next, "Alt+Right")):
            widget.setShortcut(key)
            widget.setFixedWidth(34)
        self._overlay = [_overlay_box(name) for name in ("red", "green", "blue")]
        self._form = Form(ComboSettings, hidden=("tile_px",), folded=("scale", "margin_pct"))
        self.view = ImageView()
        self._timer = QTimer(self, singleShot=True, interval=_REDRAW_DELAY_MS)
        self._lay_out()
        self._picked = CurrentGrain(self.viewer, self, self._on_picked)

    def _lay_out(self) -> None:
        walk, overlay = QWidget(), QWidget()
        row = _row(walk)
        row.addWidget(QLabel("Grain"))
        row.addWidget(self._number, 1)
        for widget in (self._previous, self._next):
            row.addWidget(widget)
        row.addWidget(self._order, 1)
        row = _row(overlay)
        row.addWidget(QLabel("Overlay"))
        for box in self._overlay:
            row.addWidget(box, 1)
        self._overlay_row = overlay
        self._hint = label(_HINT, dim=True)
        self.files = ComboFiles(self)
        self.add(walk, self._hint, self.view, overlay, self.files, self._form)

    def connect_signals(self) -> None:
        """Connect the signals of the widgets and of the session."""
        self._number.valueChanged.connect(lambda value: self._picked.pick(value, centre=True))
        self.view.resized.connect(self._timer.start)
        self._timer.timeout.connect(self.draw)
        self._form.changed.connect(self._timer.start)
        for box in self._overlay:
            box.activated.connect(lambda _: self._timer.start())
        connect_while_alive(self, self.roles.maps_changed, self._show_elements)
        self._show_elements()

    # --- what is shown

    def refresh(self) -> None:
        """Say what is missing, else draw the grain anew."""
        missing = ""
        if self.roles.image is None:
            missing = missing_text(self.roles, NO_IMAGE)
        elif self.roles.grains is None:
            missing = missing_text(self.roles, NO_GRAINS)
        elif not self.roles.maps:
            missing = NO_MAPS
        self.show_message(missing)
        self._timer.start()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  (Qt's word)
        """Draw what was picked, named or moved while another tab was in front."""
        super().showEvent(event)
        self._timer.start()

    @property
    def grain(self) -> int:
        """The grain that is looked at; 0 for none."""
        return self._picked.label

    def settings(self, *, tile_px: int = 0) -> ComboSettings:
        """Return the settings as shown; without `tile_px` laid out for the room that there is."""
        red, green, blue = (str(box.currentData() or "") for box in self._overlay)
        overlay = (red, green, blue)
        if tile_px:
            return self._form.settings(tile_px=tile_px, overlay=overlay)
        maps = len(self.roles.maps)
        columns, tile_px = self.view.layout_of(1 + maps + (2 if maps >= 3 else 0) + 1)
        return self._form.settings(columns=columns, tile_px=tile_px, overlay=overlay)

    def field(self) -> GalleryField | None:
        """Return the field of view, prepared again only where a layer has changed."""
        key = self._key()
        if key != self._field_key:
            self._field, self._field_key = field_of(self.roles), key
        return self._field

    def draw(self) -> None:
        """Draw the grain that is looked at."""
        if not self.isVisible():
            return
        try:
            field = self.field()
            known = field is not None and self._picked.label > 0
            if field is not None and known:
                combo = make_combo(field, self._picked.label, self.settings())
                self.view.show_picture(draw_combo(combo))
        except GrainsmithError as error:
            self.view.setText(str(error))
            known = True
        self._hint.setVisible(not known)

    def _key(self) -> tuple[object, ...]:
        grains, image = self.roles.grains, self.roles.image
        layers = [one for one in (image, grains, *self.roles.maps) if one is not None]
        places = [(id(one.data), one.affine.affine_matrix.tobytes(), *one.scale) for one in layers]
        verdicts = [str(MapMetadata.of(one).registration) for one in layers]
        return (*places, *verdicts, id(grains.features) if grains is not None else 0)

    def _show_elements(self, _maps: object = None) -> None:
        elements = sorted({MapMetadata.of(layer).element for layer in self.roles.maps})
        for box in self._overlay:
            chosen = box.currentData()
            box.clear()
            box.addItem("auto", "")
            for element in elements:
                box.addItem(element, element)
            box.setCurrentIndex(max(0, box.findData(chosen)))
        self._overlay_row.setVisible(len(self.roles.maps) >= 3)

    # --- walking

    def _on_picked(self, grain: int) -> None:
        was = self._number.blockSignals(True)
        self._number.setValue(grain)
        self._number.blockSignals(was)
        self.draw()

    def step(self, steps: int) -> None:
        """Go to the next or the previous grain."""
        grains = self.ordered()
        if not grains:
            self.show_message("There are no grains to walk through.")
            return
        here = grains.index(self._picked.label) if self._picked.label in grains else -max(steps, 0)
        self._picked.pick(grains[(here + steps) % len(grains)], centre=True)

    def ordered(self) -> list[int]:
        """Return all grains in the chosen order."""
        layer = self.roles.grains
        if layer is None:
            return []
        table = table_of(layer)
        order = self._order.currentText()
        if order == "size" and "area_px" in table:
            table = table.sort_values("area_px", ascending=False, kind="stable")
        elif order == "doubt" and "score" in table:
            table = table.sort_values("score", kind="stable")
        numbers = [int(number) for number in table.index if number > 0]
        return numbers or [int(n) for n in np.unique(np.asarray(layer.data)) if n > 0]


def _overlay_box(colour: str) -> QComboBox:
    box = QComboBox()
    box.setToolTip(f"Element drawn in {colour}; auto = what parts the grain from its surroundings")
    box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return box


def _row(widget: QWidget) -> QHBoxLayout:
    row = QHBoxLayout(widget)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(4)
    return row

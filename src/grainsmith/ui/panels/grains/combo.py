"""Panel: the element combo of a clicked grain."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSizePolicy, QSpinBox, QWidget

from grainsmith.errors import GrainsmithError
from grainsmith.gallery import ComboSettings, draw_combo, make_combo
from grainsmith.ui.editing.mouse import GrainMouse
from grainsmith.ui.layers.camera import center_on
from grainsmith.ui.layers.labels import table_of
from grainsmith.ui.layers.metadata import MapMetadata
from grainsmith.ui.panels.base import Panel
from grainsmith.ui.panels.grains.combo_export import ComboExport
from grainsmith.ui.panels.messages import NO_GRAINS, NO_IMAGE, NO_MAPS
from grainsmith.ui.session.gallery_field import gallery_field
from grainsmith.ui.widgets.controls import button, combo_box, label
from grainsmith.ui.widgets.hints import message_of
from grainsmith.ui.widgets.image_view import ImageView
from grainsmith.ui.widgets.lifetime import connect_while_alive
from grainsmith.ui.widgets.settings_form import Form

if TYPE_CHECKING:
    from qtpy.QtGui import QPixmap, QShowEvent

    from grainsmith.gallery import GalleryField

_REDRAW_DELAY_MS = 30
_MAX_LABEL = 2_000_000_000
_ORDERS = ("number", "size", "certainty")
_HINT = "Click a grain in the image, or type its number."


class ComboPanel(Panel):
    """Crops of the image and of all maps around the current grain."""

    def build(self) -> None:
        """Create the widgets and lay them out."""
        self._field: GalleryField | None = None
        self._field_key: tuple[object, ...] = ()
        self._number = _number_box()
        self._order = combo_box("Previous and Next go by number, size, or certainty of the name")
        self._order.addItems(_ORDERS)
        self._previous = button("◀", partial(self.step, -1), tip="Previous grain (Alt+Left)")
        self._next = button("▶", partial(self.step, 1), tip="Next grain (Alt+Right)")
        for widget, key in ((self._previous, "Alt+Left"), (self._next, "Alt+Right")):
            widget.setShortcut(key)
            widget.setFixedWidth(34)
        self._overlay = [
            combo_box(f"Element drawn in {color}; auto: the one that sets the grain apart")
            for color in ("red", "green", "blue")
        ]
        self._form = Form(ComboSettings, hidden=("tile_px",), folded=("scale", "margin_pct"))
        self.view = ImageView()
        self._hint = label(_HINT, dim=True)
        self.export = ComboExport(self)
        self._overlay_row = _row(QLabel("Overlay"), *self._overlay)
        self._timer = QTimer(self, singleShot=True, interval=_REDRAW_DELAY_MS)
        self.add(
            _row(QLabel("Grain"), self._number, self._previous, self._next, self._order),
            self._hint,
            self.view,
            self._overlay_row,
            self.export,
            self._form,
        )
        self._fill_overlay()

    def connect_signals(self) -> None:
        """Connect the signals of the widgets and of the session."""
        self._number.valueChanged.connect(self.show_grain)
        connect_while_alive(self, self.session.selection.current_changed, self._on_grain)
        connect_while_alive(self, self.session.part(GrainMouse).clicked, self._on_clicked)
        self.view.resized.connect(self._timer.start)
        self._timer.timeout.connect(self.draw)
        self._form.changed.connect(self._timer.start)
        for box in self._overlay:
            box.activated.connect(lambda _: self._timer.start())
        connect_while_alive(self, self.roles.maps_changed, self._fill_overlay)

    def refresh(self) -> None:
        """Show what is missing, or the current grain."""
        missing = ""
        if self.roles.image is None:
            missing = NO_IMAGE
        elif self.roles.grains is None:
            missing = NO_GRAINS
        elif not self.roles.maps:
            missing = NO_MAPS
        self.show_missing(missing)
        self._timer.start()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  (Qt's name)
        """Draw what changed while the panel was hidden."""
        super().showEvent(event)
        self._timer.start()

    # --- the combo

    @property
    def grain(self) -> int:
        """The current grain; 0 for none."""
        return self.session.selection.current

    def pixmap(self) -> QPixmap:
        """Return the combo as shown; null without one."""
        return self.view.pixmap()

    def settings(self, *, tile_px: int = 0) -> ComboSettings:
        """Return the settings as shown; `tile_px` = 0 fits the tiles into the panel."""
        red, green, blue = (str(box.currentData() or "") for box in self._overlay)
        overlay = (red, green, blue)
        if tile_px:
            return self._form.settings(tile_px=tile_px, overlay=overlay)
        maps = len(self.roles.maps)
        columns, tile_px = self.view.tile_layout(1 + maps + (2 if maps >= 3 else 0) + 1)
        return self._form.settings(columns=columns, tile_px=tile_px, overlay=overlay)

    def field(self) -> GalleryField | None:
        """Return the field, prepared again only when a layer has changed."""
        key = self._key()
        if key != self._field_key:
            self._field, self._field_key = gallery_field(self.roles), key
        return self._field

    def draw(self) -> None:
        """Draw the current grain."""
        if not self.isVisible():
            return
        field = self.field() if self.grain > 0 else None
        self._hint.setVisible(field is None)
        if field is None:
            return
        try:
            self.view.show_image(draw_combo(make_combo(field, self.grain, self.settings())))
        except GrainsmithError as error:
            self.view.setText(message_of(error))

    def _key(self) -> tuple[object, ...]:
        grains, image = self.roles.grains, self.roles.image
        layers = [layer for layer in (image, grains, *self.roles.maps) if layer is not None]
        places = [
            (id(layer.data), layer.affine.affine_matrix.tobytes(), *layer.scale) for layer in layers
        ]
        registrations = [str(MapMetadata.of(layer).registration) for layer in layers]
        return (*places, *registrations, id(grains.features) if grains is not None else 0)

    def _fill_overlay(self, _maps: object = None) -> None:
        elements = sorted({MapMetadata.of(layer).element for layer in self.roles.maps})
        for box in self._overlay:
            element = box.currentData()
            box.clear()
            box.addItem("auto", "")
            for name in elements:
                box.addItem(name, name)
            box.setCurrentIndex(max(0, box.findData(element)))
        self._overlay_row.setVisible(len(self.roles.maps) >= 3)

    # --- from grain to grain

    def step(self, steps: int) -> None:
        """Go to the next (1) or the previous (-1) grain."""
        grains = self.ordered_grains()
        if not grains:
            self.show_missing(NO_GRAINS)
            return
        position = grains.index(self.grain) if self.grain in grains else -max(steps, 0)
        self.show_grain(grains[(position + steps) % len(grains)])

    def ordered_grains(self) -> list[int]:
        """Return all grains in the chosen order."""
        layer = self.roles.grains
        if layer is None:
            return []
        table = table_of(layer)
        order = self._order.currentText()
        if order == "size" and "area_px" in table:
            table = table.sort_values("area_px", ascending=False, kind="stable")
        elif order == "certainty" and "score" in table:
            table = table.sort_values("score", kind="stable")
        labels = [int(label) for label in table.index if label > 0]
        return labels or [int(label) for label in np.unique(np.asarray(layer.data)) if label > 0]

    def show_grain(self, grain: int) -> None:
        """Make a grain the current one and centre it in the view."""
        self.session.selection.set_current(grain)
        if self.roles.grains is not None:
            center_on(self.viewer, self.roles.grains, grain)

    def _on_clicked(self, grain: int, _additive: bool) -> None:
        if grain and self.isVisible():
            self.session.selection.set_current(grain)

    def _on_grain(self, grain: int) -> None:
        blocked = self._number.blockSignals(True)
        self._number.setValue(grain)
        self._number.blockSignals(blocked)
        if self.isVisible():
            self.session.selection.select([grain] if grain else [])
        self.draw()


def _number_box() -> QSpinBox:
    box = QSpinBox()
    box.setRange(0, _MAX_LABEL)
    box.setToolTip("Number of the grain; Enter shows it")
    box.setKeyboardTracking(False)
    box.setMinimumWidth(70)
    box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return box


def _row(*widgets: QWidget) -> QWidget:
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    for widget in widgets:
        layout.addWidget(widget, 1 if isinstance(widget, QComboBox | QSpinBox) else 0)
    return row

"""Panel: lay the element maps on the image, see how sure that is, and mend it by hand."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Layer
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from grainsmith.align import AlignSettings, RegistrationResult, sharpness
from grainsmith.errors import GrainsmithError
from grainsmith.ui.layers import registration
from grainsmith.ui.layers.geometry import place_map
from grainsmith.ui.layers.metadata import MapMetadata, Role, role_of
from grainsmith.ui.panels.align.job import alignment_job, run_alignment
from grainsmith.ui.panels.align.landmarks import PointPairs
from grainsmith.ui.panels.align.nudge import ArrowKeys
from grainsmith.ui.panels.align.preview import MODES, Comparison
from grainsmith.ui.panels.align.table import AlignTable
from grainsmith.ui.panels.base import Panel, button
from grainsmith.ui.session.panel_settings import panel_settings_of
from grainsmith.ui.widgets.background import run
from grainsmith.ui.widgets.settings_form import Form

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image

    from grainsmith.data import Transform

_SHARPEST = "the sharpest"
_NOTHING = (
    "Open an image and its maps first: drop a folder on the window, or press Maps …. "
    "Open layers become maps in the line of roles above."
)
_KEYS = {
    "flicker": "Alt+F",
    "checkerboard": "Alt+K",
    "red-cyan": "Alt+R",
    "before": "Alt+B",
    "before | after": "Alt+W",
}


class Fold(QWidget):
    """Rarer things under a title; what grows inside is never cut off."""

    def __init__(self, title: str, widgets: Sequence[QWidget]) -> None:
        super().__init__()
        self._title = title
        self._inside = QWidget()
        inside = QVBoxLayout(self._inside)
        inside.setContentsMargins(8, 2, 0, 2)
        for widget in widgets:
            inside.addWidget(widget)
        self._button = QToolButton()
        self._button.setAutoRaise(True)
        self._button.clicked.connect(lambda: self.open(self._inside.isHidden()))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._button)
        layout.addWidget(self._inside)
        self.open(False)

    def open(self, wanted: bool) -> None:
        """Show or hide what is inside."""
        self._inside.setVisible(wanted)
        self._button.setText(f"{'▼' if wanted else '▶'} {self._title}")


class AlignPanel(Panel):
    """Reference, one button, the table of what was found, and the ways to look and to mend."""

    def build(self) -> None:
        """Create the widgets and lay them out."""
        self._undo = registration.PlacementHistory()
        self._look = Comparison(self.viewer)
        self._arrows = ArrowKeys(self.nudge)
        self._reference = QComboBox()
        self._reference.setToolTip("The image that stays; all others move")
        self._reference.setMinimumContentsLength(8)
        self._align = button(
            "Align", self.align, tip="Find where the maps lie, pass by pass", key="Alt+G", main=True
        )
        self._table = AlignTable()
        self._keep_passes = QCheckBox("Keep the passes of the table")
        self._keep_passes.setToolTip("Else they are found from the maps; edit them in the table")
        self._points = PointPairs(self.viewer)
        self._by_keys = QCheckBox("Arrow keys move it (Shift 10, Alt 0.1 px)")
        self._by_keys.setToolTip("Moves the chosen map while the image has the focus")
        self._whole_pass = QCheckBox("Move its whole pass")
        self._form = Form(AlignSettings)
        self._lay_out()
        shown = panel_settings_of(self.viewer)
        shown.take_part("align", self, self._form.settings, self._form.show_settings)
        self._table.chosen.connect(self._on_chosen)
        self._table.passes_edited.connect(lambda: self._keep_passes.setChecked(True))
        self._by_keys.toggled.connect(lambda _: self._on_chosen())
        self._points.found.connect(self._on_points)
        self._reference.currentIndexChanged.connect(lambda _: self._show())
        self.destroyed.connect(partial(self._arrows.bind, None))

    def _lay_out(self) -> None:
        top = QWidget()
        row = QHBoxLayout(top)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(QLabel("Reference"))
        row.addWidget(self._reference, 1)
        row.addWidget(button("Maps …", self._open_maps, tip="Open a folder of maps"))
        self._more = Fold("Settings", (self._form, self._keep_passes))
        copy = button(
            "Straightened copy",
            self.straighten,
            tip="Of a map that is bent: a new layer, resampled once; the map itself stays",
        )
        self.by_hand = Fold("By hand", (self._by_keys, self._whole_pass, self._points, copy))
        self.add(top, self._align, self._more, self._table, self._see_row(), self.by_hand)
        self.add(self._file_row())

    def _see_row(self) -> QWidget:
        tips = (
            "Reference or map, by turns, at each press",
            "Squares of one and of the other: outlines must run on",
            "Reference in cyan, map in red: white where both are bright",
            "Where the map lay before; press again for now",
            "Before and now side by side, reference in cyan, map in red",
        )
        block = QWidget()
        grid = QGridLayout(block)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        for number, (mode, tip) in enumerate(zip(MODES, tips, strict=True)):
            see = partial(self.see, mode)
            widget = button(mode.capitalize(), see, tip=tip, key=_KEYS[mode])
            grid.addWidget(widget, number // 2, number % 2)
        end = button("Usual view", self._look.stop, tip="Give all layers their look")
        grid.addWidget(end, 2, 1)
        return block

    def _file_row(self) -> QWidget:
        block = QWidget()
        row = QHBoxLayout(block)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(button("Undo", self.undo, tip="Give the last move back", key="Alt+Z"))
        row.addWidget(button("Save …", self._save, tip="Write the transforms (.json)"))
        row.addWidget(button("Load …", self._load, tip="Transforms of ours, affinder or elastix"))
        return block

    # --- what there is

    @property
    def reference(self) -> Image | None:
        """The image that stays."""
        name = self._reference.currentText()
        pictures = self._pictures()
        if name == _SHARPEST and pictures:
            return max(pictures, key=lambda layer: sharpness(np.asarray(layer.data)))
        return next((one for one in pictures if one.name == name), self.roles.image)

    @property
    def moving(self) -> list[Image]:
        """The maps; without maps, all other images (a pair of PPL and XPL)."""
        reference = self.reference
        chosen: Sequence[Image] = self.roles.maps or self._pictures()
        return [one for one in chosen if one is not reference]

    def _pictures(self) -> list[Image]:
        # Data bars and what is made to compare with are layers, too, but not of the field.
        known = (Role.NONE, Role.IMAGE, Role.OTHER_IMAGE, Role.MAP)
        return [one for one in self.roles.pictures if role_of(one) in known]

    def refresh(self) -> None:
        """Follow the layer list."""
        names = [one.name for one in self._pictures()]
        was = self._reference.blockSignals(True)
        kept = self._reference.currentText()
        self._reference.clear()
        self._reference.addItems([*names, _SHARPEST] if names else [])
        image = self.roles.image
        first = kept if kept in (*names, _SHARPEST) else (image.name if image is not None else "")
        self._reference.setCurrentText(first)
        self._reference.blockSignals(was)
        self._show()

    def _show(self) -> None:
        ready = self.reference is not None and bool(self.moving)
        self._table.show_layers(self.moving if ready else [], self.reference)
        if not ready:
            self.show_message(_NOTHING)
        elif self._message.text() == _NOTHING:
            self.show_message("")
        self._on_chosen()

    def _on_chosen(self) -> None:
        layer = self._table.layer
        self._points.choose(self.reference, layer)
        wanted = layer if self._by_keys.isChecked() else None
        if wanted is not None and not self._points.running:
            self.viewer.layers.selection.active = wanted
        self._arrows.bind(wanted)

    # --- align

    def align(self) -> None:
        """Find where the maps lie, in the background."""
        reference, layers = self.reference, self.moving
        if reference is None or not layers:
            self.show_message(_NOTHING)
            return
        self._look.stop()
        passes = self._table.passes() if self._keep_passes.isChecked() else []
        if passes and not all(passes):
            self.show_message("Name a pass for every map in the table, or let the passes be found.")
            return
        try:
            job = alignment_job(reference, layers, passes, self._form.settings())
        except (GrainsmithError, ValueError) as error:
            self.show_message(str(error))
            return
        self.show_message("")
        run(
            run_alignment,
            job,
            busy=self._align,
            then=partial(self._apply, reference, layers),
            progress=self.progress,
            title="Aligning",
            stopped=lambda: self.show_message("Stopped. Nothing was moved."),
        )

    def _apply(self, reference: Image, layers: Sequence[Image], found: RegistrationResult) -> None:
        if any(layer not in self.viewer.layers for layer in (reference, *layers)):
            self.show_message("A layer was closed meanwhile; nothing was moved.")
            return
        self._undo.remember(layers)
        registration.apply_registration(found, layers, reference)
        self._show()
        self.show_message(_summary(found))

    def undo(self) -> None:
        """Give the last alignment, nudge or move by points back."""
        self._look.stop()
        count = self._undo.undo()
        self._show()
        self.show_message(
            f"{count} map(s) are back where they were." if count else "Nothing to undo."
        )

    # --- look and mend

    def see(self, mode: str) -> None:
        """Look at the chosen map in another way; again for the usual view."""
        reference, layer = self.reference, self._table.layer
        if reference is None or layer is None:
            self.show_message(_NOTHING)
        elif mode.startswith("before") and MapMetadata.of(layer).start is None:
            self.show_message(f"'{layer.name}' has not been aligned yet.")
        else:
            self._look.show(mode, reference, layer)

    def nudge(self, dy_px: float, dx_px: float) -> None:
        """Move the chosen map by pixels of the reference."""
        reference, layer = self.reference, self._table.layer
        if reference is None or layer is None:
            return
        group = MapMetadata.of(layer).group
        together = [one for one in self.moving if MapMetadata.of(one).group == group]
        layers = together if group and self._whole_pass.isChecked() else [layer]
        self._undo.remember(layers)
        registration.nudge(layers, reference, dy_px, dx_px)
        self._show()

    def _on_points(self, transform: Transform) -> None:
        reference, layer = self.reference, self._table.layer
        if reference is not None and layer is not None:
            self._undo.remember([layer])
            registration.record_start(layer, reference)
            place_map(layer, reference, transform)
            self._show()

    def straighten(self) -> None:
        """Add the straightened copy of the chosen map, which takes its place among the maps."""
        reference, layer = self.reference, self._table.layer
        if reference is None or layer is None:
            self.show_message(_NOTHING)
            return
        try:
            copy = Layer.create(*registration.straightened_layer(layer, reference))
        except GrainsmithError as error:
            self.show_message(str(error))
            return
        self.viewer.add_layer(copy)
        layer.visible = False
        self.roles.maps = tuple(one for one in self.roles.maps if one is not layer)
        self.show_message(
            f"'{copy.name}' is a copy, resampled by nearest pixels, and counts as the map now. "
            f"'{layer.name}' is as it was: delete the copy and tick it among the maps to go back."
        )

    # --- files

    def _open_maps(self) -> None:
        from grainsmith.ui.panels.align.import_maps import MapsPanel

        self.viewer.window.add_dock_widget(MapsPanel(self.viewer), name="Maps", area="right")

    def _save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Save transforms", "transforms.json", "Transforms (*.json *.txt)"
        )
        if path:
            self.save(path)

    def save(self, path: str) -> None:
        """Write where the maps lie; a .txt holds the chosen map's bare matrix."""
        reference, layer = self.reference, self._table.layer
        if reference is None or layer is None:
            self.show_message(_NOTHING)
            return
        try:
            registration.save_transforms(
                path, [layer] if path.endswith(".txt") else self.moving, reference
            )
        except (GrainsmithError, ValueError) as error:
            self.show_message(str(error))
            return
        self.show_message(f"Saved as {path}.")

    def _load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Load transforms", "", "Transforms (*.json *.txt *.csv)"
        )
        if path:
            self.load(path)

    def load(self, path: str) -> None:
        """Lay the maps where a file says; a bare matrix counts for the chosen map."""
        reference, layer = self.reference, self._table.layer
        if reference is None or layer is None:
            self.show_message(_NOTHING)
            return
        layers = self.moving if path.endswith(".json") else [layer]
        self._undo.remember(layers)
        try:
            missing = registration.load_transforms(path, layers, reference)
        except GrainsmithError as error:
            self._undo.undo()
            self.show_message(str(error))
            return
        self._show()
        self.show_message(
            "Loaded." + (f" Nothing said of: {', '.join(missing)}." if missing else "")
        )


def _summary(found: RegistrationResult) -> str:
    verdicts = [row.transform.verdict for row in found.rows]
    words = {
        "aligned": "aligned",
        "inherited": "moved with their pass",
        "unsure": "unsure and not moved",
        "not aligned": "not aligned",
    }
    parts = [f"{verdicts.count(one)} {text}" for one, text in words.items() if one in verdicts]
    passes = len({row.group for row in found.rows if row.group})
    return f"{', '.join(parts)}; {passes} pass{'es' if passes != 1 else ''}. Undo: Alt+Z."

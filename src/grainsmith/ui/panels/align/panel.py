"""Panel: register the element maps to the image, check the result, and correct it by hand."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Layer
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QWidget,
)

from grainsmith.align import AlignSettings, RegistrationResult, sharpness
from grainsmith.errors import GrainsmithError
from grainsmith.ui.layers import registration
from grainsmith.ui.layers.geometry import place_map
from grainsmith.ui.layers.metadata import MapMetadata, Role, role_of
from grainsmith.ui.panels.align.job import alignment_job, run_alignment
from grainsmith.ui.panels.align.landmarks import LandmarkPairs
from grainsmith.ui.panels.align.nudge import ArrowKeys
from grainsmith.ui.panels.align.preview import PREVIEW_MODES, MapPreview
from grainsmith.ui.panels.align.table import AlignTable
from grainsmith.ui.panels.base import Panel, reports_errors
from grainsmith.ui.panels.keys import MAIN_KEYS
from grainsmith.ui.widgets.controls import bind_escape, button
from grainsmith.ui.widgets.file_dialogs import ask_file_to_open, ask_file_to_save
from grainsmith.ui.widgets.layouts import Collapsible
from grainsmith.ui.widgets.settings_form import Form

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image

    from grainsmith.data import Transform

_SHARPEST = "the sharpest"
_NO_MAPS = (
    "Open an image and its maps first: drop a folder into the window, or press Maps …. "
    "Open layers become maps in the bar at the top."
)
_PREVIEWS = {
    "flicker": ("Alt+1", "Show the reference and the map alternately, at each press"),
    "checkerboard": ("Alt+2", "Show squares of both: outlines must continue from one to the next"),
    "red-cyan": ("Alt+3", "Show the reference in cyan and the map in red"),
    "before": ("Alt+4", "Show where the map was before; press again to return"),
    "before | after": ("Alt+5", "Show before and after side by side, reference cyan, map red"),
}
"""Key and tooltip of each of `PREVIEW_MODES`."""

_IMAGE_ROLES = (Role.NONE, Role.IMAGE, Role.OTHER_IMAGE, Role.MAP)
_SUMMARY_WORDS = {
    "aligned": "aligned",
    "inherited": "moved with their pass",
    "unsure": "unsure and not moved",
    "not aligned": "not aligned",
}


class AlignPanel(Panel):
    """Reference, main button, table of the maps, previews, and corrections by hand."""

    def build(self) -> None:
        """Create the widgets and lay them out."""
        self._undo = registration.PlacementHistory()
        self._preview = MapPreview(self.viewer)
        self._arrow_keys = ArrowKeys(self.nudge)
        self._reference = QComboBox()
        self._reference.setToolTip("The image that stays; all others move")
        self._reference.setMinimumContentsLength(8)
        self._align = button(
            "Align",
            self.align,
            tip="Register all maps to the reference, pass by pass",
            key=MAIN_KEYS["Align"],
            main=True,
        )
        self._table = AlignTable()
        self._keep_passes = QCheckBox("Keep the passes of the table")
        self._keep_passes.setToolTip("Otherwise they are found from the maps; edit them below")
        self.landmarks = LandmarkPairs(self.viewer)
        self.arrow_keys = QCheckBox("Arrow keys move it (Shift 10, Alt 0.1 px)")
        self.arrow_keys.setToolTip("Moves the selected map while the image has the focus")
        self._whole_pass = QCheckBox("Move its whole pass")
        self._whole_pass.setToolTip("Arrow keys also move the maps that were measured together")
        self._form = Form(AlignSettings)
        self._lay_out()
        self.session.settings.add_section(
            "align", self._form.settings, self._form.show_settings, closed=self.destroyed
        )

    def _lay_out(self) -> None:
        top = QWidget()
        row = QHBoxLayout(top)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(QLabel("Reference"))
        row.addWidget(self._reference, 1)
        row.addWidget(button("Maps …", self._open_maps, tip="Open a folder of maps"))
        copy = button(
            "Straightened copy",
            self.straighten,
            tip="Of a distorted map: add a new layer, resampled once; the map itself stays",
        )
        self.by_hand = Collapsible(
            "By hand", self.arrow_keys, self._whole_pass, self.landmarks, copy
        )
        self.add(
            top,
            self._align,
            Collapsible("Settings", self._form, self._keep_passes),
            self._table,
            self._preview_buttons(),
            self.by_hand,
            self._file_buttons(),
        )

    def _preview_buttons(self) -> QWidget:
        block = QWidget()
        grid = QGridLayout(block)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        for position, mode in enumerate(PREVIEW_MODES):
            key, tip = _PREVIEWS[mode]
            widget = button(mode.capitalize(), partial(self.preview, mode), tip=tip, key=key)
            grid.addWidget(widget, position // 2, position % 2)
        end = button("Usual view", self.end_preview, tip="Show all layers as before (Esc)")
        grid.addWidget(end, 2, 1)
        return block

    def _file_buttons(self) -> QWidget:
        block = QWidget()
        row = QHBoxLayout(block)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(button("Undo", self.undo, tip="Undo the last move", key="Alt+Z"))
        row.addWidget(button("Save …", self._ask_save, tip="Save the transforms (.json)"))
        row.addWidget(
            button(
                "Load …", self._ask_load, tip="Load transforms of Grainsmith, affinder or elastix"
            )
        )
        return block

    def connect_signals(self) -> None:
        """Connect the signals of the widgets and of the session."""
        self._table.row_selected.connect(self._on_map)
        self._table.passes_edited.connect(lambda: self._keep_passes.setChecked(True))
        self.arrow_keys.toggled.connect(lambda _: self._on_map())
        self.landmarks.fitted.connect(self._take_landmarks)
        self._reference.currentIndexChanged.connect(lambda _: self._show())
        self.destroyed.connect(partial(self._arrow_keys.bind, None))
        bind_escape(self, self._leave_modes)

    def refresh(self) -> None:
        """Follow the layer list."""
        names = [layer.name for layer in self._images()]
        blocked = self._reference.blockSignals(True)
        kept = self._reference.currentText()
        self._reference.clear()
        self._reference.addItems([*names, _SHARPEST] if names else [])
        image = self.roles.image
        default = image.name if image is not None else ""
        self._reference.setCurrentText(kept if kept in (*names, _SHARPEST) else default)
        self._reference.blockSignals(blocked)
        self._show()

    # --- reference and maps

    @property
    def reference(self) -> Image | None:
        """The image that stays."""
        name = self._reference.currentText()
        images = self._images()
        if name == _SHARPEST and images:
            return max(images, key=lambda layer: sharpness(np.asarray(layer.data)))
        return next((layer for layer in images if layer.name == name), self.roles.image)

    @property
    def moving(self) -> list[Image]:
        """The maps; without maps, all other images (such as a pair of PPL and XPL)."""
        reference = self.reference
        layers: Sequence[Image] = self.roles.maps or self._images()
        return [layer for layer in layers if layer is not reference]

    @property
    def running(self) -> bool:
        """Whether maps are being aligned."""
        return not self._align.isEnabled()

    def select_reference(self, name: str) -> None:
        """Choose the image that stays by its name."""
        self._reference.setCurrentText(name)

    def select_map(self, name: str) -> None:
        """Select a map in the table by its name."""
        self._table.selectRow([layer.name for layer in self.moving].index(name))

    def _images(self) -> list[Image]:
        # Data bars and previews are layers, too, but not images of the field.
        return [layer for layer in self.roles.images if role_of(layer) in _IMAGE_ROLES]

    def _show(self) -> None:
        ready = self.reference is not None and bool(self.moving)
        self._table.show_layers(self.moving if ready else [], self.reference)
        self.show_missing("" if ready else _NO_MAPS)
        self._on_map()

    def _on_map(self) -> None:
        layer = self._table.layer
        self.landmarks.choose(self.reference, layer)
        moved = layer if self.arrow_keys.isChecked() else None
        if moved is not None and not self.landmarks.running:
            self.viewer.layers.selection.active = moved
        self._arrow_keys.bind(moved)

    # --- alignment

    @reports_errors
    def align(self) -> None:
        """Register the maps in the background."""
        reference, layers = self.reference, self.moving
        if reference is None or not layers:
            self.show_missing(_NO_MAPS)
            return
        self._preview.stop()
        passes = self._table.passes() if self._keep_passes.isChecked() else []
        if passes and not all(passes):
            self.show_message("Name a pass for every map in the table, or let them be found.")
            return
        job = alignment_job(reference, layers, passes, self._form.settings())
        self.run_job(
            run_alignment,
            job,
            busy=self._align,
            then=partial(self._apply, reference, layers),
            title="Aligning",
            stopped="Cancelled. Nothing was moved.",
        )

    def _apply(self, reference: Image, layers: Sequence[Image], result: RegistrationResult) -> None:
        if any(layer not in self.viewer.layers for layer in (reference, *layers)):
            self.show_message("A layer was closed meanwhile; nothing was moved.")
            return
        self._undo.remember(layers)
        registration.apply_registration(result, layers, reference)
        self._show()
        self.show_message(_summary(result))

    def undo(self) -> None:
        """Undo the last alignment, nudge or move by landmarks."""
        self._preview.stop()
        count = self._undo.undo()
        self._show()
        moved = f"{count} map{'s are' if count != 1 else ' is'} back in place."
        self.show_message(moved if count else "Nothing to undo.")

    # --- previews

    def preview(self, mode: str) -> None:
        """Show the selected map in one of `PREVIEW_MODES`; again to end it."""
        reference, layer = self.reference, self._table.layer
        if reference is None or layer is None:
            self.show_missing(_NO_MAPS)
        elif mode.startswith("before") and MapMetadata.of(layer).start is None:
            self.show_message(f"'{layer.name}' has not been aligned yet.")
        else:
            self._preview.show(mode, reference, layer)

    def end_preview(self) -> None:
        """Show all layers as before the preview."""
        self._preview.stop()

    def _leave_modes(self) -> None:
        self._preview.stop()
        self.landmarks.stop()
        self.arrow_keys.setChecked(False)

    # --- corrections by hand

    def nudge(self, dy_px: float, dx_px: float) -> None:
        """Move the selected map by pixels of the reference."""
        reference, layer = self.reference, self._table.layer
        if reference is None or layer is None:
            return
        group = MapMetadata.of(layer).group
        layers = [layer]
        if group and self._whole_pass.isChecked():
            layers = [other for other in self.moving if MapMetadata.of(other).group == group]
        self._undo.remember(layers)
        registration.nudge(layers, reference, dy_px, dx_px)
        self._show()

    def _take_landmarks(self, transform: Transform) -> None:
        reference, layer = self.reference, self._table.layer
        if reference is not None and layer is not None:
            self._undo.remember([layer])
            registration.record_start(layer, reference)
            place_map(layer, reference, transform)
            self._show()

    @reports_errors
    def straighten(self) -> None:
        """Add a straightened copy of the selected map, which replaces it among the maps."""
        reference, layer = self.reference, self._table.layer
        if reference is None or layer is None:
            self.show_missing(_NO_MAPS)
            return
        copy = Layer.create(*registration.straightened_layer(layer, reference))
        self.viewer.add_layer(copy)
        layer.visible = False
        self.roles.maps = tuple(other for other in self.roles.maps if other is not layer)
        self.show_message(
            f"'{copy.name}' is a resampled copy and is used as the map now. To go back, delete the "
            f"copy and tick '{layer.name}' among the maps."
        )

    # --- files

    def _open_maps(self) -> None:
        from grainsmith.ui.panels.align.import_maps import MapsPanel

        self.viewer.window.add_dock_widget(MapsPanel(self.viewer), name="Maps", area="right")

    def _ask_save(self) -> None:
        path = ask_file_to_save(
            self, "Save transforms", "transforms.json", "Transforms (*.json *.txt)"
        )
        if path:
            self.save(path)

    @reports_errors
    def save(self, path: str) -> None:
        """Save the transforms of all maps; a .txt holds the matrix of the selected map."""
        reference, layer = self.reference, self._table.layer
        if reference is None or layer is None:
            self.show_missing(_NO_MAPS)
            return
        registration.save_transforms(
            path, [layer] if path.endswith(".txt") else self.moving, reference
        )
        self.show_message(f"Saved: {path}")

    def _ask_load(self) -> None:
        path = ask_file_to_open(self, "Load transforms", "Transforms (*.json *.txt *.csv)")
        if path:
            self.load(path)

    def load(self, path: str) -> None:
        """Place the maps by a file; a bare matrix is for the selected map."""
        reference, layer = self.reference, self._table.layer
        if reference is None or layer is None:
            self.show_missing(_NO_MAPS)
            return
        layers = self.moving if path.endswith(".json") else [layer]
        self._undo.remember(layers)
        try:
            missing = registration.load_transforms(path, layers, reference)
        except GrainsmithError as error:
            self._undo.undo()
            self.show_error(error)
            return
        self._show()
        unplaced = f" The file has no transform for {', '.join(missing)}." if missing else ""
        self.show_message(f"Loaded.{unplaced}")


def _summary(result: RegistrationResult) -> str:
    verdicts = [row.transform.verdict for row in result.rows]
    parts = [
        f"{verdicts.count(verdict)} {text}"
        for verdict, text in _SUMMARY_WORDS.items()
        if verdict in verdicts
    ]
    passes = len({row.group for row in result.rows if row.group})
    return f"{', '.join(parts)}; {passes} pass{'es' if passes != 1 else ''}. Undo: Alt+Z."

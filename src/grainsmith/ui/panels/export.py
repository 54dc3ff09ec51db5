"""Panel: export grains, table and image; import grains of other programs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QSizePolicy,
    QWidget,
)

from grainsmith.errors import GrainsmithError
from grainsmith.io.exchange import (
    FORMATS,
    LabelledField,
    export_fields,
    import_fields,
    write_overlay_image,
)
from grainsmith.io.tables.grain_table import write_table
from grainsmith.ui.panels.base import Panel
from grainsmith.ui.panels.messages import NO_GRAINS, missing_text
from grainsmith.ui.session.labelled_field import field_of, show_field
from grainsmith.ui.widgets.background import run_in_background
from grainsmith.ui.widgets.controls import button, label
from grainsmith.ui.widgets.file_dialogs import ask_file_to_open, ask_file_to_save, ask_folder
from grainsmith.ui.widgets.hints import message_of
from grainsmith.ui.widgets.layouts import row_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from grainsmith.io.exchange import Format


class ExportPanel(Panel):
    """Grains in the form of another program, the table, an image; and grains from there."""

    def build(self) -> None:
        """Create the widgets and lay them out."""
        self.format = QComboBox()
        self.format.setToolTip("For which program the grains are written")
        self.format.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        for form in FORMATS.values():
            self.format.addItem(form.title, form.name)
        self._export = button(
            "Export grains …",
            self._ask_export,
            tip="Write the grains and their minerals for the program chosen above",
            key="Ctrl+Shift+E",
            main=True,
        )
        self._table = button(
            "Save table …", self._ask_table, tip="Every measure of every grain: CSV, Excel, Parquet"
        )
        self._picture = button(
            "Save image …",
            self._ask_picture,
            tip="The image with outlines in the minerals' colours and a scale bar, as PNG",
        )
        self._import = button(
            "Import grains …",
            self._ask_import,
            tip="Read grains that another program wrote, in any of the formats above",
        )
        self.trust = QCheckBox("Trust the file (Cellpose _seg.npy)")
        self.trust.setToolTip("A _seg.npy is a Python pickle: open only those of people you know")
        self._is_folder = QCheckBox("It is a folder (YOLO, StarDist)")
        self._is_folder.setToolTip("Choose a folder instead of a file")
        self._what = label("", dim=True)
        self.add(
            self._what,
            self.format,
            self._export,
            row_of(self._table, self._picture),
            label("Grains of other programs", dim=True),
            self._import,
            self.trust,
            self._is_folder,
        )

    def refresh(self) -> None:
        """Say what would be written."""
        grains = self.roles.grains
        self._what.setText(
            f"Of '{grains.name}':" if grains is not None else missing_text(self.roles, NO_GRAINS)
        )

    # --- doing

    def export(self, path: str) -> None:
        """Write the grains in the chosen format."""
        form = self._form
        self._write(self._export, lambda field: export_fields(path, [field], form.name), path)

    def save_table(self, path: str) -> None:
        """Write the grain table."""
        self._write(self._table, lambda field: _save_table(path, field), path)

    def save_picture(self, path: str) -> None:
        """Write the image with its grains."""
        self._write(self._picture, lambda field: write_overlay_image(path, field), path)

    def import_grains(self, path: str) -> None:
        """Read grains of another program and show them as layers."""
        image = self.roles.image
        shape = tuple(image.data.shape[:2]) if image is not None else ()
        run_in_background(
            import_fields,
            path,
            shape=shape,
            trust_pickle=self.trust.isChecked(),
            busy=self._import,
            then=partial(self._show_imported, path),
        )

    def _write(self, busy: QWidget, work: Callable[[LabelledField], Any], path: str) -> None:
        if self.roles.grains is None:
            self.show_missing(NO_GRAINS)
            return
        try:
            field = field_of(self.roles)
        except GrainsmithError as error:
            self.show_message(message_of(error))
            return
        self.show_message("")
        run_in_background(
            work, field, busy=busy, then=lambda _done: self.show_message(f"Saved: {path}")
        )

    def _show_imported(self, path: str, fields: list[LabelledField]) -> None:
        said = []
        for field in fields:
            layer = show_field(self.viewer, self.roles, field, path)
            said.append(" ".join((f"'{layer.name}': {len(layer.features)} grains.", *field.notes)))
        self.show_message("\n".join(said))

    # --- asking

    @property
    def _form(self) -> Format:
        return FORMATS[self.format.currentData()]

    def _ask_export(self) -> None:
        form = self._form
        path = self._ask_name(f"Export: {form.title}", form.suffix or f"_{form.name}")
        if path:
            self.export(path)

    def _ask_table(self) -> None:
        path = self._ask_name("Save table", "_grains.csv", "Tables (*.csv *.xlsx *.parquet)")
        if path:
            self.save_table(path)

    def _ask_picture(self) -> None:
        path = self._ask_name("Save image", "_grains.png", "PNG (*.png)")
        if path:
            self.save_picture(path)

    def _ask_import(self) -> None:
        if self._is_folder.isChecked():
            path = ask_folder(self, "Folder of another program")
        else:
            path = ask_file_to_open(self, "Grains of another program")
        if path:
            self.import_grains(path)

    def _ask_name(self, title: str, suffix: str, kinds: str = "All files (*)") -> str:
        try:
            name = field_of(self.roles).name
        except GrainsmithError as error:
            self.show_message(message_of(error))
            return ""
        path = ask_file_to_save(self, title, f"{name}{suffix}", kinds)
        return str(path)


def _save_table(path: str, field: LabelledField) -> None:
    rows = field.table[field.table.index != 0]
    write_table(path if Path(path).suffix else f"{path}.csv", rows)

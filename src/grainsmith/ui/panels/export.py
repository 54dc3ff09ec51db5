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

from grainsmith.io.exchange import (
    FORMATS,
    LabelledField,
    export_fields,
    import_fields,
    write_overlay_image,
)
from grainsmith.io.tables.grain_table import write_table
from grainsmith.ui.panels.base import Panel, reports_errors
from grainsmith.ui.panels.keys import MAIN_KEYS
from grainsmith.ui.panels.messages import NO_GRAINS, missing_text
from grainsmith.ui.session.labelled_field import labelled_field, show_field
from grainsmith.ui.widgets.controls import button, label
from grainsmith.ui.widgets.file_dialogs import ask_file_to_open, ask_file_to_save, ask_folder
from grainsmith.ui.widgets.layouts import row_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from grainsmith.io.exchange import Format


class ExportPanel(Panel):
    """Write grains for another program, the table or an image; read grains of another program."""

    def build(self) -> None:
        """Create the widgets and lay them out."""
        self.format = QComboBox()
        self.format.setToolTip("Program that the grains are written for")
        self.format.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        for file_format in FORMATS.values():
            self.format.addItem(file_format.title, file_format.name)
        self._export = button(
            "Export grains …",
            self._ask_export,
            tip="Write the grains and their minerals for the program chosen above",
            key=MAIN_KEYS["Export"],
            main=True,
        )
        self._table = button(
            "Save table …", self._ask_table, tip="All measures of all grains: CSV, Excel or Parquet"
        )
        self._image = button(
            "Save image …",
            self._ask_image,
            tip="The image with outlines in the minerals' colours and a scale bar, as PNG",
        )
        self._import = button(
            "Import grains …",
            self._ask_import,
            tip="Read grains that another program wrote, in any of the formats above",
        )
        self.trust_pickle = QCheckBox("Trust the file (Cellpose _seg.npy)")
        self.trust_pickle.setToolTip(
            "A _seg.npy can run code when it is opened: trust only files from people you know"
        )
        self.is_folder = QCheckBox("From a folder (YOLO, StarDist)")
        self.is_folder.setToolTip("Choose a folder instead of a file")
        self._source = label("", dim=True)
        self.add(
            self._source,
            self.format,
            self._export,
            row_of(self._table, self._image),
            label("Grains of other programs", dim=True),
            self._import,
            self.trust_pickle,
            self.is_folder,
        )

    def refresh(self) -> None:
        """Show which grains are written."""
        grains = self.roles.grains
        self._source.setText(
            f"Export '{grains.name}':"
            if grains is not None
            else missing_text(self.roles, NO_GRAINS)
        )

    # --- files

    def export(self, path: str) -> None:
        """Write the grains in the chosen format."""
        name = self._format.name
        self._write(self._export, lambda field: export_fields(path, [field], name), path)

    def save_table(self, path: str) -> None:
        """Write the grain table."""
        self._write(self._table, lambda field: _save_table(path, field), path)

    def save_image(self, path: str) -> None:
        """Write the image with its grains."""
        self._write(self._image, lambda field: write_overlay_image(path, field), path)

    def import_grains(self, path: str) -> None:
        """Read grains of another program and add them as layers."""
        image = self.roles.image
        shape = tuple(image.data.shape[:2]) if image is not None else ()
        self.run_job(
            import_fields,
            path,
            shape=shape,
            trust_pickle=self.trust_pickle.isChecked(),
            busy=self._import,
            then=partial(self._show_imported, path),
        )

    @reports_errors
    def _write(self, busy: QWidget, write: Callable[[LabelledField], Any], path: str) -> None:
        if self.roles.grains is None:
            self.show_missing(NO_GRAINS)
            return
        self.run_job(
            write,
            labelled_field(self.roles),
            busy=busy,
            then=lambda _result: self.show_message(f"Saved: {path}"),
        )

    def _show_imported(self, path: str, fields: list[LabelledField]) -> None:
        lines = []
        for field in fields:
            layer = show_field(self.viewer, self.roles, field, path)
            lines.append(" ".join((f"'{layer.name}': {len(layer.features)} grains.", *field.notes)))
        self.show_message("\n".join(lines))

    # --- dialogs

    @property
    def _format(self) -> Format:
        return FORMATS[self.format.currentData()]

    def _ask_export(self) -> None:
        file_format = self._format
        path = self._ask_name(
            f"Export: {file_format.title}", file_format.suffix or f"_{file_format.name}"
        )
        if path:
            self.export(path)

    def _ask_table(self) -> None:
        path = self._ask_name("Save table", "_grains.csv", "Tables (*.csv *.xlsx *.parquet)")
        if path:
            self.save_table(path)

    def _ask_image(self) -> None:
        path = self._ask_name("Save image", "_grains.png", "PNG (*.png)")
        if path:
            self.save_image(path)

    def _ask_import(self) -> None:
        if self.is_folder.isChecked():
            path = ask_folder(self, "Folder of another program")
        else:
            path = ask_file_to_open(self, "Grains of another program")
        if path:
            self.import_grains(path)

    def _ask_name(self, title: str, suffix: str, kinds: str = "All files (*)") -> str:
        if self.roles.grains is None:
            self.show_missing(NO_GRAINS)
            return ""
        name = (self.roles.image or self.roles.grains).name
        path = ask_file_to_save(self, title, f"{name}{suffix}", kinds)
        return str(path)


def _save_table(path: str, field: LabelledField) -> None:
    rows = field.table[field.table.index != 0]
    write_table(path if Path(path).suffix else f"{path}.csv", rows)

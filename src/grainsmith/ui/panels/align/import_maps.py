"""Panel: open element maps, after correcting what each file is taken for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari.layers import Layer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QHeaderView,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
)

from grainsmith.io.maps.filenames import SYMBOLS, parse_map_name
from grainsmith.io.maps.image_map import CHANNELS
from grainsmith.io.maps.reader import (
    BAR_AUTO,
    KINDS,
    SUFFIXES,
    MapFolder,
    MapGuess,
    guess_maps,
    open_maps,
)
from grainsmith.ui.layers.element_maps import attach_maps, map_folder_layers
from grainsmith.ui.layers.metadata import MapMetadata
from grainsmith.ui.panels.base import Panel, reports_errors
from grainsmith.ui.plugin.reader import report_opened
from grainsmith.ui.widgets.controls import button, compact_combo_box, label
from grainsmith.ui.widgets.file_dialogs import ask_files_to_open, ask_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


_COLUMNS = ("File", "Element", "Line", "Kind", "Channel", "Bar px")
_BY_NUMBERS = "auto"
_LINES_TIP = (
    "In a cube of spectra: the lines that become maps, such as Si Ka, Fe Ka; "
    "empty for the most prominent ones"
)
_HINT = "Choose a folder of maps, or files, or drop a folder into the window."


class MapsPanel(Panel):
    """Choose files, correct the guesses, open the maps."""

    def build(self) -> None:
        """Create the widgets and lay them out."""
        self._guesses: list[MapGuess] = []
        self._table = QTableWidget(0, len(_COLUMNS))
        self._table.setHorizontalHeaderLabels(_COLUMNS)
        self._table.verticalHeader().hide()
        self._table.setMinimumHeight(180)
        header = self._table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Interactive)
        self._table.setColumnWidth(0, 120)
        self._open_button = button(
            "Open maps", self.open, tip="Open the ticked maps on the image", main=True
        )
        self._hint = label(_HINT, dim=True)
        self.add(
            button(
                "Choose a folder …", self._choose_folder, tip="A folder of maps and their image"
            ),
            button(
                "Choose files …",
                self._choose_files,
                tip="Maps, tables, .h5oina, cubes (.rpl, .hspy)",
            ),
            self._hint,
            self._table,
            self._open_button,
            button(
                "Use open layers as maps",
                self.adopt,
                tip="The selected layers, of any reader, are placed on the image and become maps",
            ),
        )
        self._show([])

    def _choose_folder(self) -> None:
        folder = ask_folder(self, "A folder of element maps")
        if folder:
            self.show_files(folder)

    def _choose_files(self) -> None:
        pattern = " ".join(f"*{suffix}" for suffix in SUFFIXES)
        files = ask_files_to_open(self, "Element maps", f"Maps ({pattern})")
        if files:
            self.show_files(files)

    @reports_errors
    def show_files(self, paths: str | Path | Sequence[str]) -> None:
        """Show what a folder or files are taken for."""
        self._show(guess_maps(paths))
        self.show_message("")

    def _show(self, guesses: Sequence[MapGuess]) -> None:
        self._guesses = list(guesses)
        self._table.setRowCount(len(guesses))
        for row, guess in enumerate(guesses):
            item = QTableWidgetItem(guess.name)
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked if guess.use else Qt.CheckState.Unchecked)
            item.setToolTip(f"{guess.path}\n{guess.what}{': ' if guess.note else ''}{guess.note}")
            self._table.setItem(row, 0, item)
            element = guess.element if guess.what in ("map", "left out") else guess.what
            self._table.setCellWidget(
                row, 1, compact_combo_box(("", *SYMBOLS, "image", "container"), element)
            )
            line = QTableWidgetItem(guess.line)
            line.setToolTip(_LINES_TIP if guess.what == "container" else "X-ray line, such as Ka1")
            self._table.setItem(row, 2, line)
            self._table.setCellWidget(
                row, 3, compact_combo_box((_BY_NUMBERS, *KINDS), guess.kind or _BY_NUMBERS)
            )
            self._table.setCellWidget(row, 4, compact_combo_box(CHANNELS, guess.channel))
            self._table.setCellWidget(row, 5, _bar_box(guess.bar_rows))
        self._table.setVisible(bool(guesses))
        self._open_button.setVisible(bool(guesses))
        self._hint.setVisible(not guesses)

    def guesses(self) -> list[MapGuess]:
        """Return the guesses as corrected in the table."""
        return [self._guess(row, guess) for row, guess in enumerate(self._guesses)]

    def _guess(self, row: int, guess: MapGuess) -> MapGuess:
        element = self._table.cellWidget(row, 1).currentText()
        what = element if element in ("image", "container") else "map"
        kind = self._table.cellWidget(row, 3).currentText()
        return replace(
            guess,
            what=what,
            element=element if what == "map" else "",
            line=self._table.item(row, 2).text(),
            kind="" if kind == _BY_NUMBERS else kind,
            channel=self._table.cellWidget(row, 4).currentText(),
            bar_rows=self._table.cellWidget(row, 5).value(),
            use=self._table.item(row, 0).checkState() == Qt.CheckState.Checked,
        )

    def open(self) -> None:
        """Open the ticked maps in the background."""
        self.run_job(
            open_maps,
            self.guesses(),
            busy=self._open_button,
            then=self.add_maps,
            title="Opening maps",
        )

    def add_maps(self, opened: MapFolder) -> None:
        """Add opened maps to the viewer."""
        for data in map_folder_layers(opened, self.roles.image):
            self.viewer.add_layer(Layer.create(*data))
        report_opened(opened)
        self.show_message(
            f"{len(opened.maps)} maps opened."
            + "".join(f"\nLeft out: {problem}" for problem in opened.problems)
        )

    def adopt(self) -> None:
        """Use the selected layers as maps."""
        image = self.roles.image
        layers = [
            layer
            for layer in self.viewer.layers.selection
            if layer in self.roles.images and layer is not image
        ]
        if image is None or not layers:
            self.show_message(
                "Select the layers that are maps in the layer list (the image is not one)."
            )
            return
        _read_names(layers)
        attach_maps(layers, image)
        self.roles.maps = (*self.roles.maps, *layers)
        self.show_message(
            f"{len(layers)} layers are maps now: {', '.join(layer.name for layer in layers)}."
        )


def _read_names(layers: Sequence[Layer]) -> None:
    """Read element and line from the names of layers of another reader."""
    for layer in layers:
        name = parse_map_name(layer.name)
        if name.what == "element" and not MapMetadata.of(layer).element:
            MapMetadata.update(layer, element=name.element, line=name.line)


def _bar_box(rows: int) -> QSpinBox:
    box = QSpinBox()
    box.setRange(BAR_AUTO, 99_999)
    box.setSpecialValueText("auto")
    box.setValue(rows)
    box.setToolTip("Rows at the bottom of an image that are a data bar; they are cut off")
    return box

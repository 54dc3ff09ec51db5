"""Panel: what each file of a folder is taken for, to be corrected before it is opened."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari.layers import Layer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHeaderView,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
)

from grainsmith.errors import GrainsmithError
from grainsmith.io.maps.filenames import SYMBOLS
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
from grainsmith.ui.panels.base import Panel, button, label
from grainsmith.ui.plugin.reader import report_opened
from grainsmith.ui.widgets.background import run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


_COLUMNS = ("File", "Element", "Line", "Kind", "Channel", "Bar px")
_BY_NUMBERS = "auto"
_LINES_TIP = (
    "Of a cube of spectra: the lines that become maps, such as Si Ka, Fe Ka. "
    "Empty: those that stand out."
)
_WHAT = "Choose a folder of maps, or some files, or drop a folder on the window."


class MapsPanel(Panel):
    """Choose a folder, correct the guesses, open."""

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
            "Open maps", self.open, tip="Open what is ticked, on the image", main=True
        )
        self._hint = label(_WHAT, dim=True)
        self.add(
            button("Choose a folder …", self._choose_folder, tip="Of maps and their image"),
            button(
                "Choose files …",
                self._choose_files,
                tip="Maps, tables, .h5oina, cubes (.rpl, .hspy)",
            ),
            self._hint,
            self._table,
            self._open_button,
            button(
                "Take open layers as maps",
                self.adopt,
                tip="Of any reader: the selected layers are laid on the image and become maps",
            ),
        )
        self._show([])

    def _choose_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "A folder of element maps")
        if folder:
            self.look_at(folder)

    def _choose_files(self) -> None:
        pattern = " ".join(f"*{suffix}" for suffix in SUFFIXES)
        files, _ = QFileDialog.getOpenFileNames(self, "Element maps", "", f"Maps ({pattern})")
        if files:
            self.look_at(files)

    def look_at(self, paths: str | Path | Sequence[str]) -> None:
        """Show what a folder or some files are taken for."""
        try:
            self._show(guess_maps(paths))
            self.show_message("")
        except GrainsmithError as error:
            self.show_message(str(error))

    def _show(self, guesses: Sequence[MapGuess]) -> None:
        self._guesses = list(guesses)
        self._table.setRowCount(len(guesses))
        for row, guess in enumerate(guesses):
            item = QTableWidgetItem(guess.name)
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked if guess.use else Qt.CheckState.Unchecked)
            item.setToolTip(f"{guess.path}\n{guess.what}{': ' if guess.note else ''}{guess.note}")
            self._table.setItem(row, 0, item)
            what = guess.element if guess.what in ("map", "left out") else guess.what
            self._table.setCellWidget(row, 1, _combo(("", *SYMBOLS, "image", "container"), what))
            line = QTableWidgetItem(guess.line)
            line.setToolTip(_LINES_TIP if guess.what == "container" else "X-ray line, such as Ka1")
            self._table.setItem(row, 2, line)
            self._table.setCellWidget(
                row, 3, _combo((_BY_NUMBERS, *KINDS), guess.kind or _BY_NUMBERS)
            )
            self._table.setCellWidget(row, 4, _combo(CHANNELS, guess.channel))
            self._table.setCellWidget(row, 5, _bar_box(guess.bar_rows))
        self._table.setVisible(bool(guesses))
        self._open_button.setVisible(bool(guesses))
        self._hint.setVisible(not guesses)

    def guesses(self) -> list[MapGuess]:
        """Return the guesses as corrected in the table."""
        return [self._guess(row, guess) for row, guess in enumerate(self._guesses)]

    def _guess(self, row: int, guess: MapGuess) -> MapGuess:
        chosen = self._table.cellWidget(row, 1).currentText()
        what = chosen if chosen in ("image", "container") else "map"
        kind = self._table.cellWidget(row, 3).currentText()
        return replace(
            guess,
            what=what,
            element=chosen if what == "map" else "",
            line=self._table.item(row, 2).text(),
            kind="" if kind == _BY_NUMBERS else kind,
            channel=self._table.cellWidget(row, 4).currentText(),
            bar_rows=self._table.cellWidget(row, 5).value(),
            use=self._table.item(row, 0).checkState() == Qt.CheckState.Checked,
        )

    def open(self) -> None:
        """Open what is ticked, in the background."""
        run(
            open_maps,
            self.guesses(),
            busy=self._open_button,
            then=self._add,
            progress=self.progress,
            title="Opening maps",
        )

    def _add(self, opened: MapFolder) -> None:
        for data in map_folder_layers(opened, self.roles.image):
            self.viewer.add_layer(Layer.create(*data))
        report_opened(opened)
        self.show_message(
            f"{len(opened.maps)} maps opened."
            + "".join(f"\nLeft out: {problem}" for problem in opened.problems)
        )

    def adopt(self) -> None:
        """Make maps of the selected layers."""
        image = self.roles.image
        chosen = [one for one in self.viewer.layers.selection if one in self.roles.pictures]
        chosen = [one for one in chosen if one is not image]
        if image is None or not chosen:
            self.show_message(
                "Select the layers that are maps in the layer list (the image is not one)."
            )
            return
        adopt_names(chosen)
        attach_maps(chosen, image)
        self.roles.maps = (*self.roles.maps, *chosen)
        self.show_message(
            f"{len(chosen)} layers are maps now: {', '.join(one.name for one in chosen)}."
        )


def adopt_names(layers: Sequence[Layer]) -> None:
    """Read element and line from the names of layers that another reader opened."""
    from grainsmith.io.maps.filenames import parse_map_name
    from grainsmith.ui.layers.metadata import MapMetadata

    for layer in layers:
        name = parse_map_name(layer.name)
        if name.what == "element" and not MapMetadata.of(layer).element:
            MapMetadata.update(layer, element=name.element, line=name.line)


def _bar_box(rows: int) -> QSpinBox:
    box = QSpinBox()
    box.setRange(BAR_AUTO, 99_999)
    box.setSpecialValueText("auto")
    box.setValue(rows)
    box.setToolTip("Of an image: rows at the bottom that are a burnt-in bar; they are cut off")
    return box


def _combo(choices: Sequence[str], chosen: str) -> QComboBox:
    combo = QComboBox()
    combo.addItems(choices)
    combo.setCurrentText(chosen)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(max(2, min(7, max(map(len, choices)) - 2)))
    return combo

"""Taking combos home: clipboard, one file, all files, a contact sheet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QApplication, QFileDialog, QGridLayout, QWidget

from grainsmith.gallery import (
    SheetSettings,
    combo_name,
    contact_sheet,
    make_combo,
    save_combo,
    save_combos,
)
from grainsmith.io.images.png import write_png
from grainsmith.ui.panels.base import button
from grainsmith.ui.widgets.background import run

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from grainsmith.ui.panels.grains.combo import ComboPanel

_PLENTY_PX = 160
"""Side of a tile in files: a page has more room than a panel."""


class ComboFiles(QWidget):
    """Four buttons under a combo."""

    def __init__(self, panel: ComboPanel) -> None:
        super().__init__()
        self._panel = panel
        self._say = panel.show_message
        self.all = button(
            "Save all …", self.save_all, tip="The combos of all grains as PNG files in a folder"
        )
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        for place, widget in enumerate(
            (
                button("Save …", self.save, tip="As PNG, SVG or PDF", key="Alt+S"),
                button("Copy", self.copy, tip="To the clipboard, as an image", key="Alt+C"),
                self.all,
                button("Sheet …", self.save_sheet, tip="All grains by mineral and size, as PNG"),
            )
        ):
            grid.addWidget(widget, place // 2, place % 2)

    def copy(self) -> None:
        """Put the combo on the clipboard."""
        pixmap = self._panel.view.pixmap()
        if pixmap.isNull():
            self._say("Click a grain first.")
        else:
            QApplication.clipboard().setPixmap(pixmap)
            self._say(f"Grain {self._panel.grain} is on the clipboard.")

    def save(self) -> None:
        """Ask for a file and write the combo."""
        field, grain = self._panel.field(), self._panel.grain
        if field is None or not grain:
            self._say("Click a grain first.")
            return
        path = self._ask_file(combo_name(grain), "Image (*.png *.svg *.pdf)")
        if path:
            combo = make_combo(field, grain, self._panel.settings(tile_px=_PLENTY_PX))
            run(
                save_combo,
                path,
                combo,
                busy=self.all,
                then=lambda _: self._say(f"Saved {path}"),
            )

    def save_all(self) -> None:
        """Ask for a folder and write the combos of all grains."""
        field = self._panel.field()
        folder = QFileDialog.getExistingDirectory(self, "Folder for all combos") if field else ""
        if field is None or not folder:
            return
        run(
            save_combos,
            field,
            folder,
            self._panel.ordered(),
            self._panel.settings(tile_px=_PLENTY_PX),
            busy=self.all,
            then=lambda files: self._say(f"{len(files)} combos in {folder}"),
            progress=self._panel.progress,
            title="Saving combos",
            stopped=lambda: self._say(f"Stopped; the combos so far are in {folder}"),
        )

    def save_sheet(self) -> None:
        """Ask for a file and write the contact sheet."""
        field = self._panel.field()
        path = self._ask_file("contact_sheet.png", "Image (*.png)") if field else ""
        if field is not None and path:
            run(
                contact_sheet,
                field,
                SheetSettings(),
                busy=self.all,
                then=lambda picture: self._write_sheet(path, picture),
                progress=self._panel.progress,
                title="Laying out grains",
            )

    def _write_sheet(self, path: str, picture: npt.NDArray[np.uint8]) -> None:
        run(write_png, path, picture, busy=self.all, then=lambda _: self._say(f"Saved {path}"))

    def _ask_file(self, name: str, kinds: str) -> str:
        path, _ = QFileDialog.getSaveFileName(self, "Save", str(Path.cwd() / name), kinds)
        return str(path)

"""Copy and save element combos: one grain, all grains, or a contact sheet."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from qtpy.QtWidgets import QApplication, QGridLayout, QWidget

from grainsmith.gallery import (
    SheetSettings,
    combo_name,
    contact_sheet,
    make_combo,
    save_combo,
    save_combos,
)
from grainsmith.io.images.png import write_png
from grainsmith.ui.widgets.controls import button
from grainsmith.ui.widgets.file_dialogs import ask_file_to_save, ask_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt
    from qtpy.QtGui import QPixmap

    from grainsmith.gallery import ComboSettings, GalleryField

_FILE_TILE_PX = 160
"""Side of a tile in files: a page has more room than a panel."""

_NO_GRAIN = "Click a grain first."


class ComboSource(Protocol):
    """Whatever shows element combos: the panel that the buttons belong to."""

    @property
    def grain(self) -> int:
        """The current grain; 0 for none."""

    def pixmap(self) -> QPixmap:
        """Return the combo as shown; null without one."""

    def field(self) -> GalleryField | None:
        """Return the field; None without image or grains."""

    def settings(self, *, tile_px: int) -> ComboSettings:
        """Return the settings as shown, with tiles of this size."""

    def ordered_grains(self) -> Sequence[int]:
        """Return all grains in the order that is shown."""

    def show_message(self, text: str) -> None:
        """Show a message."""

    def run_job(self, func: Callable[..., Any], *args: Any, **options: Any) -> None:
        """Run a function in the background; see `Panel.run_job`."""


class ComboExport(QWidget):
    """Four buttons below a combo."""

    def __init__(self, source: ComboSource) -> None:
        super().__init__()
        self._source = source
        self.save_all_button = button(
            "Save all …",
            self.save_all,
            tip="Save the combos of all grains as PNG files in a folder",
        )
        buttons = (
            button("Save …", self.save, tip="Save this combo as PNG, SVG or PDF"),
            button("Copy", self.copy, tip="Copy this combo to the clipboard as an image"),
            self.save_all_button,
            button(
                "Contact sheet …",
                self.save_sheet,
                tip="Save one PNG with all grains, sorted by mineral and size",
            ),
        )
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        for position, widget in enumerate(buttons):
            grid.addWidget(widget, position // 2, position % 2)

    def copy(self) -> None:
        """Copy the combo to the clipboard."""
        pixmap = self._source.pixmap()
        if pixmap.isNull():
            self._source.show_message(_NO_GRAIN)
            return
        QApplication.clipboard().setPixmap(pixmap)
        self._source.show_message(f"Grain {self._source.grain} is on the clipboard.")

    def save(self) -> None:
        """Ask for a file and save the combo."""
        field, grain = self._source.field(), self._source.grain
        if field is None or not grain:
            self._source.show_message(_NO_GRAIN)
            return
        path = self._ask_file(combo_name(grain), "Images (*.png *.svg *.pdf)")
        if path:
            combo = make_combo(field, grain, self._source.settings(tile_px=_FILE_TILE_PX))
            self._run(save_combo, path, combo, then=partial(self._show_saved, path))

    def save_all(self) -> None:
        """Ask for a folder and save the combos of all grains."""
        field = self._source.field()
        folder = ask_folder(self, "Folder for all combos") if field else ""
        if not folder:
            return
        self._run(
            save_combos,
            field,
            folder,
            self._source.ordered_grains(),
            self._source.settings(tile_px=_FILE_TILE_PX),
            then=lambda paths: self._source.show_message(f"{len(paths)} combos saved in {folder}"),
            title="Saving combos",
            stopped=f"Cancelled; the combos saved so far are in {folder}",
        )

    def save_sheet(self) -> None:
        """Ask for a file and save the contact sheet."""
        field = self._source.field()
        path = self._ask_file("contact_sheet.png", "Images (*.png)") if field else ""
        if path:
            self._run(
                contact_sheet,
                field,
                SheetSettings(),
                then=partial(self._write_sheet, path),
                title="Laying out grains",
            )

    def _write_sheet(self, path: str, image: npt.NDArray[np.uint8]) -> None:
        self._run(write_png, path, image, then=partial(self._show_saved, path))

    def _show_saved(self, path: str, _result: object) -> None:
        self._source.show_message(f"Saved: {path}")

    def _run(self, func: Callable[..., Any], *args: Any, **options: Any) -> None:
        self._source.run_job(func, *args, busy=self.save_all_button, **options)

    def _ask_file(self, name: str, kinds: str) -> str:
        path = ask_file_to_save(self, "Save", name, kinds)
        return str(path)

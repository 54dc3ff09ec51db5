"""Bar below the panels: the status, and a button that saves the grains."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QHBoxLayout, QWidget

from grainsmith.ui.editing.autosave import AutosaveManager
from grainsmith.ui.layers.images import folder_of
from grainsmith.ui.layers.metadata import GrainsMetadata, ImageMetadata
from grainsmith.ui.panels.messages import error_text
from grainsmith.ui.plugin.writer import write_labels_layer
from grainsmith.ui.session import session_of
from grainsmith.ui.widgets.background import USER_ERRORS
from grainsmith.ui.widgets.controls import button, label
from grainsmith.ui.widgets.file_dialogs import ask_file_to_save, set_start_folder

if TYPE_CHECKING:
    import napari
    from napari.layers import Image, Labels


class SaveBar(QWidget):
    """The status in two lines; the button is shown while the active grains are unsaved."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._session = session_of(viewer)
        self._status = label("", lines=2)
        self.save_button = button(
            "Save",
            self.save,
            tip="Save the grains as a labels TIFF, with their review states beside it",
            key="Ctrl+Shift+S",
        )
        self.save_button.hide()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._status, 1)
        layout.addWidget(self.save_button)

    @property
    def status(self) -> str:
        """The status as shown."""
        return str(self._status.text())

    def show_status(self, text: str) -> None:
        """Show a status, and the button if the active grains are unsaved."""
        self._status.setText(text)
        grains = self._session.active.grains
        saves = self._session.part(AutosaveManager)
        autosave = saves.of_layer(grains) if grains is not None else None
        self.save_button.setVisible(autosave is not None and not autosave.history.is_saved)

    def save(self) -> None:
        """Ask for a file and save the active grains."""
        active = self._session.active
        if active.grains is None:
            return
        try:
            path = save_grains(self, active.grains, active.image)
        except USER_ERRORS as error:
            self._status.setText(error_text(error))
            return
        if path:
            self.show_status(f"Saved: {path}")


def save_grains(parent: QWidget, grains: Labels, image: Image | None) -> str:
    """Ask for a file, save grains in it and return its path; "" = cancelled.

    Parameters
    ----------
    parent : QWidget
        Of the dialog.
    grains : Labels layer
    image : Image layer or None
        The dialog starts beside its file and proposes its name.

    Raises
    ------
    WriteError
        The file could not be written.
    """
    source = ImageMetadata.of(image).source if image is not None else ""
    name = Path(source).stem if source else GrainsMetadata.of(grains).image or grains.name
    set_start_folder(parent, "" if image is None else folder_of(image))
    path = ask_file_to_save(parent, "Save grains", f"{name}_masks.tif", "Labels (*.tif *.tiff)")
    if path:
        path = path if Path(path).suffix else f"{path}.tif"
        data, options, _ = grains.as_layer_data_tuple()
        write_labels_layer(path, data, options)
    return path

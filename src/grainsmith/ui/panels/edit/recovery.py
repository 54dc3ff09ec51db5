"""Bar that offers the edits of a session that ended without saving."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from grainsmith.errors import GrainsmithError
from grainsmith.io.labels.autosave import find_recoverable
from grainsmith.ui.editing.autosave import AutosaveManager
from grainsmith.ui.editing.history import history_of
from grainsmith.ui.layers.geometry import pixel_size_um_of, place_of
from grainsmith.ui.layers.metadata import GrainsMetadata, ImageMetadata
from grainsmith.ui.panels.messages import error_text
from grainsmith.ui.session import session_of
from grainsmith.ui.widgets.controls import button, label

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

    from grainsmith.io.labels.autosave import Recovery


class RecoveryBar(QWidget):
    """Restore, discard or postpone unsaved edits; hidden when there are none.

    Only the first bar of a viewer offers them.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        autosave = session_of(viewer).part(AutosaveManager)
        self._offers = [] if autosave.offers_recovery else find_recoverable()
        if not autosave.offers_recovery:
            autosave.offers_recovery = True
            self.destroyed.connect(lambda: setattr(autosave, "offers_recovery", False))
        self._text = label("")
        buttons = QHBoxLayout()
        for text, slot, tip in (
            ("Restore", self.restore, "Open these grains; nothing open is changed"),
            ("Discard", self.discard, "Delete these edits for good"),
            ("Later", self._drop, "Keep them, and ask again at the next start"),
        ):
            buttons.addWidget(button(text, slot, tip=tip))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._text)
        layout.addLayout(buttons)
        self._show()

    @property
    def text(self) -> str:
        """What is offered; "" for nothing."""
        return str(self._text.text()) if self._offers else ""

    def restore(self) -> None:
        """Open the grains as a layer; their old autosave is deleted at the next one."""
        offer = self._offers[0]
        try:
            layer = restored_layer(offer, self._viewer)
        except GrainsmithError as error:
            self._text.setText(error_text(error))
            self._offers = self._offers[1:]
            return
        self._viewer.add_layer(layer)
        session_of(self._viewer).active.grains = layer
        kept = session_of(self._viewer).part(AutosaveManager).of_layer(layer)
        if kept is not None:
            kept.replaces.append(offer)
            history_of(layer).mark_unsaved(offer.edits)
        self._drop()

    def discard(self) -> None:
        """Delete the edits."""
        self._offers[0].discard()
        self._drop()

    def _drop(self) -> None:
        self._offers = self._offers[1:]
        self._show()

    def _show(self) -> None:
        self.setVisible(bool(self._offers))
        if self._offers:
            offer = self._offers[0]
            when = time.strftime("%d %b, %H:%M", time.localtime(offer.saved_at))
            source = f" of {Path(offer.source).name}" if offer.source else ""
            count = f", {offer.edits} edit{'s' if offer.edits != 1 else ''}" if offer.edits else ""
            more = f" ({len(self._offers) - 1} more)" if len(self._offers) > 1 else ""
            self._text.setText(
                f"Unsaved grains were found: '{offer.name}'{source}{count}, {when}{more}."
            )


def restored_layer(offer: Recovery, viewer: Any) -> Labels:
    """Return autosaved grains as a layer, on their image where that is open.

    Raises
    ------
    ReadError
        The autosave is damaged.
    """
    labels, states, table = offer.load()
    image = _image_of(offer, labels.shape, viewer)
    size = offer.pixel_size_um
    place: dict[str, Any] = {"scale": (size, size), "units": ("um", "um")} if size > 0 else {}
    if image is not None and (pixel_size_um_of(image) == size or size == 0):
        place = place_of(image)
    notes = offer.notes
    metadata = GrainsMetadata(
        image=offer.image if image is None else image.name,
        source=offer.source,
        states=states,
        examples={int(label): name for label, name in notes.get("examples", {}).items()},
        model=notes.get("model", {}),
        settings=notes.get("settings", {}),
        seal=notes.get("seal", ""),
    )
    return Labels(
        labels,
        name=f"{offer.name} (restored)",
        features=table,
        metadata=metadata.for_layer(),
        opacity=0.45,
        **place,
    )


def _image_of(offer: Recovery, shape: tuple[int, ...], viewer: Any) -> Image | None:
    fitting = [image for image in session_of(viewer).active.images if image.data.shape[:2] == shape]
    if offer.image:  # other images of the same size may be other fields
        return next((image for image in fitting if image.name == offer.image), None)
    same = [image for image in fitting if ImageMetadata.of(image).source == offer.source]
    return next(iter([*same, *fitting]), None)

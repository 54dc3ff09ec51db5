"""One line that offers the work of a session that ended without saving."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from grainsmith.errors import GrainsmithError
from grainsmith.io.labels.autosave import find_recoverable
from grainsmith.ui.editing.autosave import autosave_of
from grainsmith.ui.editing.history import history_of
from grainsmith.ui.layers.geometry import pixel_size_um_of, place_of
from grainsmith.ui.layers.metadata import GrainsMetadata, ImageMetadata
from grainsmith.ui.panels.base import label
from grainsmith.ui.session.active_layers import active_layers_of

if TYPE_CHECKING:
    import napari

    from grainsmith.io.labels.autosave import Recovery


class RecoveryLine(QWidget):
    """Shown only where there is something to recover: what it is, Restore, Discard.

    The first line of a viewer offers it; others stay empty as long as that one lives.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        keeper = autosave_of(viewer)
        self._found = [] if keeper.offers_recovery else find_recoverable()
        if not keeper.offers_recovery:
            keeper.offers_recovery = True
            self.destroyed.connect(lambda: setattr(keeper, "offers_recovery", False))
        self._text = label("")
        self.restore_button = QPushButton("Restore")
        self.restore_button.setToolTip("Open the grains as they were; nothing open is changed")
        self.discard_button = QPushButton("Discard")
        self.discard_button.setToolTip("Delete this work for good")
        self.later_button = QPushButton("Later")
        self.later_button.setToolTip("Keep it, and ask again at the next start")
        self.restore_button.clicked.connect(lambda: self.restore())
        self.discard_button.clicked.connect(lambda: self.discard())
        self.later_button.clicked.connect(lambda: self._drop())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._text)
        buttons = QHBoxLayout()
        for one in (self.restore_button, self.discard_button, self.later_button):
            buttons.addWidget(one)
        layout.addLayout(buttons)
        self._show()

    @property
    def text(self) -> str:
        """What is offered; "" where there is nothing."""
        return str(self._text.text()) if self._found else ""

    def restore(self) -> None:
        """Open the work as a layer; its old save goes once it is saved anew."""
        found = self._found[0]
        try:
            layer = restored_layer(found, self._viewer)
        except GrainsmithError as error:
            self._text.setText(str(error))
            self._found = self._found[1:]
            return
        self._viewer.add_layer(layer)
        active_layers_of(self._viewer).grains = layer
        kept = autosave_of(self._viewer).kept(layer)
        if kept is not None:
            kept.replaces.append(found)
            history_of(layer).mark_unsaved()
        self._drop()

    def discard(self) -> None:
        """Delete the work."""
        self._found[0].discard()
        self._drop()

    def _drop(self) -> None:
        self._found = self._found[1:]
        self._show()

    def _show(self) -> None:
        self.setVisible(bool(self._found))
        if self._found:
            found = self._found[0]
            when = time.strftime("%d %b, %H:%M", time.localtime(found.saved_at))
            of = f" of {Path(found.source).name}" if found.source else ""
            more = f" ({len(self._found) - 1} more)" if len(self._found) > 1 else ""
            self._text.setText(
                f"Unsaved work was found: '{found.name}'{of}, {found.edits} edits, {when}{more}."
            )


def restored_layer(found: Recovery, viewer: Any) -> Labels:
    """Return saved work as a layer, on its image where that is open.

    Raises
    ------
    ReadError
        The save is damaged.
    """
    labels, states, table = found.load()
    picture = _picture_of(found, labels.shape, viewer)
    size = found.pixel_size_um
    place: dict[str, Any] = {"scale": (size, size), "units": ("um", "um")} if size > 0 else {}
    if picture is not None and (pixel_size_um_of(picture) == size or size == 0):
        place = place_of(picture)
    metadata = GrainsMetadata(
        image="" if picture is None else picture.name, source=found.source, states=states
    )
    return Labels(
        labels,
        name=f"{found.name} (restored)",
        features=table,
        metadata=metadata.for_layer(),
        opacity=0.45,
        **place,
    )


def _picture_of(found: Recovery, shape: tuple[int, ...], viewer: Any) -> Any:
    fitting = [one for one in active_layers_of(viewer).pictures if one.data.shape[:2] == shape]
    same = [one for one in fitting if ImageMetadata.of(one).source == found.source]
    return next(iter([*same, *fitting]), None)

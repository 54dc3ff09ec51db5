"""Panel: edit a region of a mosaic at full resolution, and write it back."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
from napari.layers import Image, Labels
from qtpy.QtCore import QTimer

from grainsmith.pipeline.mosaic.region import MAX_REGION_PX, open_region, reopen_region
from grainsmith.pipeline.mosaic.write_back import undo_write, write_region
from grainsmith.ui.editing.autosave import AutosaveManager
from grainsmith.ui.editing.deleted_grains import DeletedGrains
from grainsmith.ui.editing.history import history_of
from grainsmith.ui.layers.metadata import GrainsMetadata, ImageMetadata, MosaicMetadata, states_of
from grainsmith.ui.layers.mosaics import (
    editable_mosaic,
    image_of_mosaic,
    mosaic_shape,
    reload_labels,
)
from grainsmith.ui.panels.base import Panel, reports_errors
from grainsmith.ui.session.mosaic_piece import MosaicPiece
from grainsmith.ui.widgets.background import run_in_background
from grainsmith.ui.widgets.controls import button, label
from grainsmith.ui.widgets.layouts import row_of
from grainsmith.ui.widgets.lifetime import connect_while_alive

if TYPE_CHECKING:
    import napari

    from grainsmith.pipeline.mosaic.region import Region
    from grainsmith.pipeline.mosaic.write_back import WriteBackResult

_NO_MOSAIC = "No mosaic with grains is open: drop a folder of <i>grainsmith mosaic</i> here."
_DELAY_MS = 150
"""A moving view sends many events."""


class RegionPanel(Panel):
    """Edit what the window shows of a mosaic, write it back, and undo that.

    Parameters
    ----------
    viewer : napari viewer
    only_with_mosaic : bool
        Hide the panel while no mosaic is open.
    """

    def __init__(self, viewer: napari.viewer.Viewer, *, only_with_mosaic: bool = False) -> None:
        self._only_with_mosaic = only_with_mosaic
        super().__init__(viewer)

    def build(self) -> None:
        """Create the widgets and lay them out."""
        self._open_piece = self.session.mosaic_piece
        self._status = label("")
        self.edit_button = button(
            "Edit this region",
            self.edit,
            tip=f"Open what the window shows, at most {MAX_REGION_PX} px wide and high, at full "
            "resolution to correct it; grains cut by its edge are locked",
            key="Ctrl+Shift+R",
            main=True,
        )
        self.write_button = button(
            "Write back",
            self.write_back,
            tip="Write the corrected grains into the mosaic and update its table and statistics",
            key="Ctrl+Shift+R",
            main=True,
        )
        self.close_button = button(
            "Close", self.close_piece, tip="Close this region without changing the mosaic"
        )
        self.undo_button = button(
            "Undo last write-back",
            self.undo,
            tip="Restore the grains that the mosaic had before; press again to undo earlier ones",
        )
        self._buttons = row_of(self.edit_button, self.write_button)
        self._more = row_of(self.close_button, self.undo_button)
        self.add(self._status, self._buttons, self._more)
        self._timer = QTimer(self, singleShot=True, interval=_DELAY_MS)

    def connect_signals(self) -> None:
        """Connect the signals of the widgets and of the session."""
        self._timer.timeout.connect(self.refresh)
        camera = self.viewer.scene.camera.events
        for event in (camera.zoom, camera.center):
            event.connect(self._on_view)
            self.destroyed.connect(lambda *_, event=event: event.disconnect(self._on_view))
        connect_while_alive(self, self._open_piece.changed, self.refresh)

    def refresh(self) -> None:
        """Show which mosaic is open, and the buttons for it."""
        mosaic, piece = self._mosaic, self._open_piece.piece
        if self._only_with_mosaic:
            self.setVisible(mosaic is not None)
        self._status.setText(self._text(mosaic, piece))
        self.edit_button.setVisible(piece is None)
        self.edit_button.setEnabled(mosaic is not None)
        self.write_button.setVisible(piece is not None)
        self.close_button.setVisible(piece is not None)
        self.undo_button.setVisible(piece is None)
        self.undo_button.setEnabled(mosaic is not None)

    @property
    def status(self) -> str:
        """Which mosaic and region are open, as HTML."""
        return str(self._status.text())

    def edit(self) -> None:
        """Open what the window shows, or a region that was restored after a crash."""
        mosaic = self._mosaic
        if mosaic is None:
            return
        self.show_message("")
        restored = self.roles.grains
        address = GrainsMetadata.of(restored).source or "" if restored is not None else ""
        source = MosaicMetadata.of(mosaic).source
        if restored is not None and address.startswith(f"{source}#"):
            show = partial(self._show, mosaic, restored=restored)
            run_in_background(reopen_region, address, busy=self, then=show)
            return
        run_in_background(
            open_region,
            source,
            self._visible_window(mosaic),
            busy=self,
            then=partial(self._show, mosaic),
        )

    def write_back(self) -> None:
        """Write the corrected grains into the mosaic and close the region."""
        piece = self._open_piece.piece
        if piece is None:
            return
        self.show_message("")
        labels = np.array(piece.grains.data)
        run_in_background(
            write_region,
            piece.region,
            labels,
            busy=self,
            then=partial(self._on_written, piece, crc32(labels.data)),
            progress=self.progress,
            title="Writing back",
        )

    def undo(self) -> None:
        """Undo the last write-back."""
        mosaic = self._mosaic
        if mosaic is None:
            return
        self.show_message("")
        run_in_background(
            undo_write,
            MosaicMetadata.of(mosaic).source,
            busy=self,
            then=partial(self._on_undone, mosaic),
            progress=self.progress,
            title="Undoing the write-back",
        )

    def close_piece(self) -> None:
        """Close the region without writing it back; asks if it has unsaved edits."""
        piece = self._open_piece.piece
        if piece is None:
            return
        if not history_of(piece.grains).is_saved and not self.may_discard():
            return
        self._discard_autosave(piece)
        self._remove(piece)

    def may_discard(self) -> bool:
        """Ask the user whether the edits may be discarded."""
        from qtpy.QtWidgets import QMessageBox

        answer = QMessageBox.question(
            self,
            "Close without writing back",
            "The edits of this region were not written back to the mosaic. Discard them?",
        )
        return bool(answer == QMessageBox.StandardButton.Yes)

    # --- the region

    @property
    def _mosaic(self) -> Labels | None:
        return editable_mosaic(self.viewer.layers)

    def _on_view(self, _event: object = None) -> None:
        if self._open_piece.piece is None and self.isVisible():
            self._timer.start()

    def _text(self, mosaic: Labels | None, piece: MosaicPiece | None) -> str:
        if mosaic is None:
            return _NO_MOSAIC
        name = Path(MosaicMetadata.of(mosaic).source).name
        if piece is not None:
            y0, y1, x0, x1 = piece.region.window
            n_locked = len(piece.region.locked)
            return (
                f"Editing rows {y0} to {y1}, columns {x0} to {x1} of <b>{name}</b>. "
                f"{n_locked} grain{'s' if n_locked != 1 else ''} cut by its edge "
                f"{'are' if n_locked != 1 else 'is'} locked."
            )
        height, width = mosaic_shape(mosaic)
        y0, y1, x0, x1 = self._visible_window(mosaic)
        if min(y1 - y0, x1 - x0) <= 0:
            return f"Mosaic <b>{name}</b>, {width} × {height} px. The window does not show it."
        visible = f"The window shows {x1 - x0} × {y1 - y0} px"
        if max(y1 - y0, x1 - x0) > MAX_REGION_PX:
            visible += f": zoom in to at most {MAX_REGION_PX} × {MAX_REGION_PX} px to edit"
        return f"Mosaic <b>{name}</b>, {width} × {height} px. {visible}."

    def _visible_window(self, mosaic: Labels) -> tuple[int, int, int, int]:
        """Return the rows and columns of the mosaic that the window shows."""
        camera = self.viewer.scene.camera
        centre = np.asarray(camera.center, dtype=float)[-2:]
        half = np.asarray(self.viewer.canvas.size, dtype=float) / (2 * camera.zoom)
        corners = [mosaic.world_to_data(centre + sign * half)[-2:] for sign in (-1, 1)]
        shape = mosaic_shape(mosaic)
        low = [max(0, int(n)) for n in corners[0]]
        high = [min(size, int(n) + 1) for size, n in zip(shape, corners[1], strict=True)]
        return low[0], high[0], low[1], high[1]

    def _show(self, mosaic: Labels, region: Region, restored: Labels | None = None) -> None:
        name = f"piece of {Path(region.folder).stem}"
        place = _place(mosaic, region)
        mosaic_image = image_of_mosaic(mosaic, self.viewer.layers)
        style = {}
        if mosaic_image is not None and not mosaic_image.rgb:
            style = {"contrast_limits": mosaic_image.contrast_limits, "colormap": "gray"}
        metadata = ImageMetadata(
            source=region.address,
            pixel_size_um=region.pixel_size_um,
            pixel_size_source="the mosaic" if region.pixel_size_um else "",
        )
        image = Image(region.image, name=name, metadata=metadata.for_layer(), **style, **place)
        self.viewer.add_layer(image)
        if restored is not None:
            self.viewer.layers.remove(restored)
            self.session.part(DeletedGrains).forget(restored)
        grains = self._add_grains(region, image.name, place, restored)
        mosaic.visible = False
        self.roles.image, self.roles.grains = image, grains
        self._open_piece.piece = MosaicPiece(region, image, grains, mosaic)

    def _add_grains(
        self, region: Region, name: str, place: dict[str, Any], restored: Labels | None
    ) -> Labels:
        states = dict.fromkeys(sorted(region.locked), "accepted")
        if restored is not None:
            states = {**states_of(restored), **states}
        metadata = GrainsMetadata(image=name, source=region.address, states=states)
        grains = Labels(
            region.labels.copy() if restored is None else restored.data,
            name=f"grains of {name}",
            metadata=metadata.for_layer(),
            opacity=0.45,
            **place,
        )
        self.viewer.add_layer(grains)
        if restored is not None:
            history_of(grains).mark_unsaved()
        return grains

    def _on_written(self, piece: MosaicPiece, pixels: int, written: WriteBackResult) -> None:
        # By the pixels: the history may have come to the same position by another edit.
        if crc32(np.ascontiguousarray(piece.grains.data).data) != pixels:
            self._open_piece.piece = None
            piece.mosaic.visible = True
            late = f" '{piece.grains.name}' was edited meanwhile and stays open."
        else:
            self._discard_autosave(piece)
            self._remove(piece)
            late = ""
        self._reload(piece.mosaic)
        self.show_message(_summary(written) + late)

    def _discard_autosave(self, piece: MosaicPiece) -> None:
        """Delete the autosave of a region, of which nothing is unsaved any more."""
        history_of(piece.grains).mark_saved()
        kept = self.session.part(AutosaveManager).of_layer(piece.grains)
        if kept is not None:
            kept.save()

    def _on_undone(self, mosaic: Labels, written: WriteBackResult) -> None:
        self._reload(mosaic)
        self.show_message(f"The last write-back was undone: {_changes(written)}.")

    def _remove(self, piece: MosaicPiece) -> None:
        for layer in (piece.grains, piece.image):
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)

    @reports_errors
    def _reload(self, mosaic: Labels) -> None:
        reload_labels(mosaic)


def _place(mosaic: Labels, region: Region) -> dict[str, Any]:
    """Return scale, units and translation that place a region where it was cut from."""
    scale = np.asarray(mosaic.scale)[-2:]
    first = np.array([region.window[0], region.window[2]])
    return {
        "scale": tuple(scale),
        "units": tuple(str(unit) for unit in mosaic.units),
        "translate": tuple(np.asarray(mosaic.translate)[-2:] + first * scale),
    }


def _changes(written: WriteBackResult) -> str:
    n, gone = written.n_changed, written.n_gone
    return f"{n} grain{'s' if n != 1 else ''} changed or new, {gone} gone"


def _summary(written: WriteBackResult) -> str:
    kept = (
        f" {written.n_kept_px} px of locked grains had been painted over; they were left unchanged."
        if written.n_kept_px
        else ""
    )
    if not (written.n_changed or written.n_gone):
        return f"Nothing was changed, so nothing was written.{kept}"
    numbers = sorted(written.new_labels.values())
    new = f" New numbers: {_list_numbers(numbers)}." if numbers else ""
    return f"Written back: {_changes(written)}.{new}{kept}"


def _list_numbers(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:5]))
    return f"{shown} … {numbers[-1]}" if len(numbers) > 5 else shown

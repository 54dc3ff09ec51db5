"""Writing changes into a labels layer with a redraw of the changed pixels only."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ref

import numpy as np

from grainsmith.ui.editing.napari_compat import clear_native_undo

if TYPE_CHECKING:
    from napari.layers import Labels

    from grainsmith.clean import Change

_NATIVE_BUDGET_BYTES = 64_000_000
"""Memory that napari's own undo history of a layer may take."""

_FULL_REDRAW_PX = 500_000
"""Larger changes are written at once, followed by a redraw of the whole view."""


class LabelWriter:
    """Writes to one layer through napari.

    Attributes
    ----------
    busy : bool
        Whether a write is under way, which causes the layer's `paint` event.
    """

    def __init__(self, layer: Labels) -> None:
        self._layer = ref(layer)
        self._native_bytes = 0
        self.busy = False

    def write(self, change: Change) -> None:
        """Set the pixels of a change."""
        layer = self._layer()
        if layer is None:
            return
        self.busy = True
        try:
            if change.n_pixels > _FULL_REDRAW_PX:
                change.write(layer.data)
                self.clear_native_undo()
                layer.refresh()
            else:
                self._set_items(layer, change)
        finally:
            self.busy = False

    def clear_native_undo(self) -> None:
        """Empty napari's own undo history of the layer, which nothing uses."""
        layer = self._layer()
        if layer is not None:
            clear_native_undo(layer)
            self._native_bytes = 0

    def _set_items(self, layer: Labels, change: Change) -> None:
        # napari stores the indices that it is given: small ones take half of the memory.
        dtype = np.uint16 if max(change.shape) <= 2**16 else np.int64
        with layer.block_history():
            for rows, columns, values in change.pixels():
                layer.data_setitem((rows.astype(dtype), columns.astype(dtype)), values)
        self._native_bytes += change.n_pixels * 2 * (dtype().itemsize + layer.data.itemsize)
        if self._native_bytes > _NATIVE_BUDGET_BYTES:
            self.clear_native_undo()

"""Write changes into a labels layer so that only what changed is drawn anew."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ref

import numpy as np

if TYPE_CHECKING:
    from napari.layers import Labels

    from grainsmith.clean import Change

_NATIVE_BUDGET_BYTES = 64_000_000
_WHOLE_PX = 500_000  # changes of more pixels are written at once and the whole view is drawn anew


class Writer:
    """Writes to one layer through napari, whose own history is kept within a budget.

    Attributes
    ----------
    busy : bool
        Whether it writes now: the `paint` event is ours then.
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
            if change.n_pixels > _WHOLE_PX:
                change.write(layer.data)
                self.forget_native()
                layer.refresh()
            else:
                self._set_items(layer, change)
        finally:
            self.busy = False

    def forget_native(self) -> None:
        """Empty napari's own history, which nobody asks any more; this is its one public way."""
        layer = self._layer()
        if layer is None:
            return
        mode, editable = layer.mode, layer.editable
        layer.editable = False
        layer.editable = editable
        layer.mode = mode
        self._native_bytes = 0

    def _set_items(self, layer: Labels, change: Change) -> None:
        # napari keeps the indices that it gets: small ones take half of the memory.
        kind = np.uint16 if max(change.shape) <= 2**16 else np.int64
        with layer.block_history():
            for rows, columns, values in change.pixels():
                layer.data_setitem((rows.astype(kind), columns.astype(kind)), values)
        self._native_bytes += change.n_pixels * 2 * (kind().itemsize + layer.data.itemsize)
        if self._native_bytes > _NATIVE_BUDGET_BYTES:
            self.forget_native()
